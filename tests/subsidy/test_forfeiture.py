"""Who gives no usable wallet is reminded, then makes room; who gives one in the last moment wins or loses cleanly."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from app.config import Settings
from subsidy.forfeiture import LAST_NOTICE, REMIND_BEFORE, Term, forfeit_due, remind_owners
from subsidy.payouts import Payout
from subsidy.wallets import WalletNotNeeded
from tests.subsidy.paid_queue import PaidQueue
from tests.subsidy.payout_rows import AMOUNT_FEN

TERM = Term(after=timedelta(days=90))


@pytest.fixture
def queue(settings: Settings, engine: Engine) -> PaidQueue:
    """Two places awarded, a third claim waiting."""
    return PaidQueue(settings, engine, count=3, places=2)


def remind(queue: PaidQueue, *, later: timedelta = timedelta()) -> int:
    now = datetime.now(UTC) + later
    reminded: int = queue.do(lambda session: remind_owners(session=session, term=TERM, now=now))
    return reminded


def forfeit(queue: PaidQueue) -> int:
    with queue.connect() as connection:
        return forfeit_due(connection=connection, clock=queue.clock, term=TERM)


def tell_everything(queue: PaidQueue, payout: Payout, *, days: float = 91) -> None:
    """Have the payout be so old, its owner reminded of everything more than a day ago."""
    queue.age(payout, days)

    def told(session):  # type: ignore[no-untyped-def]
        row = session.get_one(Payout, payout.id)
        row.reminders, row.reminded_at = len(REMIND_BEFORE), datetime.now(UTC) - LAST_NOTICE - timedelta(minutes=1)

    queue.do(told)


def test_owners_are_reminded_three_times_and_those_with_a_wallet_never(queue: PaidQueue) -> None:
    first, second = queue.payouts()
    queue.confirm(second, "W2002")
    before = len(queue.notices())
    assert remind(queue) == 0
    for days, number in ((60, 1), (83, 2), (89, 3)):
        queue.age(first, days)
        assert remind(queue) == 1
        assert remind(queue) == 0
        assert queue.payout(first.id).reminders == number
    told = queue.notices()[before:]
    assert len(told) == 3
    assert all("还没有收款钱包" in body and "让给排在后面的人" in body for body in told)


def test_of_several_reminders_due_at_once_one_is_sent_and_leaves_a_day(queue: PaidQueue) -> None:
    """The scheduler was away for four months: nobody forfeits on the spot."""
    first, _ = queue.payouts()
    queue.age(first, 120)
    assert forfeit(queue) == 0
    before = len(queue.notices())
    assert remind(queue) == 1
    assert len(queue.notices()) == before + 1
    assert queue.payout(first.id).reminders == 3
    assert forfeit(queue) == 0
    assert queue.payout(first.id).state == "awaiting_wallet"


def test_the_money_goes_to_the_next_in_line(queue: PaidQueue) -> None:
    first, _ = queue.payouts()
    tell_everything(queue, first)
    assert forfeit(queue) == 1
    assert forfeit(queue) == 0
    assert (queue.payout(first.id).state, queue.claim(1).state) == ("withdrawn", "forfeited")
    assert (queue.claim(3).state, queue.claim(3).amount_fen) == ("awarded", AMOUNT_FEN)
    assert queue.balances()["committed:1"] == 2 * AMOUNT_FEN
    assert queue.differences() == []


@pytest.mark.parametrize("what", ["too young", "not told", "told a moment ago", "a wallet", "in flight"])
def test_nobody_else_forfeits(queue: PaidQueue, what: str) -> None:
    first, _ = queue.payouts()
    tell_everything(queue, first, days=89 if what == "too young" else 91)
    if what == "not told":
        queue.do(lambda session: setattr(session.get_one(Payout, first.id), "reminders", 2))
    elif what == "told a moment ago":
        queue.do(lambda session: setattr(session.get_one(Payout, first.id), "reminded_at", datetime.now(UTC)))
    elif what in ("a wallet", "in flight"):
        queue.confirm(first, "W1001.never")
        if what == "in flight":
            assert queue.pay() == "sent"
    assert forfeit(queue) == 0
    assert queue.claim(1).state == "awarded"


def test_a_rejected_payment_starts_the_time_anew(queue: PaidQueue) -> None:
    first, _ = queue.payouts()
    tell_everything(queue, first)
    queue.confirm(first, "W1001.full")
    assert queue.pay() == "rejected"
    payout = queue.payout(first.id)
    assert (payout.state, payout.reminders, payout.batch_id) == ("awaiting_wallet", 0, None)
    assert payout.awaiting_since is not None
    assert remind(queue) == forfeit(queue) == 0
    assert remind(queue, later=timedelta(days=61)) >= 1


def test_a_wallet_in_the_last_moment_wins_or_loses_cleanly(settings: Settings, engine: Engine) -> None:
    queue = PaidQueue(settings, engine, count=8)
    payouts = queue.payouts()
    for payout in payouts:
        tell_everything(queue, payout)
    barrier = threading.Barrier(3)
    outcomes: dict[int, str] = {}
    errors: list[BaseException] = []

    def confirm(mine: list[Payout]) -> None:
        barrier.wait(10)
        for payout in mine:
            try:
                queue.confirm(payout, f"W{payout.id:04d}")
                outcomes[payout.id] = "owed"
            except WalletNotNeeded:
                outcomes[payout.id] = "withdrawn"

    def run(act, *arguments) -> None:  # type: ignore[no-untyped-def]
        try:
            act(*arguments)
        except BaseException as error:  # told to the test below
            errors.append(error)

    def take() -> None:
        barrier.wait(10)
        forfeit(queue)

    # From both ends, so that they meet wherever the forfeitures have got to.
    halves = (payouts[:4][::-1], payouts[4:][::-1])
    threads = [threading.Thread(target=run, args=(confirm, half)) for half in halves]
    threads.append(threading.Thread(target=run, args=(take,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    for payout in payouts:
        state = queue.payout(payout.id).state
        assert state == outcomes[payout.id]
        assert queue.claim(payout.position).state == ("awarded" if state == "owed" else "forfeited")
    assert queue.differences() == []
