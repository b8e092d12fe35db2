"""``claim``: whole completions a second ÷ bare Flask endpoints doing one durable INSERT a second.

Ours is a POST of the police system's signed callback: signature, state, eligibility, limit, every row written, position
and amount in the answer. Both run under the same server with the same threads and 64 connections, in turn; and
``claim-crowd`` with 2,000.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from app.verify import run as run_verify
from loadtests.bench.comparison import Progress, summary
from loadtests.bench.database import fresh_database, own_server
from loadtests.bench.sides import CONNECTIONS, WARM_UP, both_sides, compare, complete, insert

GOAL, CROWD_GOAL, P99_GOAL = 1.1, 1.0, 1.0
RUNS, REQUESTS, CROWD = 5, 8_000, 2_000


def run(
    *,
    progress: Progress,
    runs: int = RUNS,
    requests: int = REQUESTS,
    warm_up: int = WARM_UP,
    connections: int = CONNECTIONS,
    name: str = "claim",
    goal: float = GOAL,
) -> dict[str, Any]:
    """Return the benchmark's JSON line."""
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_database(stack.enter_context(own_server())))
        total = warm_up + runs * requests
        progress(f"{name}: {total:,} trade-ins waiting for their plate")
        sides = stack.enter_context(both_sides(settings, completions=total))
        sides.warm_up(warm_up)
        measured = []
        for number in range(1, runs + 1):
            their = insert(sides, count=requests, connections=connections)
            our = complete(sides, count=requests, connections=connections)
            measured.append(compare(our, their))
            progress(f"{name} {number}/{runs}: {our.rate:,.0f}/s ÷ {their.rate:,.0f}/s = {measured[-1].ratio:.2f}")
        differences = run_verify(settings)
    outcome = summary(name=name, goal=goal, p99_goal=P99_GOAL, runs=measured)
    return outcome | {"verified": differences == 0, "met": outcome["met"] and differences == 0}


def run_crowd(*, progress: Progress, connections: int = CROWD, **sizes: int) -> dict[str, Any]:
    """Return the JSON line of the same with a crowd's connections; a 503 is an error here."""
    return run(progress=progress, connections=connections, name="claim-crowd", goal=CROWD_GOAL, **sizes)
