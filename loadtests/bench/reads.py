"""``read`` and ``mixed``: what a crowd looks at, against a Flask endpoint without database, and beside completions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from random import Random
from typing import Any

import psycopg

from app.auth import COOKIE
from app.config import Settings
from app.crowd import LIVE_CARD, RUSH_S
from app.db import psycopg_conninfo
from app.verify import run as run_verify
from loadtests.bench.comparison import Progress, Run, summary, together
from loadtests.bench.database import fresh_database, own_server
from loadtests.bench.pounding import Check, Pounded, Readers, http_get, pound_among
from loadtests.bench.sides import CONNECTIONS, LIVE, Sides, ask, both_sides, callbacks, compare, complete, is_completed
from loadtests.signed_in import make_account, sign_in

LIVE_GOAL, PLACE_GOAL = 0.8, 0.3
RUNS, REQUESTS, WARM_UP, OWNERS = 5, 8_000, 2_000, 64
# A page asks for the plate card again after so long (app/web/templates/front.html).
LIVE_EVERY_S = 5.0
READERS_A_WRITER = 10
# At most twice as long as alone, so that alone is at least half of it.
MIXED_GOAL = 0.5
NOTHING = http_get(path="/nothing", headers={})


def run(*, progress: Progress, runs: int = RUNS, requests: int = REQUESTS, warm_up: int = WARM_UP) -> dict[str, Any]:
    """Return the JSON line of ``read``: live state as the API and as the page's card tell it, and owners' own place."""
    with _ground(progress, "read", completions=OWNERS) as sides:
        complete(sides, count=OWNERS)
        time.sleep(RUSH_S)  # until then many a page is told to come again, and the warm-up would warm up nothing
        asked = {
            "live state": (LIVE, is_shown, LIVE_GOAL),
            "my place": (own_places(sides.settings), is_shown, PLACE_GOAL),
        }
        for requests_of, is_right, _ in asked.values():
            ask(sides.ours, repeated(requests_of, warm_up), is_right=is_right)
        ask(sides.reference, [NOTHING] * warm_up, is_right=is_shown)
        measured: dict[str, list[Run]] = {what: [] for what in asked}
        for number in range(1, runs + 1):
            for what, (requests_of, is_right, _) in asked.items():
                their = ask(sides.reference, [NOTHING] * requests, is_right=is_shown)
                # Own places take longer: a quarter of them takes as long.
                many = requests if what == "live state" else max(1, requests // 4)
                our = ask(sides.ours, repeated(requests_of, many), is_right=is_right)
                measured[what].append(compare(our, their))
                ratio = measured[what][-1].ratio
                progress(f"read {number}/{runs}, {what}: {our.rate:,.0f}/s ÷ {their.rate:,.0f}/s = {ratio:.2f}")
    return together(
        name="read",
        parts=[summary(name=f"read: {what}", goal=asked[what][2], runs=each) for what, each in measured.items()],
    )


def run_mixed(
    *, progress: Progress, runs: int = RUNS, requests: int = REQUESTS, warm_up: int = WARM_UP
) -> dict[str, Any]:
    """Return the JSON line of ``mixed``; figures are completions a second and their p99, errors failed requests."""
    with _ground(progress, "mixed", completions=warm_up + 2 * runs * requests) as sides:
        complete(sides, count=warm_up)
        measured, slowest = [], 0.0
        for number in range(1, runs + 1):
            alone = complete(sides, count=requests)
            among, readers = _among_readers(sides, requests)
            errors = alone.failures + among.failures + readers.failures
            measured.append(Run(ours=1 / among.p99, reference=1 / alone.p99, errors=errors))
            slowest = max(slowest, readers.p99)
            progress(
                f"mixed {number}/{runs}: p99 {among.p99 * 1e3:.0f} ms among readers ÷ {alone.p99 * 1e3:.0f} ms alone"
                f" = {among.p99 / alone.p99:.2f}; {readers.rate:,.0f} reads a second, p99 {readers.p99 * 1e3:.0f} ms"
            )
        differences = run_verify(sides.settings)
    outcome = summary(name="mixed", goal=MIXED_GOAL, runs=measured)
    p99_ratio = round(1 / outcome["median"], 3)
    met = outcome["met"] and differences == 0
    return outcome | {"p99_ratio": p99_ratio, "readers_p99_s": round(slowest, 4), "met": met}


def repeated(requests: list[bytes], count: int) -> list[bytes]:
    """Return the requests over and over, ``count`` in all, in no order: one follows no connection to its worker."""
    asked = list(islice(cycle(requests), count))
    Random(count).shuffle(asked)
    return asked


def is_shown(status: bytes, body: bytes) -> bool:
    """Say whether an answer shows something."""
    return b" 200 " in status and len(body) > 0


def _among_readers(sides: Sides, requests: int) -> tuple[Pounded, Pounded]:
    may_be_unchanged: Check = lambda status, _: b" 200 " in status or b" 304 " in status  # noqa: E731
    readers = Readers(
        count=round(READERS_A_WRITER * CONNECTIONS),
        request=http_get(path=LIVE_CARD, headers={}),
        every_s=LIVE_EVERY_S,
        is_right=may_be_unchanged,
    )
    words = callbacks(sides.settings, sides.ready, requests)
    return pound_among(port=sides.ours, requests=words, connections=CONNECTIONS, is_right=is_completed, readers=readers)


@contextmanager
def _ground(progress: Progress, name: str, *, completions: int) -> Iterator[Sides]:
    progress(f"{name}: {completions:,} trade-ins waiting for their plate")
    with (
        own_server() as template,
        fresh_database(template) as settings,
        both_sides(settings, completions=completions) as sides,
    ):
        yield sides


def own_places(settings: Settings) -> list[bytes]:
    """Requests of owners, each signed in, for the part of the own trade-in's page that changes."""
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        claims = connection.execute(
            "SELECT t.reference, t.owner_id FROM claim c JOIN trade_in t ON t.id = c.trade_in_id LIMIT %s", (OWNERS,)
        ).fetchall()
        return [own_place(connection, reference=reference, person_id=person_id) for reference, person_id in claims]


def own_place(connection: psycopg.Connection, *, reference: str, person_id: int) -> bytes:
    """Sign this owner in and return the request for the own place, as the open page sends it; commits."""
    account_id = make_account(connection, login=f"owner-{person_id}", role="owner", person_id=person_id)
    token = sign_in(connection, account_id)
    connection.commit()
    return http_get(path=f"/my/{reference}/live", headers={"Cookie": f"{COOKIE}={token}"})
