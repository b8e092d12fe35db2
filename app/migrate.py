"""Brings a database to this version: the role, the district's schema, then every migration not yet run there."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from psycopg.sql import SQL, Identifier
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app import postgres
from app.config import APP_ROLE, Settings
from app.db import owner_engine_for
from app.startup import CannotStart

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
# The default search path of the database: a schema with nothing in it, so that a connection which was not told its
# district finds no table instead of another district's.
NOWHERE = "nowhere"
LOCK = "mapai-upgrade"
_DOES_NOT_FIT = (
    "数据库里的表和这个版本对不上，多半是开发中的版本建的（{reason_zh}）：演示数据请用 --data 换一个新文件夹，"
    "或者删掉旧的；正式数据请从备份恢复后再升级。"
    " · The tables of this database do not fit this version; an unfinished version may have made them ({reason_en}): "
    "for a demo name a new folder with --data or remove the old one, for real data restore a backup and upgrade again."
)


def upgrade(settings: Settings) -> None:
    """Create what is missing and migrate to the newest version. Runs one at a time per database; running it again
    changes nothing. Raises CannotStart where the database cannot be reached, is too old, or refuses.
    """
    with _connect(settings.owner_url) as connection:
        postgres.check_version(connection.info.server_version)
        # Held on this connection until it closes; the migrations run on another.
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (LOCK,))
        try:
            _prepare(connection, settings)
        except psycopg.errors.InsufficientPrivilege as refused:
            raise CannotStart(
                "DATABASE_URL's login may not create a role and a schema: "
                f"grant it CREATEROLE and CREATE, or have its administrator create the role {APP_ROLE} for it."
            ) from refused
        _migrate(settings)
        connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (LOCK,))


def refuse_unprepared(settings: Settings) -> None:
    """Raise CannotStart where the district's tables are not there: another database was meant, or none was made yet."""
    with _connect(settings.owner_url) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = 'alembic_version'", (settings.schema,)
        ).fetchone()
    if found is None:
        where = f"{settings.data_dir}" if settings.embedded else "The database of DATABASE_URL"
        raise CannotStart(
            f"{where} holds nothing of district {settings.district}: "
            "name the folder `mapai up` used with --data, or prepare this one with `mapai db upgrade`."
        )


def create_database(owner_url: str, name: str, *, template: str | None = None) -> str:
    """Create a database on the same server, empty or a copy of ``template``; return its owner's URL."""
    clause = SQL(" TEMPLATE {}").format(Identifier(template)) if template else SQL("")
    with _connect(_on(owner_url, "postgres")) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)) + clause)
        # A copy brings its tables along, not its settings.
        _default_path(connection, name)
    return _on(owner_url, name)


def drop_database(owner_url: str, name: str) -> None:
    """Drop a database of the same server, ending its connections; nothing happens where there is none."""
    with _connect(_on(owner_url, "postgres")) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def _on(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return psycopg.connect(plain, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as failed:
        reason = " ".join(str(failed).split())
        raise CannotStart(f"The database cannot be reached; start it or correct DATABASE_URL ({reason}).") from failed


def _prepare(connection: psycopg.Connection[tuple[object, ...]], settings: Settings) -> None:
    role, schema = Identifier(APP_ROLE), Identifier(settings.schema)
    # Roles belong to the whole server: another district's upgrade, in another database, may be creating it right now.
    connection.execute(
        f"DO $$ BEGIN CREATE ROLE {APP_ROLE}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    if settings.embedded:
        # No password: whoever reaches the socket's folder is its owner.
        connection.execute(SQL("ALTER ROLE {} LOGIN").format(role))
    member = connection.execute("SELECT pg_has_role(current_user, %s, 'MEMBER')", (APP_ROLE,)).fetchone()
    if member is None or not member[0]:
        connection.execute(SQL("GRANT {} TO CURRENT_USER").format(role))
    connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
    connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(NOWHERE)))
    connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    connection.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
    # Tables of later migrations are readable and writable at once; what is append-only says so in its own migration.
    connection.execute(
        SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {}").format(
            schema, role
        )
    )
    connection.execute(
        SQL("ALTER DEFAULT PRIVILEGES IN SCHEMA {} GRANT USAGE, SELECT ON SEQUENCES TO {}").format(schema, role)
    )
    _default_path(connection, connection.info.dbname)


def _default_path(connection: psycopg.Connection[tuple[object, ...]], database: str) -> None:
    connection.execute(SQL("ALTER DATABASE {} SET search_path TO {}").format(Identifier(database), Identifier(NOWHERE)))


def _migrate(settings: Settings) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = owner_engine_for(settings)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            config.attributes["schema"] = settings.schema
            command.upgrade(config, "head")
            connection.commit()
            missing = _missing(connection, settings.schema)
    except CommandError as unknown:
        raise CannotStart(
            f"这个数据库是另一个版本的码牌建的（{unknown}）：请用那个版本启动，或者用 --data 换一个新文件夹。"
            f" · Another version of Mapai made this database ({unknown}): "
            "start that version, or name a new folder with --data."
        ) from unknown
    except DBAPIError as failed:
        reason = " ".join(str(failed.orig).split())[:200]
        raise CannotStart(_DOES_NOT_FIT.format(reason_zh=f"数据库说：{reason}", reason_en=reason)) from failed
    finally:
        engine.dispose()
    if missing:
        listed = ", ".join(missing[:5])
        raise CannotStart(_DOES_NOT_FIT.format(reason_zh=f"缺 {listed}", reason_en=f"missing: {listed}"))


def _missing(connection: Connection, schema: str) -> list[str]:
    """Return the tables and columns that the code has and the database lacks, though every migration has run there."""
    from migrations.tables import metadata

    columns = text("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = :schema")
    found = {tuple(row) for row in connection.execute(columns, {"schema": schema})}
    tables = {name for name, _ in found}
    lacking = sorted(set(metadata.tables) - tables)
    return lacking + sorted(
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        if table.name in tables
        for column in table.columns
        if (table.name, column.name) not in found
    )
