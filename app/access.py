"""Who may call a route. Every route carries exactly one of ``public``, ``requires`` and ``partner``.

The factory refuses to start an application with a route that has none, so none can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, TypeVar

from flask import Flask

from app.auth import current_account
from app.refusals import NotSignedIn, WrongRole
from registry.accounts import ROLES, STAFF_ROLES

View = TypeVar("View", bound=Callable[..., Any])
MARK = "mapai_access"
STAFF = STAFF_ROLES


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Who reaches a route: everybody, accounts of some roles, or one partner by signature."""

    kind: Literal["public", "roles", "partner"]
    roles: tuple[str, ...] = ()
    partner: str | None = None


class RouteWithoutRule(Exception):
    """A route was registered without an access rule."""


def public(view: View) -> View:
    """Mark a route that everybody may call."""
    setattr(view, MARK, AccessRule("public"))
    return view


def partner(name: str) -> Callable[[View], View]:
    """Mark a route that only the partner ``name`` may call. The view itself checks the signature, first of all."""

    def mark(view: View) -> View:
        setattr(view, MARK, AccessRule("partner", partner=name))
        return view

    return mark


def requires(*roles: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let only accounts of these roles through; raises NotSignedIn and WrongRole."""
    unknown = set(roles) - set(ROLES)
    if unknown or not roles:
        raise ValueError(f"unknown roles {sorted(unknown)}, or none")

    def guard(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            account = current_account()
            if account is None:
                raise NotSignedIn
            if account.role not in roles:
                raise WrongRole
            return view(*args, **kwargs)

        setattr(guarded, MARK, AccessRule("roles", roles=roles))
        return guarded

    return guard


def rule_of(view: Callable[..., Any]) -> AccessRule | None:
    """Return the access rule a view carries, None where it has none."""
    return getattr(view, MARK, None)


def require_rules(app: Flask) -> None:
    """Raise RouteWithoutRule naming every route of the application that carries no access rule."""
    bare = [str(rule) for rule in app.url_map.iter_rules() if rule_of(app.view_functions[rule.endpoint]) is None]
    if bare:
        raise RouteWithoutRule(f"no access rule on {', '.join(sorted(bare))}")
