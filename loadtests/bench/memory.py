"""``memory``: what web and scheduler hold after an hour's worth of requests ÷ after the first minute's.

An hour's worth is so many requests as the rush makes in an hour of an ordinary day, sent as fast as they are answered:
completions, live state, own places, the board. Each process counts with what it shares divided by those who share it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil
import psycopg

from app.auth import COOKIE
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.bench.comparison import Progress
from loadtests.bench.database import fresh_database, own_server
from loadtests.bench.pounding import http_get
from loadtests.bench.reads import OWNERS, is_shown, own_places, repeated
from loadtests.bench.sides import LIVE, PAGE_CONNECTIONS, Sides, ask, complete, prepare, served
from loadtests.free_ports import free_port
from loadtests.signed_in import make_account, sign_in

GOAL = 1.05
MINUTES, A_MINUTE = 60, 600
# Of each minute's requests: completions, own places, the board; the rest asks for the live state.
COMPLETIONS_SHARE, OWN_SHARE, BOARD_SHARE = 0.1, 0.1, 0.02


def run(*, progress: Progress, minutes: int = MINUTES, a_minute: int = A_MINUTE) -> dict[str, Any]:
    """Return the benchmark's JSON line; ``runs`` are megabytes after each minute's worth of requests."""
    completions = round(a_minute * COMPLETIONS_SHARE)
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_database(stack.enter_context(own_server())))
        ready = iter(prepare(settings, OWNERS + (minutes + 1) * completions))
        port = free_port()
        web = stack.enter_context(served("wsgi:app", port, settings))
        scheduler = stack.enter_context(_scheduler(settings))
        sides = Sides(settings=settings, ours=port, reference=port, ready=ready)
        errors = complete(sides, count=OWNERS).failures
        own, board = own_places(settings), _board(settings)
        held = []
        for minute in range(minutes + 1):
            errors += _minute(sides, own, board, a_minute=a_minute, completions=completions)
            if minute > 0:  # before the first, everything is loaded that is loaded once
                held.append(_megabytes((web, scheduler)))
            if minute and minute % 10 == 0:
                progress(f"memory: {held[-1]:.0f} MB after {minute} minutes' worth of requests")
    ratio = held[-1] / held[0]
    return {
        "name": "memory",
        "ratio": round(ratio, 3),
        "p99_ratio": None,
        "errors": errors,
        "goal": GOAL,
        "met": ratio <= GOAL and errors == 0,
        "peak_mb": round(max(held)),
        "min": round(min(held)),
        "max": round(max(held)),
        "runs": [round(megabytes, 1) for megabytes in held],
    }


def _minute(sides: Sides, own: list[bytes], board: bytes, *, a_minute: int, completions: int) -> int:
    """Send a minute's worth of requests and return how many failed."""
    owns, boards = round(a_minute * OWN_SHARE), round(a_minute * BOARD_SHARE)
    failures = complete(sides, count=completions).failures if completions else 0
    for requests in (
        repeated(own, owns),
        [board] * boards,
        repeated(LIVE, a_minute - completions - owns - boards),
    ):
        pounded = ask(sides.ours, requests, is_right=is_shown, connections=PAGE_CONNECTIONS)
        failures += pounded.failures
    return failures


def _board(settings: Settings) -> bytes:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        token = sign_in(connection, make_account(connection, login="staff", role="operator"))
    return http_get(path="/board/live", headers={"Cookie": f"{COOKIE}={token}"})


@contextmanager
def _scheduler(settings: Settings) -> Iterator[int]:
    """Run the scheduler while the block runs; yield its process id. No partner is there: it asks in vain."""
    environ = {
        **os.environ,
        "MAPAI_DATA": str(settings.data_dir),
        "DATABASE_URL": settings.owner_url,
        "MAPAI_APP_DATABASE_URL": settings.database_url,
    }
    command = [sys.executable, "-m", "app.cli", "scheduler"]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


def _megabytes(pids: tuple[int, ...]) -> float:
    """Return what these processes and their children hold in all."""
    roots = [psutil.Process(pid) for pid in pids]
    every = [*roots, *(child for root in roots for child in root.children(recursive=True))]
    return float(sum(process.memory_full_info().pss for process in every)) / 1e6
