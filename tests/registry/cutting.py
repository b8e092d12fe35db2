"""Stops a process of ours at one row of one table, so that it can be killed exactly there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.engine import make_url

from app.config import Settings

KEY = 4711
PATIENCE_S = 60.0


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What a process of ours needs to work on the test's database with the test's keys."""
    return {
        **os.environ,
        "MAPAI_DATA": str(settings.data_dir),
        "DATABASE_URL": settings.owner_url,
        "MAPAI_APP_DATABASE_URL": settings.database_url,
        **more,
    }


def kill_at(settings: Settings, *arguments: str, table: str, event: str, when: str, **more: str) -> None:
    """Run ``python *arguments``; SIGKILL it while it does ``event`` (INSERT, UPDATE) to a row where ``when`` holds.

    The row's transaction is open then and those before it are committed. Returns when the database has
    let it go. The caller has no transaction open.
    """
    with _owner(settings) as owner, _held(settings), _stop(owner, table=table, event=event, when=when):
        process = subprocess.Popen([sys.executable, *arguments], env=environment(settings, **more))
        try:
            _until(lambda: process.poll() is not None or _waits(owner), "it never came to that row")
        finally:
            process.kill()
            assert process.wait(PATIENCE_S) == -signal.SIGKILL, "it ended by itself"


@contextmanager
def _owner(settings: Settings) -> Iterator[psycopg.Connection]:
    url = make_url(settings.owner_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(
        url, autocommit=True, options=f"-c search_path={settings.schema} -c lock_timeout=20s"
    ) as connection:
        yield connection


@contextmanager
def _held(settings: Settings) -> Iterator[None]:
    with _owner(settings) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (KEY,))
        yield


@contextmanager
def _stop(owner: psycopg.Connection, *, table: str, event: str, when: str) -> Iterator[None]:
    owner.execute(
        "CREATE FUNCTION stop_here() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_advisory_xact_lock({KEY}); RETURN NEW; END $$"
    )
    owner.execute(
        f"CREATE TRIGGER stop_here BEFORE {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION stop_here()"
    )
    try:
        yield
    finally:
        # Whoever was killed may still be waiting for the lock, which is his last statement: end him.
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        _until(lambda: not _waits(owner), "the killed process is still there")
        owner.execute(f"DROP TRIGGER stop_here ON {table}")
        owner.execute("DROP FUNCTION stop_here")


def _waits(owner: psycopg.Connection) -> bool:
    row = owner.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        (KEY,),
    ).fetchone()
    assert row is not None
    return bool(row[0])


def _until(true: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
