"""What staff may do about a claim as it stands: hold, release, waive a fault, propose to overrule, begin a return."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.auth import caller
from app.db import db
from app.web.desk_acting import may, names_of
from app.web.desk_words import HOLD_REASONS, RETURN_KINDS
from app.web.trade_in_record import Record
from subsidy.holds import open_hold
from subsidy.overrules import Overrule
from subsidy.returns import standing_return

DEED_FIELDS = ("deed", "reason_code", "reason", "kind", "proof_no")
MONEY_IS_HERE = (None, "awaiting_wallet", "owed")


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
        "hold_words": HOLD_REASONS,
        "proposed": proposed,
        "case": case,
        "reasons": tuple(HOLD_REASONS.items()),
        "kinds": tuple(RETURN_KINDS.items()),
    }
