"""What may happen next: owners, points, staff, the bank and time itself, each deed drawn by the seed's dice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from sqlalchemy import text

from registry.base import Refusal
from registry.trade_ins import TradeIn
from subsidy.completion import Completed, admit
from subsidy.dispatch import ask_next, pay_some
from subsidy.events import EventKind
from subsidy.operator import ReclaimAnswer
from subsidy.payment_batches import NothingToPay, approve_batch, cut_batch, release_next
from subsidy.queue import append_due, append_event, publish_version
from subsidy.reclaiming import record_reclaim
from subsidy.reconciliation import Reconciled, days_to_compare, reconcile_day
from subsidy.settlement import record_answer
from subsidy.wallets import confirm_wallet
from tests.simulation.money_back import ask_for_money, claim_back, end_contradiction, hand_in_receipt, take_bike_back
from tests.simulation.rules_drawn import redraw
from tests.simulation.world import (
    DISTRICT,
    FINANCE,
    OPERATOR,
    PAYMENT_ENDS,
    REVIEWER,
    TRADE_INS,
    Acknowledged,
    World,
)

DECISIONS = (
    *(EventKind.HOLD, EventKind.RELEASE, EventKind.CORRECTED, EventKind.OVERRULE, EventKind.OVERRULE),
    EventKind.FORFEITURE,
)
# Nobody decides anything more about a claim whose return was approved.
DECIDABLE = """
SELECT position FROM claim c WHERE NOT EXISTS (
    SELECT FROM return_case r WHERE r.trade_in_id = c.trade_in_id AND r.state NOT IN ('proposed', 'refused'))
ORDER BY position
"""


def complete(world: World) -> None:
    """The police's word on one to four trade-ins arrives together, words that came before among them."""
    numbers = [world.dice.randint(1, TRADE_INS) for _ in range(world.dice.randint(1, 4))]
    batch = [world.completion(number) for number in numbers]
    outcomes = admit(connection=world.connection, completions=batch, clock=world.clock, district=DISTRICT)
    for number, outcome in zip(numbers, outcomes, strict=True):
        assert isinstance(outcome, Completed), f"trade-in {number} was refused: {outcome}"
        world.told.append(Acknowledged(number, outcome))


def pass_time(world: World) -> None:
    """Minutes or a day pass; whatever the bank put off happens; the scheduler's tick may come or not."""
    world.clock.instant += world.dice.choice((1, 10, 30, 60, 120, 480, 1_440)) * timedelta(minutes=1)
    world.bank.inner.pass_time(world.dice.choice((60.0, 3_600.0)))
    if world.dice.random() < 0.6:
        append_due(connection=world.connection, clock=world.clock)


def decide(world: World) -> None:
    """Staff do something about a claim; where its standing does not allow it, nothing happens."""
    rows = world.ask(DECIDABLE)
    kind = world.dice.choice(DECISIONS)
    if rows:
        append(world, kind, position=world.dice.choice(rows).position)


def pause_or_resume(world: World) -> None:
    """Staff pause the programme or let it go on."""
    append(world, world.dice.choice((EventKind.PAUSE, EventKind.RESUME, EventKind.RESUME)))


def change_rules(world: World) -> None:
    """The bureau tries another version of the rules."""
    rules = redraw(world.rules, world.dice)
    try:
        publish_version(
            connection=world.connection,
            programme_id=world.programme_id,
            rules=rules,
            clock=world.clock,
            drafted_by=OPERATOR,
            approved_by=REVIEWER,
        )
    except Refusal:
        world.connection.rollback()
        return
    world.connection.commit()
    world.rules = rules


def give_wallet(world: World) -> None:
    """An owner names a wallet: at any step, for the first time or another."""
    number = world.dice.randint(1, TRADE_INS)
    world.wallets += 1
    wallet_id = f"W{world.wallets:06d}{world.dice.choice(('', '', '', '', *PAYMENT_ENDS))}"
    with world.sessions() as session:
        trade_in = session.query(TradeIn).filter_by(reference=f"T{number}").one()
        try:
            confirm_wallet(
                session=session,
                keyring=world.settings.keyring,
                operator=world.bank,
                trade_in=trade_in,
                wallet_id=wallet_id,
                actor=f"account:{number}",
                now=world.clock.instant,
            )
        except Refusal:
            session.rollback()
            return
        session.commit()


