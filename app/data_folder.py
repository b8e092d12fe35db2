"""The folder in which one installation keeps its own things: the embedded database, demo keys, logs.

A marker file says that the folder is Mapai's. A folder that holds other things is never touched.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.startup import CannotStart

DEFAULT = Path(".mapai")
MARKER = "mapai-data"
FORMAT = "Mapai keeps its data here. Format 1."


def claim(folder: Path) -> Path:
    """Make ``folder`` ours, or find that it is; return its absolute path with links resolved.

    Raises CannotStart where it holds other things, is no folder, or cannot be written.
    """
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        marker = folder / MARKER
        if not marker.exists():
            if any(folder.iterdir()):
                raise CannotStart(
                    f"{folder} holds other things than Mapai's data: name an empty or a new folder with --data."
                )
            marker.write_text(FORMAT + "\n", encoding="utf-8")
        elif marker.read_text(encoding="utf-8").strip() != FORMAT:
            raise CannotStart(f"{folder} was written by another version of Mapai: name another folder with --data.")
    except (FileExistsError, NotADirectoryError) as wrong:
        raise CannotStart(f"{folder} is not a folder: name another with --data.") from wrong
    except PermissionError as wrong:
        raise CannotStart(f"{folder} cannot be written by this account: name another folder with --data.") from wrong
    return folder


def holds_data(folder: Path) -> bool:
    """Say whether ``folder`` is one of ours with a database in it; makes and changes nothing."""
    return (folder.expanduser() / MARKER).exists() and (folder.expanduser() / "keys.json").exists()


@contextmanager
def locked(folder: Path, name: str, *, busy: str | None = None) -> Iterator[None]:
    """Hold the lock ``name`` of a claimed folder. The system frees it however the holder ends.

    With ``busy``, a lock held by another process raises CannotStart with that sentence; without, it is waited for.
    """
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError as held:
            raise CannotStart(busy or "") from held
        yield
    finally:
        os.close(descriptor)
