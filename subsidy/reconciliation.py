"""Our books against the bank's daily statement (对账单): totals first, its lines only on a difference."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from registry.cases import Case, open_case
from subsidy.business_clock import BusinessClock
from subsidy.operator import PayoutOperator, ReclaimAnswer, Statement, StatementLine, StatementTotals, lines_sha256
from subsidy.payouts import BankStatement, Payout, PayoutAttempt
from subsidy.queue import MoneyAtTheBank
from subsidy.reclaiming import record_reclaim
from subsidy.reclaims import ReclaimAttempt
from subsidy.settlement import FINISHED, real_instant, reject, settle
from subsidy.statement_lines import TOTALS, Finding, StatementRow, Verdict, keep_lines, listed_elsewhere

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONTH = timedelta(days=31)
REJECTED_ON_STATEMENT = "rejected_on_statement"
OVERDUE = "statement_overdue"

# What the books move at the bank: money out by a transfer, money back by a reclaim.
MOVED = ("settled", "reclaimed")

Sessions = sessionmaker[Session]
Attempt = PayoutAttempt | ReclaimAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """The comparison of one day; ``findings`` are the differences. ``answered`` counts lines that told us what an open
    attempt became; ``by_totals`` says that the totals agreed and the lines were not asked for.

    ``totals_agree``: the bank's totals equal the sums of its own lines and our books of that day.
    """

    day: date
    totals_agree: bool
    same: int
    answered: int
    findings: tuple[Finding, ...]
    by_totals: bool = False

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

    Those are the days not compared yet, and those of the last month on which something differs that nobody has ended,
    and which were compared more than ``ask_again_after`` ago (real time): a bank corrects its statements.
    """
    first_sent_at = session.scalar(select(func.min(PayoutAttempt.sent_at)))
    if first_sent_at is None:
        return []
    first, today = business_day(first_sent_at), business_day(now)
    compared_long_ago = BankStatement.compared_at < real_instant(after=-ask_again_after)
    differing = select(StatementRow.id).where(
        StatementRow.day == BankStatement.day, StatementRow.verdict != Verdict.SAME
    )
    standing = differing.where(StatementRow.resolved_at.is_(None)).exists()
    differs = BankStatement.findings["clean"].as_boolean().is_(False) & (standing | ~differing.exists())
    again = set(
        session.scalars(select(BankStatement.day).where(differs, compared_long_ago, BankStatement.day >= today - MONTH))
    )
    compared = set(session.scalars(select(BankStatement.day).where(BankStatement.day >= first))) - again
    days = (first + timedelta(days=number) for number in range((today - first).days))
    return [day for day in days if day not in compared]


def reconcile_day(
    *, sessions: Sessions, operator: PayoutOperator, day: date, clock: BusinessClock, overdue_after: timedelta
) -> Reconciled | None:
    """Ask for the day's totals, for its lines only where they differ from our books, and compare; None while not out.

    Where it is not out ``overdue_after`` (business time) after the day ended, a case tells staff; the statement closes
    it. Raises PartnerUnavailable and PartnerSilent, nothing changed.
    """
    now = clock.now()
    totals = operator.statement_totals(day=day)
    if totals is None:
        if now >= day_bounds(day)[1] + overdue_after:
            with sessions.begin() as session:
                detail = {"day": day.isoformat(), "since": day_bounds(day)[1].isoformat()}
                open_case(session=session, kind=OVERDUE, subject=f"statement:{day}", detail=detail)
        return None
    with sessions.begin() as session:
        agreed = agree_on_totals(session=session, totals=totals, now=now)
    if agreed is not None:
        return agreed
    statement = operator.statement(day=day)
    if statement is None:
        return None
    _take_words_of_reclaims(sessions=sessions, statement=statement, clock=clock)
    with sessions.begin() as session:
        return compare(session=session, statement=statement, now=now)


def _take_words_of_reclaims(*, sessions: Sessions, statement: Statement, clock: BusinessClock) -> None:
    """Write down what the statement says came back, each in a transaction of its own.

    Money that comes back goes through the queue, whose lock comes before a payout's; the comparison holds payouts.
    """
    back = {line.bank_number: line.amount_fen for line in statement.lines if line.state == "reclaimed"}
    for number, amount_fen in back.items():
        # While the payout is frozen nothing moves its money; the comparison calls the line a difference until it may.
        with suppress(MoneyAtTheBank), sessions.begin() as session:
            if session.scalar(select(ReclaimAttempt.id).where(ReclaimAttempt.bank_number == number)) is not None:
                answer = ReclaimAnswer(
                    bank_number=number,
                    state="settled",
                    amount_fen=amount_fen,
                    final=True,
                    settled_at=_last_instant(statement.day),
                )
                record_reclaim(session=session, answer=answer, clock=clock)


def _last_instant(day: date) -> datetime:
    """The statement tells the day alone; its last instant is the one nobody can call too early."""
    return day_bounds(day)[1] - timedelta(microseconds=1)


