"""``limit``: whole completions a second ÷ single durable INSERTs a second at their best number of clients.

The INSERTs are sent by libpq alone, prepared, one process keeping every client busy: what pgbench does, which does not
come with the embedded PostgreSQL. It is the physical limit of this database on this machine; nothing durable that asks
it once per request can be quicker.
"""

from __future__ import annotations

import selectors
import time
from contextlib import ExitStack
from typing import Any

from psycopg import pq
from psycopg.pq.abc import PGconn

from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.bench.comparison import Progress, Run, summary
from loadtests.bench.database import fresh_database, own_server
from loadtests.bench.sides import WARM_UP, both_sides, complete

GOAL = 0.25
RUNS, REQUESTS, SECONDS = 5, 4_000, 2.0
CLIENTS = (1, 4, 8, 16, 32, 64)
INSERT = b"INSERT INTO bench_reference (application_no, plate_no) VALUES ($1, $2)"


def run(
    *, progress: Progress, runs: int = RUNS, requests: int = REQUESTS, seconds: float = SECONDS, warm_up: int = WARM_UP
) -> dict[str, Any]:
    """Return the benchmark's JSON line; ``reference`` is the best INSERT rate of that run's two best client counts."""
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_database(stack.enter_context(own_server())))
        sides = stack.enter_context(both_sides(settings, completions=warm_up + runs * requests))
        sides.warm_up(warm_up)
        rates = {clients: insert_rate(settings, clients=clients, seconds=seconds) for clients in CLIENTS}
        best = sorted(rates, key=lambda clients: -rates[clients])[:2]
        progress(f"limit: {', '.join(f'{clients} clients {rate:,.0f}/s' for clients, rate in rates.items())}")
        measured = []
        for number in range(1, runs + 1):
            limit = max(insert_rate(settings, clients=clients, seconds=seconds) for clients in best)
            ours = complete(sides, count=requests)
            measured.append(Run(ours=ours.rate, reference=limit, errors=ours.failures))
            progress(f"limit {number}/{runs}: {ours.rate:,.0f}/s ÷ {limit:,.0f}/s = {measured[-1].ratio:.2f}")
    return summary(name="limit", goal=GOAL, runs=measured) | {"clients": best[0]}


def insert_rate(settings: Settings, *, clients: int, seconds: float) -> float:
    """Return how many durable INSERTs a second so many clients do, each sending its next when the last is committed."""
    conninfo = psycopg_conninfo(settings, application="bench-limit").encode()
    connections = [_connected(conninfo) for _ in range(clients)]
    selector = selectors.DefaultSelector()
    done = 0
    try:
        began = time.perf_counter()
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            _send(connection)
        deadline = began + seconds
        while time.perf_counter() < deadline:
            for key, _ in selector.select(timeout=seconds):
                done += _take(key.data)
        return done / (time.perf_counter() - began)
    finally:
        selector.close()
        for connection in connections:
            connection.finish()


def _connected(conninfo: bytes) -> PGconn:
    connection = pq.PGconn.connect(conninfo)
    if connection.status != pq.ConnStatus.OK:
        raise RuntimeError(connection.get_error_message())
    connection.prepare(b"insert", INSERT)
    return connection


def _send(connection: PGconn) -> None:
    connection.send_query_prepared(b"insert", [b"A1", b"A000001"])
    connection.flush()


def _take(connection: PGconn) -> int:
    """Take what has come; where that was a whole answer, send the next INSERT and return 1."""
    connection.consume_input()
    if connection.is_busy():
        return 0
    result = connection.get_result()
    if result is None or result.status != pq.ExecStatus.COMMAND_OK:
        raise RuntimeError(connection.get_error_message())
    while connection.get_result() is not None:
        pass
    _send(connection)
    return 1
