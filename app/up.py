"""`mapai up`: from nothing to a running demo district, in one command and in words."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from app.config import Settings
from app.data_folder import claim, locked
from app.platform_run import Platform, Progress
from app.startup import CannotStart

# A line of progress at most so often, where the output is a file.
LINE_SECONDS = 5.0
FILE_WIDTH = 200
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Somebody asked us to stop (Ctrl-C, SIGTERM, a closed terminal). Not an Exception: nothing swallows it."""


def run(*, data: Path, port: int) -> None:
    """Run the demo until it is asked to stop. Raises CannotStart with one sentence where it cannot."""
    console = _console()
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
    with _step(console, f"demo district {settings.district}"), _progress(console) as show:
        seed(settings, show)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    """Show how a long step goes on: bars in a terminal, a line now and then where the output is a file."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show


class _Lines:
    """Says in a line what has begun, and every few seconds how far it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        """Say it, unless it was said a moment ago."""
        last, now = self._said.get(what), time.monotonic()
        over = done >= total
        if last is None or over or now - last >= LINE_SECONDS:
            # Over once: what comes after the end is no news.
            self._said[what] = float("inf") if over else now
            if last != float("inf"):
                self._console.print(f"  {what} {done:,} / {total:,}", highlight=False)


def _console() -> Console:
    """A console that wraps nothing where it writes to a file: an address broken in two cannot be copied."""
    console = Console(soft_wrap=True)
    return console if console.is_terminal else Console(soft_wrap=True, width=FILE_WIDTH)


def _padded(word: str, width: int) -> str:
    """The word with spaces behind it; a Chinese character is as wide as two of them."""
    return word + " " * (width - cell_len(word))


def _show(settings: Settings, console: Console) -> None:
    from app.demo import DEMO_ACCOUNTS, READY_OWNER

    address = settings.public_url
    console.print(f"\n码牌 Mapai runs at [bold]{address}[/bold]  (API: {address}/api/openapi.json)\n")
    # No table of the console's own: it would cut an address to the width it takes the terminal to have.
    rows = [(row.role_zh, row.login, row.password, f"{address}{row.start}") for row in DEMO_ACCOUNTS]
    for row in (("", "login", "password", "page"), *rows):
        console.print("  ".join(_padded(word, width) for word, width in zip(row, (18, 14, 11, 0), strict=True)))
    old = READY_OWNER
    console.print(
        "\n在代办点登记这辆旧车，从头办到到账 · an old bike ready to trade in at the point:\n"
        f"号牌 {old.plate_no}  车架号 {old.frame_no}  {old.name}  {old.id_no}  {old.phone}"
    )
    console.print(
        "\n短信不会真的发出，验证码在这里看 · one-time codes appear here, no message leaves:\n"
        f"{settings.sms_url}/messages"
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
