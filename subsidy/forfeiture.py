"""Forfeiture (逾期未领): an award for which no usable wallet comes goes back to the queue, after reminders.

The time runs from the award, or from the bank's sending the money back. Nobody forfeits who was not told in time: the
last reminder stands at least a day before, however late the scheduler was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import Connection
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from registry.audit import record
from registry.messages import owe_message
from registry.trade_ins import TradeIn
from subsidy.business_clock import BusinessClock
from subsidy.events import EventKind
from subsidy.notices import yuan
from subsidy.payouts import Payout
from subsidy.queue import append_event
from subsidy.wallets import Wallet

SHANGHAI = ZoneInfo("Asia/Shanghai")
SCHEDULER = "scheduler"
# How long before the end the owner is reminded, the earliest first.
REMIND_BEFORE = (timedelta(days=30), timedelta(days=7), timedelta(days=1))
LAST_NOTICE = timedelta(days=1)
AT_ONCE = 500
DUE = """
SELECT p.id, p.programme_id, p.position FROM payout p
WHERE p.state = 'awaiting_wallet' AND coalesce(p.awaiting_since, p.owed_since) <= %(since)s
  AND p.reminders >= %(reminders)s AND p.reminded_at <= %(reminded)s
  AND NOT EXISTS (SELECT FROM wallet w WHERE w.trade_in_id = p.trade_in_id AND w.superseded_at IS NULL)
"""
DUE_PAYOUTS = DUE + "ORDER BY p.id LIMIT %(limit)s"
DUE_PAYOUT = DUE + "AND p.id = %(id)s FOR UPDATE OF p"
LOCK_PROGRAMME = "SELECT 1 FROM programme WHERE id = %s FOR UPDATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """How long an award waits for a usable wallet: a setting of the district, in business time."""

    after: timedelta


def remind_owners(*, session: Session, term: Term, now: datetime) -> int:
    """Owe a reminder to every owner whose next one is due, and return how many. Of several due, the last is told.

    Each names the last day as it then stands: never less than LAST_NOTICE from now.
    """
    reminded = 0
    since = func.coalesce(Payout.awaiting_since, Payout.owed_since)
    for number in range(len(REMIND_BEFORE), 0, -1):
        earliest = now - max(timedelta(), term.after - REMIND_BEFORE[number - 1])
        due = (
            select(Payout, TradeIn.reference)
            .join(TradeIn, TradeIn.id == Payout.trade_in_id)
            .where(Payout.state == "awaiting_wallet", Payout.reminders < number, since <= earliest, ~_has_wallet())
            .order_by(Payout.id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True, of=Payout)
        )
        for payout, reference in session.execute(due).all():
            _remind(session, payout, reference, number=number, term=term, now=now)
            reminded += 1
    session.flush()
    return reminded


def forfeit_due(*, connection: Connection[Any], clock: BusinessClock, term: Term) -> int:
    """Append a forfeiture for every award whose time is over, each in a transaction of its own; return how many.

    The programme is locked before the payout, as everywhere. A wallet confirmed before that lock wins, one after it
    meets a payout that is withdrawn (WalletNotNeeded). Law 8 frees the money.
    """
    now = clock.now()
    values = {
        "since": now - term.after,
        "reminders": len(REMIND_BEFORE),
        "reminded": now - LAST_NOTICE,
        "limit": AT_ONCE,
    }
    rows = connection.execute(DUE_PAYOUTS, values).fetchall()
    connection.commit()
    forfeited = 0
    for payout_id, programme_id, position in rows:
        connection.execute(LOCK_PROGRAMME, (programme_id,))
        if connection.execute(DUE_PAYOUT, values | {"id": payout_id}).fetchone() is not None:
            append_event(
                connection=connection,
                programme_id=programme_id,
                kind=EventKind.FORFEITURE,
                clock=clock,
                actor=SCHEDULER,
                position=position,
                reason="no_wallet",
            )
            forfeited += 1
        connection.commit()
    return forfeited


def _remind(session: Session, payout: Payout, reference: str, *, number: int, term: Term, now: datetime) -> None:
    since = payout.awaiting_since or payout.owed_since
    last = max(since + term.after, now + LAST_NOTICE).astimezone(SHANGHAI)
    owe_message(
        session=session,
        person_id=payout.person_id,
        dedupe_key=f"payout:{payout.id}:remind:{int(since.timestamp())}:{number}",
        body=f"您的置换补贴 {yuan(payout.amount_fen)}还没有收款钱包，请在 {last:%Y-%m-%d %H:%M} 前到「我的换新」填写"
        f"您本人的数字人民币钱包，或到代办点办理；过期未填，补贴会让给排在后面的人。查询号 {reference}。",
    )
    detail = {"reminders": [payout.reminders, number], "until": last.isoformat()}
    payout.reminders, payout.reminded_at = number, now
    record(session=session, actor=SCHEDULER, action="payout_reminded", subject=f"payout:{payout.id}", detail=detail)


def _has_wallet() -> ColumnElement[bool]:
    wallet = select(Wallet.id).where(Wallet.trade_in_id == Payout.trade_in_id, Wallet.superseded_at.is_(None))
    return wallet.exists()
