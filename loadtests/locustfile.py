"""The rush for Locust: ``python -m loadtests.rush`` runs it, ``locust -f loadtests/locustfile.py --host …`` shows it.

Run by hand it knows nothing of what a rush prepares, so only the crowd that reads comes; ``--web`` of the rush opens
Locust's page with everybody.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from locust import LoadTestShape, events

from loadtests.rush_shapes import SHAPES, counters_among
from loadtests.users import KNOWN, SEEN
from loadtests.users_abusers import Abuser
from loadtests.users_points import Point
from loadtests.users_police import DESK, Police
from loadtests.users_readers import Owner, Reader, Staff

# Of so many users one is staff, tries what is not allowed, or is a line of the police's system.
A_STAFF, AN_ABUSER, A_POLICE = 100, 200, 500
PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
ERRORS_SHOWN = 20

if KNOWN is None:
    Reader.host = "http://127.0.0.1:8000"
    for kind in (Owner, Staff, Point, Police, Abuser):
        kind.abstract = True
else:
    Reader.weight, Owner.weight = 1, 3


class Crowd(LoadTestShape):
    """How many users are there: what was asked for by number, rate and run time, drawn out by the shape's line."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """Return how many users are to be there now and how fast they come; None when the run is over."""
        environment: Any = self.runner.environment  # type: ignore[union-attr]
        asked, ran_s = environment.parsed_options, self.get_run_time()
        seconds, users = float(asked.run_time or 0), asked.num_users or 1
        if seconds and ran_s > seconds:
            return None
        crowd = SHAPES[KNOWN.shape].crowd_at(ran_s / seconds) if KNOWN and seconds else 1.0
        # Who is no reader is always there.
        few = sum(kind.fixed_count for kind in environment.user_classes)
        return max(few, round(users * crowd)), float(asked.spawn_rate or users)


@events.init.add_listener
def share_out(environment: Any, **_: Any) -> None:
    """Say how many of the users are not readers."""
    if KNOWN is None:
        return
    users = environment.parsed_options.num_users or 1
    Point.fixed_count = min(len(KNOWN.counters), counters_among(users))
    Staff.fixed_count = max(1, users // A_STAFF)
    Abuser.fixed_count = max(1, users // AN_ABUSER)
    Police.fixed_count = max(1, users // A_POLICE)


@events.test_start.add_listener
def begin(**_: Any) -> None:
    """Start the clock of the police."""
    DESK.begin()


@events.quitting.add_listener
def leave_figures(environment: Any, **_: Any) -> None:
    """Leave what was measured where the rush finds it."""
    SEEN.close()
    if KNOWN is None:
        return
    stats = environment.stats
    figures = {
        "requests": [figures_of(stats.entries[key]) for key in sorted(stats.entries)],
        "all": figures_of(stats.total),
        "errors": [
            {"name": error.name, "error": str(error.error)[:200], "times": error.occurrences}
            for error in sorted(stats.errors.values(), key=lambda error: -error.occurrences)[:ERRORS_SHOWN]
        ],
        "stumbled": [{"error": each["msg"], "times": each["count"]} for each in environment.runner.exceptions.values()],
    }
    Path(KNOWN.summary).write_text(json.dumps(figures, ensure_ascii=False), encoding="utf-8")


def figures_of(entry: Any) -> dict[str, Any]:
    """Return one kind of request in figures; times in whole milliseconds."""
    times = {name: int(entry.get_response_time_percentile(part) or 0) for name, part in PERCENTILES.items()}
    return {"name": entry.name, "count": entry.num_requests, "failures": entry.num_failures, **times}
