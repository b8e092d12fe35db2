"""The closing report adds up to the fen: on random queues, month by month, in figures and in the workbook."""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, insert, text
from sqlalchemy.orm import Session

from subsidy.claims import QueueEvent
from subsidy.closing_report import Line, account_name, account_order, closing_report, month_span, months_of
from subsidy.closing_report_excel import account_rows, closing_workbook, stage_rows
from subsidy.events import Effect, Movement
from subsidy.ledger import LedgerPosting, balances_as_of
from subsidy.programme import Programme
from subsidy.rules import Rules
from tests.subsidy.logged_trial import LoggedTrial, live_through
from tests.subsidy.test_allocation_property import acts, programmes

# The random lives last some days; told 24 times slower they spread over months.
START = datetime(2026, 6, 28, tzinfo=UTC)
STRETCH = 24


class Booked(LoggedTrial):
    """A random life and its postings."""

    def note(self, effects: list[Effect]) -> None:
        super().note(effects)
        self.moved = [*getattr(self, "moved", []), *((self.now, e) for e in effects if isinstance(e, Movement))]


def book(session: Session, trial: LoggedTrial, kinds: dict[int, str]) -> Programme:
    programme = Programme(code=f"R{len(kinds)}", name_zh="补贴", name_en="subsidy")
    session.add(programme)
    session.flush()
    dawn = trial.moved[0][0]  # type: ignore[attr-defined]
    events = [
        {"programme_id": programme.id, "event_no": no, "kind": kind, "recorded_at": START} for no, kind in kinds.items()
    ]
    session.execute(insert(QueueEvent), events)
    postings: list[dict[str, Any]] = []
    for at, move in trial.moved:  # type: ignore[attr-defined]
        told = START + (at - dawn) * STRETCH
        postings.append(
            {
                "programme_id": programme.id,
                "event_no": move.event_no,
                "position": move.position,
                "at": told,
                "kind": move.kind,
                "debit": move.debit,
                "credit": move.credit,
                "amount_fen": move.amount_fen,
            }
        )
    session.execute(insert(LedgerPosting), postings)
    session.flush()
    return programme


def sums(postings: list[Any], before: datetime) -> Counter[str]:
    """The balances, added up the slow way."""
    found: Counter[str] = Counter()
    for at, debit, credit, fen in postings:
        if at < before:
            found[debit] -= fen
            found[credit] += fen
    return found


def check_report(lines: tuple[Line, ...], opening: Counter[str], closing: Counter[str]) -> None:
    for line in lines:
        assert line.opening_fen == opening[line.account]
        assert line.opening_fen + line.in_fen - line.out_fen == line.closing_fen == closing[line.account]
    assert sum(line.opening_fen for line in lines) == sum(line.closing_fen for line in lines) == 0
    for cause in {cause for line in lines for cause in (*line.came, *line.went)}:
        assert sum(line.came.get(cause, 0) - line.went.get(cause, 0) for line in lines) == 0, cause


@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(rules=programmes(), life=st.lists(acts, min_size=20, max_size=40))
def test_every_report_adds_up(engine: Engine, rules: Rules, life: list[tuple[int, tuple[Any, ...]]]) -> None:
    trial = live_through(rules, life, late=True, kind=Booked)
    kinds = {leaf["event_no"]: leaf["kind"] for leaf in trial.entries if leaf["kind"] != "decision"}
    with Session(engine) as session:
        programme = book(session, trial, kinds)
        rows = session.execute(
            text("SELECT at, debit, credit, amount_fen FROM ledger_posting WHERE programme_id = :id"),
            {"id": programme.id},
        ).all()
        months = months_of(session=session, programme=programme)
        far = datetime(2100, 1, 1, tzinfo=UTC)
        whole = closing_report(session=session, programme=programme, month=None, now=far)
        check_report(whole.lines, Counter(), sums(list(rows), far))
        moved: Counter[tuple[str, str]] = Counter()
        for month in months:
            start, end = month_span(month)
            report = closing_report(session=session, programme=programme, month=month, now=far)
            check_report(report.lines, sums(list(rows), start), sums(list(rows), end))
            balances = balances_as_of(session=session, programme_id=programme.id, at=end)
            assert {line.account: line.closing_fen for line in report.lines} == balances
            for line in report.lines:
                moved.update({(line.account, f"+{cause}"): fen for cause, fen in line.came.items()})
                moved.update({(line.account, f"-{cause}"): fen for cause, fen in line.went.items()})
            check_workbook(report)
        for line in whole.lines:
            assert line.came == {c: moved[(line.account, f"+{c}")] for c in line.came}
            assert line.went == {c: moved[(line.account, f"-{c}")] for c in line.went}
        session.rollback()


def check_workbook(report: Any) -> None:
    for row in stage_rows(report)[1:]:
        _, opening, provided, came, cut, went, back, closing, free, held, committed, paid = row
        assert opening + provided + came + cut + went + back == closing == free + held + committed + paid
    for row in account_rows(report)[1:]:
        assert sum(row[1:-1]) == row[-1]
    book = CalamineWorkbook.from_filelike(io.BytesIO(closing_workbook(report=report)))
    for name, rows in (("各阶段", stage_rows(report)), ("各账户", account_rows(report))):
        told = book.get_sheet_by_name(name).to_python()
        assert told[1] == rows[0]
        for row, cells in zip(rows[1:], told[2:], strict=False):
            assert [round(float(cell) * 100) for cell in cells[1:]] == row[1:]
        total = told[len(rows) + 2 - 1]
        assert total[0] == "合计"
        assert [round(float(cell) * 100) for cell in total[1:]] == [
            sum(row[column] for row in rows[1:]) for column in range(1, len(rows[0]))
        ]


def test_months_are_those_of_the_district() -> None:
    start, end = month_span(date(2026, 12, 5))
    assert (start, end) == (datetime(2026, 11, 30, 16, tzinfo=UTC), datetime(2026, 12, 31, 16, tzinfo=UTC))
    assert end - start == timedelta(days=31)


def test_accounts_stand_by_purse_and_in_words() -> None:
    accounts = ["paid:2", "reserve", "stage:10", "stage:2", "committed:reserve", "appropriation", "held:2"]
    ordered = sorted(accounts, key=account_order)
    assert ordered == ["appropriation", "stage:2", "held:2", "paid:2", "stage:10", "reserve", "committed:reserve"]
    assert [account_name(account) for account in ordered[:3]] == ["拨款", "第 2 阶段可用预算", "第 2 阶段暂留"]
