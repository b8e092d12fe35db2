"""Paying: one attempt at a time under one number, whatever the bank does and whenever we are cut off."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.clients.http import NumberReused
from subsidy.dispatch import open_attempts
from subsidy.operator import TransferAnswer
from subsidy.payouts import PayoutAttempt
from subsidy.programme import ProgrammeVersion
from subsidy.settlement import TransferNotOurs, lose, record_answer, reject, settle
from subsidy.wallets import owe_confirmed
from tests.subsidy.payout_rows import AMOUNT_FEN, NOW, Books, Crash, ScriptedBank, make_bank

LATER = datetime(2026, 6, 20, 5, 0, tzinfo=UTC)


def answer(number: str, state: str = "settled", *, fen: int = AMOUNT_FEN, final: bool = True) -> TransferAnswer:
    settled_at = LATER if state == "settled" else None
    return TransferAnswer(
        bank_number=number,
        state=state,  # type: ignore[arg-type]
        amount_fen=fen,
        final=final and state != "accepted",
        reason="wallet_full" if state == "rejected" else None,
        settled_at=settled_at,
    )


def word(books: Books, said: TransferAnswer) -> str:
    """The bank says something, by whichever way."""
    state: str = books.do(lambda session: record_answer(session=session, answer=said, now=LATER))
    return state


def sent(books: Books) -> tuple[int, str]:
    """A payout whose only attempt is sent and unanswered; returns its id and the bank number."""
    payout_id = books.owed()
    order = books.do(lambda session: open_attempts(session=session, keyring=books.keyring, now=NOW, most=1)[0])
    assert order.amount_fen == AMOUNT_FEN
    assert "W1001" not in repr(order)
    return payout_id, order.bank_number


def test_nothing_owed_asks_nothing_of_the_bank(books: Books) -> None:
    bank = ScriptedBank(make_bank())
    books.award(books.trade_in())
    assert books.pay(bank) is None
    assert books.ask(bank) is None
    assert bank.transfers == []


def test_a_payout_answered_at_once_is_settled_booked_and_told_once(books: Books) -> None:
    payout_id = books.owed()
    assert books.pay(make_bank()) == "settled"
    payout = books.payout(payout_id)
    assert (payout.state, payout.settled_at, payout.problem) == ("settled", NOW, None)
    assert books.balances() == {"appropriation": -AMOUNT_FEN, "committed:1": 0, "paid:1": AMOUNT_FEN}
    [notice] = books.notices()
    assert "300 元已到账" in notice
    assert "1001" in notice
    assert books.pay(make_bank()) is None


def test_the_number_names_district_trade_in_and_attempt(books: Books) -> None:
    payout_id, number = sent(books)
    assert number == "d330105-GS-0001-01"
    reject(session=(session := books.sessions()), bank_number=number, reason="wallet_full", now=NOW)
    session.commit()
    session.close()
    books.confirm(books.payout(payout_id).trade_in_id, "W2002")
    [order] = books.do(lambda session: open_attempts(session=session, keyring=books.keyring, now=NOW, most=1))
    assert order.bank_number.endswith("-02")


def test_the_attempt_is_committed_before_the_bank_hears_of_it(books: Books) -> None:
    payout_id = books.owed()

    class Looks(ScriptedBank):
        def transfer(self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int) -> TransferAnswer:
            assert [each.bank_number for each in books.attempts(payout_id)] == [bank_number]
            assert books.payout(payout_id).state == "in_flight"
            assert (wallet_id, holder_name) == ("W1001", "陈建英")
            return super().transfer(
                bank_number=bank_number, wallet_id=wallet_id, holder_name=holder_name, amount_fen=amount_fen
            )

    assert books.pay(Looks(make_bank())) == "settled"


def test_accepted_waits_and_the_poll_settles_it(books: Books) -> None:
    payout_id = books.owed("W1001.never")
    bank = make_bank()
    assert books.pay(bank) == "sent"
    assert books.ask(bank, hurry=False) is None
    assert books.ask(bank) == "sent"
    bank.pass_time()
    assert books.ask(bank) == "settled"
    assert books.payout(payout_id).state == "settled"
    assert books.attempts(payout_id)[0].asked == 2


def test_a_time_out_is_unknown_and_the_poll_finds_it_settled(books: Books) -> None:
    payout_id = books.owed()
    bank = ScriptedBank(make_bank(), "silent")
    assert books.pay(bank) == "unknown"
    assert books.payout(payout_id).state == "in_flight"
    assert books.pay(bank) is None
    assert books.ask(bank) == "settled"
    assert len(bank.transfers) == 1
    assert books.balances()["paid:1"] == AMOUNT_FEN


@pytest.mark.parametrize("how", ["lost", "away"])
def test_what_the_bank_never_received_is_sent_again_under_the_same_number(books: Books, how: str) -> None:
    payout_id = books.owed()
    bank = ScriptedBank(make_bank(), how, how)
    assert books.pay(bank) == ("unknown" if how == "lost" else "unavailable")
    assert books.ask(bank) == ("unknown" if how == "lost" else "unavailable")
    assert books.ask(bank) == "settled"
    assert len(bank.transfers) == 3
    assert len(set(bank.transfers)) == 1
    assert len(books.attempts(payout_id)) == 1


def test_a_crash_between_commit_and_call_is_recovered_by_asking(books: Books) -> None:
    payout_id = books.owed()
    bank = ScriptedBank(make_bank(), "crash")
    with pytest.raises(Crash):
        books.pay(bank)
    assert bank.transfers == []
    assert books.attempts(payout_id)[0].state == "sent"
    assert books.pay(bank) is None
    assert books.ask(bank, hurry=False) is None  # its lease still runs: the sender may be alive
    assert books.ask(bank) == "settled"
    assert books.attempts(payout_id)[0].bank_number == bank.transfers[0]


def test_a_final_rejection_asks_the_owner_for_another_wallet(books: Books) -> None:
    payout_id = books.owed("W1001.full")
    bank = make_bank()
    assert books.pay(bank) == "rejected"
    payout = books.payout(payout_id)
    assert (payout.state, payout.problem) == ("awaiting_wallet", "wallet_full")
    assert "钱包余额已满" in books.notices()[0]
    # The wallet that failed is not tried blindly again, not even by the sweep for wallets confirmed unseen.
    assert books.do(lambda session: owe_confirmed(session=session)) == 0
    assert books.pay(bank) is None
    books.confirm(payout.trade_in_id, "W2002")
    assert books.pay(bank) == "settled"
    assert [each.state for each in books.attempts(payout_id)] == ["rejected", "settled"]
    assert books.payout(payout_id).problem is None
    assert books.booked_fen() == AMOUNT_FEN


def test_a_rejection_that_is_not_final_opens_no_other_attempt(books: Books) -> None:
    payout_id = books.owed("W1001.not_final")
    bank = make_bank()
    assert books.pay(bank) == "sent"
    assert books.payout(payout_id).state == "in_flight"
    assert books.pay(bank) is None
    bank.pass_time()
    assert books.ask(bank) == "settled"


def test_accepted_and_rejected_later(books: Books) -> None:
    payout_id = books.owed("W1001.closed_later")
    bank = make_bank()
    assert books.pay(bank) == "sent"
    bank.pass_time()
    for said in bank.callbacks:
        word(books, said)
    assert books.payout(payout_id).problem == "wallet_closed"


@pytest.mark.parametrize("second", ["none", "owed", "in_flight", "settled"])
def test_a_success_after_a_rejection_freezes_the_payout_wherever_it_is_by_then(books: Books, second: str) -> None:
    payout_id, number = sent(books)
    word(books, answer(number, "rejected"))
    bank = ScriptedBank(make_bank(), "silent" if second == "in_flight" else "")
    if second != "none":
        books.confirm(books.payout(payout_id).trade_in_id, "W2002")
    if second in {"in_flight", "settled"}:
        books.pay(bank)
    assert word(books, answer(number)) == "rejected"
    assert books.payout(payout_id).state == "frozen"
    assert books.cases() == ["success_after_rejection"]
    sendings = len(bank.transfers)
    assert books.pay(bank) is None
    books.ask(bank)
    assert len(bank.transfers) == sendings
    assert books.payout(payout_id).state == "frozen"
    assert books.booked_fen() == (AMOUNT_FEN if second == "settled" else 0)
    if second == "in_flight":
        assert books.cases() == ["settled_out_of_turn", "success_after_rejection"]


def test_a_frozen_payout_is_never_sent_again(books: Books) -> None:
    payout_id, number = sent(books)
    word(books, answer(number, "rejected"))
    books.confirm(books.payout(payout_id).trade_in_id, "W2002")
    bank = ScriptedBank(make_bank(), "lost")
    assert books.pay(bank) == "unknown"
    word(books, answer(number))
    assert books.ask(bank) == "stopped"
    assert len(bank.transfers) == 1


def test_a_rejection_after_the_success_freezes_and_books_nothing_back(books: Books) -> None:
    payout_id, number = sent(books)
    word(books, answer(number))
    word(books, answer(number, "rejected"))
    assert books.payout(payout_id).state == "frozen"
    assert books.cases() == ["rejection_after_success"]
    assert books.balances()["paid:1"] == AMOUNT_FEN


@pytest.mark.parametrize("fen", [AMOUNT_FEN - 1, AMOUNT_FEN + 1])
def test_another_amount_than_ours_is_a_case_and_not_booked(books: Books, fen: int) -> None:
    payout_id, number = sent(books)
    word(books, answer(number, fen=fen))
    assert books.payout(payout_id).state == "frozen"
    assert books.cases() == ["amount_differs"]
    assert books.booked_fen() == 0
    assert len(books.notices()) == 0


def test_every_word_may_come_twice(books: Books) -> None:
    payout_id, number = sent(books)
    for state in ("accepted", "accepted", "settled", "settled", "accepted"):
        word(books, answer(number, state))
    assert books.payout(payout_id).state == "settled"
    assert books.booked_fen() == AMOUNT_FEN
    assert len(books.notices()) == 1
    assert books.cases() == []


def test_a_rejection_twice_is_one(books: Books) -> None:
    payout_id, number = sent(books)
    for _ in range(2):
        word(books, answer(number, "rejected"))
    assert books.payout(payout_id).state == "awaiting_wallet"
    assert len(books.notices()) == 1
    assert books.cases() == []


def test_a_callback_that_overtakes_the_answer_stands(books: Books) -> None:
    """The transfer times out here, but its callback has settled it already."""
    payout_id, number = sent(books)
    word(books, answer(number))
    books.do(lambda session: lose(session=session, bank_number=number))
    assert books.attempts(payout_id)[0].state == "settled"


def test_a_word_about_a_stranger_is_refused(books: Books) -> None:
    with pytest.raises(TransferNotOurs):
        word(books, answer("d330105-GS-9999-01"))


def test_a_number_the_bank_knows_for_something_else_stops_everything(books: Books) -> None:
    payout_id = books.owed()

    class Refuses(ScriptedBank):
        def transfer(self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int) -> TransferAnswer:
            raise NumberReused(number=bank_number)

    assert books.pay(Refuses(make_bank())) == "stopped"
    assert books.payout(payout_id).state == "frozen"
    assert books.cases() == ["transfer_refused"]


def test_the_database_itself_refuses_a_second_live_attempt(books: Books) -> None:
    payout_id, number = sent(books)
    [first] = books.attempts(payout_id)
    second = PayoutAttempt(
        payout_id=payout_id,
        attempt_no=2,
        bank_number=number + "x",
        wallet_id=first.wallet_id,
        amount_fen=AMOUNT_FEN,
        sent_at=NOW,
        ask_at=NOW,
    )
    with pytest.raises(IntegrityError, match="uq_payout_attempt_live"):
        books.do(lambda session: session.add(second))


def test_a_withdrawn_payout_is_not_sent_and_not_settled(books: Books) -> None:
    payout_id, number = sent(books)
    books.execute("UPDATE payout SET state = 'withdrawn'")
    word(books, answer(number))
    assert books.payout(payout_id).state == "frozen"
    assert books.cases() == ["settled_out_of_turn"]
    assert books.booked_fen() == 0


def test_an_attempt_nobody_answers_for_becomes_a_case_and_is_still_asked_for(books: Books) -> None:
    payout_id = books.owed("W1001.never")
    bank = make_bank()
    assert books.pay(bank) == "sent"
    for asked in range(1, 15):
        assert books.cases() == ([] if asked <= 12 else ["transfer_unanswered"])
        assert books.ask(bank) == "sent"
    bank.pass_time()
    assert books.ask(bank) == "settled"
    assert books.payout(payout_id).state == "settled"


def test_questions_come_at_growing_intervals(books: Books) -> None:
    payout_id = books.owed("W1001.never")
    bank = make_bank()
    assert books.pay(bank) == "sent"
    for wait_s in (2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300):
        before = datetime.now(UTC)
        books.ask(bank)
        ask_at = books.do(lambda session: session.scalar(text("SELECT ask_at FROM payout_attempt")))
        assert before + timedelta(seconds=wait_s) < ask_at < datetime.now(UTC) + timedelta(seconds=wait_s)
    assert len(books.attempts(payout_id)) == 1


def test_payment_waits_for_the_old_bikes_end_where_the_rules_say_so(books: Books) -> None:
    waits, pays = books.owed("W1001"), books.owed("W1002")
    rules = ProgrammeVersion(
        programme_id=books.programme_id,
        version_no=1,
        rules={"payment_waits_for_destruction": True},
        sha256=b"",
        event_no=1,
        drafted_by="account:1",
        approved_by="account:2",
    )
    books.do(lambda session: session.add(rules))
    books.execute("UPDATE programme SET version_no = 1")
    books.execute("UPDATE filed_bike SET state = 'destroyed' WHERE plate_no = 'B000002'")
    bank = make_bank()
    assert [books.pay(bank), books.pay(bank)] == ["settled", None]
    assert (books.payout(waits).state, books.payout(pays).state) == ("owed", "settled")
    books.execute("UPDATE filed_bike SET state = 'destroyed'")
    assert books.pay(bank) == "settled"


# Skips what another thread holds: two updates of the whole table would wait for each other in a circle.
HURRY_WHAT_IS_FREE = """
    UPDATE payout_attempt SET ask_at = clock_timestamp()
    WHERE id IN (SELECT id FROM payout_attempt WHERE ask_at > clock_timestamp() FOR UPDATE SKIP LOCKED)
