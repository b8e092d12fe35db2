"""Erasure: asked for by owners, listed and, where somebody comes back, restored by staff."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller
from app.context import business_now, keyring
from app.db import db
from app.erasing import ClaimsAndMoney
from app.idempotency import idempotent
from app.schemas.erasure import (
    ErasureAnswer,
    ErasureList,
    ErasureQuery,
    ErasureRequest,
    OutlookAnswer,
    RestorationRequest,
    Restored,
)
from registry.erasure import Erasure, ask_erasure, list_erasures, outlook, restore
from registry.retention import RETAINED, Retained

blueprint = ApiBlueprint("erasures", __name__, url_prefix="/api", description="Erasing what is held on a person")
ELSEWHERE = ClaimsAndMoney()
MAY_RESTORE = ("operator", "reviewer", "administrator")


@blueprint.after_request  # type: ignore[untyped-decorator]
def keep_nowhere(answer: Response) -> Response:
    """Nothing on the way may keep what is told here."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.route("/my/erasure")
@requires("owner")
@described(blueprint, 503)
@blueprint.response(200, OutlookAnswer)
def look_ahead() -> dict[str, Any]:
    """What erasing my data would mean

    What has to be finished first, and what the law keeps, for how long and by which text.
    """
    seen = outlook(session=db.session(), person_id=_person_id(), elsewhere=ELSEWHERE)
    return {
        "waits_for": seen.waits_for,
        "kept": [_retained(each) for each in seen.kept],
        "kept_until": seen.kept_until.isoformat() if seen.kept_until else None,
    }


@blueprint.route("/my/erasure", methods=["POST"])
@requires("owner")
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(ErasureRequest)
@blueprint.response(200, ErasureAnswer)
def ask(answered: dict[str, Any]) -> dict[str, Any]:
    """Have my data erased

    At once: phone, texts of messages, consents and what no law keeps are gone, name and ID number are locked away,
    and this sign-in is over. Refused with 409 `erasure_must_wait` while a trade-in or its money is open; the request
    is recorded all the same.
    """
    erasure = ask_erasure(
        session=db.session(),
        person_id=_person_id(),
        elsewhere=ELSEWHERE,
        actor=caller().actor,
        now=business_now(),
    )
    return _told(erasure)


@blueprint.route("/erasures")
@requires(*STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(ErasureQuery, location="query")
@blueprint.response(200, ErasureList)
def show(query: dict[str, Any]) -> dict[str, Any]:
    """Every request for erasure, newest first

    With what was decided, what was erased and what stays.
    """
    rows = list_erasures(session=db.session(), before=query.get("before"), limit=query["limit"] + 1)
    page = rows[: query["limit"]]
    names = ("person_id", "asked_by", "restored_by", "restored_reason")
    return {
        "erasures": [_told(row) | {name: getattr(row, name) for name in names} for row in page],
        "next_before": page[-1].id if len(rows) > len(page) else None,
    }


@blueprint.route("/erasures/restorations", methods=["POST"])
@requires(*MAY_RESTORE)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(RestorationRequest)
@blueprint.response(200, Restored)
def open_again(typed: dict[str, Any]) -> dict[str, Any]:
    """Restore access for somebody who comes back

    The person stands at the counter with the ID card; the reason is kept. What was erased stays erased.
    """
    erasure = restore(session=db.session(), keyring=keyring(), actor=caller().actor, now=business_now(), **typed)
    return {"person_id": erasure.person_id, "restored": True, "restored_at": instant(erasure.restored_at)}


def _person_id() -> int:
    person_id = caller().person_id
    assert person_id is not None, "an owner's account without a person"
    return person_id


def _told(erasure: Erasure) -> dict[str, Any]:
    return {
        "id": erasure.id,
        "asked_at": instant(erasure.asked_at),
        "decision": erasure.decision,
        "blocked_by": erasure.blocked_by,
        "removed": erasure.removed,
        "kept": [_retained(RETAINED[code]) for code in erasure.kept],
        "kept_until": erasure.kept_until.isoformat() if erasure.kept_until else None,
        "restored_at": instant(erasure.restored_at),
    }


def _retained(retained: Retained) -> dict[str, Any]:
    names = ("code", "zh", "en", "source_zh", "source_en", "years")
    return {name: getattr(retained, name) for name in names}
