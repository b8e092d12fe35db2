"""Plays one seed: a hundred steps and some, a crash in every fifth, every promise looked at after each; then the end.

Halfway is pay day: who has a place is paid, so that bikes come back whose money is gone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from random import Random

from app.config import Settings
from tests.simulation.crashes import Crash
from tests.simulation.deeds import DEEDS, MONEY_BACK, Deed
from tests.simulation.promises import DECISIONS, POSTINGS, Promises
from tests.simulation.settling import pay_day, settle_everything
from tests.simulation.world import World, make_world

STEPS = 116
SHARE_OF_CRASHES = 0.2
MOMENTS = 14
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
    repaid: int
    sha256: str

    def __str__(self) -> str:
        head = (
            f"seed {self.seed}: {self.claims} claims, {self.settled} paid, {self.repaid} back, {self.crashes} crashes"
        )
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
        (back,) = world.ask("SELECT count(*) AS n FROM repayment")
        return Played(seed, tuple(broken), step, deed, world.crashes, row.n, paid.n, back.n, _fingerprint(world))
    finally:
        world.close()


def _fingerprint(world: World) -> str:
    """The hash of all that was decided and booked: the same seed leaves the same."""
    rows = [*world.ask(EVENTS_SEEN), *world.ask(DECISIONS), *world.ask(POSTINGS)]
    return hashlib.sha256(repr([tuple(row) for row in rows]).encode()).hexdigest()


def _perform(world: World, promises: Promises, steps: int) -> tuple[list[str], int, str]:
    for step in range(1, steps + 1):
        drawn = DEEDS if step <= steps // 2 else (*DEEDS, *MONEY_BACK)
        deed = world.dice.choices([deed for deed, _ in drawn], [weight for _, weight in drawn])[0]
        moments = world.dice.randint(1, MOMENTS) if world.dice.random() < SHARE_OF_CRASHES else None
        if step == steps // 2:
            deed, moments = pay_day, None
        if broken := _do(world, deed, moments) or promises.broken():
            return broken, step, deed.__name__
    world.dice = Random(world.dice.random())
    try:
        broken = settle_everything(world, promises)
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
