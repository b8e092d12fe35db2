"""The bank's statement line by line (对账明细): every line judged against our attempt of that number, and kept.

A difference stays open until a person has worked it to an end (subsidy/statement_resolution.py) or a corrected
statement has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Identity,
    Index,
    Select,
    String,
    UniqueConstraint,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.audit import record
from registry.base import Base, Instant, Refusal

TOTALS = "TOTALS"
BY_STATEMENT = "reconciliation"


class Verdict(StrEnum):
    """How one line of the statement stands to our attempt of that number."""

    SAME = "same"
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT_DIFFERS = "amount_differs"
    STATE_DIFFERS = "state_differs"
    LISTED_TWICE = "listed_twice"
    TOTALS_DIFFER = "totals_differ"


VERDICT_WORDS = {
    Verdict.SAME: "一致",
    Verdict.MISSING_HERE: "银行有，我方没有",
    Verdict.MISSING_THERE: "我方有，银行没有",
    Verdict.AMOUNT_DIFFERS: "金额不一致",
    Verdict.STATE_DIFFERS: "状态不一致",
    Verdict.LISTED_TWICE: "银行重复列出",
    Verdict.TOTALS_DIFFER: "总数不一致",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One judged line. What is missing on a side is None there; amounts in fen."""

    bank_number: str
    verdict: Verdict
    payout_id: int | None = None
    our_state: str | None = None
    our_fen: int | None = None
    bank_state: str | None = None
    bank_fen: int | None = None

    @property
    def listed(self) -> str:
        """How the day's statement lists the number: settled, rejected, twice, totals, or none."""
        if self.verdict is Verdict.LISTED_TWICE:
            return "twice"
        return "totals" if self.verdict is Verdict.TOTALS_DIFFER else self.bank_state or "none"

    @property
    def key(self) -> tuple[str, str]:
        """What tells this line from the others of its day."""
        return self.bank_number[:80], self.listed

    def document(self) -> dict[str, str | int | None]:
        """Return the finding as it is stored."""
        return {name: getattr(self, name) for name in Finding.__slots__}


