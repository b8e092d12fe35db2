"""What staff may do about a claim as it stands: hold, release, waive a fault, propose to overrule, begin a return."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.auth import caller
from app.db import db
from app.web.desk_acting import may, names_of
from app.web.language import _l
from app.web.trade_in_record import Record
from subsidy.holds import HOLD_REASONS, open_hold
from subsidy.overrules import Overrule
from subsidy.returns import KINDS, standing_return

DEED_FIELDS = ("deed", "reason_code", "reason", "kind", "proof_no")
MONEY_IS_HERE = (None, "awaiting_wallet", "owed")
HOLDS = {
    "identity": _l("身份要再核对"),
    "old_bike": _l("旧车材料要再核对"),
    "new_bike": _l("新车材料要再核对"),
    "sale": _l("发票或价格要再核对"),
    "complaint": _l("收到投诉举报"),
    "fraud": _l("疑似冒领"),
    "other": _l("其他"),
}
RETURNS = {"bike_returned": _l("新车已退"), "plate_annulled": _l("号牌被撤销"), "fraud": _l("查实冒领")}
assert HOLDS.keys() == HOLD_REASONS.keys(), "every reason for a hold has its word here"
assert RETURNS.keys() == KINDS.keys(), "every kind of return has its word here"


def deeds_of(record: Record) -> dict[str, Any]:
    """Return which deeds to offer to this reader on a claim's page, and what waits for somebody else."""
    claim = record.claim
    assert claim is not None, "only a claim has deeds"
    session = db.session()
    hold = open_hold(session=session, programme_id=claim.programme_id, position=claim.position)
    proposed = session.scalar(
        select(Overrule).where(
            Overrule.programme_id == claim.programme_id,
            Overrule.position == claim.position,
            Overrule.state == "proposed",
        )
    )
    case = standing_return(session=session, trade_in_id=claim.trade_in_id)
    payout = record.payout.state if record.payout else None
    held = hold is not None and claim.state in ("held", "waiting")
    deeds = {
        "hold": may("operator")
        and not held
        and not record.faults
        and claim.state in ("awarded", "waiting")
        and payout in MONEY_IS_HERE,
        "release": held and hold is not None and may("operator", "reviewer") and hold.held_by != caller().actor,
        "waive": bool(record.faults) and may("reviewer"),
        "overrule": may("operator") and claim.state in ("declined", "forfeited") and proposed is None and case is None,
        "return": may("operator") and case is None and claim.state != "returned",
    }
    return {
        **deeds,
        "any": any(deeds.values()),
        "held": hold if held else None,
        "held_by": names_of([hold.held_by])[hold.held_by] if hold and held else "",
        "hold_words": HOLDS,
        "proposed": proposed,
        "case": case,
        "reasons": tuple(HOLDS.items()),
        "kinds": tuple(RETURNS.items()),
    }
