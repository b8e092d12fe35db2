"""A database that does not fit this version is told in words, in both languages, with what to do about it."""

from __future__ import annotations

import psycopg
import pytest

from app import migrate
from app.config import Settings
from app.db import psycopg_conninfo
from app.startup import CannotStart


def as_owner(settings: Settings, statement: str) -> None:
    plain = settings.owner_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, options=f"-c search_path={settings.schema}") as connection:
        connection.execute(statement)


def told(settings: Settings) -> str:
    with pytest.raises(CannotStart) as refused:
        migrate.upgrade(settings)
    return str(refused.value)


def test_what_fits_is_left_as_it_is(settings: Settings) -> None:
    migrate.upgrade(settings)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        assert connection.execute("SELECT count(*) FROM second_factor").fetchone() == (0,)


def test_tables_an_unfinished_migration_never_made_are_named(settings: Settings) -> None:
    as_owner(settings, "DROP TABLE recovery_code; ALTER TABLE second_factor DROP COLUMN last_step")
    words = told(settings)
    assert "recovery_code, second_factor.last_step" in words
    assert "--data" in words
    assert "对不上" in words
    assert "do not fit this version" in words


def test_a_migration_that_finds_other_tables_than_it_expects_is_no_traceback(settings: Settings) -> None:
    as_owner(settings, "UPDATE alembic_version SET version_num = '0014'")
    words = told(settings)
    assert "already exists" in words
    assert "--data" in words


def test_a_database_of_a_version_unknown_here_is_told_so(settings: Settings) -> None:
    as_owner(settings, "UPDATE alembic_version SET version_num = '9999'")
    words = told(settings)
    assert "9999" in words
    assert "Another version of Mapai" in words
    assert "另一个版本" in words
