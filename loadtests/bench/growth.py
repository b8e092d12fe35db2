"""``growth``: what the platform does in a second with millions of claims behind it ÷ with ten thousand.

Two districts on one PostgreSQL, each served by itself, take turns: whole completions, an owner's own place, a filing
looked up by its plate, and the bureau's board.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from app.auth import COOKIE
from app.config import Settings
from app.db import psycopg_conninfo
from app.verify import run as run_verify
from loadtests.bench.comparison import Progress, Run, summary, together
from loadtests.bench.database import fresh_database, own_server, owner_connection
from loadtests.bench.pounding import Pounded, http_get, http_request
from loadtests.bench.reads import OWNERS, is_shown, own_place, repeated
from loadtests.bench.sides import PAGE_CONNECTIONS, Sides, ask, compare, complete, served
from loadtests.free_ports import free_port
from loadtests.past import make_past, old_plate
from loadtests.ready import make_ready
from loadtests.signed_in import make_account, sign_in
from subsidy.ledger_verification import verify_money, verify_trade_ins

GOAL = 0.9
RUNS, REQUESTS, CLAIMS, BEFORE = 5, 4_000, 2_000_000, 10_000
# Beside the bike of each claim there are half as many in stock: 3,000,000 in all.
STOCK_SHARE = 0.5
# Pages take longer than completions: a part of their number takes as long.
PAGES_SHARE = 8
REASON = "benchmark"
# A replay takes up to 50 µs a claim: at most a minute for so many. Of more only what SQL compares is compared.
MOST_REPLAYED = 1_200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One of the two districts as it runs, and what is asked of it."""

    sides: Sides
    own: list[bytes]
    search: list[bytes]
    board: list[bytes]

    def does(self, requests: int) -> dict[str, Callable[[], Pounded]]:
        """Return what is measured, each as a call that does it so many times."""
        pages = max(1, requests // PAGES_SHARE)
        return {
            "claim": lambda: complete(self.sides, count=requests),
            "my place": lambda: self._read(self.own, pages),
            "search": lambda: self._read(self.search, pages),
            "board": lambda: self._read(self.board, pages),
        }

    def _read(self, requests: list[bytes], count: int) -> Pounded:
        return ask(self.sides.ours, repeated(requests, count), is_right=is_shown, connections=PAGE_CONNECTIONS)


def run(
    *, progress: Progress, runs: int = RUNS, requests: int = REQUESTS, claims: int = CLAIMS, before: int = BEFORE
) -> dict[str, Any]:
    """Return the benchmark's JSON line; ``reference`` is the district with ``before`` claims."""
    with ExitStack() as stack:
        template = stack.enter_context(own_server())
        completions = (runs + 1) * requests
        progress(f"growth: making {claims:,} claims and {claims + int(claims * STOCK_SHARE):,} bikes")
        grown = stack.enter_context(_district(template, claims=claims, completions=completions))
        small = stack.enter_context(_district(template, claims=before, completions=completions))
        for place in (grown, small):
            for do in place.does(requests).values():
                do()
        measured: dict[str, list[Run]] = {}
        for number in range(1, runs + 1):
            for what, do in small.does(requests).items():
                reference, ours = do(), grown.does(requests)[what]()
                run_ = compare(ours, reference)
                measured.setdefault(what, []).append(run_)
                progress(f"growth {number}/{runs}, {what}: {ours.rate:,.0f}/s ÷ {reference.rate:,.0f}/s")
        wrong = [differs(place.sides.settings, claims=of) for place, of in ((small, before), (grown, claims))]
    parts = [summary(name=f"growth: {what}", goal=GOAL, runs=each) for what, each in measured.items()]
    outcome = together(name="growth", parts=parts)
    return outcome | {"claims": claims, "met": outcome["met"] and not any(wrong)}


def differs(settings: Settings, *, claims: int) -> bool:
    """Say whether `mapai verify`, or of many claims its part without the replay, finds a difference."""
    if claims <= MOST_REPLAYED:
        return run_verify(settings) != 0
    with psycopg.connect(psycopg_conninfo(settings, application="mapai-bench")) as connection:
        return any(True for check in (verify_money, verify_trade_ins) for _ in check(connection=connection))


@contextmanager
def _district(template: Settings, *, claims: int, completions: int) -> Iterator[Place]:
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_database(template))
        with owner_connection(settings) as owner:
            make_past(settings, owner, claims=claims, places=claims + completions, stock=int(claims * STOCK_SHARE))
        with psycopg.connect(psycopg_conninfo(settings)) as connection:
            ready = make_ready(
                connection=connection,
                keyring=settings.keyring,
                count=completions,
                first=claims + 1,
                now=datetime.now(UTC),
            )
            own, search, board = _asked(connection, claims)
        port = free_port()
        stack.enter_context(served("wsgi:app", port, settings))
        sides = Sides(settings=settings, ours=port, reference=port, ready=iter(ready))
        yield Place(sides=sides, own=own, search=search, board=board)


def _asked(connection: psycopg.Connection, claims: int) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Requests for own places and plates all over the past, and for the board; each of somebody signed in."""
    numbers = [2 + number * (claims - 2) // OWNERS for number in range(OWNERS)]
    token = sign_in(connection, make_account(connection, login="staff", role="operator"))
    rows = connection.execute(
        "SELECT reference, owner_id FROM trade_in WHERE reference = ANY(%s)", ([f"T{number}" for number in numbers],)
    ).fetchall()
    own = [own_place(connection, reference=reference, person_id=person_id) for reference, person_id in rows]
    headers = {"Authorization": f"Bearer {token}"}
    search = [
        http_request(
            path="/api/filings/search",
            body=json.dumps({"plate_no": old_plate(number), "reason": REASON}).encode(),
            headers=headers,
        )
        for number in numbers
    ]
    return own, search, [http_get(path="/board/live", headers={"Cookie": f"{COOKIE}={token}"})]
