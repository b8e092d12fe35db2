"""The caller's own trade-ins, read for a page. Never anybody else's."""

from __future__ import annotations

from app.auth import caller
from app.context import keyring, reach_of
from app.db import db
from app.web.progress_money import repaying
from app.web.trade_in_record import Record, read_record
from registry.trade_ins import TradeIn, get_trade_in, list_trade_ins

OVER = ("declined", "returned", "forfeited")


def find_own(reference: str) -> Record:
    """Return one of the caller's own trade-ins; raises TradeInNotFound."""
    return read_own_trade_in(get_trade_in(session=db.session(), reference=reference, reach=reach_of(caller())))


def own_trade_ins() -> list[TradeIn]:
    """Return the caller's trade-ins, newest first."""
    return list_trade_ins(session=db.session(), reach=reach_of(caller()))


def read_own_trade_in(trade_in: TradeIn) -> Record:
    """Return what is shown about a trade-in."""
    return read_record(session=db.session(), keyring=keyring(), trade_in=trade_in)


def may_choose_wallet(record: Record) -> bool:
    """A wallet may be given any time, but is left alone while money is on its way to it or has arrived."""
    if record.trade_in.state == "withdrawn" or (record.claim is not None and record.claim.state in OVER):
        return False
    return record.payout is None or record.payout.state in ("awaiting_wallet", "owed")


def is_over(record: Record) -> bool:
    """Say whether nothing is left to happen: paid, without subsidy, or withdrawn. A debt is not over."""
    if repaying(record):
        return False
    if record.trade_in.state == "withdrawn" or (record.claim is not None and record.claim.state in OVER):
        return True
    if record.payout is not None:
        return record.payout.state in ("settled", "withdrawn")
    return record.trade_in.state == "completed" and record.claim is None
