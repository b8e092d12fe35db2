"""A key whose request died: free as soon as it can be, kept from whoever only comes too early, and never used twice."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from app import idempotency
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from app.idempotency import Reservation, keep, release, reserve
from app.refusals import StillRunning
from app.tables import FirstAnswer

ASKED = {"actor": "account:1", "key": "one-and-only", "request_sha256": b"x" * 32}
HOLDER = """
import signal, sys, psycopg
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from app.idempotency import reserve
engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(sys.argv[1]))
with Session(engine) as session:
    reserve(session=session, actor="account:1", key="one-and-only", request_sha256=b"x" * 32)
    print("held", flush=True)
    signal.pause()
"""


def older(session: Session, by: timedelta) -> None:
    session.execute(text("UPDATE first_answer SET created_at = created_at - :by"), {"by": by})
    session.commit()


def test_a_key_whose_process_was_killed_is_free_after_a_lease_of_seconds(settings: Settings, session: Session) -> None:
    command = [sys.executable, "-c", HOLDER, psycopg_conninfo(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StillRunning):
            reserve(session=session, **ASKED)
        holder.kill()
    assert idempotency.LEASE.total_seconds() <= 15
    older(session, idempotency.LEASE - timedelta(seconds=5))
    with pytest.raises(StillRunning):
        reserve(session=session, **ASKED)
    older(session, timedelta(seconds=5))
    assert reserve(session=session, **ASKED).resumed


def test_whoever_was_taken_over_has_no_effect_and_takes_nothing_away(engine: Engine, session: Session) -> None:
    slow = reserve(session=session, **ASKED)
    older(session, idempotency.LEASE)
    with Session(engine) as other:
        quick = reserve(session=other, **ASKED)
        with pytest.raises(StillRunning):
            keep(session=session, reservation=slow, status=200, body=b"slow")
        release(session=session, reservation=slow)
        with pytest.raises(StillRunning):
            reserve(session=session, **ASKED)
        keep(session=other, reservation=quick, status=200, body=b"quick")
        other.commit()
    assert reserve(session=session, **ASKED).answer == (200, b"quick")


@contextmanager
def away(settings: Settings) -> Iterator[None]:
    """Nobody is connected to the database, and nobody can connect."""
    url = make_url(settings.owner_url)
    plain = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as postgres:
        postgres.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS false')
        try:
            postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [url.database]
            )
            yield
        finally:
            postgres.execute(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS true')


@pytest.fixture
def request_session(settings: Settings) -> Iterator[Session]:
    """The session of a request, on a pool like the web's."""
    engine = engine_for(settings, application="mapai-test-web")
    with Session(engine) as session:
        yield session
    engine.dispose()


def held(settings: Settings) -> list[str]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM first_answer")]


def becomes(condition: Callable[[], bool]) -> bool:
    """Wait until it holds; False where it does not within twenty seconds."""
    until, pause = time.monotonic() + 20, threading.Event()
    while not condition():
        if time.monotonic() > until:
            return False
        pause.wait(0.02)
    return True


def test_a_key_that_could_not_be_given_back_is_free_once_the_database_is_back(
    settings: Settings, request_session: Session
) -> None:
    reservation: Reservation = reserve(session=request_session, **ASKED)
    with away(settings):
        release(session=request_session, reservation=reservation)
    assert becomes(lambda: held(settings) == [])
    assert not reserve(session=request_session, **ASKED).resumed


def test_what_another_has_taken_meanwhile_is_not_given_back_late(
    settings: Settings, request_session: Session, engine: Engine
) -> None:
    reservation = reserve(session=request_session, **ASKED)
    older(request_session, idempotency.LEASE)
    with Session(engine) as other:
        taken = reserve(session=other, **ASKED)
        assert taken.resumed
    done = threading.Event()
    with away(settings):
        release(session=request_session, reservation=reservation)
        idempotency._returns.later(done.set)  # stands in line behind it
    assert done.wait(20)
    assert held(settings) == ["one-and-only"]
    with Session(engine) as reader:
        assert reader.scalar(select(FirstAnswer.created_at)) == taken.reserved_at