def agree_on_totals(*, session: Session, totals: StatementTotals, now: datetime) -> Reconciled | None:
    """Compare the head of a statement with our books of the day; where sums and hash agree every line is the same.

    Stores and returns the comparison then, None where the lines have to be asked for.
    """
    ours = _finished_on(session=session, day=totals.day)
    lines = [
        StatementLine(bank_number=each.bank_number, amount_fen=each.amount_fen, state=each.state)  # type: ignore[arg-type]
        for each in ours
    ]
    stated = (totals.settled_count, totals.settled_fen, totals.reclaimed_count, totals.reclaimed_fen)
    if (stated, totals.sha256) != (_sums(lines), lines_sha256(lines)):
        return None
    same = [_finding(line, each, Verdict.SAME) for line, each in zip(lines, ours, strict=True)]
    result = Reconciled(day=totals.day, totals_agree=True, same=len(same), answered=0, findings=(), by_totals=True)
    _write_down(session=session, result=result, judged=same, totals=totals, now=now)
    return result


def compare(*, session: Session, statement: Statement, now: datetime) -> Reconciled:
    """Compare the statement with our attempts, write down what it newly tells us, open a case for each difference.

    A line about an attempt that is still open settles or rejects it. Every line is judged and kept. Doing it again
    changes nothing, opens no second case while the first is open or once a person has ended it, and closes those that
    a corrected statement has answered. The result is stored under the statement's day.
    """
    attempts = _attempts_on(session=session, statement=statement)
    judged: list[Finding] = []
    answered = 0
    seen: set[tuple[str, str]] = set()
    for line in statement.lines:
        attempt = attempts.get(line.bank_number)
        if (line.bank_number, line.state) in seen:
            judged.append(_finding(line, attempt, Verdict.LISTED_TWICE))
            continue
        seen.add((line.bank_number, line.state))
        answered += _take_word(session, line, attempt, day=statement.day, now=now)
        judged.append(_finding(line, attempt, _verdict(line, attempt)))
    settled = _moved_on(session=session, day=statement.day, listed={number for number, _ in seen})
    judged += _missing_there(settled, listed={number for number, _ in seen})
    differing = tuple(finding for finding in judged if finding.verdict is not Verdict.SAME)
    result = Reconciled(
        day=statement.day,
        totals_agree=_totals_agree(statement, settled, attempts),
        same=len(judged) - len(differing),
        answered=answered,
        findings=differing,
    )
    if not result.totals_agree and not differing:
        # Every line is right and the sum is not: the statement itself is wrong.
        out, back = _sums(settled)[1::2]
        stated_fen = statement.settled_fen - statement.reclaimed_fen
        judged.append(
            Finding(bank_number=TOTALS, verdict=Verdict.TOTALS_DIFFER, our_fen=out - back, bank_fen=stated_fen)
        )
    _write_down(session=session, result=result, judged=judged, totals=statement.totals(), now=now)
    return result


def _attempts_on(*, session: Session, statement: Statement) -> dict[str, Attempt]:
    """The attempts the statement lists, their payouts locked first and together.

    Settling takes the stage's balances after its payout; whoever took a payout after the balances could wait for
    a callback that waits for him.
    """
    listed = PayoutAttempt.bank_number.in_([line.bank_number for line in statement.lines])
    ids = select(PayoutAttempt.payout_id).where(listed)
    session.execute(select(Payout.id).where(Payout.id.in_(ids)).order_by(Payout.id).with_for_update())
    paid = session.scalars(select(PayoutAttempt).where(listed).execution_options(populate_existing=True))
    back = session.scalars(
        select(ReclaimAttempt)
        .where(ReclaimAttempt.bank_number.in_([line.bank_number for line in statement.lines]))
        .execution_options(populate_existing=True)
    )
    return {attempt.bank_number: attempt for attempt in (*paid, *back)}


def _take_word(session: Session, line: StatementLine, attempt: Attempt | None, *, day: date, now: datetime) -> bool:
    """Write down what the line says of our attempt; return whether that was news of an open one."""
    if not isinstance(attempt, PayoutAttempt) or line.state == "reclaimed":
        return False
    answered = attempt.state not in FINISHED
    if line.state == "settled":
        settle(
            session=session,
            bank_number=line.bank_number,
            amount_fen=line.amount_fen,
            settled_at=_last_instant(day),
            now=now,
        )
    else:
        reject(session=session, bank_number=line.bank_number, reason=REJECTED_ON_STATEMENT, now=now)
    return answered


def _verdict(line: StatementLine, attempt: Attempt | None) -> Verdict:
    if attempt is None:
        return Verdict.MISSING_HERE
    if attempt.amount_fen != line.amount_fen:
        return Verdict.AMOUNT_DIFFERS
    return Verdict.SAME if attempt.state == line.state else Verdict.STATE_DIFFERS


def _missing_there(settled: Iterable[Attempt], *, listed: set[str]) -> Iterable[Finding]:
    for attempt in settled:
        if attempt.bank_number not in listed:
            yield Finding(
                bank_number=attempt.bank_number,
                verdict=Verdict.MISSING_THERE,
                payout_id=attempt.payout_id,
                our_state=attempt.state,
                our_fen=attempt.amount_fen,
            )


