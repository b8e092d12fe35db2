"""The ends of old bikes: confirmations of destruction, and what is overdue."""

from __future__ import annotations

from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.api.trade_ins import reference_in
from app.auth import caller
from app.context import business_now, reach_of, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.bikes import DestructionAnswer, DestructionRequest, OverdueList, OverdueQuery
from registry.destruction import confirm_destruction, overdue_destructions
from registry.filings import FiledBike
from registry.trade_ins import TradeIn

blueprint = ApiBlueprint("ends", __name__, url_prefix="/api", description="What became of old bikes")


@blueprint.route("/trade-ins/<reference>/destructions", methods=["POST"])
@requires("dealer", "operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(DestructionRequest)
@blueprint.response(201, DestructionAnswer)
def confirm(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Record the dismantler's or the battery recycler's confirmation

    By the point or staff, within 15 days of receiving the old bike. With both, and the plate cancelled, the old bike is
    ``destroyed``. A point with too many overdue opens no new trade-in.
    """
    account, session = caller(), db.session()
    done = confirm_destruction(
        session=session,
        reference=reference_in(reference),
        reach=reach_of(account),
        actor=account.actor,
        now=business_now(),
        **typed,
    )
    trade_in = session.get_one(TradeIn, done.trade_in_id)
    return {
        "reference": trade_in.reference,
        "part": done.part,
        "firm": done.firm,
        "document_no": done.document_no,
        "done_on": done.done_on.isoformat(),
        "recorded_at": instant(done.recorded_at),
        "old_bike_state": session.get_one(FiledBike, trade_in.filed_bike_id).state,
    }


@blueprint.route("/destructions/overdue", methods=["GET"])
@requires("dealer", *STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(OverdueQuery, location="query")
@blueprint.response(200, OverdueList)
def show_overdue(query: dict[str, Any]) -> dict[str, Any]:
    """Old bikes whose confirmations are overdue

    A dealer's own; for staff everybody's, or one dealer's.
    """
    dealer_id = caller().dealer_id or query.get("dealer_id")
    late = overdue_destructions(session=db.session(), now=business_now(), dealer_id=dealer_id)
    return {
        "overdue": [
            {
                "reference": each.reference,
                "dealer_id": each.dealer_id,
                "plate_no": each.plate_no,
                "received_at": instant(each.received_at),
                "due_at": instant(each.due_at),
                "missing": list(each.missing),
            }
            for each in late
        ],
        "most_allowed": settings().most_overdue,
    }
