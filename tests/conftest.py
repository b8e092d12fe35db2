"""A real PostgreSQL for every test: one server a run, one fresh database a test.

The server is the embedded one, in a throwaway folder, or the one MAPAI_TEST_DATABASE_URL names. Ours forgets to wait
for the disk: no test pulls the plug, and what kill -9 leaves stands without that; tests about durability start servers
of their own. It is migrated once into a template; each test that asks for `settings`, `engine` or
`session` gets a copy of its own, so tests commit for real and never see each other.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from app import migrate, postgres
from app.config import Settings
from app.db import engine_for

TEMPLATE = "mapai_template"
HURRIED = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}


@contextmanager
def throwaway_folder() -> Iterator[Path]:
    """A data folder that leaves nothing behind, its server included.

    Not pytest's own: those no other account may enter, and under root PostgreSQL runs as another account.
    """
    folder = Path(tempfile.mkdtemp(prefix="mapai-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        postgres.destroy(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty folder for a test that starts a server or a platform of its own."""
    with throwaway_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def base_settings() -> Iterator[Settings]:
    """Settings of the run's server, migrated once. Do not connect to it: databases are copied from it."""
    given = os.environ.get("MAPAI_TEST_DATABASE_URL")
    with throwaway_folder() as folder:
        environ = {"MAPAI_DATA": str(folder), **({"DATABASE_URL": given} if given else {})}
        settings = Settings.from_env(environ)
        if settings.embedded:
            with patch.dict(postgres.SETTINGS, HURRIED):
                postgres.start(folder)
        migrate.drop_database(settings.owner_url, TEMPLATE)
        migrate.create_database(settings.owner_url, TEMPLATE)
        template = on_database(settings, TEMPLATE)
        migrate.upgrade(template)
        yield template
        if not settings.embedded:
            for name in (*_left, TEMPLATE):
                migrate.drop_database(settings.owner_url, name)


@pytest.fixture
def fresh_database(base_settings: Settings) -> Iterator[Callable[[], Settings]]:
    """Makes migrated, empty databases, each call another; nobody is connected to them when the test has ended."""
    names: list[str] = []

    def make() -> Settings:
        name = f"test_{secrets.token_hex(6)}"
        migrate.create_database(base_settings.owner_url, name, template=TEMPLATE)
        names.append(name)
        return on_database(base_settings, name)

    yield make
    _leave(base_settings.owner_url, names)


# Each DROP DATABASE waits for a checkpoint; of many in a row all but the first find nothing to write.
DROPPED_AT_ONCE = 25
_left: list[str] = []


def _leave(owner_url: str, names: list[str]) -> None:
    """End the connections to databases no longer wanted; drop them once there are enough."""
    with _connected(owner_url) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", [names])
    _left.extend(names)
    if len(_left) >= DROPPED_AT_ONCE:
        while _left:
            migrate.drop_database(owner_url, _left.pop())


def _connected(owner_url: str) -> psycopg.Connection[tuple[object, ...]]:
    url = make_url(owner_url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(url, autocommit=True)


@pytest.fixture
def settings(fresh_database: Callable[[], Settings]) -> Settings:
    """Settings on a database of the test's own, migrated and empty."""
    return fresh_database()


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    """An engine in the application's role, which owns no table."""
    engine = engine_for(settings, application="mapai-test", pool_size=16)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session on that engine. What it commits is really committed."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


def on_database(settings: Settings, name: str) -> Settings:
    """The same settings on another database of the same server."""
    owner = make_url(settings.owner_url).set(database=name).render_as_string(hide_password=False)
    application = make_url(settings.database_url).set(database=name).render_as_string(hide_password=False)
    return replace(settings, owner_url=owner, database_url=application)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--every-look``: accessibility of every page in all its looks, and not in one of them each."""
    parser.addoption("--every-look", action="store_true", default=False, help="axe on every page in all eight looks")
