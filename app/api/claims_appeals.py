"""Appeals by owners, and overrules of declines: one person proposes, another approves."""

from __future__ import annotations

from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.claims_documents import appeal_document, overrule_document, today
from app.api.description import described
from app.api.trade_ins import reference_in
from app.auth import caller
from app.context import business_now, reach_of, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.claims import (
    AppealAnswer,
    AppealAnswerRequest,
    AppealList,
    AppealPhotoRequest,
    AppealQuery,
    AppealRequest,
    CaseReasonRequest,
    OverruleAnswer,
    OverruleList,
    OverruleQuery,
)
from registry.trade_ins import TradeIn
from subsidy.appeals import (
    Appeal,
    add_appeal_photo,
    approve_proposal,
    file_appeal,
    get_appeal,
    list_appeals,
    photos_of,
    refuse_proposal,
    reject_appeal,
    uphold_appeal,
)
from subsidy.case_numbers import APPEAL, OVERRULE, clean_case_number
from subsidy.claims import Claim
from subsidy.overrules import Overrule, list_overrules, propose_overrule

blueprint = ApiBlueprint("appeals", __name__, url_prefix="/api", description="Appeals and overrules")


@blueprint.route("/trade-ins/<reference>/appeals", methods=["POST"])
@requires("owner")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(AppealRequest)
@blueprint.response(201, AppealAnswer)
def file(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """File an appeal against a decline

    By the owner, once for each decision. The answer names the number to follow it by, and the last day for the answer.
    """
    account = caller()
    appeal = file_appeal(
        session=db.session(),
        reference=reference_in(reference),
        reach=reach_of(account),
        working_days=settings().appeal_working_days,
        actor=account.actor,
        now=business_now(),
        **typed,
    )
    return _appeal(appeal)


@blueprint.route("/appeals")
@requires("owner", *STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(AppealQuery, location="query")
@blueprint.response(200, AppealList)
def appeals(query: dict[str, Any]) -> dict[str, Any]:
    """List appeals

    The owner's own, all for staff; the one due soonest first.
    """
    overdue_on = today() if query.get("overdue") else None
    found = list_appeals(
        session=db.session(), reach=reach_of(caller()), state=query.get("state"), overdue_on=overdue_on
    )
    return {"appeals": [_appeal(appeal) for appeal, _ in found]}


@blueprint.route("/appeals/<reference>")
@requires("owner", *STAFF)
@described(blueprint, 404, 422, 503)
@blueprint.response(200, AppealAnswer)
def appeal(reference: str) -> dict[str, Any]:
    """Follow one appeal

    By its number, for its owner and for staff.
    """
    number = clean_case_number(reference, prefix=APPEAL)
    return _appeal(get_appeal(session=db.session(), reference=number, reach=reach_of(caller())))


@blueprint.route("/appeals/<reference>/photos", methods=["POST"])
@requires("owner")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(AppealPhotoRequest)
@blueprint.response(201, AppealAnswer)
def add_photo(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Add a picture to an appeal

    JPEG or PNG, at most 3 MB each and nine in all, until it is answered.
    """
    account = caller()
    appeal = add_appeal_photo(
        session=db.session(),
        reference=clean_case_number(reference, prefix=APPEAL),
        reach=reach_of(account),
        actor=account.actor,
        now=business_now(),
        **typed,
    )
    return _appeal(appeal)


@blueprint.route("/appeals/<reference>/answer", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(AppealAnswerRequest)
@blueprint.response(200, AppealAnswer)
def answer(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Answer an appeal

    Upheld: an overrule is proposed, which a reviewer has to approve before anything is paid. Otherwise the decision
    stands, and the owner is told why.
    """
    number = clean_case_number(reference, prefix=APPEAL)
    step = uphold_appeal if typed["upheld"] else reject_appeal
    step(session=db.session(), reference=number, answer=typed["answer"], actor=caller().actor, now=business_now())
    return _appeal(get_appeal(session=db.session(), reference=number, reach=reach_of(caller())))


@blueprint.route("/trade-ins/<reference>/overrules", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(CaseReasonRequest)
@blueprint.response(201, OverruleAnswer)
def propose(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Propose that a declined claim be paid

    Nothing is paid before a reviewer has approved it.
    """
    overrule = propose_overrule(
        session=db.session(),
        reference=reference_in(reference),
        reason=typed["reason"],
        actor=caller().actor,
        now=business_now(),
    )
    return _overrule(overrule)


@blueprint.route("/overrules")
@requires(*STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(OverruleQuery, location="query")
@blueprint.response(200, OverruleList)
def overrules(query: dict[str, Any]) -> dict[str, Any]:
    """List proposed overrules

    Newest first, with what became of each claim.
    """
    found = list_overrules(session=db.session(), state=query.get("state"))
    return {
        "overrules": [
            overrule_document(overrule, trade_in=trade_in, claim=claim) for overrule, trade_in, claim in found
        ]
    }


@blueprint.route("/overrules/<reference>/approval", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, OverruleAnswer)
def approve(reference: str) -> dict[str, Any]:
    """Approve an overrule

    By another account than the one that proposed it. The claim gets what its position would have had, from the
    reserve; where that is empty it goes first in the line.
    """
    overrule = approve_proposal(
        session=db.session(),
        reference=clean_case_number(reference, prefix=OVERRULE),
        clock=settings().clock,
        actor=caller().actor,
    )
    return _overrule(overrule)


@blueprint.route("/overrules/<reference>/refusal", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(CaseReasonRequest)
@blueprint.response(200, OverruleAnswer)
def refuse(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Refuse an overrule

    The decline stands; an appeal behind it waits for another answer.
    """
    overrule = refuse_proposal(
        session=db.session(),
        reference=clean_case_number(reference, prefix=OVERRULE),
        reason=typed["reason"],
        actor=caller().actor,
        now=business_now(),
    )
    return _overrule(overrule)


def _appeal(appeal: Appeal) -> dict[str, Any]:
    session = db.session()
    reference = session.get_one(TradeIn, appeal.trade_in_id).reference
    return appeal_document(appeal, reference=reference, photos=len(photos_of(session=session, appeal=appeal)))


def _overrule(overrule: Overrule) -> dict[str, Any]:
    session = db.session()
    trade_in = session.get_one(TradeIn, overrule.trade_in_id)
    claim = session.get_one(Claim, (overrule.programme_id, overrule.position))
    return overrule_document(overrule, trade_in=trade_in, claim=claim)
