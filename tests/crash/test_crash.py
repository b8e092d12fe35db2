"""kill -9 of web, scheduler and PostgreSQL in mid-rush: what was acknowledged stands once, and nobody is paid twice.

The whole platform runs as in use: granian with two workers, the scheduler, the partners' servers with faults switched
on, an embedded PostgreSQL, restarted by the supervisor alone. MAPAI_CRASH_SEEDS names other seeds: ``1,2,3``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from app.clients.ecny.bank import Bank, Options
from app.clients.plates.callbacks import plate_answer_document
from app.clients.proceedings import ManualOutgoing
from app.clients.signing import HmacSm3
from app.config import PORTS, Settings
from app.db import psycopg_conninfo
from app.platform_run import Platform
from app.serving import Misbehaviour
from loadtests.checks import Acknowledged, tally, violations
from loadtests.ready import Ready, make_ready, open_programme
from registry.plate_authority import PlateAnswer
from subsidy.operator import StatementLine
from tests.crash.killing import AGAIN, ONCE, Killer
from tests.crash.rush import Running, Rush
from tests.crash.undone import watch_until_done

SEEDS = [int(seed) for seed in os.environ.get("MAPAI_CRASH_SEEDS", "1").split(",")]
CALLED_BACK, POLLED, PLACES, WALLETS = 3_000, 120, 2_400, 900
CONNECTIONS, PAUSE_S = 32, 0.1
RUSH_S, REPEAT_S = 150.0, 60.0


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_acknowledged_survives_every_kill(data_dir: Path, seed: int) -> None:
    with platform_in(data_dir, seed=seed) as platform:
        settings = platform.settings
        bodies = {item.application_no: callback(item) for item in prepare(settings)}
        platform.start_web()
        platform.start_scheduler()
        killer = Killer(platform=platform, seed=seed, total=CALLED_BACK)
        rush = make_rush(settings, bodies, seed=seed, pause_s=PAUSE_S, hear=killer.hear)
        run(platform, rush, seconds=RUSH_S)
        killer.wait()
        assert sorted(killer.killed) == sorted([*ONCE, *AGAIN])
        assert rush.refused == []
        assert rush.trouble["no_answer"] > 0, "nobody fell while a completion was under way"
        watch_until_done(platform, settings)
        repeat = make_rush(settings, bodies, seed=seed)
        run(platform, repeat, seconds=REPEAT_S)
        assert repeat.refused == []
        check(settings, rush.acknowledged, repeat.acknowledged)


def check(settings: Settings, acknowledged: list[Acknowledged], repeated: list[Acknowledged]) -> None:
    """Nothing is violated, and what was to happen did: completions, decisions and payments in the numbers made."""
    assert len(acknowledged) == CALLED_BACK
    assert count(settings, "SELECT count(*) FROM claim") == CALLED_BACK + POLLED
    assert count(settings, "SELECT count(*) FROM claim WHERE state = 'awarded'") == PLACES
    assert set(tally(acknowledged=acknowledged)) == {"awarded", "waiting"}
    lines = bank_lines(settings)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        found = violations(connection=connection, acknowledged=acknowledged, repeated=repeated, bank_lines=lines)
    assert found == []
    awarded_wallets = "SELECT count(*) FROM payout JOIN wallet w USING (trade_in_id)"
    assert len(lines) == count(settings, awarded_wallets) > WALLETS // 2


@contextmanager
def platform_in(folder: Path, *, seed: int) -> Iterator[Platform]:
    """A platform on a database of its own, its partners misbehaving by the seed; web and scheduler not started yet."""
    faults = Misbehaviour(seed=seed, fault_rate=0.04, answered_at_once=0.7, late_s=3.0)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MAPAI_", "DATABASE_URL"))},
        **faults.to_environ(),
        "MAPAI_DATA": str(folder),
        "MAPAI_PORT": str(free_ports(max(PORTS.values()) + 1)),
        "MAPAI_WEB_THREADS": "16",
    }
    with Platform(settings=Settings.from_env(environ), environ=environ) as platform:
        platform.start_database()
        platform.start_partners()
        yield platform


def free_ports(length: int) -> int:
    """Return the first of so many free ports in a row."""
    for first in range(20_000 + os.getpid() % 1000 * 8, 30_000, length):
        try:
            for port in range(first, first + length):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports in a row")


def prepare(settings: Settings) -> list[Ready]:
    """Make the trade-ins of the rush and return them. Beside them some that only the scheduler's questions complete."""
    now = datetime.now(UTC)
    open_programme(settings, places=PLACES, now=now)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        ready = make_ready(connection=connection, keyring=settings.keyring, count=CALLED_BACK + POLLED, now=now)
        polled = [item.application_no for item in ready[CALLED_BACK:]]
        connection.execute("UPDATE trade_in SET asked_at = %s WHERE application_no = ANY(%s)", (now, polled))
        confirm_wallets(connection, settings, now)
    return ready[:CALLED_BACK]


