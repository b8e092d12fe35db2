"""The closing report: each account's opening balance, what came and went by cause, and its closing balance, in fen.

Everything is taken from the postings, none of it from running balances: opening + in − out = closing holds in each
row, and over all accounts every cause comes to nothing, because each posting leaves one account and enters another.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from subsidy.claims import QueueEvent
from subsidy.ledger import LedgerPosting, balances_as_of
from subsidy.programme import Programme
from subsidy.state import APPROPRIATION, RESERVE

LOCAL = ZoneInfo("Asia/Shanghai")
# The causes in the report's order. What comes free is told by the event that freed it.
CAUSES = {
    "provide": "拨入",
    "withdraw": "调减",
    "carry": "结转",
    "award": "给予补贴",
    "hold": "暂留",
    "release": "解除暂留",
    "settled": "发放到账",
    "returned": "退回",
    "forfeited": "逾期未领",
    "freed": "更正未过，释放",
    "give_back": "交回拨款",
}
FREED_BY = {"return": "returned", "forfeiture": "forfeited"}
KINDS = {"stage": "可用预算", "held": "暂留", "committed": "待发放", "paid": "已发放"}


@dataclass(slots=True)
class Line:
    """One account over the period, in fen. ``came`` and ``went`` hold what it gained and lost, by cause."""

    account: str
    opening_fen: int = 0
    came: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    went: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def in_fen(self) -> int:
        """All that came."""
        return sum(self.came.values())

    @property
    def out_fen(self) -> int:
        """All that went."""
        return sum(self.went.values())

    @property
    def closing_fen(self) -> int:
        """What it holds at the end."""
        return self.opening_fen + self.in_fen - self.out_fen

    @property
    def name_zh(self) -> str:
        """The account in words."""
        return account_name(self.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingReport:
    """A programme's money over [start, end). ``lines`` stand in the order of purses: appropriation, stages, reserve."""

    code: str
    name_zh: str
    start: datetime | None
    end: datetime
    lines: tuple[Line, ...]

    def purses(self) -> dict[str, list[Line]]:
        """Return the lines by purse: appropriation, each stage's number, reserve."""
        found: dict[str, list[Line]] = {}
        for line in self.lines:
            found.setdefault(purse_of(line.account), []).append(line)
        return found

    def causes(self) -> list[str]:
        """Return the causes that moved money in the period, in order."""
        used = {cause for line in self.lines for cause in (*line.came, *line.went)}
        return [cause for cause in CAUSES if cause in used] + sorted(used - CAUSES.keys())


def month_span(month: date) -> tuple[datetime, datetime]:
    """Return the first instant of a calendar month in Asia/Shanghai and that of the next, aware UTC."""
    first = datetime(month.year, month.month, 1, tzinfo=LOCAL)
    after = datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=LOCAL)
    return first.astimezone(UTC), after.astimezone(UTC)


def closing_report(*, session: Session, programme: Programme, month: date | None, now: datetime) -> ClosingReport:
    """Return the programme's report of one month (any day of it), or of everything up to ``now``."""
    start, end = (None, now) if month is None else month_span(month)
    opening = {} if start is None else balances_as_of(session=session, programme_id=programme.id, at=start)
    lines = {account: Line(account, fen) for account, fen in opening.items()}
    for row in _movements(session, programme.id, start, end):
        cause = FREED_BY.get(row.event, "freed") if row.kind == "free" else row.kind
        lines.setdefault(row.debit, Line(row.debit)).went[cause] += int(row.fen)
        lines.setdefault(row.credit, Line(row.credit)).came[cause] += int(row.fen)
    return ClosingReport(
        code=programme.code,
        name_zh=programme.name_zh,
        start=start,
        end=end,
        lines=tuple(sorted(lines.values(), key=lambda line: account_order(line.account))),
    )


def months_of(*, session: Session, programme: Programme) -> list[date]:
    """Return the first day of every month (Asia/Shanghai) in which money moved, oldest first."""
    month = func.date_trunc("month", func.timezone("Asia/Shanghai", LedgerPosting.at))
    rows = session.scalars(select(month).where(LedgerPosting.programme_id == programme.id).distinct().order_by(month))
    return [row.date() for row in rows]


def account_name(account: str) -> str:
    """Return an account in Chinese."""
    if account in (APPROPRIATION, RESERVE):
        return {APPROPRIATION: "拨款", RESERVE: "备用金"}[account]
    kind, _, purse = account.partition(":")
    words = KINDS.get(kind, kind)
    return f"备用金{words}" if purse == RESERVE else f"第 {purse} 阶段{words}"


def purse_of(account: str) -> str:
    """Return the purse an account belongs to: appropriation, a stage's number, or reserve."""
    return account.partition(":")[2] or account


def account_order(account: str) -> tuple[Any, ...]:
    """Order of accounts in a report."""
    kind, purse = account.partition(":")[0], purse_of(account)
    number = int(purse) if re.fullmatch(r"\d+", purse, re.ASCII) else 0
    place = {APPROPRIATION: 0, RESERVE: 2}.get(purse, 1)
    return (place, number, [*KINDS, RESERVE].index(kind) if kind in KINDS else -1, account)


def _movements(session: Session, programme_id: int, start: datetime | None, end: datetime) -> Iterable[Any]:
    """What was posted in the period, summed by accounts, kind and the kind of event behind it."""
    posting = LedgerPosting
    query = (
        select(
            posting.kind,
            QueueEvent.kind.label("event"),
            posting.debit,
            posting.credit,
            func.sum(posting.amount_fen).label("fen"),
        )
        .outerjoin(
            QueueEvent,
            and_(QueueEvent.programme_id == posting.programme_id, QueueEvent.event_no == posting.event_no),
        )
        .where(posting.programme_id == programme_id, posting.at < end)
        .group_by(posting.kind, QueueEvent.kind, posting.debit, posting.credit)
    )
    if start is not None:
        query = query.where(posting.at >= start)
    return session.execute(query)
