"""A PostgreSQL of the benchmark's own, as durable as in use, gone when it is done."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from app import migrate, postgres
from app.config import Settings

TEMPLATE = "bench_template"


@contextmanager
def own_server() -> Iterator[Settings]:
    """Yield settings of a migrated, empty database on a throwaway server; ``fresh_database`` makes copies of it."""
    folder = Path(tempfile.mkdtemp(prefix="mapai-bench-"))
    folder.chmod(0o755)  # under root PostgreSQL runs as another account, which has to pass
    try:
        settings = Settings.from_env({"MAPAI_DATA": str(folder)})
        postgres.start(folder)
        migrate.create_database(settings.owner_url, TEMPLATE)
        template = _on(settings, TEMPLATE)
        migrate.upgrade(template)
        yield template
    finally:
        postgres.destroy(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(template: Settings) -> Iterator[Settings]:
    """Yield settings on an empty copy of the template, dropped afterwards. Begins after a checkpoint."""
    name = f"bench_{secrets.token_hex(6)}"
    migrate.create_database(template.owner_url, name, template=TEMPLATE)
    settings = _on(template, name)
    try:
        with psycopg.connect(_plain(settings.owner_url), autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        yield settings
    finally:
        migrate.drop_database(template.owner_url, name)


@contextmanager
def owner_connection(settings: Settings) -> Iterator[psycopg.Connection]:
    """Yield a connection on the district's tables whose login owns them, committing each statement."""
    with psycopg.connect(_plain(settings.owner_url), autocommit=True) as connection:
        connection.execute(f"SET search_path = {settings.schema}")
        yield connection


def _on(settings: Settings, name: str) -> Settings:
    return replace(
        settings,
        owner_url=make_url(settings.owner_url).set(database=name).render_as_string(hide_password=False),
        database_url=make_url(settings.database_url).set(database=name).render_as_string(hide_password=False),
    )


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
