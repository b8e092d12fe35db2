"""What a crowd reads: once a second at most in each process, less often what is dear to read. It says its own time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Seen = TypeVar("Seen")
# A quarter of a second less than the second that is promised: the answer made of it is kept too (app/crowd.py).
FRESH_S = 0.75
# What is dear to read is kept longer, so that a tenth of a process's time at most goes into reading it; but a reading
# that took long by accident shall not stand for minutes.
KEPT_FOR_EACH_S = 10
MOST_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class _Reading(Generic[Seen]):
    """What was read, from when to when by the monotonic clock."""

    began: float
    ended: float
    seen: Seen


class Snapshot(Generic[Seen]):
    """Keeps what ``read`` returned for ``fresh_s``. While one thread reads again, the others wait for it.

    What is ``dear``, where many rows are counted, is kept for ten times as long as its reading took where that is
    longer, a minute at most; and while it is read again, others are told the last reading, unless that is twice as old
    as it may be. ``prepare`` is called by everybody who is about to read, or to wait for whoever reads.
    """

    def __init__(
        self,
        read: Callable[[], Seen],
        *,
        fresh_s: float = FRESH_S,
        dear: bool = False,
        prepare: Callable[[], object] = lambda: None,
        instant: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._fresh_s = fresh_s
        self._prepare = prepare
        self._kept_for_each_s = KEPT_FOR_EACH_S if dear else 0
        self._instant = instant
        self._lock = threading.Lock()
        self._last: _Reading[Seen] | None = None

    def get(self) -> Seen:
        """Return what was read last, anew where that is too old; raises what ``read`` raises."""
        last = self._last
        if last is not None and self._age(last) < self._kept_s(last):
            return last.seen
        self._prepare()
        if not self._lock.acquire(blocking=not self._may_be_told_meanwhile(last)):
            assert last is not None
            return last.seen
        try:
            return self._read_again().seen
        finally:
            self._lock.release()

    def _read_again(self) -> _Reading[Seen]:
        last = self._last
        if last is not None and self._age(last) < self._kept_s(last):  # another thread has read meanwhile
            return last
        began = self._instant()
        seen = self._read()
        self._last = last = _Reading(began, self._instant(), seen)
        return last

    def _age(self, reading: _Reading[Seen]) -> float:
        return self._instant() - reading.began

    def _kept_s(self, reading: _Reading[Seen]) -> float:
        took_s = reading.ended - reading.began
        return max(self._fresh_s, min(MOST_KEPT_S, self._kept_for_each_s * took_s))

    def _may_be_told_meanwhile(self, reading: _Reading[Seen] | None) -> bool:
        if reading is None:
            return False
        kept_s = self._kept_s(reading)
        return kept_s > self._fresh_s and self._age(reading) < 2 * kept_s
