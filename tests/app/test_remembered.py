"""Whoever reads what all wait for gets a connection, however many of those who wait for him would hold one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import text

from app.config import Settings
from app.db import WEB_POOL, db
from app.factory import close, create_app
from app.remembered import remembered

WAIT_S = 10


@pytest.fixture
def app(settings: Settings):
    app = create_app(settings)
    yield app
    close(app)
    with app.app_context():
        db.engine.dispose()


def ask(app: Flask, read: Callable[[], int], *, dear: bool, signed_in: Callable[[], None] | None) -> int:
    """Ask as a request does: who is signed in has been looked up, on a connection that is kept."""
    with app.app_context():
        if signed_in is not None:
            db.session.execute(text("SELECT 1"))
            signed_in()
        return remembered("test", read, dear=dear)


def select_one() -> int:
    return int(db.session.scalar(text("SELECT 1")) or 0)


def test_a_reader_without_a_connection_is_not_starved_by_those_who_wait_for_him(app):
    begun, held = threading.Event(), threading.Semaphore(0)

    def read() -> int:
        begun.set()
        for _ in range(WEB_POOL - 1):  # as many as there are left to be had
            assert held.acquire(timeout=WAIT_S)
        return select_one()

    with ThreadPoolExecutor(2 * WEB_POOL) as threads:
        reader = threads.submit(ask, app, read, dear=False, signed_in=None)
        assert begun.wait(WAIT_S)
        waiting = [threads.submit(ask, app, read, dear=False, signed_in=held.release) for _ in range(2 * WEB_POOL - 1)]
        assert [each.result(WAIT_S) for each in [reader, *waiting]] == [1] * 2 * WEB_POOL


def test_a_reader_who_begins_anew_gets_a_connection_again(app):
    begun, held = threading.Event(), threading.Semaphore(0)

    def read() -> int:
        begun.set()
        for _ in range(WEB_POOL):
            assert held.acquire(timeout=WAIT_S)
        db.session.rollback()
        return select_one()

    with ThreadPoolExecutor(2 * WEB_POOL) as threads:
        reader = threads.submit(ask, app, read, dear=True, signed_in=lambda: None)
        assert begun.wait(WAIT_S)
        waiting = [threads.submit(ask, app, read, dear=True, signed_in=held.release) for _ in range(2 * WEB_POOL - 1)]
        assert [each.result(WAIT_S) for each in [reader, *waiting]] == [1] * 2 * WEB_POOL
