"""What a return does to the new bike and its plate. The old bike stays used whatever becomes of the new one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.bikes import BIKE, Bike
from registry.plates import PLATE_CODE, Plate, PlateCode, report
from registry.trade_ins import TradeIn


def take_back(*, session: Session, trade_in: TradeIn, kind: str, actor: str, now: datetime) -> None:
    """Record what came back: a returned bike stands in stock again, and its plate's code, like an annulled plate's,
    is cancelled. Where the claim was untrue bike and plate stay what they are.

    Nobody buys the returned bike for a subsidy again: one bike is sold in one trade-in (Sale.bike_id is unique).
    """
    if kind == "fraud" or trade_in.bike_id is None:
        return
    bike = session.get_one(Bike, trade_in.bike_id, with_for_update=True, populate_existing=True)
    if kind == "bike_returned" and BIKE.allows(state=bike.state, step="return"):
        before, bike.state = bike.state, BIKE.after(state=bike.state, step="return")
        detail = {"state": [before, bike.state], "reference": trade_in.reference}
        audit.record(
            session=session, actor=actor, action="bike.returned", subject=f"bike:{bike.vehicle_code}", detail=detail
        )
    plate_no = session.scalar(select(Plate.plate_no).where(Plate.bike_id == bike.id))
    state = session.scalar(
        select(PlateCode.state)
        .join(Plate, Plate.id == PlateCode.plate_id)
        .where(Plate.bike_id == bike.id)
        .order_by(PlateCode.edition.desc())
        .limit(1)
    )
    # A plate that never had a code has none to cancel.
    if plate_no is not None and state is not None and PLATE_CODE.allows(state=state, step="cancel"):
        report(session=session, plate_no=plate_no, step="cancel", actor=actor, now=now)
