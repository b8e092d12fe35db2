"""Every code a problem may carry, with its words: what a client needs to tell one «no» from another."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any

import registry
import subsidy
from app.access import public
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.errors import STATUS
from app.faults import FAULTS, HTTP_FAULTS
from app.refusals import EdgeRefusal
from app.schemas.refusals import RefusalList
from registry.base import Refusal

blueprint = ApiBlueprint("refusals", __name__, url_prefix="/api/refusals", description="What a «no» may be")
INVALID = 422


@blueprint.route("")
@public
@described(blueprint, 503, signed_in=False)
@blueprint.response(200, RefusalList)
def show() -> dict[str, Any]:
    """Every code of a problem

    With its status and its words in Chinese and English. A problem's `errors` carry these codes, one a field.
    """
    return {"refusals": list(known_refusals())}


@cache
def known_refusals() -> tuple[dict[str, Any], ...]:
    """Return every refusal of the platform, and every fault of form, by code."""
    for package in (registry, subsidy):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    told = {each.code: _told(each) for each in _below(Refusal) if "zh" in vars(each)}
    for status, fault in [*HTTP_FAULTS.items(), *((INVALID, fault) for fault in FAULTS.values())]:
        words = {name: getattr(fault, name) for name in ("code", "zh", "en", "remedy_zh", "remedy_en")}
        told.setdefault(fault.code, {**words, "status": status, "field": None})
    return tuple(told[code] for code in sorted(told))


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        if each.__module__.split(".")[0] in {"app", "registry", "subsidy"}:
            yield each
        yield from _below(each)


def _told(kind: type[Refusal]) -> dict[str, Any]:
    status = kind.status if issubclass(kind, EdgeRefusal) else STATUS[kind.kind]
    names = ("code", "zh", "en", "remedy_zh", "remedy_en")
    return {name: getattr(kind, name) for name in names} | {"status": status, "field": kind.default_field}
