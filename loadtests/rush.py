"""``python -m loadtests.rush``: the last evening of a stage on a platform of its own, and whether the books balance.

Starts database, partners, web and scheduler on ports of its own, prepares trade-ins, lets Locust's users in, waits
until the money has gone out, and ends with one JSON line: figures by request, completions acknowledged, awards by
stage, and every invariant with the number of its violations. Exit 1 where one is not 0.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app import postgres
from app.config import PORTS, Settings
from app.platform_run import Platform
from app.serving import Misbehaviour
from app.startup import CannotStart
from loadtests.rush_ground import Sizes, make_ground, open_programme
from loadtests.rush_shapes import SHAPES
from loadtests.rush_verdict import outcome_of, undone, worst
from loadtests.users_known import KNOWN_FILE, Known

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "build" / "rush.html"
FIRST_PORT, LAST_PORT = 21_000, 31_000
LOCUST_READY_S, STOP_WITHIN_S, SETTLE_S = 90.0, 20, 240.0
# From its start to the first user.
LOCUST_STARTS = timedelta(seconds=3)
LOOK_S, LOG_SHOWN = 1.0, 1_500
# The rate the operator allows in a rush: what is owed goes out while it lasts.
TRANSFERS_A_SECOND = 100
FAULTS = Misbehaviour(seed=7, fault_rate=0.03, answered_at_once=0.7, late_s=3.0)
NO_FAULTS = Misbehaviour(seed=7, answered_at_once=0.9)


class RushFailed(Exception):
    """The rush itself could not be carried out. Its text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a rush as the arguments say; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        outcome, words = run(asked)
    except (RushFailed, CannotStart) as failed:
        print(f"✗ {failed}", file=sys.stderr)
        return 1
    if words:
        print(worst(words), file=sys.stderr)
    print(json.dumps(outcome, ensure_ascii=False))
    return 0 if outcome["met"] else 1


