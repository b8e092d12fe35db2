"""Plays one seed: a hundred steps, a crash in every fifth, every promise looked at after each; then all is settled."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from app.config import Settings
from app.db import psycopg_conninfo
from registry.base import Refusal
from registry.trade_ins import TradeIn
from subsidy.events import EventKind
from subsidy.ledger_verification import verify
from tests.simulation import deeds
from tests.simulation.crashes import Crash, connect
from tests.simulation.deeds import DEEDS, Deed
from tests.simulation.promises import DECISIONS, POSTINGS, Promises
from tests.simulation.world import World, make_world

STEPS = 110
SHARE_OF_CRASHES = 0.2
MOMENTS = 14
DRAIN_ROUNDS = 12
EVENTS_SEEN = "SELECT event_no, kind, recorded_at, stage_no, position FROM queue_event ORDER BY event_no"


@dataclass(frozen=True, slots=True)
class Played:
    """How a seed went: what broke and at which step, how often our process ended, how much happened.

    ``sha256`` is the hash of every event, decision and posting.
    """

    seed: int
    broken: tuple[str, ...]
    step: int
    deed: str
    crashes: int
    claims: int
    settled: int
    sha256: str

    def __str__(self) -> str:
        head = f"seed {self.seed}: {self.claims} claims, {self.settled} paid, {self.crashes} crashes"
        if not self.broken:
            return head
        lines = "\n  ".join(self.broken)
        return f"{head}\n  broken at step {self.step} ({self.deed}):\n  {lines}"


def play(settings: Settings, seed: int, *, steps: int = STEPS) -> Played:
    """Play the seed on an empty, migrated database of its own."""
    world = make_world(settings, seed)
    promises = Promises(world)
    try:
        broken, step, deed = _perform(world, promises, steps)
        (row,) = world.ask("SELECT count(*) AS n FROM claim")
        (paid,) = world.ask("SELECT count(*) AS n FROM payout WHERE state = 'settled'")
        return Played(seed, tuple(broken), step, deed, world.crashes, row.n, paid.n, _fingerprint(world))
    finally:
        world.close()


def _fingerprint(world: World) -> str:
    """The hash of all that was decided and booked: the same seed leaves the same."""
    rows = [*world.ask(EVENTS_SEEN), *world.ask(DECISIONS), *world.ask(POSTINGS)]
    return hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()


def _perform(world: World, promises: Promises, steps: int) -> tuple[list[str], int, str]:
    names, weights = [deed for deed, _ in DEEDS], [weight for _, weight in DEEDS]
    for step in range(1, steps + 1):
        deed = world.dice.choices(names, weights)[0]
        moments = world.dice.randint(1, MOMENTS) if world.dice.random() < SHARE_OF_CRASHES else None
        if broken := _do(world, deed, moments) or promises.broken():
            return broken, step, deed.__name__
    world.dice = Random(world.dice.random())
    try:
        broken = _settle_everything(world, promises)
    except Exception as error:
        broken = [f"it failed: {error!r}"]
    return broken, steps + 1, "settling everything"


def _do(world: World, deed: Deed, moments: int | None) -> list[str]:
    """Do it; a crash on the way leaves what is in the database and nothing else. An error is a broken promise too."""
    try:
        with world.fuse.burning(moments):
            deed(world)
    except Crash:
        world.restart()
    except Exception as error:
        return [f"{deed.__name__} failed: {error!r}"]
    return []


def _settle_everything(world: World, promises: Promises) -> list[str]:
    """No more faults: time goes on to the end, everybody names a good wallet, all that is owed is paid."""
    world.bank.calm = True
    _resume(world)
    world.clock.instant += timedelta(days=30)
    deeds.append_due(connection=world.connection, clock=world.clock)
    for _ in range(DRAIN_ROUNDS):
        for row in world.ask("SELECT trade_in_id FROM payout WHERE state = 'awaiting_wallet' ORDER BY id"):
            _good_wallet(world, row.trade_in_id)
        world.bank.inner.pass_time()
        deeds.prepare_payment(world)
        for _ in world.ask("SELECT id FROM payout WHERE state IN ('owed', 'in_flight')"):
            deeds.pay(world)
            deeds.ask_bank(world)
        left = world.ask("SELECT id FROM payout WHERE state NOT IN ('settled', 'withdrawn', 'frozen')")
        if not left:
            break
    broken = promises.broken()
    broken += [f"payout {row.id} was never paid" for row in left]
    frozen = world.ask("SELECT id, problem FROM payout WHERE state = 'frozen'")
    broken += [f"payout {row.id} froze: {row.problem}" for row in frozen]
    with connect(psycopg_conninfo(world.settings), world.fuse) as connection:
        broken += [str(difference) for difference in verify(connection=connection)]
    return broken


def _resume(world: World) -> None:
    try:
        deeds._event(world, EventKind.RESUME)
    except Refusal:
        world.connection.rollback()


def _good_wallet(world: World, trade_in_id: int) -> None:
    world.wallets += 1
    with world.sessions() as session:
        deeds.confirm_wallet(
            session=session,
            keyring=world.settings.keyring,
            operator=world.bank,
            trade_in=session.get_one(TradeIn, trade_in_id),
            wallet_id=f"W{world.wallets:06d}",
            actor="account:9",
            now=world.clock.instant,
        )
        session.commit()
