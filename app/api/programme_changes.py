"""Changes of a programme: drafted by one, decided by another. Versions of its rules, pauses and their end."""

from __future__ import annotations

from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.api.programme_outlook import effect_document, programme_in, rules_document, rules_of
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.programmes import ChangeAnswer, ChangeList, DraftRequest, RefusalRequest, SwitchRequest
from subsidy.pausing import propose_switch
from subsidy.programme import Programme, get_version
from subsidy.programme_change import (
    CHANGE,
    PAUSE,
    RESUME,
    ChangeNotFound,
    ProgrammeChange,
    approve_change,
    get_change,
    is_outdated,
    list_changes,
    refuse_draft,
    withdraw_draft,
)
from subsidy.programme_change_draft import differences, draft_version

blueprint = ApiBlueprint(
    "programme changes", __name__, url_prefix="/api/programmes/<code>", description="Drafting and approving changes"
)
GRACE = {
    True: (
        "提前截止：批准时，剩下的名额和钱够付给每一笔已经登记、还没办完的；名额仍然按办完的先后给。",
        "Closing early: at approval, places and money left cover every open trade-in; places go by completion.",
    ),
    False: (
        "提前截止：不给已经登记、还没办完的预留钱，办完得晚可能没有补贴。",
        "Closing early: nothing is kept for open trade-ins; who completes late may get no subsidy.",
    ),
}


@blueprint.route("/changes", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, ChangeList)
def show_changes(code: str) -> dict[str, Any]:
    """The programme's changes

    Newest first, at most a hundred.
    """
    programme = programme_in(code)
    return {"changes": [_row(programme, one) for one in list_changes(session=db.session(), programme=programme)]}


@blueprint.route("/changes/<change_no>", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, ChangeAnswer)
def show_change(code: str, change_no: str) -> dict[str, Any]:
    """One change

    With the rules it drafts, what differs from those it was drafted against, and its effect.
    """
    programme = programme_in(code)
    change = get_change(session=db.session(), programme=programme, change_id=change_in(change_no))
    return _document(programme, change)


@blueprint.route("/changes", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(DraftRequest)
@blueprint.response(201, ChangeAnswer)
def draft(typed: dict[str, Any], code: str) -> dict[str, Any]:
    """Draft a new version of the rules

    Checked against the version in force and what has already happened. Its effect is in the answer. Nothing changes
    until somebody else approves it.
    """
    programme = programme_in(code)
    change = draft_version(
        session=db.session(),
        programme=programme,
        rules=rules_of(typed["rules"]),
        note=typed["note"],
        actor=caller().actor,
        now=business_now(),
        gaps_intended=typed["gaps_intended"],
        grace_reserves=typed.get("grace_reserves"),
    )
    return _document(programme, change)


@blueprint.route("/pauses", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(SwitchRequest)
@blueprint.response(201, ChangeAnswer)
def pause(typed: dict[str, Any], code: str) -> dict[str, Any]:
    """Propose a pause

    While it lasts, completed trade-ins take positions and wait; the public is told why.
    """
    return _propose(PAUSE, programme_in(code), typed)


@blueprint.route("/resumptions", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(SwitchRequest)
@blueprint.response(201, ChangeAnswer)
def resume(typed: dict[str, Any], code: str) -> dict[str, Any]:
    """Propose to end the pause

    Those who wait are then decided in their order.
    """
    return _propose(RESUME, programme_in(code), typed)


@blueprint.route("/changes/<change_no>/approval", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, ChangeAnswer)
def approve(code: str, change_no: str) -> dict[str, Any]:
    """Approve a change

    By somebody else than its drafter. It stands in the queue and holds from this instant on.
    """
    programme = programme_in(code)
    change = approve_change(
        session=db.session(),
        programme=programme,
        change_id=change_in(change_no),
        actor=caller().actor,
        clock=settings().clock,
    )
    return _document(programme, change)


@blueprint.route("/changes/<change_no>/refusal", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(RefusalRequest)
@blueprint.response(200, ChangeAnswer)
def refuse(typed: dict[str, Any], code: str, change_no: str) -> dict[str, Any]:
    """Refuse a change

    With the reason, by somebody else than its drafter.
    """
    programme = programme_in(code)
    change = refuse_draft(
        session=db.session(),
        programme=programme,
        change_id=change_in(change_no),
        actor=caller().actor,
        now=business_now(),
        **typed,
    )
    return _document(programme, change)


@blueprint.route("/changes/<change_no>/withdrawal", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, ChangeAnswer)
def withdraw(code: str, change_no: str) -> dict[str, Any]:
    """Withdraw a change

    By its drafter, before anybody has decided on it.
    """
    programme = programme_in(code)
    change = withdraw_draft(
        session=db.session(),
        programme=programme,
        change_id=change_in(change_no),
        actor=caller().actor,
        now=business_now(),
    )
    return _document(programme, change)


def change_in(path: str) -> int:
    """Return the change number in an address; raises ChangeNotFound where it cannot be one."""
    if not (path.isascii() and path.isdigit() and len(path) <= 18):
        raise ChangeNotFound
    return int(path)


def _row(programme: Programme, change: ProgrammeChange) -> dict[str, Any]:
    names = ("kind", "state", "base_version_no", "note", "drafted_by", "decided_by", "decision_note")
    return {
        **{name: getattr(change, name) for name in names},
        "change_no": change.id,
        "state_zh": CHANGE.words[change.state],
        "outdated": is_outdated(change=change, programme=programme),
        "drafted_at": instant(change.drafted_at),
        "decided_at": instant(change.decided_at),
    }


def _document(programme: Programme, change: ProgrammeChange) -> dict[str, Any]:
    changed = {}
    if change.rules is not None:
        base = get_version(session=db.session(), programme_id=programme.id, version_no=change.base_version_no)
        changed = differences(before=base.rules, after=change.rules)
    grace_zh, grace_en = (None, None) if change.grace_reserves is None else GRACE[change.grace_reserves]
    return {
        **_row(programme, change),
        "reason_zh": change.reason_zh,
        "reason_en": change.reason_en,
        "rules": rules_document(change.rules) if change.rules else None,
        "differences": changed,
        "grace_reserves": change.grace_reserves,
        "grace_zh": grace_zh,
        "grace_en": grace_en,
        "effect": effect_document(change.effect) if change.effect else None,
        "event_no": change.event_no,
    }


def _propose(kind: str, programme: Programme, typed: dict[str, Any]) -> dict[str, Any]:
    change = propose_switch(
        session=db.session(), programme=programme, kind=kind, actor=caller().actor, now=business_now(), **typed
    )
    return _document(programme, change)