def _finished_on(*, session: Session, day: date, listed: set[str] | None = None) -> list[Attempt]:
    """Our attempts that ended that day, without those the bank has booked on another day already."""
    first, after = day_bounds(day)
    query = (
        select(PayoutAttempt)
        .where(PayoutAttempt.state.in_(FINISHED), PayoutAttempt.finished_at >= first, PayoutAttempt.finished_at < after)
        .order_by(PayoutAttempt.id)
    )
    back = (
        select(ReclaimAttempt)
        .where(
            ReclaimAttempt.state == "reclaimed",
            ReclaimAttempt.finished_at >= first,
            ReclaimAttempt.finished_at < after,
        )
        .order_by(ReclaimAttempt.id)
    )
    attempts = [*session.scalars(query), *session.scalars(back)]
    open_questions = [each.bank_number for each in attempts if each.bank_number not in (listed or set())]
    elsewhere = listed_elsewhere(session=session, day=day, bank_numbers=open_questions)
    return [each for each in attempts if each.bank_number not in elsewhere]


def _moved_on(*, session: Session, day: date, listed: set[str]) -> list[Attempt]:
    finished = _finished_on(session=session, day=day, listed=listed)
    return [attempt for attempt in finished if attempt.state in MOVED]


def _totals_agree(statement: Statement, settled: Iterable[Attempt], attempts: dict[str, Attempt]) -> bool:
    """Whether the bank's totals are the sums of its lines, and of what we hold as settled that day.

    What the bank books a day later than we do belongs to the day on which the bank books it.
    """
    stated = (statement.settled_count, statement.settled_fen, statement.reclaimed_count, statement.reclaimed_fen)
    lines = [line for line in statement.lines if line.state in MOVED]
    late = {
        line.bank_number: attempts[line.bank_number]
        for line in lines
        if line.bank_number in attempts and attempts[line.bank_number].state in MOVED
    }
    ours = (late | {attempt.bank_number: attempt for attempt in settled}).values()
    return stated == _sums(lines) == _sums(ours)


def _sums(moved: Collection[StatementLine] | Collection[Attempt]) -> tuple[int, int, int, int]:
    """Return how many and how much went out, how many and how much came back."""
    out = [one.amount_fen for one in moved if one.state == "settled"]
    back = [one.amount_fen for one in moved if one.state == "reclaimed"]
    return len(out), sum(out), len(back), sum(back)


def _finding(line: StatementLine, attempt: Attempt | None, verdict: Verdict) -> Finding:
    return Finding(
        bank_number=line.bank_number,
        verdict=verdict,
        payout_id=attempt.payout_id if attempt else None,
        our_state=attempt.state if attempt else None,
        our_fen=attempt.amount_fen if attempt else None,
        bank_state=line.state,
        bank_fen=line.amount_fen,
    )


def case_of(*, verdict: str, bank_number: str, day: date) -> tuple[str, str]:
    """Return kind and subject of the case about one difference of a day."""
    if verdict == Verdict.TOTALS_DIFFER:
        return "statement_totals", f"statement:{day}"
    return f"statement_{verdict}", f"transfer:{bank_number}"[:60]


def _write_down(
    *, session: Session, result: Reconciled, judged: list[Finding], totals: StatementTotals, now: datetime
) -> None:
    """Store the comparison and its lines, open a case for each difference, and close those that are gone."""
    _store(session=session, result=result, totals=totals)
    ended = keep_lines(session=session, day=result.day, findings=judged, now=now)
    standing = set()
    for finding in judged:
        if finding.verdict is Verdict.SAME or finding.key in ended:
            continue
        kind, subject = case_of(verdict=finding.verdict, bank_number=finding.bank_number, day=result.day)
        standing.add((kind, subject))
        open_case(session=session, kind=kind, subject=subject, detail=finding.document() | _of_day(result.day))
    earlier = select(Case).where(
        Case.closed_at.is_(None),
        Case.kind.startswith("statement_", autoescape=True),
        Case.detail["day"].as_string() == result.day.isoformat(),
    )
    for case in session.scalars(earlier):
        if (case.kind, case.subject) not in standing:
            case.closed_at = real_instant(after=timedelta())
            case.closed_by = "reconciliation"
            case.outcome = "对账单已到" if case.kind == OVERDUE else "对账单更正后一致"
    session.flush()


def _of_day(day: date) -> dict[str, str]:
    return {"day": day.isoformat()}


def _store(*, session: Session, result: Reconciled, totals: StatementTotals) -> None:
    document = {
        "clean": result.clean,
        "totals_agree": result.totals_agree,
        "by_totals": result.by_totals,
        "same": result.same,
        "answered": result.answered,
        "differences": [finding.document() for finding in result.findings],
    }
    values = {"settled_count": totals.settled_count, "settled_fen": totals.settled_fen, "findings": document}
    row = insert(BankStatement).values(day=result.day, **values)
    compared = values | {"compared_at": func.clock_timestamp()}
    session.execute(row.on_conflict_do_update(index_elements=[BankStatement.day], set_=compared))
