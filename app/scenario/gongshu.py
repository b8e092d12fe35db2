"""`mapai scenario gongshu`: Gongshu's programme in small time, over HTTP, on a database of its own.

Partners misbehave, wallets fail, claims wait, owners appeal, staff correct, hold, overrule, take back and pause, by two
persons each. In the end every count is what the seed said before anything ran, or the exit code is 1. Only business
instants run fast: time-outs, leases and signatures stay in real time.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from app import postgres
from app.clock import Clock, real
from app.config import PORTS, Settings
from app.platform_run import Platform
from app.scenario.calls import ScenarioFailed
from app.scenario.play import Afterwards, Play
from app.scenario.showing import Show
from app.serving import Misbehaviour
from app.startup import CannotStart

TRADE_INS, FILINGS = 4_000, 180_000
# The second of March 2026 in Hangzhou; from then on a month takes a hundred seconds.
BEGINS_AT = datetime(2026, 3, 1, 16, tzinfo=UTC)
FACTOR = 25_920.0
FAULT_RATE, ANSWERED_AT_ONCE = 0.03, 0.7
LATE_S, SLOW_S = 2.5, 0.6
# Small, so that some batches need a second person however few trade-ins there are.
SECOND_APPROVAL_FEN = 300_000
FIRST_PORT, LAST_PORT = 20_000, 31_000


def run(
    *,
    seed: int,
    trade_ins: int = TRADE_INS,
    filings: int = FILINGS,
    keep: bool = False,
    afterwards: Afterwards | None = None,
) -> int:
    """Run the scenario; return 0 where every rule held and every count came out as predicted, else 1.

    With ``keep`` the data folder stays, with logs and database. ``afterwards`` is called when all was checked, with a
    way to check once more: whoever changes the books meanwhile learns whether the checks see it.
    """
    show = Show()
    with _folder(keep=keep, show=show) as folder, _stopped_by_signals():
        environ = _environ(folder, seed=seed)
        settings = Settings.from_env(environ)
        play = Play(settings=settings, show=show, seed=seed, trade_ins=trade_ins, filings=filings)
        with Platform(settings=settings, environ=environ) as platform:
            with show.phase("数据库、合作方、网站、调度已启动"):
                platform.check_ports()
                platform.start_database()
                platform.start_partners()
                platform.start_web()
                platform.start_scheduler()
            try:
                return _perform(platform, play, afterwards)
            except ScenarioFailed as failed:
                show.say(f"[red]✗[/red] 中止：{failed}")
                return 1


def _perform(platform: Platform, play: Play, afterwards: Afterwards | None) -> int:
    """Play in a thread while this one keeps the platform running."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="play") as pool:
        try:
            played: Future[int] = pool.submit(play.perform, afterwards=afterwards)
            platform.watch(until=played.done)
            return played.result()
        finally:
            play.close()


def _environ(folder: Path, *, seed: int) -> dict[str, str]:
    """What the platform's processes are told; nothing that was meant for another installation."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAPAI_") and key != "DATABASE_URL"}
    clock = Clock(origin_business=BEGINS_AT, origin_real=real(), factor=FACTOR)
    misbehaviour = Misbehaviour(
        fault_rate=FAULT_RATE, seed=seed, answered_at_once=ANSWERED_AT_ONCE, late_s=LATE_S, slow_s=SLOW_S
    )
    return {
        **kept,
        **misbehaviour.to_environ(),
        "MAPAI_MODE": "scenario",
        "MAPAI_DATA": str(folder),
        "MAPAI_PORT": str(_free_ports()),
        "MAPAI_CLOCK": str(clock),
        "MAPAI_PAYMENTS_NEED_APPROVAL": "1",
        "MAPAI_SECOND_APPROVAL_FEN": str(SECOND_APPROVAL_FEN),
    }


def _free_ports() -> int:
    """Return the first of a row of ports that nobody holds."""
    many = max(PORTS.values()) + 1
    for first in range(FIRST_PORT + os.getpid() % 1_000 * many, LAST_PORT, many):
        if all(map(_is_free, range(first, first + many))):
            return first
    raise CannotStart(f"No {many} free ports in a row between {FIRST_PORT} and {LAST_PORT}.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def _folder(*, keep: bool, show: Show) -> Iterator[Path]:
    """A data folder of the scenario's own, gone in the end unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="mapai-scenario-"))
    folder.chmod(0o755)  # under root PostgreSQL runs as another account
    try:
        yield folder
    finally:
        if keep:
            show.say(f"数据留在 {folder}（日志在 logs/）")
        else:
            postgres.destroy(folder)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM end the scenario as Ctrl-C does: everything it started is stopped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
