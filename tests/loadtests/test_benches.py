"""Every benchmark of the web server runs, measures both its sides and ends with the line it promises."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from app.config import Settings
from app.db import db, psycopg_conninfo
from app.factory import close, create_app
from loadtests import capacity
from loadtests.bench import claims, growth, limits, memory, reads, reference, sides, verification
from loadtests.bench.__main__ import BENCHMARKS, table
from loadtests.bench.comparison import together
from loadtests.bench.database import own_server, owner_connection
from loadtests.capacity import Capacity
from loadtests.past import make_past

KEYS = {"name", "ratio", "p99_ratio", "errors", "goal", "met", "runs"}
FEW = {"requests": 16, "warm_up": 8}


class Quiet(WSGIRequestHandler):
    """Closes each connection after its answer: so no test sends more requests at once than it has connections."""

    def log(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def template() -> Iterator[Settings]:
    with own_server() as template:
        yield template


@pytest.fixture(autouse=True)
def close_at_hand(template: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the benchmarks share one PostgreSQL and serve both sides from threads of this process: they begin at once."""

    @contextmanager
    def served(target: str, port: int, settings: Settings) -> Iterator[int]:
        # Each connection of a client has a thread here, and PostgreSQL has no room for one of each of them.
        connection = psycopg.connect(psycopg_conninfo(settings), autocommit=True, prepare_threshold=0)
        monkeypatch.setattr(reference, "_connection", lambda: connection)
        app = reference.app if target == sides.REFERENCE else create_app(settings)
        server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield os.getpid()
        finally:
            server.shutdown()
            thread.join(10)
            server.server_close()
            connection.close()
            if target != sides.REFERENCE:
                close(app)
                with app.app_context():
                    db.engine.dispose()

    for module in (capacity, claims, growth, limits, memory, reads, sides, verification):
        for name, instead in {"served": served, "own_server": lambda: nullcontext(template)}.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, instead)


def lines(heard: list[str]) -> Any:
    return heard.append


def check(line: dict[str, Any], *, name: str, runs: int = 5) -> None:
    assert line.keys() >= KEYS
    assert (line["name"], line["errors"], len(line["runs"])) == (name, 0, runs)
    assert line["ratio"] > 0
    assert json.loads(json.dumps(line)) == line


def test_a_crowd_of_connections_completes_without_an_error() -> None:
    line = claims.run_crowd(progress=lines([]), connections=40, **FEW | {"requests": 40})
    check(line, name="claim-crowd")
    assert line["verified"]


def test_reads_are_measured_part_by_part_and_beside_completions() -> None:
    line = reads.run(progress=lines([]), **FEW)
    check(line, name="read")
    assert [part["name"] for part in line["parts"]] == ["read: live state", "read: my place"]


def test_completions_among_readers_are_compared_with_completions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "READERS_A_WRITER", 0.5)
    monkeypatch.setattr(reads, "LIVE_EVERY_S", 60)
    line = reads.run_mixed(progress=lines([]), **FEW)
    check(line, name="mixed")
    assert line["p99_ratio"] == pytest.approx(1 / line["ratio"], rel=0.01)
    assert line["readers_p99_s"] > 0


def test_growth_asks_the_same_of_a_large_and_a_small_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "GOAL", 1e-9)
    line = growth.run(progress=lines([]), requests=8, claims=300, before=100)
    check(line, name="growth")
    assert line["met"], "the two pasts do not stand up to verification"
    assert [part["name"] for part in line["parts"]] == [
        f"growth: {what}" for what in ("claim", "my place", "search", "board")
    ]


@pytest.mark.parametrize("most_replayed", [60, 10])
def test_growth_finds_a_past_that_does_not_agree_whether_replayed_or_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, most_replayed: int
) -> None:
    monkeypatch.setattr(growth, "MOST_REPLAYED", most_replayed)
    with owner_connection(settings) as owner:
        make_past(settings, owner, claims=60, places=60, stock=10)
        assert not growth.differs(settings, claims=60)
        owner.execute("UPDATE payout SET amount_fen = amount_fen + 1 WHERE id = (SELECT min(id) FROM payout)")
    assert growth.differs(settings, claims=60)


def test_the_limit_is_what_the_database_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENTS", (1, 4))
    line = limits.run(progress=lines([]), seconds=0.05, **FEW)
    check(line, name="limit")
    assert line["clients"] in limits.CLIENTS


def test_memory_is_weighed_after_each_minutes_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PAGE_CONNECTIONS", 64)
    line = memory.run(progress=lines([]), minutes=2, a_minute=50)
    check(line, name="memory", runs=2)
    assert 20 < line["min"] <= line["peak_mb"]


def test_a_multiplied_past_stands_up_to_verification() -> None:
    line = verification.run(progress=lines([]), claims=50)
    check(line, name="verify")


def test_every_name_leads_to_a_benchmark_and_the_table_has_a_row_for_each_part() -> None:
    assert set(BENCHMARKS) == {
        *("claim", "claim-crowd", "read", "mixed", "growth", "import", "verify", "payout", "limit", "memory"),
        "allocate",
    }
    part = {"name": "x: y", "ratio": 0.5, "p99_ratio": None, "errors": 1, "goal": 0.8, "met": False, "runs": []}
    better = part | {"name": "x: z", "ratio": 0.9, "errors": 0, "met": True}
    whole = together(name="x", parts=[better, part])
    assert (whole["ratio"], whole["errors"], whole["met"]) == (0.5, 1, False)
    shown = table([whole, better | {"name": "v"}])
    assert [row.split(" | ")[0] for row in shown.splitlines()[2:]] == ["| x: z", "| x: y", "| v"]


def test_capacity_shows_its_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "AT_ONCE", 20)
    found = Capacity(completions=1_000, live=5_000, own=200, failures=0)
    # A quarter of the machine each: of 300 s a point takes 1/1000 s + 10/200 s; an owner of 5 s 1/5000 s + 1/200 s.
    assert found.points == int(0.25 * 300 / 0.051)
    assert found.owners == int(0.25 * 5 / 0.0052)
    assert f"{found.points:,} points and {found.owners:,} owners" in found.words()
    measured = capacity.run(say=lines([]), seconds=1.2, most=20)
    assert measured.failures == 0
    assert min(measured.completions, measured.live, measured.own) > 0
