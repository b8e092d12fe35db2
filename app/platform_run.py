"""The whole platform as child processes of one: database, partners' demo servers, web, scheduler.

`mapai up` runs it for people; scenarios, crash tests and benchmarks run it on a data folder of their own.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from app import migrate, postgres
from app.config import PORTS, Settings
from app.processes import ChildPlan, Supervisor
from app.startup import CannotStart

DATABASE_CHECK_SECONDS = 1.0


class Progress(Protocol):
    """Hears how a long step goes on: what is being done, how many are done and of how many."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show it."""


class Platform:
    """One running platform. Use it as a context manager from the main thread: leaving stops what it started.

    ``environ`` is what the children see; it must lead ``Settings.from_env`` to the same ``settings``.
    """

    def __init__(self, *, settings: Settings, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.supervisor = Supervisor(environ=environ, logs=settings.data_dir / "logs")
        self._owns_database = False
        self._checked_at = 0.0

    def __enter__(self) -> Platform:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def check_ports(self) -> None:
        """Raise CannotStart naming the first port that another program holds."""
        for name, offset in PORTS.items():
            port = self.settings.port + offset
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((self.settings.host, port))
                except OSError as taken:
                    raise CannotStart(
                        f"Port {port}, needed for {name}, is taken by another program: choose other ports with --port "
                        f"(it uses that one and the {max(PORTS.values())} after it)."
                    ) from taken

    def start_database(self) -> None:
        """Start the embedded PostgreSQL unless another is configured, and bring its tables to this version."""
        if self.settings.embedded:
            self._owns_database = not postgres.is_running(self.settings.data_dir)
            postgres.start(self.settings.data_dir)
        migrate.upgrade(self.settings)

    def start_partners(self) -> None:
        """Start the police stub, the digital-yuan sandbox and the text-message sandbox; wait until they answer."""
        settings = self.settings
        for name, url in (("plates-stub", settings.plates_url), ("ecny-sandbox", settings.ecny_url)):
            self.supervisor.start(ChildPlan(name=name, arguments=(name,), health_url=f"{url}/health"))
        self.supervisor.start(
            ChildPlan(name="sms-sandbox", arguments=("sms-sandbox",), health_url=f"{settings.sms_url}/health")
        )
        for name in ("plates-stub", "ecny-sandbox", "sms-sandbox"):
            self.supervisor.wait_ready(name)

    def start_web(self) -> None:
        """Start the web server; wait until it answers."""
        address = f"http://{_reachable(self.settings.host)}:{self.settings.port}/health"
        self.supervisor.start(ChildPlan(name="web", arguments=("web",), health_url=address))
        self.supervisor.wait_ready("web")

    def start_scheduler(self) -> None:
        """Start the scheduler; wait until it answers."""
        port = self.settings.port + PORTS["scheduler"]
        self.supervisor.start(
            ChildPlan(
                name="scheduler",
                arguments=("scheduler", "--health-port", str(port)),
                health_url=f"http://127.0.0.1:{port}/health",
            )
        )
        self.supervisor.wait_ready("scheduler")

    def watch(self, *, until: Callable[[], bool]) -> None:
        """Keep everything running until ``until`` says so. Raises CannotStart when something keeps dying."""

        def done() -> bool:
            self._tend_database()
            return until()

        self.supervisor.watch(until=done)

    def stop(self) -> None:
        """Stop every child, then the database if it was started here. Doing it twice does no harm."""
        self.supervisor.stop()
        if self._owns_database:
            postgres.stop(self.settings.data_dir)
            self._owns_database = False

    def _tend_database(self) -> None:
        now = time.monotonic()
        if not self._owns_database or now - self._checked_at < DATABASE_CHECK_SECONDS:
            return
        self._checked_at = now
        if postgres.postmaster_pid(self.settings.data_dir) is None:
            postgres.start(self.settings.data_dir)


def _reachable(host: str) -> str:
    """The address under which this machine reaches a server that listens on ``host``."""
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104