def prepare_payment(world: World) -> None:
    """Finance cuts a batch, approves it, and the scheduler releases what is approved."""
    now = world.clock.instant
    try:
        with world.sessions.begin() as session:
            batch = cut_batch(session=session, actor=OPERATOR, threshold_fen=10**9, now=now)
            batch_id, total_fen = batch.id, batch.total_fen
        with world.sessions.begin() as session:
            approve_batch(
                session=session, batch_id=batch_id, total_fen=total_fen, actor=FINANCE, role="finance", now=now
            )
    except NothingToPay:
        pass
    release(world)


def release(world: World) -> None:
    """The scheduler approves nothing itself; what a crash left unapproved, finance approves now."""
    now = world.clock.instant
    for row in world.ask("SELECT id, total_fen FROM payment_batch WHERE state = 'cut'"):
        with world.sessions.begin() as session:
            approve_batch(
                session=session, batch_id=row.id, total_fen=row.total_fen, actor=FINANCE, role="finance", now=now
            )
    release_next(sessions=world.sessions, operator=world.bank, now=now)


def pay(world: World) -> None:
    """The scheduler sends one payout, or takes several at once."""
    pay_some(
        sessions=world.sessions,
        operator=world.bank,
        keyring=world.settings.keyring,
        now=world.clock.now,
        most=world.dice.choice((1, 1, 4)),
    )


def ask_bank(world: World) -> None:
    """The scheduler asks what became of one attempt; which one is due is drawn, not left to the real clock."""
    rows = world.ask("SELECT id FROM payout_attempt WHERE state IN ('sent', 'unknown') ORDER BY id")
    if not rows:
        return
    with world.sessions.begin() as session:
        due = {"id": world.dice.choice(rows).id}
        session.execute(text("UPDATE payout_attempt SET ask_at = '2999-01-01' WHERE state IN ('sent', 'unknown')"))
        session.execute(text("UPDATE payout_attempt SET ask_at = '2000-01-01' WHERE id = :id"), due)
    ask_next(
        sessions=world.sessions,
        operator=world.bank,
        keyring=world.settings.keyring,
        now=world.clock.now,
    )


def call_back(world: World) -> None:
    """One of the bank's callbacks arrives: a new one, an old one, one that came before."""
    callbacks = world.bank.inner.callbacks
    if not callbacks:
        return
    answer = world.dice.choice(callbacks)
    with world.sessions.begin() as session:
        if isinstance(answer, ReclaimAnswer):
            record_reclaim(session=session, answer=answer, clock=world.clock)
        else:
            record_answer(session=session, answer=answer, now=world.clock.instant)


def compare_statement(world: World) -> None:
    """The scheduler compares one day's statement."""
    with world.sessions() as session:
        days = days_to_compare(session=session, now=world.clock.instant, ask_again_after=timedelta(0))
    if days:
        compare_day(world, world.dice.choice(days))


def compare_day(world: World, day: date) -> Reconciled | None:
    """Compare that day's statement with our books."""
    return reconcile_day(
        sessions=world.sessions,
        operator=world.bank,
        day=day,
        clock=world.clock,
        overdue_after=timedelta(days=3),
    )


def append(world: World, kind: EventKind, *, position: int | None = None) -> None:
    """Staff append an event to the queue; where the law does not allow it, nothing happens."""
    try:
        append_event(
            connection=world.connection,
            programme_id=world.programme_id,
            kind=kind,
            clock=world.clock,
            actor=OPERATOR,
            position=position,
            reason="抽查" if kind is EventKind.HOLD else None,
        )
    except Refusal:
        world.connection.rollback()
        return
    world.connection.commit()


Deed = Callable[[World], None]
DEEDS: tuple[tuple[Deed, int], ...] = (
    (complete, 22),
    (pass_time, 18),
    (decide, 10),
    (give_wallet, 14),
    (prepare_payment, 8),
    (pay, 16),
    (ask_bank, 8),
    (call_back, 8),
    (change_rules, 4),
    (pause_or_resume, 4),
    (compare_statement, 3),
)
# What happens besides, once somebody has been paid.
MONEY_BACK: tuple[tuple[Deed, int], ...] = (
    (take_bike_back, 16),
    (claim_back, 14),
    (ask_for_money, 18),
    (call_back, 8),
    (hand_in_receipt, 5),
    (end_contradiction, 4),
)