def run(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Return the JSON line's content and every violation in words. Raises RushFailed and CannotStart."""
    sizes = Sizes(users=asked.users, seconds=max(1.0, asked.minutes * 60))
    with _own_folder() as folder, _stopped_by_signals():
        environ = _environ(folder, faults=asked.faults)
        settings = Settings.from_env(environ)
        with Platform(settings=settings, environ=environ) as platform:
            known = _prepare(platform, shape=asked.shape, sizes=sizes, folder=folder)
            begun = time.monotonic()
            _let_in(platform, known, asked, environ={**environ, KNOWN_FILE: str(folder / "known.json")})
            ran_s = time.monotonic() - begun
            left = _settle(platform, seconds=asked.settle)
            outcome, words = outcome_of(settings, environ=environ, seen=Path(known.seen))
        figures = json.loads(Path(known.summary).read_text(encoding="utf-8"))
    outcome["invariants"]["unsettled"] = left
    met = outcome["acknowledged"] > 0 and not any(outcome["invariants"].values())
    facts = {"users": asked.users, "seconds": round(ran_s, 1), "shape": asked.shape, "faults": asked.faults}
    return {"name": "rush", **facts, "met": met, **outcome, **figures}, words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.rush", description=__doc__)
    parser.add_argument("--users", type=int, default=2_000, help="users at once, everybody counted")
    parser.add_argument("--spawn-rate", type=float, default=200.0, help="users that come in a second")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long the crowd stays")
    parser.add_argument("--shape", choices=list(SHAPES), default="ramp")
    parser.add_argument("--faults", action="store_true", help="police and bank misbehave")
    parser.add_argument("--html", type=Path, default=REPORT, help="where Locust's report goes")
    parser.add_argument("--settle", type=float, default=SETTLE_S, help="seconds for the money to go out afterwards")
    parser.add_argument("--web", type=int, metavar="PORT", help="drive it by hand from Locust's page on this port")
    return parser


def _prepare(platform: Platform, *, shape: str, sizes: Sizes, folder: Path) -> Known:
    """Start the platform and make its ground; the programme comes last, so that its stages fall into the run."""
    platform.check_ports()
    platform.start_database()
    platform.start_partners()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ground") as thread:
        made = thread.submit(
            make_ground, platform.settings, shape=shape, sizes=sizes, folder=folder, progress=_say_progress
        )
        # Children are started from the main thread, while the other one makes the ground.
        platform.start_web()
        platform.start_scheduler()
        known = made.result()
    known.write(folder / "known.json")
    open_programme(platform.settings, known=known, begins_at=datetime.now(UTC) + LOCUST_STARTS)
    return known


def _let_in(platform: Platform, known: Known, asked: argparse.Namespace, *, environ: Mapping[str, str]) -> None:
    """Run Locust to its end while this process keeps the platform running. Raises RushFailed."""
    asked.html.parent.mkdir(parents=True, exist_ok=True)
    log = platform.settings.data_dir / "logs" / "locust.log"
    with log.open("wb") as out:
        locust = subprocess.Popen(_command(platform, asked), cwd=ROOT, env=dict(environ), stdout=out, stderr=out)
    _say(f"{asked.users} users, {known.shape}, {known.seconds:.0f} s, {len(known.callbacks)} plates in bursts")
    if asked.web is not None:
        _say(f"Locust: http://127.0.0.1:{asked.web} — start and stop there, then Ctrl-C here for the verdict")
    deadline = time.monotonic() + known.seconds + LOCUST_READY_S + STOP_WITHIN_S
    try:
        platform.watch(until=lambda: locust.poll() is not None or (asked.web is None and time.monotonic() > deadline))
    except KeyboardInterrupt:
        if asked.web is None:
            raise
    finally:
        if locust.poll() is None:
            locust.send_signal(signal.SIGINT)
            _wait_or_kill(locust)
    # Locust ends with 1 where a request failed: that is told, and judged by the invariants.
    if locust.returncode not in (0, 1) or not Path(known.summary).exists():
        raise RushFailed(f"Locust ended with {locust.returncode} and left no figures; its log says why.")


def _command(platform: Platform, asked: argparse.Namespace) -> list[str]:
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py"]
    command += ["--host", f"http://127.0.0.1:{platform.settings.port}", "--html", str(asked.html)]
    command += ["-u", str(asked.users), "-r", str(asked.spawn_rate), "-t", f"{max(1, round(asked.minutes * 60))}s"]
    command += ["--stop-timeout", str(STOP_WITHIN_S), "--loglevel", "WARNING"]
    if asked.web is None:
        return [*command, "--headless", "--only-summary"]
    return [*command, "--web-host", "127.0.0.1", "--web-port", str(asked.web)]


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=STOP_WITHIN_S + 10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _settle(platform: Platform, *, seconds: float) -> int:
    """Wait until the scheduler has nothing left to do; return how much it still has when the time is up."""
    deadline = time.monotonic() + seconds
    left, ask_at = 1, 0.0

    def done() -> bool:
        nonlocal left, ask_at
        if time.monotonic() >= ask_at:
            left, ask_at = undone(platform.settings), time.monotonic() + LOOK_S
        return left == 0 or time.monotonic() > deadline

    platform.watch(until=done)
    return left


def _environ(folder: Path, *, faults: bool) -> dict[str, str]:
    """What the platform's processes are told; nothing that was meant for another installation."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MAPAI_") and key != "DATABASE_URL"}
    return {
        **kept,
        **(FAULTS if faults else NO_FAULTS).to_environ(),
        "MAPAI_DATA": str(folder),
        "MAPAI_PORT": str(_free_ports()),
        "MAPAI_ECNY_PER_SECOND": str(TRANSFERS_A_SECOND),
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
def _own_folder() -> Iterator[Path]:
    """A data folder of the rush's own, gone in the end with the database in it."""
    folder = Path(tempfile.mkdtemp(prefix="mapai-rush-"))
    folder.chmod(0o755)  # under root PostgreSQL runs as another account
    try:
        yield folder
    except (CannotStart, RushFailed):
        _say(_logs_in(folder / "logs"))
        raise
    finally:
        postgres.destroy(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _logs_in(folder: Path) -> str:
    """Return the end of every process's log, because the logs go with the folder."""
    logs = sorted(folder.glob("*.log"))
    return "\n".join(f"── {log.name}\n{log.read_text(errors='replace')[-LOG_SHOWN:]}" for log in logs)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM end the rush as Ctrl-C does: everything it started is stopped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_progress(what: str, done: int, total: int) -> None:
    if done == total:
        _say(f"{what} {done:,}")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