class StatementRow(Base):
    """One line of one day, as judged last, and what became of a difference.

    ``finding`` is what a person found out, ``resolution`` how it ends or shall end; ``found_by`` recorded it,
    ``resolved_by`` is who ended it: the same person, for a write-off another, or ``reconciliation`` where a later
    statement answered it. ``written_off_fen`` is what the bank is short of our books for good, negative where over.
    """

    __tablename__ = "statement_line"
    __table_args__ = (
        UniqueConstraint("day", "bank_number", "listed"),
        CheckConstraint("resolution <> 'write_off' OR resolved_by <> found_by", name="written_off_by_two"),
        Index("ix_statement_line_bank_number", "bank_number"),
        Index("ix_statement_line_open", "day", postgresql_where=text("verdict <> 'same' AND resolved_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    day: Mapped[date] = mapped_column(ForeignKey("bank_statement.day"), type_=Date)
    bank_number: Mapped[str] = mapped_column(String(80))
    listed: Mapped[str] = mapped_column(String(10))
    verdict: Mapped[str] = mapped_column(String(16))
    payout_id: Mapped[int | None] = mapped_column(BigInteger)
    our_state: Mapped[str | None] = mapped_column(String(10))
    our_fen: Mapped[int | None] = mapped_column(BigInteger)
    bank_state: Mapped[str | None] = mapped_column(String(10))
    bank_fen: Mapped[int | None] = mapped_column(BigInteger)
    judged_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    finding: Mapped[str | None] = mapped_column(String(500))
    resolution: Mapped[str | None] = mapped_column(String(20))
    document_no: Mapped[str | None] = mapped_column(String(60))
    written_off_fen: Mapped[int | None] = mapped_column(BigInteger)
    found_by: Mapped[str | None] = mapped_column(String(60))
    found_at: Mapped[datetime | None] = mapped_column(Instant)
    resolved_by: Mapped[str | None] = mapped_column(String(60))
    resolved_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def is_open(self) -> bool:
        """Whether it differs and nobody has ended it."""
        return self.verdict != Verdict.SAME and self.resolved_at is None


class StatementLineNotFound(Refusal):
    """There is no such line."""

    code = "statement_line_not_found"
    kind = "not_found"
    zh = "没有编号是 {line_id} 的对账明细。"
    en = "There is no statement line {line_id}."
    remedy_zh = "请从当天的对账明细里打开。"
    remedy_en = "Open it from the day's lines."


def keep_lines(*, session: Session, day: date, findings: Sequence[Finding], now: datetime) -> set[tuple[str, str]]:
    """Keep every judged line of the day and return the keys of those a person has ended already.

    A difference that is gone since the last comparison is ended by the statement. One that a person ended stays ended,
    unless the bank now says something else about it: then it is open again.
    """
    kept = {(row.bank_number, row.listed): row for row in session.scalars(_rows_of(day))}
    judged = {finding.key: finding for finding in findings}  # a line listed a third time says nothing new
    fresh = [finding for key, finding in judged.items() if key not in kept]
    for key in kept.keys() & judged.keys():
        _judge_again(session, kept.pop(key), judged[key], now)
    for row in kept.values():
        if row.is_open:
            _end_by_statement(session, row, now)
    if fresh:
        session.execute(insert(StatementRow), [_values(day, finding) for finding in fresh])
    session.flush()
    ended = select(StatementRow).where(StatementRow.day == day, StatementRow.resolved_at.is_not(None))
    return {(row.bank_number, row.listed) for row in session.scalars(ended)}


def listed_elsewhere(*, session: Session, day: date, bank_numbers: Sequence[str]) -> set[str]:
    """Return those numbers that another day's statement lists as moved: the bank booked them on that day."""
    query = select(StatementRow.bank_number).where(
        StatementRow.bank_number.in_(bank_numbers),
        StatementRow.bank_state.in_(("settled", "reclaimed")),
        StatementRow.day != day,
    )
    return set(session.scalars(query)) if bank_numbers else set()


def list_lines(
    *,
    session: Session,
    day: date,
    verdict: str | None = None,
    open_only: bool = False,
    after: int = 0,
    limit: int = 200,
) -> Sequence[StatementRow]:
    """Return a day's lines in the order in which they were first judged; the next page begins ``after`` an id."""
    query = _rows_of(day).where(StatementRow.id > after).order_by(StatementRow.id).limit(limit)
    if verdict is not None:
        query = query.where(StatementRow.verdict == verdict)
    if open_only:
        query = query.where(StatementRow.verdict != Verdict.SAME, StatementRow.resolved_at.is_(None))
    return session.scalars(query).all()


def _rows_of(day: date) -> Select[StatementRow]:
    return select(StatementRow).where(StatementRow.day == day)


def _values(day: date, finding: Finding) -> dict[str, object]:
    return finding.document() | {"day": day, "bank_number": finding.bank_number[:80], "listed": finding.listed}


def _judge_again(session: Session, row: StatementRow, finding: Finding, now: datetime) -> None:
    said_the_same = (row.bank_state, row.bank_fen) == (finding.bank_state, finding.bank_fen)
    if row.resolved_at is not None and row.resolved_by != BY_STATEMENT and said_the_same:
        return
    was_open, before = row.is_open, row.verdict
    is_back = row.resolved_by == BY_STATEMENT and finding.verdict is not Verdict.SAME
    changed = before != finding.verdict or not said_the_same or is_back
    for name, value in finding.document().items():
        if name != "bank_number":
            setattr(row, name, value)
    if not changed:
        return
    row.judged_at = func.clock_timestamp()
    detail = {"verdict": [before, str(finding.verdict)], "bank_fen": finding.bank_fen}
    record(session=session, actor=BY_STATEMENT, action="statement_line_rejudged", subject=_subject(row), detail=detail)
    if was_open and finding.verdict is Verdict.SAME:
        _end_by_statement(session, row, now)
    elif finding.verdict is not Verdict.SAME:
        row.resolution = row.resolved_by = row.resolved_at = row.document_no = row.written_off_fen = None


def _end_by_statement(session: Session, row: StatementRow, now: datetime) -> None:
    row.resolution, row.resolved_by, row.resolved_at = "corrected_statement", BY_STATEMENT, now
    detail = {"verdict": row.verdict, "resolution": [None, row.resolution]}
    record(session=session, actor=BY_STATEMENT, action="statement_line_resolved", subject=_subject(row), detail=detail)


def _subject(row: StatementRow) -> str:
    return f"statement_line:{row.id}"
