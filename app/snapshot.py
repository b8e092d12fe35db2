"""The stage's live state for a crowd: read once a second at most in each process, and it says its own time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Seen = TypeVar("Seen")
# A quarter of a second less than the second that is promised: the answer made of it is kept too (app/crowd.py).
FRESH_S = 0.75


class Snapshot(Generic[Seen]):
    """Keeps what ``read`` returned for a second. While one thread reads again, the others wait for it."""

    def __init__(self, read: Callable[[], Seen], *, fresh_s: float = FRESH_S) -> None:
        self._read = read
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._seen: tuple[float, Seen] | None = None

    def get(self) -> Seen:
        """Return what was read at most a second ago; raises what ``read`` raises when nothing is that young."""
        seen = self._seen
        if seen is not None and time.monotonic() - seen[0] < self._fresh_s:
            return seen[1]
        with self._lock:
            seen = self._seen
            if seen is not None and time.monotonic() - seen[0] < self._fresh_s:
                return seen[1]
            began = time.monotonic()
            self._seen = (began, self._read())
            return self._seen[1]
