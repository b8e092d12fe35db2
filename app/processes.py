"""Child processes: started together, watched, restarted when they die, stopped together, never left behind.

A child that dies is started again after half a second, then one, two, four and at most eight. One that dies five times
within a minute stops the whole: whatever is wrong will not mend itself, and half a platform looks like a whole one.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from app.startup import CannotStart

STARTED_BY = "MAPAI_STARTED_BY"
HEALTH_SECONDS = 60.0
SETTLE_SECONDS = 1.0
STOP_SECONDS = 15.0
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
DEATHS_ALLOWED = 5
DEATHS_WITHIN_SECONDS = 60.0
LARGEST_LOG_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """A child process: its name, the ``mapai`` command it runs, and the address that answers once it is ready.

    Without ``health_url`` it counts as ready when it has run for a second.
    """

    name: str
    arguments: tuple[str, ...]
    health_url: str | None = None


@dataclass(slots=True)
class Child:
    """A plan that has been started; ``deaths`` are the instants (monotonic) at which it ended by itself."""

    plan: ChildPlan
    process: subprocess.Popen[bytes]
    started_at: float
    deaths: list[float] = field(default_factory=list)
    due_at: float | None = None


class Supervisor:
    """Runs children with one environment and keeps a log file for each. Use it from the main thread."""

    def __init__(self, *, environ: Mapping[str, str], logs: Path) -> None:
        self._environ = {**environ, STARTED_BY: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        self._logs = logs
        self._children: dict[str, Child] = {}

    def start(self, plan: ChildPlan) -> None:
        """Start a child. It dies with this process, however this process ends."""
        self._children[plan.name] = Child(plan=plan, process=self._spawn(plan), started_at=time.monotonic())

    def wait_ready(self, name: str, *, seconds: float = HEALTH_SECONDS) -> None:
        """Wait until a child answers its health address. Raises CannotStart where it dies or stays silent."""
        child = self._children[name]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if child.process.poll() is not None:
                raise CannotStart(f"{name} stopped while starting; {self.log_of(name)} says why.")
            if self._is_ready(child):
                return
            time.sleep(0.05)
        raise CannotStart(f"{name} did not answer within {seconds:.0f} s; {self.log_of(name)} may say why.")

    def watch(self, *, until: Callable[[], bool], every_seconds: float = 0.2) -> None:
        """Restart what dies until ``until`` says so. Raises CannotStart when a child keeps dying."""
        while not until():
            for child in self._children.values():
                self._tend(child)
            time.sleep(every_seconds)

    def stop(self) -> None:
        """Ask every child to end, the last started first; what does not within some seconds is killed."""
        for child in reversed(self._children.values()):
            _signal_group(child.process, signal.SIGTERM, whole=False)
        deadline = time.monotonic() + STOP_SECONDS
        for child in reversed(self._children.values()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(timeout=max(0.0, deadline - time.monotonic()))
            # Also where the child itself has ended: its own children share its group.
            _signal_group(child.process, signal.SIGKILL, whole=True)
            child.process.wait(timeout=STOP_SECONDS)
        self._children.clear()

    def log_of(self, name: str) -> Path:
        """Return the log file of a child."""
        return self._logs / f"{name}.log"

    def pid_of(self, name: str) -> int:
        """Return the process id of a child as it runs now; another after a restart."""
        return self._children[name].process.pid

    def _spawn(self, plan: ChildPlan) -> subprocess.Popen[bytes]:
        with self._open_log(plan.name) as log:
            return subprocess.Popen(  # noqa: S603  (our own command, no shell)
                [sys.executable, "-m", "app.cli", *plan.arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own: Ctrl-C reaches us alone, and we end the children in order.
                start_new_session=True,
            )

    def _open_log(self, name: str) -> IO[bytes]:
        path = self.log_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def _is_ready(self, child: Child) -> bool:
        if child.plan.health_url is None:
            return time.monotonic() - child.started_at >= SETTLE_SECONDS
        return answers(child.plan.health_url)

    def _tend(self, child: Child) -> None:
        now = time.monotonic()
        if child.due_at is not None:
            if now >= child.due_at:
                child.process, child.started_at, child.due_at = self._spawn(child.plan), now, None
            return
        if child.process.poll() is None:
            return
        # What it started itself must not hold its port when it comes back.
        _signal_group(child.process, signal.SIGKILL, whole=True)
        child.deaths = [death for death in child.deaths if now - death < DEATHS_WITHIN_SECONDS] + [now]
        if len(child.deaths) >= DEATHS_ALLOWED:
            raise CannotStart(
                f"{child.plan.name} died {len(child.deaths)} times within a minute, so everything was stopped; "
                f"{self.log_of(child.plan.name)} says why."
            )
        child.due_at = now + BACKOFF_SECONDS[len(child.deaths) - 1]


def answers(url: str, *, seconds: float = 2.0) -> bool:
    """Whether the address answers a GET with 200 within the given time."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _signal_group(process: subprocess.Popen[bytes], signal_no: int, *, whole: bool) -> None:
    """Signal a child, or with ``whole`` everything in the session it leads. The group outlives its leader's end."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if whole:
            os.killpg(process.pid, signal_no)
        elif process.poll() is None:
            os.kill(process.pid, signal_no)
