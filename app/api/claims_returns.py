"""Returns: opened by one person, decided by another, and the receipt for money that came back."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.claims_documents import return_document, today
from app.api.description import described
from app.api.trade_ins import reference_in
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.claims import (
    CaseReasonRequest,
    RepaymentRequest,
    ReturnAnswer,
    ReturnList,
    ReturnQuery,
    ReturnRequest,
)
from registry.trade_ins import TradeIn
from subsidy.case_numbers import RETURN, clean_case_number
from subsidy.repayments import record_repayment
from subsidy.returns import (
    Repayment,
    ReturnCase,
    approve_return,
    list_returns,
    open_return,
    refuse_return,
)

blueprint = ApiBlueprint("returns", __name__, url_prefix="/api", description="Returned bikes and subsidies")


@blueprint.route("/trade-ins/<reference>/returns", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReturnRequest)
@blueprint.response(201, ReturnAnswer)
def begin(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Open the return of a completed trade-in

    The new bike came back, its plate was annulled, or the claim was untrue. Nothing moves before a reviewer agrees.
    """
    case = open_return(
        session=db.session(), reference=reference_in(reference), actor=caller().actor, now=business_now(), **typed
    )
    return _case(case)


@blueprint.route("/returns")
@requires(*STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(ReturnQuery, location="query")
@blueprint.response(200, ReturnList)
def returns(query: dict[str, Any]) -> dict[str, Any]:
    """List returns

    Newest first, with the receipt where the money is back.
    """
    overdue_on = today() if query.get("overdue") else None
    found = list_returns(session=db.session(), state=query.get("state"), overdue_on=overdue_on)
    return {
        "returns": [
            return_document(case, reference=trade_in.reference, repayment=repayment)
            for case, trade_in, repayment in found
        ]
    }


@blueprint.route("/returns/<reference>/approval", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, ReturnAnswer)
def approve(reference: str) -> dict[str, Any]:
    """Take a claim back

    By another account than the one that opened the return. What was not paid serves the next in the line at once; what
    was paid is demanded back with a due day. While the bank has not answered: 409 «money_at_the_bank».
    """
    case = approve_return(
        session=db.session(),
        reference=clean_case_number(reference, prefix=RETURN),
        repayment_days=settings().repayment_days,
        repay_to=settings().repay_to,
        clock=settings().clock,
        actor=caller().actor,
    )
    return _case(case)


@blueprint.route("/returns/<reference>/refusal", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(CaseReasonRequest)
@blueprint.response(200, ReturnAnswer)
def refuse(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Refuse a return

    The claim stands; a return may be opened again.
    """
    case = refuse_return(
        session=db.session(),
        reference=clean_case_number(reference, prefix=RETURN),
        reason=typed["reason"],
        actor=caller().actor,
        now=business_now(),
    )
    return _case(case)


@blueprint.route("/returns/<reference>/repayment", methods=["POST"])
@requires("finance")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(RepaymentRequest)
@blueprint.response(201, ReturnAnswer)
def repay(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Enter the receipt for money that came back

    The whole amount in one payment: a part is refused. The money serves the next in the line from then on.
    """
    case = record_repayment(
        session=db.session(),
        reference=clean_case_number(reference, prefix=RETURN),
        clock=settings().clock,
        actor=caller().actor,
        **typed,
    )
    return _case(case)


def _case(case: ReturnCase) -> dict[str, Any]:
    session = db.session()
    repayment = session.scalar(select(Repayment).where(Repayment.return_case_id == case.id))
    reference = session.get_one(TradeIn, case.trade_in_id).reference
    return return_document(case, reference=reference, repayment=repayment)
