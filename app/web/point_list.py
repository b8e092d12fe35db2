"""A point's trade-ins by who is waiting for whom, and how a list shows one of them."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from app.web.language import _l
from app.web.progress import who_acts
from app.web.trade_in_record import Record
from registry.trade_ins import TradeIn
from subsidy.claims import Claim, Decision
from subsidy.faults import FAULTS, OWNER_NAME
from subsidy.payouts import Payout

TABS = {
    "point": _l("等我"),
    "police": _l("等交警"),
    "owner": _l("等车主"),
    "bureau": _l("等局里"),
    "over": _l("已办完"),
}
EMPTY = {
    "point": (_l("没有等您的"), _l("登记一辆旧车，就从这里开始。")),
    "police": (_l("没有等交警的"), _l("申请注销或者申请新号牌以后，会列在这里。")),
    "owner": (_l("没有等车主的"), _l("办完了还没填收款钱包的、要车主更正的，会列在这里。")),
    "bureau": (_l("没有等局里的"), _l("要局里核对的，会列在这里。")),
    "over": (_l("还没有办完的"), _l("办完一单，这里就多一单。")),
}
STEPS_OF_THE_POINT = ("opened", "old_bike_verified", "old_bike_received", "old_plate_cancelled", "new_bike_sold")
STEPS_OF_THE_POLICE = ("cancel_requested", "plate_applied")


def _tab() -> ColumnElement[str]:
    fault = (
        select(Decision.fault)
        .where(Decision.programme_id == Claim.programme_id, Decision.position == Claim.position)
        .order_by(Decision.event_no.desc())
        .limit(1)
        .correlate(Claim)
        .scalar_subquery()
    )
    return case(
        (TradeIn.state.in_(STEPS_OF_THE_POINT), "point"),
        (TradeIn.state.in_(STEPS_OF_THE_POLICE), "police"),
        (Payout.state == "awaiting_wallet", "owner"),
        ((Claim.state == "held") & (fault == OWNER_NAME), "owner"),
        ((Claim.state == "held") & fault.in_(tuple(FAULTS)), "point"),
        ((Payout.state == "frozen") | (Claim.state == "held"), "bureau"),
        else_="over",
    )


def count_by_tab(*, session: Session, dealer_id: int) -> dict[str, int]:
    """Return how many of a point's trade-ins stand under each tab, every tab named."""
    tab = _tab().label("tab")
    rows = session.execute(
        select(tab, func.count())
        .select_from(TradeIn)
        .outerjoin(Payout, Payout.trade_in_id == TradeIn.id)
        .outerjoin(Claim, Claim.trade_in_id == TradeIn.id)
        .where(TradeIn.dealer_id == dealer_id)
        .group_by(tab)
    )
    return dict.fromkeys(TABS, 0) | dict(rows.all())


def list_by_tab(*, session: Session, dealer_id: int, tab: str, before: int | None, limit: int) -> list[TradeIn]:
    """Return the newest trade-ins under one tab, older than the id ``before`` where it is given."""
    query = (
        select(TradeIn)
        .outerjoin(Payout, Payout.trade_in_id == TradeIn.id)
        .outerjoin(Claim, Claim.trade_in_id == TradeIn.id)
        .where(TradeIn.dealer_id == dealer_id, _tab() == tab)
        .order_by(TradeIn.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(TradeIn.id < before)
    return list(session.scalars(query))


def shown_item(record: Record) -> dict[str, Any]:
    """Return a trade-in as a row shows it: the record, who acts now, and that in one word."""
    now = who_acts(record, "point")
    # The first clause of what the point has to do fits a tag; of the others it is who they are.
    short = re.split(r"[,\uff0c]", now.title)[0] if now.kind == "you" else now.tag
    return {"record": record, "now": now, "short": short}