def confirm_wallets(connection: psycopg.Connection, settings: Settings, now: datetime) -> None:
    """Give every third owner or so a wallet before the rush, so that money goes out while it lasts."""
    trade_ins = connection.execute("SELECT id, owner_id FROM trade_in ORDER BY random() LIMIT %s", (WALLETS,))
    keyring = settings.keyring
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO wallet (trade_in_id, person_id, wallet_sealed, wallet_index, tail, confirmed_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (
                    trade_in_id,
                    person_id,
                    keyring.seal(text, field="wallet"),
                    keyring.index(text, field="wallet"),
                    text[-4:],
                    now,
                )
                for trade_in_id, person_id in trade_ins.fetchall()
                for text in [f"W{trade_in_id:08d}"]
            ],
        )


def callback(item: Ready) -> bytes:
    """Return the police's word that the trade-in's plate is issued."""
    answer = PlateAnswer(
        application_no=item.application_no,
        state="done",
        # No O is in the stub's plates: what it issues to those who are polled must not collide.
        plate_no=f"O{int(item.application_no[1:]):06d}",
        issued_at=datetime.now(UTC),
        holder_id_no=item.holder_id_no,
        vehicle_code=item.vehicle_code,
    )
    return json.dumps(plate_answer_document(answer)).encode()


def make_rush(
    settings: Settings,
    bodies: dict[str, bytes],
    *,
    seed: int,
    pause_s: float = 0.0,
    hear: Callable[[int], None] = lambda acknowledged: None,
) -> Rush:
    return Rush(
        port=settings.port,
        signer=HmacSm3(settings.plates_key),
        bodies=bodies,
        connections=CONNECTIONS,
        seed=seed,
        pause_s=pause_s,
        on_acknowledged=hear,
    )


def run(platform: Platform, rush: Rush, *, seconds: float) -> None:
    """Let the rush run while the supervisor restarts what falls."""
    running = Running(rush, seconds=seconds)
    platform.watch(until=running.is_over)
    running.result()


def count(settings: Settings, question: str) -> int:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        row = connection.execute(question).fetchone()
    assert row is not None
    return int(row[0])


def bank_lines(settings: Settings) -> list[StatementLine]:
    """Return all the bank's own statements will ever list, read from a copy of its journal."""
    now = datetime.now(UTC)
    copy = settings.data_dir / "ecny-copy.journal"
    shutil.copyfile(settings.data_dir / "ecny.journal", copy)
    bank = Bank(Options(key=settings.ecny_key, now=lambda: now + timedelta(days=3), state_file=copy), ManualOutgoing())
    statements = [bank.statement((now + timedelta(days=days)).date()) for days in (-1, 0, 1)]
    bank.close()
    lines = [line for statement in statements if statement for line in statement.lines]
    assert sum(statement.settled_fen for statement in statements if statement) == sum(
        line.amount_fen for line in lines if line.state == "settled"
    )
    return lines