"""


def test_two_dispatchers_and_two_askers_never_pay_twice(books: Books) -> None:
    payouts = [books.owed(f"W{number:04d}") for number in range(12)]
    bank = ScriptedBank(make_bank(), *["silent", "", "lost", ""] * 6)
    errors: list[BaseException] = []

    def labour() -> None:
        try:
            for _ in range(40):
                books.pay(bank)
                books.ask(bank, hurry=False)
                books.execute(HURRY_WHAT_IS_FREE)
        except BaseException as error:  # told to the test below
            errors.append(error)

    threads = [threading.Thread(target=labour) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert {books.payout(payout_id).state for payout_id in payouts} == {"settled"}
    assert [len(books.attempts(payout_id)) for payout_id in payouts] == [1] * 12
    assert bank.inner.bank.counts()["transfers"] == 12
    assert books.balances()["paid:1"] == books.booked_fen() == 12 * AMOUNT_FEN
    assert books.balances()["committed:1"] == 0


def test_settling_at_once_from_four_sides_books_once(books: Books) -> None:
    _, number = sent(books)
    firsts: list[bool] = []

    def one() -> None:
        firsts.append(
            books.do(
                lambda session: settle(
                    session=session, bank_number=number, amount_fen=AMOUNT_FEN, settled_at=LATER, now=LATER
                )
            )
        )

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(firsts) == [False, False, False, True]
    assert books.booked_fen() == AMOUNT_FEN
