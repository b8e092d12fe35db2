"""The embedded PostgreSQL: made, found again, recovered after kill -9, and never outliving who started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from app import migrate, postgres
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from app.postgres_place import SHELTER, find
from app.startup import CannotStart


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


def wait_for(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie, whose command line is empty, does not."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except FileNotFoundError:
        return False


def test_a_folder_is_made_used_stopped_and_found_again(data_dir: Path) -> None:
    url = postgres.start(data_dir)
    assert url == postgres.url(data_dir)
    with connect(url) as connection:
        connection.execute("CREATE TABLE kept (fen bigint)")
        connection.execute("INSERT INTO kept VALUES (30000)")
        shown = {
            name: connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
            for name in ("fsync", "synchronous_commit", "TimeZone", "listen_addresses", "server_encoding")
        }
    assert [value[0] for value in shown.values() if value] == ["on", "on", "UTC", "", "UTF8"]
    first = postgres.postmaster_pid(data_dir)
    assert postgres.start(data_dir) == url
    assert postgres.postmaster_pid(data_dir) == first, "a running server is used as it is"
    postgres.stop(data_dir)
    assert not postgres.is_running(data_dir)
    postgres.stop(data_dir)
    with postgres.running(data_dir) as again, connect(again) as connection:
        assert connection.execute("SELECT fen FROM kept").fetchone() == (30000,)
    assert not postgres.is_running(data_dir)


def test_what_was_acknowledged_survives_kill_9(data_dir: Path) -> None:
    url = postgres.start(data_dir)
    with connect(url) as connection:
        connection.execute("CREATE TABLE kept (fen bigint)")
        connection.execute("INSERT INTO kept VALUES (1)")
        pid = postgres.postmaster_pid(data_dir)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        postgres.start(data_dir)
    assert postgres.postmaster_pid(data_dir) != pid
    with connect(url) as connection:
        assert connection.execute("SELECT fen FROM kept").fetchone() == (1,)


def test_the_server_ends_with_a_starter_that_is_killed(data_dir: Path) -> None:
    code = "import sys, time; from pathlib import Path; from app import postgres; postgres.start(Path(sys.argv[1]))"
    starter = subprocess.Popen([sys.executable, "-c", f"{code}; print('up', flush=True); time.sleep(60)", data_dir])
    wait_for(lambda: postgres.is_running(data_dir))
    pid = postgres.postmaster_pid(data_dir)
    assert pid is not None
    starter.kill()
    starter.wait()
    wait_for(lambda: not alive(pid))


def test_a_stale_pid_file_naming_another_program_does_no_harm(data_dir: Path) -> None:
    postgres.start(data_dir)
    place = find(data_dir)
    lines = place.pid_file.read_text().splitlines()
    pid = int(lines[0])
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        place.pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
        postgres.stop(data_dir)
        assert bystander.poll() is None, "only our own server is ever signalled"
        postgres.start(data_dir)
        assert postgres.is_running(data_dir)
    finally:
        bystander.kill()
        bystander.wait()


def test_a_first_start_cut_short_leaves_nothing_half_made(data_dir: Path) -> None:
    postgres.start(data_dir)
    postgres.stop(data_dir)
    place = find(data_dir)
    half = place.data.with_name("pg.new")
    place.data.rename(half)
    (half / "PG_VERSION").unlink()
    postgres.start(data_dir)
    assert postgres.is_running(data_dir)


def test_data_of_another_postgresql_is_refused(data_dir: Path) -> None:
    postgres.start(data_dir)
    postgres.stop(data_dir)
    version = find(data_dir).data / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(CannotStart, match="written by PostgreSQL 17"):
        postgres.start(data_dir)
    version.write_text("18\n")


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("18\n")
    with pytest.raises(CannotStart, match="holds other things"):
        postgres.start(tmp_path)


def test_too_old_a_server_is_refused() -> None:
    postgres.check_version(150_000)
    with pytest.raises(CannotStart, match="PostgreSQL 14, which is too old: Mapai needs 15"):
        postgres.check_version(140_012)


def test_a_server_that_is_not_there_is_one_sentence(settings: Settings) -> None:
    nowhere = replace(settings, owner_url="postgresql+psycopg://mapai@127.0.0.1:1/mapai")
    with pytest.raises(CannotStart, match="cannot be reached"):
        migrate.upgrade(nowhere)


def test_a_folder_the_servers_account_cannot_enter_works_all_the_same(tmp_path: Path) -> None:
    """Under root only: PostgreSQL runs as another account there, and pytest's own folders are closed to it."""
    folder = tmp_path / "data"
    try:
        with connect(postgres.start(folder)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        place = find(folder.resolve())
        assert place.data.is_relative_to(SHELTER if os.geteuid() == 0 else folder)
        assert tmp_path.stat().st_mode & 0o077 == 0, "nobody's permissions are widened"
    finally:
        postgres.destroy(folder)
    assert not place.data.exists()
    assert not place.socket.exists()


def test_the_application_owns_nothing(settings: Settings) -> None:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        assert connection.execute("SELECT current_user::text, current_schema()::text").fetchone() == (
            "mapai_app",
            settings.schema,
        )
        owned = connection.execute(
            "SELECT count(*) FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner WHERE rolname = 'mapai_app'"
        ).fetchone()
        assert owned == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE sneaked (id int)")


def test_the_application_cannot_become_the_owner(settings: Settings) -> None:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        connection.execute("RESET ROLE")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET ROLE mapai")


def test_one_login_for_everything_still_works_in_the_applications_role(settings: Settings) -> None:
    """As with an external DATABASE_URL: the owner's login is used, and takes the role that owns no table."""
    shared = replace(settings, database_url=settings.owner_url, embedded=False)
    migrate.upgrade(shared)
    with psycopg.connect(psycopg_conninfo(shared)) as connection:
        shown = connection.execute("SELECT session_user::text, current_user::text, current_schema()::text").fetchone()
        assert shown == ("mapai", "mapai_app", settings.schema)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE programme")


def test_options_in_the_address_are_kept(settings: Settings) -> None:
    told = replace(settings, database_url=settings.database_url + "&options=-c%20work_mem%3D7MB")
    engine = engine_for(told)
    with psycopg.connect(psycopg_conninfo(told)) as plain, engine.connect() as connection:
        assert plain.execute("SHOW work_mem").fetchone() == ("7MB",)
        assert connection.exec_driver_sql("SHOW work_mem").scalar() == "7MB"
        assert connection.exec_driver_sql("SHOW search_path").scalar() == settings.schema
    engine.dispose()


def test_append_only_tables_are_out_of_the_applications_reach(settings: Settings) -> None:
    with psycopg.connect(psycopg_conninfo(settings), autocommit=True) as connection:
        for statement in ("UPDATE queue_event SET event_no = 1", "DELETE FROM ledger_posting", "TRUNCATE decision"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_connection_without_a_district_finds_no_table(settings: Settings) -> None:
    with connect(settings.owner_url) as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("nowhere",)
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM programme")


def test_upgrading_again_changes_nothing(settings: Settings) -> None:
    def version() -> object:
        with psycopg.connect(psycopg_conninfo(settings)) as connection:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall()

    before = version()
    migrate.upgrade(settings)
    assert version() == before


def test_two_districts_share_a_database_without_seeing_each_other(settings: Settings) -> None:
    other = replace(settings, district="330106")
    migrate.upgrade(other)
    for each in (settings, other):
        engine = engine_for(each)
        with engine.connect() as connection:
            path = connection.exec_driver_sql("SHOW search_path").scalar()
            assert path == each.schema
            assert connection.exec_driver_sql("SELECT count(*) FROM programme").scalar() == 0
        engine.dispose()
