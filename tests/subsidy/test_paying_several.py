"""Several payouts taken at once: one fault among them concerns its own payout alone, and nobody is paid twice."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from subsidy import dispatch
from subsidy.dispatch import pay_some
from subsidy.operator import PayoutOperator
from subsidy.settlement import TransferNotOurs, record_answers
from tests.subsidy.payout_rows import AMOUNT_FEN, NOW, Books, Crash, ScriptedBank, make_bank
from tests.subsidy.test_dispatch import HURRY_WHAT_IS_FREE, answer


def pay(books: Books, bank: PayoutOperator, *, most: int = 10) -> list[str]:
    return pay_some(sessions=books.sessions, operator=bank, keyring=books.keyring, now=lambda: NOW, most=most)


def states(books: Books, payouts: list[int]) -> list[str]:
    return [books.payout(payout_id).state for payout_id in payouts]


def test_each_payout_takes_its_own_way(books: Books) -> None:
    wallets = ("W1001", "W1002.full", "W1003.never", "W1004", "W1005.wrong_amount", "W1006")
    payouts = [books.owed(wallet) for wallet in wallets]
    bank = ScriptedBank(make_bank(), "", "", "", "silent")
    outcomes = pay(books, bank)
    assert sorted(outcomes) == ["rejected", "sent", "settled", "settled", "settled", "unknown"]
    way = ["settled", "awaiting_wallet", "in_flight", "in_flight", "frozen", "settled"]
    assert states(books, payouts) == way
    assert books.balances() == {
        "appropriation": -6 * AMOUNT_FEN,
        "committed:1": 4 * AMOUNT_FEN,
        "paid:1": 2 * AMOUNT_FEN,
    }
    assert books.booked_fen() == 2 * AMOUNT_FEN
    assert books.cases() == ["amount_differs"]
    arrived = [said for said in books.notices() if "已到账" in said]
    assert [said.count("尾号 1001") + said.count("尾号 1006") for said in arrived] == [1, 1]
    assert pay(books, bank) == []


def test_no_more_are_taken_than_asked_for(books: Books) -> None:
    payouts = [books.owed(f"W100{number}") for number in range(3)]
    assert pay(books, make_bank(), most=2) == ["settled", "settled"]
    assert states(books, payouts) == ["settled", "settled", "owed"]


def test_a_bank_that_is_away_is_not_tried_with_the_rest(books: Books) -> None:
    payouts = [books.owed(f"W100{number}") for number in range(4)]
    bank = ScriptedBank(make_bank(), "", "away")
    assert sorted(pay(books, bank)) == ["left", "left", "settled", "unavailable"]
    assert len(bank.transfers) == 2
    assert states(books, payouts) == ["settled", "in_flight", "in_flight", "in_flight"]
    assert [books.ask(bank) for _ in range(4)] == ["settled", "settled", "settled", None]
    assert states(books, payouts) == ["settled"] * 4
    assert [len(books.attempts(payout_id)) for payout_id in payouts] == [1] * 4
    assert books.booked_fen() == 4 * AMOUNT_FEN == books.balances()["paid:1"]


def test_what_a_slow_bank_leaves_no_time_for_is_sent_when_asked_for(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    payouts = [books.owed(f"W100{number}") for number in range(2)]
    monkeypatch.setattr(dispatch, "SENDING", timedelta(0))
    bank = ScriptedBank(make_bank())
    assert pay(books, bank) == ["left", "left"]
    assert bank.transfers == []
    assert [books.ask(bank), books.ask(bank)] == ["settled", "settled"]
    assert states(books, payouts) == ["settled"] * 2


def test_what_was_answered_before_a_crash_is_found_by_asking(books: Books) -> None:
    payouts = [books.owed(f"W100{number}") for number in range(3)]
    bank = ScriptedBank(make_bank(), "", "", "crash")
    with pytest.raises(Crash):
        pay(books, bank)
    assert states(books, payouts) == ["in_flight"] * 3
    assert books.booked_fen() == 0
    assert [books.ask(bank) for _ in range(3)] == ["settled"] * 3
    assert states(books, payouts) == ["settled"] * 3
    assert bank.inner.bank.counts()["transfers"] == 3
    assert books.booked_fen() == 3 * AMOUNT_FEN


def test_a_word_said_twice_in_one_breath_is_booked_once(books: Books) -> None:
    books.owed("W1001")
    bank = ScriptedBank(make_bank(), "silent")
    pay(books, bank)
    [number] = bank.transfers
    said = [answer(number), answer(number)]
    told = books.do(lambda session: record_answers(session=session, answers=said, now=NOW))
    assert told == ["settled", "settled"]
    assert books.booked_fen() == AMOUNT_FEN


def test_one_number_that_is_not_ours_takes_back_all(books: Books) -> None:
    payout_id = books.owed("W1001")
    bank = ScriptedBank(make_bank(), "silent")
    pay(books, bank)
    said = [answer(bank.transfers[0]), answer("d330105-GS-0000-09")]
    with pytest.raises(TransferNotOurs):
        books.do(lambda session: record_answers(session=session, answers=said, now=NOW))
    assert states(books, [payout_id]) == ["in_flight"]
    assert books.booked_fen() == 0


def test_batches_asking_and_the_banks_callbacks_at_once_never_pay_twice(books: Books) -> None:
    payouts = [books.owed(f"W{number:04d}") for number in range(16)]
    bank = ScriptedBank(make_bank(), *["silent", "", "", "lost", ""] * 8)
    errors: list[BaseException] = []

    def call_back() -> None:
        said = bank.inner.callbacks
        for first in range(0, len(said), 3):
            block = said[first : first + 3][::-1]
            books.do(lambda session, block=block: record_answers(session=session, answers=block, now=NOW))

    def labour() -> None:
        try:
            for _ in range(12):
                pay(books, bank, most=3)
                books.ask(bank, hurry=False)
                call_back()
                books.execute(HURRY_WHAT_IS_FREE)
        except BaseException as error:  # told to the test below
            errors.append(error)

    threads = [threading.Thread(target=labour) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert states(books, payouts) == ["settled"] * 16
    assert [len(books.attempts(payout_id)) for payout_id in payouts] == [1] * 16
    assert bank.inner.bank.counts()["transfers"] == 16
    assert books.balances()["paid:1"] == books.booked_fen() == 16 * AMOUNT_FEN
    assert books.balances()["committed:1"] == 0
