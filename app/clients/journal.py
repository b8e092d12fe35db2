"""An append-only file of JSON lines: how a partner's server still knows after kill -9 what it answered before."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.clients.wire import as_bytes


class JournalInUse(RuntimeError):
    """Another process writes this journal."""


class Journal:
    """Every ``write`` has reached the operating system when it returns, so the process may be killed at any time.

    A power cut may lose the last lines: these servers stand in for partners in demo, scenario and tests. Raises
    JournalInUse where another process holds the file. With no path it keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._file = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds people's names and numbers: nobody else's to read.
        path.touch(mode=0o600)
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise JournalInUse(f"{path} is in use by another server; stop that one or choose another file") from None

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield what was written before, oldest first, and cut off a last line that never got its end."""
        if self._file is None:
            return
        self._file.seek(0)
        whole = 0
        with open(self._file.fileno(), "rb", closefd=False) as reader:
            for line in reader:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield json.loads(line)
        self._file.truncate(whole)

    def write(self, entry: dict[str, Any]) -> None:
        """Append one entry."""
        if self._file is None:
            return
        line = memoryview(as_bytes(entry) + b"\n")
        with self._lock:
            while line:
                line = line[self._file.write(line) :]

    def close(self) -> None:
        """Let another process have the file."""
        if self._file is not None:
            self._file.close()
