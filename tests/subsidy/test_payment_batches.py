"""Nothing is sent that was not gathered, approved by the right people, and funded."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, ProgrammingError

from registry.audit import AuditEntry
from registry.base import PartnerUnavailable, Refusal, StepNotAllowed
from subsidy.dispatch import open_attempts
from subsidy.operator import FundBalance
from subsidy.payment_batches import (
    BatchNotFound,
    BatchTotalChanged,
    FinanceApprovesFirst,
    NothingToPay,
    SecondPersonNeeded,
    approve_batch,
    cancel_batch,
    cut_batch,
    find_batch,
    finish_batches,
    is_cut_due,
    items_of,
    list_batches,
    release_next,
)
from subsidy.payouts import PaymentBatch, PaymentBatchItem, Payout
from tests.subsidy.payout_rows import AMOUNT_FEN, NOW, Books, ScriptedBank, make_bank

FINANCE, OTHER_FINANCE, REVIEWER, OPERATOR = "account:1", "account:2", "account:3", "account:4"
THRESHOLD_FEN = 2 * AMOUNT_FEN


def cut(books: Books, *, actor: str = OPERATOR) -> PaymentBatch:
    batch: PaymentBatch = books.do(
        lambda session: cut_batch(session=session, actor=actor, threshold_fen=THRESHOLD_FEN, now=NOW)
    )
    return batch


def approve(
    books: Books, batch: PaymentBatch, actor: str = FINANCE, role: str = "finance", total_fen: int | None = None
) -> PaymentBatch:
    approved: PaymentBatch = books.do(
        lambda session: approve_batch(
            session=session,
            batch_id=batch.id,
            total_fen=batch.total_fen if total_fen is None else total_fen,
            actor=actor,
            role=role,
            now=NOW,
        )
    )
    return approved


def fund(fen: int) -> ScriptedBank:
    bank = ScriptedBank(make_bank())
    bank.inner.bank.fill_fund(fen)
    return bank


def send(books: Books, bank: ScriptedBank | None = None) -> str | None:
    return release_next(sessions=books.sessions, operator=bank or fund(10**9), now=NOW)


def owe(books: Books, count: int = 1) -> list[int]:
    return [books.owed(f"W{number:04d}", released=False) for number in range(count)]


def state(books: Books, batch: PaymentBatch) -> str:
    return books.do(lambda session: session.get_one(PaymentBatch, batch.id).state)  # type: ignore[no-any-return]


def test_nothing_is_sent_before_its_batch_is_approved_and_funded(books: Books) -> None:
    [payout_id] = owe(books)
    bank = fund(10**9)
    assert books.pay(bank) is None
    batch = cut(books)
    assert books.pay(bank) is None
    assert send(books, bank) is None
    approve(books, batch)
    assert books.pay(bank) is None
    assert send(books, bank) == "released"
    assert books.pay(bank) == "settled"
    assert books.payout(payout_id).batch_id == batch.id
    assert books.do(lambda session: finish_batches(session=session, now=NOW)) == 1
    assert state(books, batch) == "finished"


def test_a_batch_holds_what_is_owed_once(books: Books) -> None:
    payouts = owe(books, 2)
    books.award(books.trade_in())
    batch = cut(books)
    assert (batch.payouts, batch.total_fen, batch.needs_second) == (2, 2 * AMOUNT_FEN, False)
    with pytest.raises(NothingToPay):
        cut(books)
    items = books.do(lambda session: items_of(session=session, keyring=books.keyring, batch_id=batch.id))
    assert [(item.payout_id, item.amount_fen, item.owner) for item in items] == [
        (payout_id, AMOUNT_FEN, "陈*英") for payout_id in payouts
    ]
    assert [each.id for each in books.do(lambda session: list_batches(session=session, state="cut"))] == [batch.id]
    assert books.do(lambda session: list_batches(session=session, before=batch.id)) == []


def test_above_the_threshold_two_people_approve(books: Books) -> None:
    owe(books, 3)
    batch = cut(books)
    assert batch.needs_second
    assert approve(books, batch).state == "half"
    assert send(books) is None
    with pytest.raises(SecondPersonNeeded):
        approve(books, batch)
    with pytest.raises(SecondPersonNeeded):
        approve(books, batch, OPERATOR, "reviewer")
    assert approve(books, batch, REVIEWER, "reviewer").state == "approved"
    assert send(books) == "released"
    trail = select(AuditEntry.actor).where(AuditEntry.action == "payment_batch_approved").order_by(AuditEntry.id)
    assert books.do(lambda session: session.scalars(trail).all()) == [FINANCE, REVIEWER]


@pytest.mark.parametrize(
    ("actor", "role", "total_fen", "refusal"),
    [
        (REVIEWER, "reviewer", None, FinanceApprovesFirst),
        (OPERATOR, "finance", None, SecondPersonNeeded),
        (FINANCE, "finance", AMOUNT_FEN + 1, BatchTotalChanged),
    ],
)
def test_who_may_not_approve_is_told(
    books: Books, actor: str, role: str, total_fen: int | None, refusal: type[Refusal]
) -> None:
    owe(books)
    batch = cut(books)
    with pytest.raises(refusal):
        approve(books, batch, actor, role, total_fen)
    assert state(books, batch) == "cut"
    with pytest.raises(BatchNotFound):
        books.do(lambda session: find_batch(session=session, batch_id=batch.id + 1))


def test_the_database_itself_refuses_one_person_for_two(books: Books) -> None:
    owe(books)
    batch = cut(books)
    with pytest.raises(IntegrityError, match="approved_by_another"):
        books.execute(f"UPDATE payment_batch SET first_by = cut_by WHERE id = {batch.id}")
    books.execute(f"UPDATE payment_batch SET first_by = '{FINANCE}' WHERE id = {batch.id}")
    with pytest.raises(IntegrityError, match="second_is_another"):
        books.execute(f"UPDATE payment_batch SET second_by = first_by WHERE id = {batch.id}")
    with pytest.raises(ProgrammingError, match="permission denied"):
        books.execute("UPDATE payment_batch_item SET amount_fen = 1")


def test_too_little_money_waits_with_a_case_until_the_fund_is_filled(books: Books) -> None:
    owe(books, 2)
    batch = cut(books)
    approve(books, batch)
    bank = fund(2 * AMOUNT_FEN - 1)
    assert send(books, bank) == "short"
    assert send(books, bank) == "short"
    assert (state(books, batch), books.cases()) == ("short", ["fund_short"])
    assert books.pay(bank) is None
    again = release_next(sessions=books.sessions, operator=bank, now=NOW, ask_again=False)
    assert again is None
    bank.inner.bank.fill_fund(2 * AMOUNT_FEN)
    assert send(books, bank) == "released"
    assert books.cases() == []
    assert books.pay(bank) == "settled"
    assert bank.fund_balance().available_fen == AMOUNT_FEN


def test_what_released_batches_still_need_counts_against_the_fund(books: Books) -> None:
    owe(books)
    approve(books, cut(books))
    bank = fund(2 * AMOUNT_FEN - 1)
    assert send(books, bank) == "released"
    owe(books)
    second = cut(books)
    approve(books, second)
    assert send(books, bank) == "short"
    assert state(books, second) == "short"


def test_a_bank_that_does_not_say_releases_nothing(books: Books) -> None:
    owe(books)
    batch = cut(books)
    approve(books, batch)

    class Away(ScriptedBank):
        def fund_balance(self) -> FundBalance:
            raise PartnerUnavailable(partner="bank")

    with pytest.raises(PartnerUnavailable):
        send(books, Away(make_bank()))
    assert state(books, batch) == "approved"


def test_a_cancelled_batch_gives_its_payouts_back_and_a_released_one_stays(books: Books) -> None:
    [payout_id] = owe(books)
    batch = cut(books)

    def cancel(which: PaymentBatch) -> PaymentBatch:
        cancelled: PaymentBatch = books.do(
            lambda s: cancel_batch(session=s, batch_id=which.id, reason="试算", actor=FINANCE, now=NOW)
        )
        return cancelled

    assert cancel(batch).state == "cancelled"
    assert books.payout(payout_id).batch_id is None
    with pytest.raises(StepNotAllowed):
        approve(books, batch)
    again = cut(books)
    approve(books, again)
    assert send(books) == "released"
    with pytest.raises(StepNotAllowed):
        cancel(again)
    assert books.do(lambda s: s.scalar(select(func.count()).select_from(PaymentBatchItem))) == 2


def test_money_that_came_back_takes_an_approval_of_its_own(books: Books) -> None:
    payout_id = books.owed("W1001.full")
    bank = fund(10**9)
    assert books.pay(bank) == "rejected"
    assert books.payout(payout_id).batch_id is None
    books.confirm(books.payout(payout_id).trade_in_id, "W2002", released=False)
    assert books.payout(payout_id).state == "owed"
    assert books.pay(bank) is None
    approve(books, cut(books))
    assert send(books) == "released"
    assert books.pay(bank) == "settled"


def test_the_scheduler_cuts_once_a_day(books: Books) -> None:
    def due(now: datetime) -> bool:
        return books.do(lambda session: is_cut_due(session=session, now=now))  # type: ignore[no-any-return]

    early, late = datetime(2026, 6, 20, 0, 29, tzinfo=UTC), datetime(2026, 6, 20, 0, 30, tzinfo=UTC)
    assert (due(early), due(late)) == (False, True)
    owe(books)
    cut(books)
    assert due(NOW), "what staff cut is not the day's cut"
    owe(books)
    cut(books, actor="scheduler")
    assert not due(NOW + timedelta(hours=11))
    assert due(NOW + timedelta(days=1))


def test_cut_from_many_sides_gathers_each_payout_once(books: Books) -> None:
    owe(books, 6)
    refused = together([lambda number=number: cut(books, actor=f"account:{number}") for number in range(4)])
    assert all(isinstance(refusal, NothingToPay) for refusal in refused)
    rows = books.do(lambda session: session.scalars(select(PaymentBatchItem.payout_id)).all())
    assert len(rows) == len(set(rows)) == 6
    assert books.do(lambda s: s.scalar(select(func.count()).where(Payout.batch_id.is_(None)))) == 0


def test_approved_and_cancelled_at_once_is_one_of_the_two(books: Books) -> None:
    for _ in range(4):
        [payout_id] = owe(books)
        batch = cut(books)
        refused = together(
            [
                lambda batch=batch: (approve(books, batch), send(books)),
                lambda batch=batch: books.do(
                    lambda s: cancel_batch(session=s, batch_id=batch.id, reason="撤", actor=OPERATOR, now=NOW)
                ),
            ]
        )
        assert all(isinstance(refusal, StepNotAllowed) for refusal in refused)
        sent = books.do(lambda session: open_attempts(session=session, keyring=books.keyring, now=NOW, most=1))
        assert (state(books, batch), bool(sent)) in {("released", True), ("cancelled", False)}
        if not sent:  # the next round's cut must not find it
            books.execute(f"UPDATE payout SET state = 'withdrawn' WHERE id = {payout_id}")


def together(acts: list[Callable[[], object]]) -> list[Refusal]:
    """Do all at once and return what was refused; any other error is raised."""
    refused: list[Refusal] = []
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        barrier.wait(10)
        try:
            act()
        except Refusal as refusal:
            refused.append(refusal)
        except BaseException as error:  # told to the test below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if errors:
        raise errors[0]
    return refused
