"""Our books against the bank's statement: each kind of line, and what a comparison may and may not change."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from app.clients.ecny.scenarios import StatementFault
from subsidy.dispatch import open_attempts
from subsidy.operator import Statement, StatementLine
from subsidy.reconciliation import Reconciled, Verdict, business_day, compare, day_bounds, days_to_compare
from subsidy.settlement import reject, settle
from tests.subsidy.payout_rows import AMOUNT_FEN, DAY, NEXT_MORNING, NOW, Books, ScriptedBank, make_bank

AGAIN = timedelta(minutes=10)


def statement(*lines: StatementLine, day: date = DAY) -> Statement:
    paid = [line.amount_fen for line in lines if line.state == "settled"]
    return Statement(day=day, settled_count=len(paid), settled_fen=sum(paid), lines=lines)


def line(number: str, state: str = "settled", fen: int = AMOUNT_FEN) -> StatementLine:
    return StatementLine(bank_number=number, amount_fen=fen, state=state)  # type: ignore[arg-type]


def run(books: Books, of: Statement) -> Reconciled:
    result: Reconciled = books.do(lambda session: compare(session=session, statement=of, now=NEXT_MORNING))
    return result


def verdicts(result: Reconciled) -> list[Verdict]:
    return [finding.verdict for finding in result.findings]


@pytest.fixture
def sent(books: Books) -> tuple[int, str]:
    """A payout whose attempt is unanswered, and its number."""
    payout_id = books.owed()
    order = books.do(lambda session: open_attempts(session=session, keyring=books.keyring, now=NOW, most=1)[0])
    return payout_id, order.bank_number


@pytest.fixture
def settled(books: Books, sent: tuple[int, str]) -> Iterator[tuple[int, str]]:
    books.do(
        lambda session: settle(session=session, bank_number=sent[1], amount_fen=AMOUNT_FEN, settled_at=NOW, now=NOW)
    )
    return sent


def test_a_day_that_agrees_is_clean(books: Books, settled: tuple[int, str]) -> None:
    result = run(books, statement(line(settled[1])))
    assert result.clean
    assert (result.same, result.answered) == (1, 0)
    assert books.cases() == []


def test_the_banks_own_statement_of_a_day_agrees(books: Books) -> None:
    clock = [NOW]
    bank = make_bank(lambda: clock[0])
    for number in range(3):
        books.owed(f"W{number:04d}" if number else "W0000.full")
        assert books.pay(bank)
    clock[0] = NEXT_MORNING
    of = bank.statement(day=DAY)
    assert of is not None
    assert len(of.lines) == 3
    assert run(books, of).clean


def test_a_line_settles_an_attempt_we_know_nothing_of(books: Books) -> None:
    payout_id = books.owed()
    bank = ScriptedBank(make_bank(), "silent")
    assert books.pay(bank) == "unknown"
    [attempt] = books.attempts(payout_id)
    result = run(books, statement(line(attempt.bank_number)))
    assert (result.same, result.answered, result.clean) == (1, 1, True)
    payout = books.payout(payout_id)
    assert payout.state == "settled"
    assert payout.settled_at is not None
    assert business_day(payout.settled_at) == DAY
    assert books.booked_fen() == AMOUNT_FEN
    assert run(books, statement(line(attempt.bank_number))).answered == 0


def test_a_rejected_line_frees_an_attempt_we_know_nothing_of(books: Books, sent: tuple[int, str]) -> None:
    result = run(books, statement(line(sent[1], "rejected")))
    assert (result.answered, result.clean) == (1, True)
    assert books.payout(sent[0]).state == "awaiting_wallet"


def test_a_line_we_never_ordered_is_missing_here(books: Books) -> None:
    result = run(books, statement(line("X20260620")))
    assert verdicts(result) == [Verdict.MISSING_HERE]
    assert books.cases() == ["statement_missing_here"]


def test_what_we_hold_as_settled_and_the_bank_does_not_is_missing_there(books: Books, settled: tuple[int, str]) -> None:
    result = run(books, statement())
    assert verdicts(result) == [Verdict.MISSING_THERE]
    assert books.cases() == ["statement_missing_there"]
    assert books.payout(settled[0]).state == "settled"


def test_a_payment_of_another_day_is_not_missing(books: Books, settled: tuple[int, str]) -> None:
    assert run(books, statement(day=DAY - timedelta(days=1))).clean


def test_an_attempt_still_open_is_no_difference(books: Books, sent: tuple[int, str]) -> None:
    assert run(books, statement()).clean
    assert books.attempts(sent[0])[0].state == "sent"


@pytest.mark.parametrize("state", ["sent", "settled"])
def test_another_amount_freezes_and_is_told(books: Books, sent: tuple[int, str], state: str) -> None:
    if state == "settled":
        books.do(
            lambda session: settle(session=session, bank_number=sent[1], amount_fen=AMOUNT_FEN, settled_at=NOW, now=NOW)
        )
    result = run(books, statement(line(sent[1], fen=AMOUNT_FEN - 1)))
    assert verdicts(result) == [Verdict.AMOUNT_DIFFERS]
    assert books.payout(sent[0]).state == "frozen"
    assert books.cases() == ["amount_differs", "statement_amount_differs"]


def test_settled_there_and_rejected_here_freezes(books: Books, sent: tuple[int, str]) -> None:
    books.do(lambda session: reject(session=session, bank_number=sent[1], reason="wallet_full", now=NOW))
    result = run(books, statement(line(sent[1])))
    assert verdicts(result) == [Verdict.STATE_DIFFERS]
    assert books.payout(sent[0]).state == "frozen"
    assert books.cases() == ["statement_state_differs", "success_after_rejection"]


def test_rejected_there_and_settled_here_freezes(books: Books, settled: tuple[int, str]) -> None:
    result = run(books, statement(line(settled[1], "rejected")))
    assert Verdict.STATE_DIFFERS in verdicts(result)
    assert books.payout(settled[0]).state == "frozen"
    assert books.balances()["paid:1"] == AMOUNT_FEN


def test_a_line_listed_twice_is_told_and_paid_once(books: Books, sent: tuple[int, str]) -> None:
    result = run(books, statement(line(sent[1]), line(sent[1])))
    assert verdicts(result) == [Verdict.LISTED_TWICE]
    assert books.booked_fen() == AMOUNT_FEN


def test_wrong_totals_over_right_lines_are_a_case_and_a_corrected_statement_closes_it(
    books: Books, settled: tuple[int, str]
) -> None:
    right = statement(line(settled[1]))
    result = run(books, replace(right, settled_fen=right.settled_fen + 1))
    assert not result.clean
    assert result.findings == ()
    assert books.cases() == ["statement_totals"]
    assert run(books, right).clean
    assert books.cases() == []


def test_right_totals_do_not_hide_two_differences_that_cancel_out(books: Books, settled: tuple[int, str]) -> None:
    result = run(books, statement(line("X20260620")))
    assert result.totals_agree
    assert sorted(verdicts(result)) == [Verdict.MISSING_HERE, Verdict.MISSING_THERE]


def test_doing_it_again_changes_nothing_and_opens_no_second_case(books: Books, settled: tuple[int, str]) -> None:
    of = statement(line(settled[1], fen=1), line("X20260620"))
    first = run(books, of)
    cases, balances = books.cases(), books.balances()
    assert run(books, of) == first
    assert (books.cases(), books.balances()) == (cases, balances)


@pytest.mark.parametrize("fault", [StatementFault.WRONG_TOTAL, StatementFault.MISSING_LINE, StatementFault.EXTRA_LINE])
def test_every_way_in_which_the_bank_spoils_a_statement_is_seen(books: Books, fault: StatementFault) -> None:
    clock = [NOW]
    bank = make_bank(lambda: clock[0], statement_faults={DAY: fault})
    books.owed()
    assert books.pay(bank) == "settled"
    clock[0] = NEXT_MORNING
    of = bank.statement(day=DAY)
    assert of is not None
    assert not run(books, of).clean
    assert len(books.cases()) == 1


def test_finished_days_are_due_until_they_were_compared_and_agreed(books: Books, settled: tuple[int, str]) -> None:
    def due(now: datetime) -> list[date]:
        days: list[date] = books.do(lambda s: days_to_compare(session=s, now=now, ask_again_after=AGAIN))
        return days

    end = day_bounds(DAY)[1]
    assert due(NOW) == []
    assert due(end - timedelta(microseconds=1)) == []
    assert due(end) == [DAY]
    assert due(end + timedelta(days=2)) == [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]
    run(books, statement())  # differs: the day is due again after a while
    assert due(end) == []
    books.execute("UPDATE bank_statement SET compared_at = compared_at - interval '11 minutes'")
    assert due(end) == [DAY]
    run(books, statement(line(settled[1])))
    books.execute("UPDATE bank_statement SET compared_at = compared_at - interval '11 minutes'")
    assert due(end) == []
