"""An empty, migrated database for each seed, out of one template on a throwaway server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app import migrate, postgres
from app.config import Settings
from tests.conftest import TEMPLATE, on_database


@contextmanager
def throwaway_server() -> Iterator[Settings]:
    """Start an embedded PostgreSQL with the migrated template; gone in the end. Copy the template, do not use it."""
    folder = Path(tempfile.mkdtemp(prefix="mapai-simulation-"))
    folder.chmod(0o755)
    try:
        settings = Settings.from_env({"MAPAI_DATA": str(folder)})
        postgres.start(folder)
        migrate.create_database(settings.owner_url, TEMPLATE)
        template = on_database(settings, TEMPLATE)
        migrate.upgrade(template)
        yield template
    finally:
        postgres.destroy(folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(template: Settings, name: str) -> Iterator[Settings]:
    """A copy of the template called ``name``, dropped in the end."""
    migrate.create_database(template.owner_url, name, template=TEMPLATE)
    try:
        yield on_database(template, name)
    finally:
        migrate.drop_database(template.owner_url, name)
