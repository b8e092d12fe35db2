"""Differences with the bank worked to an end: who may say what, what it does to payout, ledger and cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from app.config import Settings
from registry.inputs import SeveralRefused
from subsidy.operator import Statement, StatementLine, TransferAnswer
from subsidy.payout_ends import decide_end, propose_end
from subsidy.payouts import Payout, PayoutAttempt, PayoutEnd
from subsidy.reconciliation import business_day, compare, day_bounds, days_to_compare, reconcile_day
from subsidy.settlement import record_answer
from subsidy.statement_lines import StatementRow
from subsidy.statement_payouts import ClaimNotAwarded, NoSuchAttempt, PaidAlreadyBooked
from subsidy.statement_resolution import (
    Decider,
    DifferenceOver,
    DocumentNumberMissing,
    FinanceDecides,
    NothingProposed,
    ProposerCannotApprove,
    ResolutionDoesNotFit,
    ResolutionProposed,
    decide_resolution,
    resolve_line,
)
from tests.subsidy.claim_scene import stopped_at
from tests.subsidy.paid_queue import PaidQueue
from tests.subsidy.payout_rows import AMOUNT_FEN, Books, ScriptedBank, make_bank

FINANCE = Decider(actor="account:1", role="finance")
REVIEWER = Decider(actor="account:2", role="reviewer")
OPERATOR = Decider(actor="account:3", role="operator")
TODAY = business_day(datetime.now(UTC))


class Desk:
    """One awarded claim, its payout, and the statements about it."""

    def __init__(self, queue: PaidQueue) -> None:
        self.queue = queue
        [payout] = queue.payouts()
        self.payout_id = payout.id
        self.now = datetime.now(UTC)

    def send(self, wallet_id: str = "W1001", word: str = "lost") -> str:
        """The payout is sent and not answered; returns its number."""
        self.queue.confirm(self.payout, wallet_id)
        self.queue.pay(ScriptedBank(make_bank(lambda: self.now), word))
        return self.queue.attempts(self.payout_id)[-1].bank_number

    @property
    def payout(self) -> Payout:
        return self.queue.payout(self.payout_id)

    def hear(self, number: str, state: str, fen: int = AMOUNT_FEN) -> None:
        said = TransferAnswer(
            bank_number=number,
            state=state,  # type: ignore[arg-type]
            amount_fen=fen,
            final=True,
            settled_at=self.now if state == "settled" else None,
        )
        self.queue.do(lambda session: record_answer(session=session, answer=said, now=self.now))

    def compare(self, *lines: tuple[str, str, int], day: date = TODAY) -> None:
        rows = tuple(StatementLine(bank_number=n, state=s, amount_fen=fen) for n, s, fen in lines)  # type: ignore[arg-type]
        paid = [line.amount_fen for line in rows if line.state == "settled"]
        of = Statement(day=day, settled_count=len(paid), settled_fen=sum(paid), lines=rows)
        self.queue.do(lambda session: compare(session=session, statement=of, now=self.now))

    def rows(self, verdict: str | None = None) -> list[StatementRow]:
        def read(session: Any) -> list[StatementRow]:
            rows = session.scalars(select(StatementRow).order_by(StatementRow.id)).all()
            return [row for row in rows if verdict in (None, row.verdict)]

        found: list[StatementRow] = self.queue.do(read)
        return found

    def resolve(self, verdict: str, resolution: str, by: Decider = FINANCE, document_no: str = "") -> StatementRow:
        row = next(row for row in self.rows(verdict) if row.is_open)
        ended: StatementRow = self.queue.do(
            lambda session: resolve_line(
                session=session,
                line_id=row.id,
                resolution=resolution,
                finding="已向银行核实",
                document_no=document_no,
                by=by,
                now=self.now,
            )
        )
        return ended

    def decide(self, verdict: str, by: Decider = REVIEWER, *, approve: bool = True) -> StatementRow:
        [row] = [row for row in self.rows(verdict) if row.is_open]
        decided: StatementRow = self.queue.do(
            lambda s: decide_resolution(
                session=s, line_id=row.id, approve=approve, finding="金额小，追不回", by=by, now=self.now
            )
        )
        return decided

    def end_by_document(self, resolution: str, document_no: str, by: Decider = REVIEWER) -> Payout:
        """Finance proposes how the payout ends, another person approves."""
        finding, now = "已向银行核实", self.now
        end: PayoutEnd = self.queue.do(
            lambda session: propose_end(
                session=session,
                payout_id=self.payout_id,
                resolution=resolution,
                finding=finding,
                document_no=document_no,
                by=FINANCE,
                now=now,
            )
        )
        ended: Payout = self.queue.do(
            lambda session: decide_end(session=session, end_id=end.id, approve=True, finding=finding, by=by, now=now)
        )
        return ended

    def stands(self) -> tuple[str, int, list[str], list[str]]:
        """State of the payout, fen booked as paid, open cases, what verify finds."""
        paid = self.queue.balances().get("paid:1", 0)
        return self.payout.state, paid, self.queue.cases(), self.queue.differences()


@pytest.fixture
def desk(settings: Settings, engine: Engine) -> Desk:
    return Desk(PaidQueue(settings, engine, count=1))


def test_a_success_after_a_rejection_is_settled_by_statement_and_stays_so(desk: Desk) -> None:
    number = desk.send()
    desk.hear(number, "rejected")
    desk.compare((number, "rejected", AMOUNT_FEN), (number, "settled", AMOUNT_FEN))
    assert desk.stands()[:3] == ("frozen", 0, ["statement_state_differs", "success_after_rejection"])
    with pytest.raises(FinanceDecides):
        desk.resolve("state_differs", "settle_by_statement", OPERATOR)
    row = desk.resolve("state_differs", "settle_by_statement")
    assert (row.resolved_by, row.is_open) == (FINANCE.actor, False)
    assert desk.stands() == ("settled", AMOUNT_FEN, [], [])
    assert any("已到账" in body for body in desk.queue.notices())
    # The bank repeats itself, by callback and by statement: a person has heard it all.
    desk.hear(number, "rejected")
    desk.hear(number, "settled")
    desk.compare((number, "rejected", AMOUNT_FEN), (number, "settled", AMOUNT_FEN))
    assert desk.payout.state == "settled"
    assert desk.queue.differences() == []
    with pytest.raises(DifferenceOver):
        desk.queue.do(
            lambda s: resolve_line(
                session=s,
                line_id=row.id,
                resolution="wait_next_statement",
                finding="再看",
                document_no="",
                by=FINANCE,
                now=desk.now,
            )
        )


def test_what_came_back_is_paid_again_under_another_number(desk: Desk) -> None:
    number = desk.send()
    desk.compare((number, "settled", AMOUNT_FEN - 1))
    assert desk.stands()[:3] == ("frozen", 0, ["amount_differs", "statement_amount_differs"])
    with pytest.raises(ResolutionDoesNotFit):
        desk.resolve("amount_differs", "settle_by_statement")
    with pytest.raises(DocumentNumberMissing):
        desk.resolve("amount_differs", "refund_received")
    with pytest.raises(SeveralRefused) as refused:
        desk.resolve("amount_differs", "refund_received", OPERATOR)
    assert [each.field for each in refused.value.each] == ["resolution", "document_no"]
    desk.resolve("amount_differs", "refund_received", document_no="TK-1")
    assert desk.stands()[:2] == ("frozen", 0), "nothing is thawed by one person"
    with pytest.raises(ResolutionProposed):
        desk.resolve("amount_differs", "settle_by_document", document_no="BK-1")
    with pytest.raises(ProposerCannotApprove):
        desk.decide("amount_differs", FINANCE)
    desk.decide("amount_differs")
    assert desk.stands() == ("awaiting_wallet", 0, [], [])
    again = desk.send("W2002", word="")
    assert again.endswith("-02")
    assert desk.stands() == ("settled", AMOUNT_FEN, [], [])


def test_a_document_shows_that_the_owner_has_the_rest(desk: Desk) -> None:
    number = desk.send()
    desk.compare((number, "settled", AMOUNT_FEN - 1))
    desk.resolve("amount_differs", "settle_by_document", document_no="BK-7")
    assert desk.decide("amount_differs", FINANCE, approve=False).resolution is None, "taken back by who proposed it"
    desk.resolve("amount_differs", "settle_by_document", document_no="BK-7")
    row = desk.decide("amount_differs")
    assert row.document_no == "BK-7"
    assert desk.stands() == ("settled", AMOUNT_FEN, [], [])


def test_a_write_off_takes_two_people(desk: Desk) -> None:
    number = desk.send()
    desk.compare((number, "settled", AMOUNT_FEN - 1))
    with pytest.raises(NothingProposed):
        desk.decide("amount_differs", REVIEWER)
    desk.resolve("amount_differs", "write_off", OPERATOR)
    assert desk.payout.state == "frozen"
    assert "statement_amount_differs" in desk.queue.cases()
    with pytest.raises(ProposerCannotApprove):
        desk.decide("amount_differs", Decider(actor=OPERATOR.actor, role="finance"))
    refused = desk.decide("amount_differs", REVIEWER, approve=False)
    assert (refused.resolution, refused.is_open) == (None, True)
    desk.resolve("amount_differs", "write_off", OPERATOR)
    row = desk.decide("amount_differs", REVIEWER)
    assert (row.written_off_fen, row.found_by, row.resolved_by) == (1, OPERATOR.actor, REVIEWER.actor)
    assert desk.stands() == ("settled", AMOUNT_FEN, [], [])


def test_paid_here_and_rejected_there_ends_by_document_only(desk: Desk) -> None:
    number = desk.send(word="")
    desk.hear(number, "rejected")
    assert desk.stands()[:2] == ("frozen", AMOUNT_FEN)
    desk.compare((number, "rejected", AMOUNT_FEN))
    with pytest.raises(PaidAlreadyBooked):
        desk.resolve("state_differs", "refund_received", document_no="TK-1")
    desk.resolve("state_differs", "settle_by_document", document_no="FK-1")
    desk.decide("state_differs")
    assert desk.stands() == ("settled", AMOUNT_FEN, [], [])


def test_paid_twice_one_of_them_comes_back(desk: Desk) -> None:
    first = desk.send()
    desk.hear(first, "rejected")
    desk.send("W2002", word="")
    desk.hear(first, "settled")
    assert desk.stands()[:3] == ("frozen", AMOUNT_FEN, ["success_after_rejection"])
    assert desk.end_by_document("refund_received", "TK-2").state == "settled"
    assert desk.stands() == ("settled", AMOUNT_FEN, [], [])


def test_nothing_is_given_back_while_another_attempt_may_still_pay(desk: Desk) -> None:
    first = desk.send()
    desk.hear(first, "rejected")
    second = desk.send("W2002")
    desk.compare((first, "settled", AMOUNT_FEN))
    assert desk.payout.state == "frozen"
    for resolution in ("refund_received", "settle_by_document"):
        with pytest.raises(NoSuchAttempt):
            desk.resolve("state_differs", resolution, document_no="TK-9")
    desk.hear(second, "settled")
    with pytest.raises(NoSuchAttempt):
        desk.resolve("state_differs", "refund_received", document_no="TK-9")
    desk.end_by_document("settle_by_document", "BK-9")
    assert (desk.payout.state, desk.queue.differences()) == ("settled", [])
    desk.resolve("state_differs", "refund_received", document_no="TK-9")
    assert desk.stands() == ("settled", AMOUNT_FEN, [], [])


def test_what_the_books_call_paid_is_not_called_paid_twice(desk: Desk) -> None:
    first = desk.send()
    desk.hear(first, "rejected")
    second = desk.send("W2002", word="")
    desk.hear(second, "rejected")
    desk.compare((second, "rejected", AMOUNT_FEN), (first, "rejected", AMOUNT_FEN))
    with pytest.raises(PaidAlreadyBooked):
        desk.resolve("state_differs", "refund_received", document_no="TK-8")
    assert desk.payout.state == "frozen"


def test_a_line_listed_three_times_is_one_difference(desk: Desk) -> None:
    number = desk.send(word="")
    desk.compare(*[(number, "settled", AMOUNT_FEN)] * 3)
    assert [row.verdict for row in desk.rows()] == ["same", "listed_twice"]
    desk.resolve("listed_twice", "wait_next_statement", OPERATOR)
    desk.compare((number, "settled", AMOUNT_FEN))
    assert desk.queue.cases() == []


def test_a_claim_that_is_not_awarded_any_more_is_not_booked(desk: Desk) -> None:
    number = desk.send()
    desk.hear(number, "rejected")
    desk.hear(number, "settled")
    claim = "UPDATE claim SET state = 'returned' WHERE position = 1"
    desk.queue.do(lambda session: session.connection().exec_driver_sql(claim))
    desk.compare((number, "settled", AMOUNT_FEN))
    with pytest.raises(ClaimNotAwarded):
        desk.resolve("state_differs", "settle_by_statement")
    desk.resolve("state_differs", "refund_received", document_no="TK-3")
    desk.decide("state_differs")
    assert (desk.payout.state, desk.queue.cases()) == ("withdrawn", [])
    assert {attempt.state for attempt in desk.queue.attempts(desk.payout_id)} == {"rejected"}


def test_what_the_bank_books_a_day_later_ends_by_itself(desk: Desk) -> None:
    number = desk.send(word="")
    desk.compare()
    row = desk.resolve("missing_there", "wait_next_statement", OPERATOR)
    assert row.is_open
    assert desk.queue.cases() == ["statement_missing_there"]
    desk.compare((number, "settled", AMOUNT_FEN), day=TODAY + timedelta(days=1))
    assert [each.verdict for each in desk.rows()] == ["missing_there", "same"]
    desk.compare()
    [ended, _] = desk.rows()
    assert (ended.resolution, ended.resolved_by, desk.queue.cases()) == ("corrected_statement", "reconciliation", [])


def test_a_stranger_on_the_statement_is_written_off_and_not_asked_about_again(desk: Desk) -> None:
    desk.send(word="")
    ours = desk.queue.attempts(desk.payout_id)[0].bank_number
    lines = ((ours, "settled", AMOUNT_FEN), ("X1", "settled", 500))
    desk.compare(*lines)
    assert desk.queue.cases() == ["statement_missing_here"]
    desk.resolve("missing_here", "write_off", FINANCE)
    assert desk.decide("missing_here", REVIEWER).written_off_fen == -500

    def due() -> list[date]:
        later = day_bounds(TODAY)[1]
        days: list[date] = desk.queue.do(
            lambda s: days_to_compare(session=s, now=later, ask_again_after=timedelta(seconds=-1))
        )
        return days

    desk.compare(*lines)
    assert (desk.queue.cases(), due()) == ([], [])
    desk.compare(lines[0], ("X1", "settled", 501))
    assert (desk.queue.cases(), due()) == (["statement_missing_here"], [TODAY])


class CountingBank(ScriptedBank):
    """Counts how often whole statements are fetched, and may change what totals say."""

    fetched = 0
    changed: Callable[[Any], Any] = staticmethod(lambda totals: totals)

    def statement_totals(self, *, day: date) -> Any:
        totals = super().statement_totals(day=day)
        return totals and self.changed(totals)

    def statement(self, *, day: date) -> Statement | None:
        self.fetched += 1
        return super().statement(day=day)


def reconcile(books: Books, bank: CountingBank, now: datetime, day: date) -> Any:
    clock = stopped_at(now)
    return reconcile_day(sessions=books.sessions, operator=bank, day=day, clock=clock, overdue_after=timedelta(hours=6))


def test_lines_are_asked_for_only_where_totals_or_hash_differ(books: Books) -> None:
    clock = [datetime(2026, 6, 20, 4, 0, tzinfo=UTC)]
    day = date(2026, 6, 20)
    bank = CountingBank(make_bank(lambda: clock[0]))
    for number in range(3):
        books.owed(f"W{number:04d}")
        assert books.pay(bank) == "settled"
    clock[0] = day_bounds(day)[1]
    assert reconcile(books, bank, clock[0], day) is None
    assert reconcile(books, bank, clock[0] + timedelta(hours=6), day) is None
    assert books.cases() == ["statement_overdue"]
    clock[0] += timedelta(hours=2)
    result = reconcile(books, bank, clock[0], day)
    assert (result.clean, result.by_totals, result.same, bank.fetched) == (True, True, 3, 0)
    assert books.cases() == []
    kept = books.do(lambda s: s.scalars(select(StatementRow.verdict)).all())
    assert kept == ["same"] * 3
    bank.changed = lambda totals: replace(totals, sha256="0" * 64)
    assert (reconcile(books, bank, clock[0], day).by_totals, bank.fetched) == (False, 1)
    assert len(books.do(lambda s: s.scalars(select(StatementRow)).all())) == 3


def test_two_differences_that_cancel_out_do_not_hide_behind_equal_totals(books: Books) -> None:
    clock = [datetime(2026, 6, 20, 4, 0, tzinfo=UTC)]
    bank = CountingBank(make_bank(lambda: clock[0]))
    books.owed()
    assert books.pay(bank) == "settled"
    books.do(lambda s: setattr(s.scalars(select(PayoutAttempt)).one(), "bank_number", "d330105-GS-0009-01"))
    clock[0] += timedelta(days=1)
    result = reconcile(books, bank, clock[0], date(2026, 6, 20))
    assert (result.clean, bank.fetched) == (False, 1)
    assert books.cases() == ["statement_missing_here", "statement_missing_there"]
