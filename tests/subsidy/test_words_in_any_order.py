"""Answer, callback, poll and statement about one transfer, in every order: the books end the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import permutations

import pytest

from subsidy.dispatch import open_attempts
from subsidy.operator import Statement, StatementLine, TransferAnswer
from subsidy.reconciliation import compare
from subsidy.settlement import lose, record_answer
from tests.subsidy.payout_rows import AMOUNT_FEN, DAY, NEXT_MORNING, NOW, Books

Word = Callable[[Books, str], None]


def answer(state: str, *, final: bool) -> Word:
    def say(books: Books, number: str) -> None:
        said = TransferAnswer(
            bank_number=number,
            state=state,  # type: ignore[arg-type]
            amount_fen=AMOUNT_FEN,
            final=final,
            reason="wallet_full" if state == "rejected" else None,
            settled_at=NOW if state == "settled" else None,
        )
        books.do(lambda session: record_answer(session=session, answer=said, now=NOW))

    return say


def silence(books: Books, number: str) -> None:
    books.do(lambda session: lose(session=session, bank_number=number))


def statement(state: str, day: date = DAY) -> Word:
    def say(books: Books, number: str) -> None:
        line = StatementLine(bank_number=number, amount_fen=AMOUNT_FEN, state=state)  # type: ignore[arg-type]
        paid = AMOUNT_FEN if state == "settled" else 0
        of = Statement(day=day, settled_count=int(paid > 0), settled_fen=paid, lines=(line,))
        books.do(lambda session: compare(session=session, statement=of, now=NEXT_MORNING))

    return say


ACCEPTED, NOT_FINAL = answer("accepted", final=False), answer("rejected", final=False)


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        # The time-out, «accepted» by the poll, the callback, the day's statement.
        ((silence, ACCEPTED, answer("settled", final=True), statement("settled")), ("settled", "settled")),
        ((NOT_FINAL, answer("settled", final=True), statement("settled")), ("settled", "settled")),
        ((silence, answer("rejected", final=True), statement("rejected")), ("awaiting_wallet", "rejected")),
        # A bank that says both: somebody has to look, whichever it said first.
        ((silence, answer("rejected", final=True), answer("settled", final=True)), ("frozen", "")),
    ],
    ids=["settled", "settled after all", "rejected", "both"],
)
def test_the_books_do_not_depend_on_the_order(books: Books, words: tuple[Word, ...], ends: tuple[str, str]) -> None:
    payout_state, attempt_state = ends
    for order in permutations(words):
        before = books.balances()
        payout_id = books.owed()
        number = books.do(lambda s: open_attempts(session=s, keyring=books.keyring, now=NOW, most=1)[0]).bank_number
        for word in (*order, order[0]):
            word(books, number)
        [attempt] = books.attempts(payout_id)
        assert books.payout(payout_id).state == payout_state
        assert (f"payout:{payout_id}" in books.case_subjects()) == (payout_state == "frozen")
        paid, committed = (books.balances().get(name, 0) - before.get(name, 0) for name in ("paid:1", "committed:1"))
        assert paid + committed == AMOUNT_FEN
        if attempt_state:
            assert attempt.state == attempt_state
            assert paid == (AMOUNT_FEN if attempt_state == "settled" else 0)
