"""``mapai capacity``: what this machine serves in the rush, measured on a database of its own, and the arithmetic.

Bounded: under two minutes in all. Nothing of the installation is touched; only its machine is asked.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from loadtests.bench.database import fresh_database, own_server
from loadtests.bench.pounding import Pounded
from loadtests.bench.reads import OWNERS, is_shown, own_places, repeated
from loadtests.bench.sides import LIVE, Sides, ask, complete, prepare, served
from loadtests.free_ports import free_port

# How often people ask: a page with the plate card and one with an own trade-in every 5 seconds; a counter in the last
# hour completes one trade-in every 5 minutes, in ten steps each of which costs about what an own place does.
LIVE_EVERY_S, OWN_EVERY_S, POINT_EVERY_S, STEPS = 5.0, 5.0, 300.0, 10
# What is promised of what was measured: the rest is for bursts, staff, payments and the machine's other work.
PROMISED = 0.5
# Of the promised part, what the readers may have while completions go on beside them.
READERS_SHARE = 0.5
MEASURE_S, AT_ONCE, MOST = 12.0, 500, 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What was measured, a second: whole completions, live state, own places. And whether an answer was wrong."""

    completions: float
    live: float
    own: float
    failures: int

    @property
    def points(self) -> int:
        """Points that may complete as fast as they can, with the readers there."""
        machine_of_one = (1 / self.completions + STEPS / self.own) / POINT_EVERY_S
        return int(PROMISED * (1 - READERS_SHARE) / machine_of_one)

    @property
    def owners(self) -> int:
        """Owners that may keep their pages open, with the points there."""
        machine_of_one = 1 / (LIVE_EVERY_S * self.live) + 1 / (OWN_EVERY_S * self.own)
        return int(PROMISED * READERS_SHARE / machine_of_one)

    def words(self) -> str:
        """Return the figures with the arithmetic that leads from what was measured to what is promised."""
        share = f"{PROMISED:.0%} × {READERS_SHARE:.0%}"
        a_point = f"(1 ÷ {self.completions:,.0f}/s + {STEPS} ÷ {self.own:,.0f}/s)"
        an_owner = f"(1 ÷ ({LIVE_EVERY_S:.0f} s × {self.live:,.0f}/s) + 1 ÷ ({OWN_EVERY_S:.0f} s × {self.own:,.0f}/s))"
        return "\n".join(
            (
                "量得（每秒） · measured, a second:",
                f"  办完 · whole completions        {self.completions:>10,.0f}",
                f"  首页名额卡 · live state         {self.live:>10,.0f}",
                f"  我的换新 · own trade-in         {self.own:>10,.0f}",
                f"代办点 · points:  {share} × {POINT_EVERY_S:.0f} s ÷ {a_point} = {self.points:,}",
                f"车主 · owners:  {share} ÷ {an_owner} = {self.owners:,}",
                f"这台机器够 {self.points:,} 个代办点、{self.owners:,} 位车主同时用。",
                f"This machine serves {self.points:,} points and {self.owners:,} owners with their pages open at once.",
            )
        )


def run(*, say: Callable[[str], None], seconds: float = MEASURE_S, most: int = MOST) -> Capacity:
    """Measure each kind of request for ``seconds``, ``most`` completions at most, and return what was found."""
    say("正在量这台机器，约一分半钟 · measuring this machine, about a minute and a half")
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_database(stack.enter_context(own_server())))
        ready = iter(prepare(settings, OWNERS + most))
        port = free_port()
        stack.enter_context(served("wsgi:app", port, settings))
        sides = Sides(settings=settings, ours=port, reference=port, ready=ready)
        complete(sides, count=OWNERS)
        own = own_places(settings)
        rounds = max(1, most // AT_ONCE)
        completions = _rate(lambda: complete(sides, count=min(AT_ONCE, most)), seconds, most_rounds=rounds)
        live = _rate(lambda: ask(port, repeated(LIVE, 2 * AT_ONCE), is_right=is_shown), seconds)
        owns = _rate(lambda: ask(port, repeated(own, OWNERS), is_right=is_shown), seconds)
    failures = completions[1] + live[1] + owns[1]
    return Capacity(completions=completions[0], live=live[0], own=owns[0], failures=failures)


def _rate(do: Callable[[], Pounded], seconds: float, *, most_rounds: int = 10_000) -> tuple[float, int]:
    """Do it until the time is up; return how many a second in the middle round, and how many failed."""
    rates, failures = [], 0
    until = time.monotonic() + seconds
    for _ in range(most_rounds):
        pounded = do()
        rates.append(pounded.rate)
        failures += pounded.failures
        if time.monotonic() > until:
            break
    return sorted(rates)[len(rates) // 2], failures


def main() -> int:
    found = run(say=lambda words: print(words, flush=True))
    print(found.words())
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
