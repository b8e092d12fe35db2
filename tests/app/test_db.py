"""The web's connections: one that broke while it was idle is noticed before it is used."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app import db as connections
from app.config import Settings
from app.db import db, psycopg_conninfo
from app.factory import create_app


@pytest.fixture
def running(settings: Settings):
    app = create_app(settings)
    with app.app_context():
        yield db.session
        db.session.remove()
        db.engine.dispose()


def end_sessions(settings: Settings) -> None:
    with psycopg.connect(psycopg_conninfo(settings)) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'mapai-web'"
        )


def use(session) -> int:
    found = session.execute(text("SELECT 1")).scalar_one()
    session.commit()
    return found


def test_a_connection_idle_for_long_is_asked_and_replaced(running, settings, monkeypatch):
    monkeypatch.setattr(connections, "FRESH_SECONDS", -1.0)
    use(running)
    end_sessions(settings)
    assert use(running) == 1


def test_one_that_broke_this_second_fails_once_and_is_gone(running, settings, monkeypatch):
    monkeypatch.setattr(connections, "FRESH_SECONDS", 60.0)
    use(running)
    end_sessions(settings)
    with pytest.raises(OperationalError):
        use(running)
    running.rollback()
    assert use(running) == 1
