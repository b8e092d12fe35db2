"""Keys that could not be given back while the database was away: tried again, by the process that held them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

PAUSE_S = 0.25
_log = structlog.get_logger()


@dataclass(kw_only=True)
class KeyReturns:
    """What this process still has to give back. The thread that does it lives only while there is something.

    ``give_back`` gives one key back in a session of its own and raises while that is not possible.
    """

    most: int = 4096
    _waiting: list[Callable[[], None]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _running: bool = False

    def later(self, give_back: Callable[[], None]) -> None:
        """Give a key back as soon as that is possible. More than can be kept are left to their lease."""
        with self._changed:
            if len(self._waiting) >= self.most:
                return
            self._waiting.append(give_back)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="key-returns", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._running = False
                    return
                next_one = self._waiting[0]
            try:
                next_one()
            except Exception as error:  # the database is away: nothing else is done here
                _log.info("key_returns.not_yet", error=repr(error))
                with self._changed:
                    self._changed.wait(PAUSE_S)
                continue
            with self._changed:
                self._waiting.pop(0)
