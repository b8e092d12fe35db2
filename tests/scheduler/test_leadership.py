"""Two real scheduler processes: one leads; killed, the other leads within five seconds, and no slot runs twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from urllib.request import urlopen

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from app.config import Settings
from app.db import psycopg_conninfo
from app.leadership import Leadership

PATIENCE_S = 60.0
HAND_OVER_S = 5.0


def eventually(holds: Callable[[], bool], *, seconds: float = PATIENCE_S) -> float:
    """Wait until something holds; return how long it took."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < seconds
        time.sleep(0.02)
    return time.monotonic() - started


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One `mapai scheduler` on the test's database."""

    def __init__(self, settings: Settings) -> None:
        self.port = free_port()
        # The login of the application and its role come from the URL; the keys from the run's data folder.
        environ = {
            **os.environ,
            "MAPAI_DATA": str(settings.data_dir),
            "DATABASE_URL": settings.owner_url,
            "MAPAI_APP_DATABASE_URL": settings.database_url,
            "MAPAI_PORT": str(free_port()),
        }
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "scheduler", "--health-port", str(self.port)],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def leads(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/health", timeout=PATIENCE_S) as answer:
                return bool(json.load(answer)["leads"])
        except OSError:
            return False

    def alive(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/health", timeout=PATIENCE_S) as answer:
                return bool(json.load(answer)["alive"])
        except OSError:
            return False

    def end(self, signal_no: int) -> int:
        self.popen.send_signal(signal_no)
        return self.popen.wait(PATIENCE_S)


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[[], Process]]:
    processes: list[Process] = []

    def make() -> Process:
        processes.append(Process(settings))
        return processes[-1]

    yield make
    for process in processes:
        if process.popen.poll() is None:
            process.end(signal.SIGKILL)


def leaders(engine: Engine) -> list[str]:
    """Who ran slots, in the order of their first."""
    with engine.connect() as connection:
        query = text("SELECT leader FROM job_run WHERE job = 'boundaries' GROUP BY leader ORDER BY min(started_at)")
        return list(connection.execute(query).scalars())


def runs_of_boundaries(engine: Engine) -> int:
    """How many slots of the job that runs every second were run."""
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM job_run WHERE job = 'boundaries'")).scalar_one())


def test_a_killed_leader_is_followed_within_five_seconds_and_no_slot_runs_twice(
    start: Callable[[], Process], engine: Engine
) -> None:
    first = start()
    eventually(first.leads)
    second = start()
    eventually(second.alive)
    ran = runs_of_boundaries(engine)
    eventually(lambda: runs_of_boundaries(engine) >= ran + 2)
    assert not second.leads()
    assert len(leaders(engine)) == 1
    first.end(signal.SIGKILL)
    took_s = eventually(lambda: len(leaders(engine)) == 2, seconds=HAND_OVER_S)
    assert second.leads()
    assert took_s < HAND_OVER_S
    ran = runs_of_boundaries(engine)
    eventually(lambda: runs_of_boundaries(engine) >= ran + 2)
    assert second.end(signal.SIGTERM) == 0
    with engine.connect() as connection:
        runs = connection.execute(text("SELECT job, slot, leader, finished_at FROM job_run")).all()
    assert len(runs) == len({(job, slot) for job, slot, _, _ in runs})
    # A slot is a second of the clock: whoever ran it ran it within that second or just after.
    seconds = sorted(slot.timestamp() for job, slot, _, _ in runs if job == "boundaries")
    assert len(seconds) >= 4
    assert max(after - before for before, after in pairwise(seconds)) <= HAND_OVER_S
    # Cut off were at most the runs that the killed leader was in, one of each job; the one asked to stop ended its own.
    cut_off = [(leader, job) for job, _, leader, finished_at in runs if finished_at is None]
    assert {leader for leader, _ in cut_off} <= {leaders(engine)[0]}
    assert len(cut_off) == len(set(cut_off))


def test_a_leader_that_loses_its_session_stops_at_once_and_another_leads(settings: Settings) -> None:
    first = Leadership(conninfo=psycopg_conninfo(settings, application="first"))
    second = Leadership(conninfo=psycopg_conninfo(settings, application="second"))
    assert first.check()
    assert not second.check()
    assert first.check()
    with psycopg.connect(make_url(settings.owner_url).set(drivername="postgresql").render_as_string(False)) as owner:
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'first'")
    eventually(lambda: second.check())
    assert not first.check()
    assert not first.leads
    second.give_up()
    assert first.check()
    first.give_up()


def test_a_lock_that_is_gone_while_the_session_lives_is_noticed(settings: Settings) -> None:
    leader = Leadership(conninfo=psycopg_conninfo(settings))
    assert leader.check()
    assert leader._connection is not None
    leader._connection.execute("SELECT pg_advisory_unlock_all()")
    assert not leader.check()
    assert leader.check()
    leader.give_up()


def test_each_district_has_a_leader_of_its_own(settings: Settings) -> None:
    here = psycopg_conninfo(settings)
    elsewhere = here.replace("search_path=d330105", "search_path=d330106")
    assert here != elsewhere
    with psycopg.connect(make_url(settings.owner_url).set(drivername="postgresql").render_as_string(False)) as owner:
        owner.execute("CREATE SCHEMA d330106")
        owner.execute("GRANT USAGE ON SCHEMA d330106 TO mapai_app")
    first, second = Leadership(conninfo=here), Leadership(conninfo=elsewhere)
    assert first.check()
    assert second.check()
    first.give_up()
    second.give_up()


def test_a_database_that_is_away_means_no_lead(settings: Settings) -> None:
    nowhere = psycopg_conninfo(settings).replace("dbname=test_", "dbname=gone_")
    leader = Leadership(conninfo=nowhere)
    assert not leader.check()
