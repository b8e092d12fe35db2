"""Our books against the bank's daily statement (对账单): totals first, then every line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from registry.cases import Case, open_case
from subsidy.operator import Statement, StatementLine
from subsidy.payouts import BankStatement, Payout, PayoutAttempt
from subsidy.settlement import FINISHED, real_instant, reject, settle

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONTH = timedelta(days=31)
REJECTED_ON_STATEMENT = "rejected_on_statement"


class Verdict(StrEnum):
    """How one line of the statement stands to our attempt of that number."""

    SAME = "same"
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT_DIFFERS = "amount_differs"
    STATE_DIFFERS = "state_differs"
    LISTED_TWICE = "listed_twice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference. What is missing on a side is None there; amounts in fen."""

    bank_number: str
    verdict: Verdict
    payout_id: int | None = None
    our_state: str | None = None
    our_fen: int | None = None
    bank_state: str | None = None
    bank_fen: int | None = None

    def document(self) -> dict[str, str | int | None]:
        """Return the finding as it is stored."""
        return {name: getattr(self, name) for name in Finding.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """The comparison of one day. ``answered`` counts lines that told us what an open attempt became.

    ``totals_agree``: the bank's totals equal the sums of its own lines and our books of that day.
    """

    day: date
    totals_agree: bool
    same: int
    answered: int
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return self.totals_agree and not self.findings


def day_bounds(day: date) -> tuple[datetime, datetime]:
    """Return the first instant of a business day (Asia/Shanghai) and the first of the next."""
    return (
        datetime.combine(day, time(), tzinfo=SHANGHAI),
        datetime.combine(day + timedelta(days=1), time(), tzinfo=SHANGHAI),
    )


def business_day(instant: datetime) -> date:
    """Return the business day (Asia/Shanghai) of an instant."""
    return instant.astimezone(SHANGHAI).date()


def days_to_compare(*, session: Session, now: datetime, ask_again_after: timedelta) -> list[date]:
    """Return the finished business days since our first attempt whose statement is to be compared, oldest first.

    Those are the days not compared yet, and those of the last month on which something differed and which were
    compared more than ``ask_again_after`` ago (real time): a bank corrects its statements.
    """
    first_sent_at = session.scalar(select(func.min(PayoutAttempt.sent_at)))
    if first_sent_at is None:
        return []
    first, today = business_day(first_sent_at), business_day(now)
    compared_long_ago = BankStatement.compared_at < real_instant(after=-ask_again_after)
    differs = BankStatement.findings["clean"].as_boolean().is_(False)
    again = set(
        session.scalars(select(BankStatement.day).where(differs, compared_long_ago, BankStatement.day >= today - MONTH))
    )
    compared = set(session.scalars(select(BankStatement.day).where(BankStatement.day >= first))) - again
    days = (first + timedelta(days=number) for number in range((today - first).days))
    return [day for day in days if day not in compared]


def compare(*, session: Session, statement: Statement, now: datetime) -> Reconciled:
    """Compare the statement with our attempts, write down what it newly tells us, open a case for each difference.

    A line about an attempt that is still open settles or rejects it. Doing it again changes nothing, opens no second
    case while the first is open, and closes those that a corrected statement has answered. The result is stored under
    the statement's day.
    """
    attempts = _attempts_on(session=session, statement=statement)
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for line in statement.lines:
        key = (line.bank_number, line.state)
        if key in seen:
            findings.append(_finding(line, attempts.get(line.bank_number), Verdict.LISTED_TWICE))
            continue
        seen.add(key)
        answered, finding = _compare_line(session, line, attempts.get(line.bank_number), day=statement.day, now=now)
        counts["answered"] += answered
        counts["same"] += finding is None
        findings += [finding] if finding else []
    findings += _missing_there(session=session, day=statement.day, listed={number for number, _ in seen})
    totals_agree = _totals_agree(session=session, statement=statement)
    result = Reconciled(
        day=statement.day,
        totals_agree=totals_agree,
        same=counts["same"],
        answered=counts["answered"],
        findings=tuple(findings),
    )
    _open_cases(session=session, result=result, statement=statement)
    _store(session=session, result=result, statement=statement)
    return result


def _attempts_on(*, session: Session, statement: Statement) -> dict[str, PayoutAttempt]:
    """The attempts the statement lists, their payouts locked first and together.

    Settling takes the stage's balances after its payout; whoever took a payout after the balances could wait for
    a callback that waits for him.
    """
    listed = PayoutAttempt.bank_number.in_([line.bank_number for line in statement.lines])
    ids = select(PayoutAttempt.payout_id).where(listed)
    session.execute(select(Payout.id).where(Payout.id.in_(ids)).order_by(Payout.id).with_for_update())
    query = select(PayoutAttempt).where(listed).execution_options(populate_existing=True)
    return {attempt.bank_number: attempt for attempt in session.scalars(query)}


def _compare_line(
    session: Session, line: StatementLine, attempt: PayoutAttempt | None, *, day: date, now: datetime
) -> tuple[bool, Finding | None]:
    """Return whether the line answered an open attempt, and the difference if there is one."""
    if attempt is None:
        return False, _finding(line, None, Verdict.MISSING_HERE)
    answered = attempt.state not in FINISHED
    if line.state == "settled":
        # The statement tells the day alone; its last instant is the one nobody can call too early.
        last_instant = day_bounds(day)[1] - timedelta(microseconds=1)
        settle(
            session=session,
            bank_number=line.bank_number,
            amount_fen=line.amount_fen,
            settled_at=last_instant,
            now=now,
        )
    else:
        reject(session=session, bank_number=line.bank_number, reason=REJECTED_ON_STATEMENT, now=now)
    if attempt.amount_fen != line.amount_fen:
        return answered, _finding(line, attempt, Verdict.AMOUNT_DIFFERS)
    if attempt.state != line.state:
        return answered, _finding(line, attempt, Verdict.STATE_DIFFERS)
    return answered, None


def _missing_there(*, session: Session, day: date, listed: set[str]) -> Iterable[Finding]:
    for attempt in session.scalars(_settled_on(day)):
        if attempt.bank_number not in listed:
            yield Finding(
                bank_number=attempt.bank_number,
                verdict=Verdict.MISSING_THERE,
                payout_id=attempt.payout_id,
                our_state=attempt.state,
                our_fen=attempt.amount_fen,
            )


def _settled_on(day: date) -> Select[PayoutAttempt]:
    first, after = day_bounds(day)
    finished_that_day = (PayoutAttempt.finished_at >= first, PayoutAttempt.finished_at < after)
    return select(PayoutAttempt).where(PayoutAttempt.state == "settled", *finished_that_day).order_by(PayoutAttempt.id)


def _totals_agree(*, session: Session, statement: Statement) -> bool:
    """Whether the bank's totals are the sums of its lines, and of what we hold as settled that day."""
    stated = (statement.settled_count, statement.settled_fen)
    listed = [line.amount_fen for line in statement.lines if line.state == "settled"]
    ours = [attempt.amount_fen for attempt in session.scalars(_settled_on(statement.day))]
    return stated == (len(listed), sum(listed)) == (len(ours), sum(ours))


def _finding(line: StatementLine, attempt: PayoutAttempt | None, verdict: Verdict) -> Finding:
    return Finding(
        bank_number=line.bank_number,
        verdict=verdict,
        payout_id=attempt.payout_id if attempt else None,
        our_state=attempt.state if attempt else None,
        our_fen=attempt.amount_fen if attempt else None,
        bank_state=line.state,
        bank_fen=line.amount_fen,
    )


def _open_cases(*, session: Session, result: Reconciled, statement: Statement) -> None:
    """Open a case for each difference, and close those of an earlier comparison that are gone."""
    standing = set()
    for finding in result.findings:
        kind, subject = f"statement_{finding.verdict}", f"transfer:{finding.bank_number}"[:60]
        standing.add((kind, subject))
        detail = finding.document() | {"day": result.day.isoformat()}
        open_case(session=session, kind=kind, subject=subject, detail=detail)
    if not result.totals_agree and not result.findings:
        # Every line is right and the sum is not: the statement itself is wrong.
        detail = {"day": result.day.isoformat(), "settled_fen": statement.settled_fen}
        standing.add(("statement_totals", f"statement:{result.day}"))
        open_case(session=session, kind="statement_totals", subject=f"statement:{result.day}", detail=detail)
    earlier = select(Case).where(
        Case.closed_at.is_(None),
        Case.kind.startswith("statement_", autoescape=True),
        Case.detail["day"].as_string() == result.day.isoformat(),
    )
    for case in session.scalars(earlier):
        if (case.kind, case.subject) not in standing:
            case.closed_at = real_instant(after=timedelta())
            case.closed_by, case.outcome = "reconciliation", "对账单更正后一致"


def _store(*, session: Session, result: Reconciled, statement: Statement) -> None:
    document = {
        "clean": result.clean,
        "totals_agree": result.totals_agree,
        "same": result.same,
        "answered": result.answered,
        "differences": [finding.document() for finding in result.findings],
    }
    values = {"settled_count": statement.settled_count, "settled_fen": statement.settled_fen, "findings": document}
    row = insert(BankStatement).values(day=result.day, **values)
    compared = values | {"compared_at": func.clock_timestamp()}
    session.execute(row.on_conflict_do_update(index_elements=[BankStatement.day], set_=compared))
