"""Connections to one district's tables.

Every connection made here serves one district only: its search path is the district's schema and its role owns no
table. Both are asked for as the connection opens, so a pool never hands a connection on with another district's path.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError

from app.config import APP_ROLE, Settings
from registry.base import Base

db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

CONNECT_SECONDS = 5
# A request waits so long for a free connection: a crowd stands in line rather than being sent away.
WAIT_FOR_CONNECTION_SECONDS = 20
FRESH_SECONDS = 1.0
POOL = 4
# Measured best on a hot row: a few connections a worker; more only make them queue in the database. All are kept open:
# one opened for a request and closed behind it knows no prepared statement, and costs more than the request itself.
WEB_POOL = 8
# A request that holds a lock and does nothing is a bug; the database ends it instead of stopping the queue.
WEB_IDLE_IN_TRANSACTION_MS = 60_000


def init_app(app: Flask, settings: Settings) -> None:
    """Give the web application ``db.session`` on the district's tables."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_size": WEB_POOL,
        "max_overflow": 0,
        "pool_timeout": WAIT_FOR_CONNECTION_SECONDS,
        "connect_args": _connect_args(
            settings, application="mapai-web", idle_in_transaction_session_timeout=WEB_IDLE_IN_TRANSACTION_MS
        ),
    }
    db.init_app(app)
    with app.app_context():
        ask_the_idle(db.engine)


def ask_the_idle(engine: Engine) -> None:
    """Make the pool ask a connection whether it still stands, but only one that has been idle for a while.

    Asking at every checkout, several a request, costs a tenth of a counter's step. One that broke within the second
    fails one request with 503, and the pool throws the others away with it.
    """

    @event.listens_for(engine, "checkin")
    def note(connection: Any, record: Any) -> None:
        record.info["idle_since_s"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: Any, proxy: Any) -> None:
        idle_since_s = record.info.get("idle_since_s")
        if idle_since_s is not None and time.monotonic() - idle_since_s > FRESH_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except psycopg.Error as broken:
                raise DisconnectionError from broken


def engine_for(settings: Settings, *, application: str = "mapai", pool_size: int = POOL) -> Engine:
    """Return an engine on the district's tables for a process that is not the web application."""
    return create_engine(
        settings.database_url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args=_connect_args(settings, application=application),
    )


def owner_engine_for(settings: Settings) -> Engine:
    """Return an engine whose login owns the tables, for migrations and for nothing else."""
    return create_engine(
        settings.owner_url,
        pool_size=1,
        connect_args=_connect_args(settings, application="mapai-migrate", role=None, url=settings.owner_url),
    )


def psycopg_conninfo(settings: Settings, *, application: str = "mapai") -> str:
    """Return the libpq connection string of the application's login, for raw psycopg on the hot path."""
    plain = make_url(settings.database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.conninfo.make_conninfo(plain, **_connect_args(settings, application=application))


def _connect_args(
    settings: Settings, *, application: str, role: str | None = APP_ROLE, url: str | None = None, **parameters: int
) -> dict[str, Any]:
    """What opens a connection on the district, beside options the URL itself may carry."""
    given = make_url(url or settings.database_url).query.get("options", "")
    options = [given] if isinstance(given, str) and given else list(given)
    options.append(f"-c search_path={settings.schema}")
    if role is not None:
        options.append(f"-c role={role}")
    options += [f"-c {name}={value}" for name, value in parameters.items()]
    return {"options": " ".join(options), "connect_timeout": CONNECT_SECONDS, "application_name": application}
