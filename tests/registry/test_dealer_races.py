"""A suspension against an opening, a hand-over against a step, two managers at each other: real threads, one winner."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from registry.accounts import Account
from registry.base import Refusal
from registry.dealer_handover import hand_over
from registry.dealer_licences import suspend
from registry.dealer_staff import disable_colleague
from registry.dealers import Dealer, lock_dealer
from registry.opening import withdraw
from registry.trade_ins import Reach, TradeIn, TradeInNotFound
from tests.registry.line import NOW, District


def together(engine: Engine, *deeds: Callable[[Session], object]) -> list[object]:
    """Do the deeds at once, each in a session of its own that commits; a refusal is an outcome."""
    start = Barrier(len(deeds))

    def do(deed: Callable[[Session], object]) -> object:
        with Session(engine, expire_on_commit=False) as session:
            start.wait()
            try:
                outcome = deed(session)
                session.commit()
            except Refusal as refusal:
                return refusal.code
            return outcome

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(do, deeds))


def open_one(district: District, dealer: Dealer, session: Session) -> str:
    owner = district.owner()
    return district.open(owner, dealer, session=session).reference


def test_an_opening_that_was_let_in_holds_a_suspension_up(district: District, engine: Engine) -> None:
    """The suspension waits for whoever was let in before it; nobody is let in after it."""
    dealer = district.dealer()
    with Session(engine) as opening, Session(engine) as suspending:
        lock_dealer(session=opening, dealer_id=dealer.id, to_change=False)
        suspending.execute(text("SET LOCAL lock_timeout = '100ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            suspend(session=suspending, dealer_id=dealer.id, reason="改装", actor="account:2", now=NOW)
        suspending.rollback()
        opening.rollback()
        # The twin without the opening's lock: nothing holds the suspension up.
        opening.get(Dealer, dealer.id)
        suspending.execute(text("SET LOCAL lock_timeout = '100ms'"))
        suspend(session=suspending, dealer_id=dealer.id, reason="改装", actor="account:2", now=NOW)
        suspending.commit()
    with pytest.raises(Refusal, match="point_not_licensed"):
        open_one(district, dealer, district.session)


def test_a_trade_in_is_handed_over_or_withdrawn_never_both(district: District, engine: Engine) -> None:
    for _ in range(4):
        giver, receiver = district.dealer(), district.dealer()
        reference = open_one(district, giver, district.session)
        outcomes = together(
            engine,
            lambda session, giver=giver, receiver=receiver: hand_over(  # type: ignore[misc]
                session=session,
                from_dealer_id=giver.id,
                to_dealer_id=receiver.id,
                references=None,
                reason="停业整顿",
                actor="account:2",
                now=NOW,
            ),
            lambda session, giver=giver, reference=reference: withdraw(  # type: ignore[misc]
                session=session, reference=reference, reach=Reach(dealer_id=giver.id), actor="account:1", now=NOW
            ),
        )
        trade_in = district.trade_in(reference)
        if outcomes[1] == TradeInNotFound.code:
            assert (trade_in.dealer_id, trade_in.state) == (receiver.id, "old_bike_verified")
        else:
            assert (trade_in.dealer_id, trade_in.state, outcomes[0]) == (giver.id, "withdrawn", [])


def test_crossing_hand_overs_do_not_wait_for_each_other(district: District, engine: Engine) -> None:
    one, other = district.dealer(), district.dealer()
    for dealer in (one, one, other, other):
        open_one(district, dealer, district.session)

    def give(from_id: int, to_id: int) -> Callable[[Session], object]:
        return lambda session: hand_over(
            session=session,
            from_dealer_id=from_id,
            to_dealer_id=to_id,
            references=None,
            reason="对调",
            actor="account:2",
            now=NOW,
        )

    together(engine, give(one.id, other.id), give(other.id, one.id))
    district.session.rollback()
    assert len(district.session.scalars(select(TradeIn.id)).all()) == 4


def test_two_managers_who_disable_each_other_leave_one(district: District, engine: Engine) -> None:
    dealer = district.dealer()
    accounts = [
        Account(
            login=f"manager-{number}",
            password_hash="none",
            display_name="店长",
            role="dealer",
            dealer_id=dealer.id,
            dealer_manager=True,
        )
        for number in range(2)
    ]
    district.session.add_all(accounts)
    district.session.commit()
    ids = [account.id for account in accounts]

    def disable(by: int, whom: int) -> Callable[[Session], object]:
        return lambda session: (
            disable_colleague(session=session, manager_id=by, account_id=whom, actor=f"account:{by}", real_now=NOW).id
        )

    outcomes = together(engine, disable(ids[0], ids[1]), disable(ids[1], ids[0]))
    assert sorted(map(str, outcomes)).count("not_dealer_manager") == 1
    district.session.rollback()
    active = district.session.scalars(select(Account.id).where(Account.disabled_at.is_(None))).all()
    assert len(active) == 1
