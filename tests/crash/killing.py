"""Who is killed when: a seed decides, the count of acknowledgements is the clock, so that it is always in mid-rush."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

from app import postgres
from app.platform_run import Platform

# Everything once, in the seed's order, and then once more what holds money and places.
ONCE = ("worker", "web", "scheduler", "postgres")
AGAIN = ("scheduler", "postgres")
LATEST_S = 0.1
PATIENCE_S = 30.0


class Killer:
    """Kills the platform's processes with -9 in the seed's order; ``killed`` names them as they fell."""

    def __init__(self, *, platform: Platform, seed: int, total: int) -> None:
        self._platform = platform
        self._random = random.Random(seed)
        order = [*self._random.sample(ONCE, len(ONCE)), *self._random.sample(AGAIN, len(AGAIN))]
        share = total / (len(order) + 1)
        self._due = [(int(share * (index + self._random.uniform(0.3, 0.9))), name) for index, name in enumerate(order)]
        self._timers: list[threading.Timer] = []
        self.killed: list[str] = []

    def hear(self, acknowledged: int) -> None:
        """Kill whoever is due at that count, within a tenth of a second."""
        while self._due and self._due[0][0] <= acknowledged:
            _, name = self._due.pop(0)
            timer = threading.Timer(self._random.uniform(0, LATEST_S), self._kill, args=(name,))
            self._timers.append(timer)
            timer.start()

    def wait(self) -> None:
        """Wait for the last to fall."""
        for timer in self._timers:
            timer.join()

    def _kill(self, name: str) -> None:
        """Kill it, once it is there: it may still be coming back from the last time."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(ProcessLookupError):
                pid = self._find(name)
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
                    self.killed.append(name)
                    return
            assert time.monotonic() < deadline, f"{name} did not come back"
            time.sleep(0.05)

    def _find(self, name: str) -> int | None:
        if name == "postgres":
            return postgres.postmaster_pid(self._platform.settings.data_dir)
        if name == "worker":
            workers = workers_of(self._platform.supervisor.pid_of("web"))
            return self._random.choice(workers) if workers else None
        return self._platform.supervisor.pid_of(name)


def workers_of(web: int) -> list[int]:
    """Return the process ids of a web server's workers."""
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _is_worker(pid, web)]


def _is_worker(pid: int, web: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    # The name in brackets may hold anything; state and parent come after it.
    return int(stat.rpartition(")")[2].split()[1]) == web and b"resource_tracker" not in command
