"""The scheduler's part in payments: what it does by itself, and what it leaves to finance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.clock import Clock
from app.jobs import Equipment, pay
from app.payment_jobs import PaymentTerms, ask_for_fund, forfeit
from app.scheduler import Scheduler
from registry.messages import Message
from subsidy.payment_batches import approve_batch
from subsidy.payouts import PaymentBatch
from tests.api.conftest import Place
from tests.subsidy.payout_rows import AMOUNT_FEN, NOW, Books


@pytest.fixture
def equipment(place: Place) -> Iterator[Equipment]:
    """A scheduler's equipment that leads, at noon of NOW's day, where finance approves every batch."""
    settings = replace(
        place.app.extensions["mapai.settings"],
        payments_need_approval=True,
        ecny_per_second=1000,
        clock=Clock(origin_business=NOW, origin_real=datetime.now(UTC)),
    )
    scheduler = Scheduler(settings=settings, partners=place.app.extensions["mapai.partners"])
    yield replace(scheduler._equipment, leads=lambda: True)
    scheduler._combiner.close()
    scheduler._engine.dispose()


def test_finance_has_the_word_where_approval_is_asked(books: Books, equipment: Equipment, place: Place) -> None:
    payout_id = books.owed(released=False)
    bank = place.app.extensions["mapai.partners"].operator.bank
    bank.fill_fund(0)
    assert pay(equipment) == "1 batches_cut"
    assert pay(equipment) is None
    batch = books.do(lambda session: session.scalars(select(PaymentBatch)).one())
    assert (batch.state, batch.cut_by) == ("cut", "scheduler")
    books.do(
        lambda session: approve_batch(
            session=session,
            batch_id=batch.id,
            total_fen=AMOUNT_FEN,
            actor="account:1",
            role="finance",
            now=NOW,
        )
    )
    assert pay(equipment) is None, "the fund is empty"
    assert ask_for_fund(equipment) is None
    bank.fill_fund(AMOUNT_FEN)
    assert pay(equipment) is None, "asked again by its own job, not every second"
    assert ask_for_fund(equipment) == "1 batches released"
    assert pay(equipment) == "1 settled"
    assert books.payout(payout_id).state == "settled"
    assert pay(equipment) == "1 batches_finished"


def test_where_none_is_asked_what_is_owed_goes_at_once(books: Books, equipment: Equipment) -> None:
    books.owed(released=False)
    assert pay(replace(equipment, terms=PaymentTerms(need_approval=False))) == (
        "1 batches_cut, 1 batches_released, 1 settled"
    )


def test_reminders_go_out_where_awards_may_be_forfeited(books: Books, equipment: Equipment) -> None:
    books.award(books.trade_in())
    never = replace(equipment, terms=PaymentTerms(forfeit_after=None))
    soon = replace(equipment, terms=PaymentTerms(forfeit_after=timedelta(hours=1)))
    assert forfeit(never) is None
    assert forfeit(equipment) is None
    assert forfeit(soon) == "1 reminded, 0 forfeited"
    assert forfeit(soon) is None
    assert "还没有收款钱包" in books.do(lambda session: session.scalars(select(Message.body)).one())
