"""`mapai up`: from nothing to a running demo district, in one command and in words."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table

from app.config import Settings
from app.data_folder import claim, locked
from app.platform_run import Platform
from app.startup import CannotStart

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Somebody asked us to stop (Ctrl-C, SIGTERM, a closed terminal). Not an Exception: nothing swallows it."""


def run(*, data: Path, port: int) -> None:
    """Run the demo until it is asked to stop. Raises CannotStart with one sentence where it cannot."""
    console = Console()
    folder = claim(data)
    environ = {**os.environ, "MAPAI_DATA": str(folder), "MAPAI_PORT": str(port)}
    settings = Settings.from_env(environ)
    if settings.mode == "production":
        raise CannotStart("`mapai up` runs a demo: in production start web and scheduler by themselves.")
    busy = f"Mapai is already running on {folder}: stop it first, or name another folder with --data."
    with locked(folder, "up", busy=busy), _interruptible():
        try:
            with Platform(settings=settings, environ=environ) as platform:
                try:
                    _start(platform, console)
                    _show(settings, console)
                    platform.watch(until=lambda: False)
                finally:
                    _ignore_signals()
        except StopRequested:
            console.print("Stopped. The data stays where it is; the next start finds it again.")


def _start(platform: Platform, console: Console) -> None:
    platform.check_ports()
    _fetch_once(console)
    with _step(console, "database, migrated to this version"):
        platform.start_database()
    with _step(console, "partners: traffic police, digital yuan, text messages"):
        platform.start_partners()
    _seed_once(platform.settings, console)
    with _step(console, "web"):
        platform.start_web()
    with _step(console, "scheduler"):
        platform.start_scheduler()


def _fetch_once(console: Console) -> None:
    from app.build_assets import fetch, own_frontend

    frontend = own_frontend()
    if not frontend.missing():
        return
    try:
        with _step(console, "fonts and libraries"):
            fetch(frontend, say=lambda words: console.print(f"  {words}"))
    except CannotStart as reason:
        console.print(f"[yellow]![/yellow] {reason} Until then nothing can be printed; everything else works.")


def _seed_once(settings: Settings, console: Console) -> None:
    from app.seed import is_seeded, seed

    if is_seeded(settings):
        console.print("[green]✓[/green] demo district found from an earlier start")
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
    with _step(console, f"demo district {settings.district}"), Bars(*columns, console=console, transient=True) as bars:
        tasks = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        seed(settings, show)


def _show(settings: Settings, console: Console) -> None:
    from app.demo import DEMO_ACCOUNTS, READY_OWNER

    address = settings.public_url
    console.print(f"\n码牌 Mapai runs at [bold]{address}[/bold]  (API: {address}/api/openapi.json)\n")
    table = Table("", "login", "password", "page", box=None, pad_edge=False)
    for role, login, password, url in DEMO_ACCOUNTS:
        table.add_row(role, login, password, url if url.startswith("http") else f"{address}{url}")
    console.print(table)
    old = READY_OWNER
    console.print(
        "\n在代办点登记这辆旧车，从头办到到账 · an old bike ready to trade in at the point:\n"
        f"号牌 {old.plate_no}  车架号 {old.frame_no}  {old.name}  {old.id_no}  {old.phone}"
    )
    console.print(f"\nLogs: {settings.data_dir / 'logs'}   Ctrl-C stops everything.")


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    console.print(f"[green]✓[/green] {what} [dim]{time.monotonic() - begun:.1f} s[/dim]")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn the signals that mean «stop» into StopRequested, and put the old handlers back after."""

    def request(number: int, frame: FrameType | None) -> None:
        # One is enough: a second must not interrupt the stopping.
        _ignore_signals()
        raise StopRequested

    # Under nohup a closed terminal is to be ignored, as it was asked.
    wanted = [each for each in SIGNALS if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, request) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
