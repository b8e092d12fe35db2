"""`mapai up` as people use it: started, looked at, hurt, stopped, started again, and never leaving anything behind."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import postgres
from app.data_folder import claim
from app.processes import ChildPlan, Supervisor, answers
from app.startup import CannotStart
from tests.house_rules.tree import ROOT


def free_ports() -> int:
    """The first of five ports in a row that nobody holds."""
    for first in range(18_000 + os.getpid() % 2_000, 30_000, 7):
        try:
            for port in range(first, first + 5):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no five free ports in a row")


def wait_for(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def processes_of(folder: Path) -> list[int]:
    """Every live process that was told of this data folder, by its environment or its arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in told:
            found.append(int(entry.name))
    return found


def up(folder: Path, port: int) -> subprocess.Popen[str]:
    """Start `mapai up`."""
    return subprocess.Popen(
        command(folder, port), cwd=ROOT, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def refused_up(folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    """Run a `mapai up` that is expected to refuse."""
    return subprocess.run(
        command(folder, port), cwd=ROOT, env=environ(), capture_output=True, text=True, timeout=60, check=False
    )


def command(folder: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "app.cli", "up", "--data", str(folder), "--port", str(port)]


def environ() -> dict[str, str]:
    """An environment in which nobody configured anything."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAPAI_", "DATABASE_URL"))}


def read_until_running(running: subprocess.Popen[str]) -> str:
    """What `mapai up` prints until it has shown the sign-ins."""
    assert running.stdout is not None
    shown = ""
    for line in running.stdout:
        shown += line
        if "Ctrl-C stops everything" in line:
            return shown
    raise AssertionError(f"it ended with {running.wait()}:\n{shown}")


def get(url: str) -> tuple[int, bytes]:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def port() -> int:
    return free_ports()


@pytest.fixture
def running(data_dir: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    process = up(data_dir, port)
    yield process
    if process.poll() is None:
        process.terminate()
        process.wait(timeout=60)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.slow
def test_started_hurt_stopped_and_found_again(running: subprocess.Popen[str], data_dir: Path, port: int) -> None:
    shown = read_until_running(running)
    web = f"http://127.0.0.1:{port}"
    for each in range(port, port + 5):
        assert answers(f"http://127.0.0.1:{each}/health")
    assert web in shown
    assert get(f"{web}/api/openapi.json")[0] == 200

    second = refused_up(data_dir, port)
    assert second.returncode == 1
    assert second.stderr.startswith("mapai: Mapai is already running on ")

    killed = pid_of(data_dir, "web")
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not answers(f"{web}/health") or pid_of(data_dir, "web") != killed)
    wait_for(lambda: answers(f"{web}/health"))
    assert pid_of(data_dir, "web") != killed

    server = postgres.postmaster_pid(data_dir)
    assert server is not None
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: postgres.postmaster_pid(data_dir) not in {None, server})
    wait_for(lambda: answers(f"{web}/health"))

    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=60) == 0
    assert processes_of(data_dir) == []

    again = up(data_dir, port)
    assert "found from an earlier start" in read_until_running(again)
    again.kill()
    again.wait()
    assert again.stdout is not None
    again.stdout.close()
    wait_for(lambda: processes_of(data_dir) == [])


def pid_of(folder: Path, command: str) -> int:
    """The child of `mapai up` that runs a command: the one that leads its own session."""
    for pid in processes_of(folder):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if command.encode() in arguments and os.getsid(pid) == pid:
                return pid
        except OSError:
            continue
    return 0


def test_a_taken_port_is_one_sentence(data_dir: Path, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 2))
        taken.listen()
        told = refused_up(data_dir, port)
    assert told.returncode == 1
    assert told.stderr.startswith(f"mapai: Port {port + 2}, needed for ecny, is taken by another program")
    assert "--port" in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


def test_a_foreign_folder_is_one_sentence(tmp_path: Path, port: int) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    told = refused_up(tmp_path, port)
    assert told.returncode == 1
    assert "holds other things than Mapai's data" in told.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.fixture
def supervisor(data_dir: Path, port: int) -> Iterator[Supervisor]:
    told = {**environ(), "MAPAI_DATA": str(data_dir), "MAPAI_PORT": str(port)}
    supervisor = Supervisor(environ=told, logs=claim(data_dir) / "logs")
    yield supervisor
    supervisor.stop()


def test_a_dead_child_comes_back(supervisor: Supervisor, port: int) -> None:
    health = f"http://127.0.0.1:{port + 3}/health"
    supervisor.start(ChildPlan(name="sms-sandbox", arguments=("sms-sandbox",), health_url=health))
    supervisor.wait_ready("sms-sandbox")
    before = supervisor.pid_of("sms-sandbox")
    os.kill(before, signal.SIGKILL)
    supervisor.watch(until=lambda: supervisor.pid_of("sms-sandbox") != before and answers(health))
    supervisor.stop()
    assert not answers(health)


def test_a_child_that_cannot_start_names_its_log(supervisor: Supervisor) -> None:
    supervisor.start(ChildPlan(name="nonsense", arguments=("nonsense",), health_url="http://127.0.0.1:1/health"))
    with pytest.raises(CannotStart, match=r"nonsense stopped while starting; .*nonsense\.log says why"):
        supervisor.wait_ready("nonsense")
    assert "No such command" in supervisor.log_of("nonsense").read_text()


def test_a_child_that_keeps_dying_stops_the_whole(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.processes.BACKOFF_SECONDS", (0.01,) * 5)
    supervisor.start(ChildPlan(name="nonsense", arguments=("nonsense",)))
    begun = time.monotonic()
    with pytest.raises(CannotStart, match="nonsense died 5 times within a minute"):
        supervisor.watch(until=lambda: time.monotonic() - begun > 60)
