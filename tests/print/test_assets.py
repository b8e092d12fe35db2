"""Fetching fonts and libraries: whole or not at all, once, by hash, and one sentence where it cannot be done."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from app.build_assets import HERE, INSTALL_FILES, LOCK_FILE, MARK, Frontend, fetch, own_frontend
from app.cli import main
from app.startup import CannotStart
from app.up import _fetch_once
from tests.house_rules.tree import ROOT

FRONTEND = HERE / "frontend"
# What npm would do, as far as anybody here can see: it leaves packages, and a line for each time it ran.
PACKAGES = 'echo run >> "$LOG"; mkdir -p node_modules/a node_modules/b; echo font > node_modules/a/f; '
WHOLE = PACKAGES + "echo script > node_modules/b/s"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Frontend]:
    """Makes a frontend in a folder of its own, whose npm is a shell script."""
    home = tmp_path / "frontend"
    home.mkdir()
    for name in INSTALL_FILES:
        shutil.copy(FRONTEND / name, home / name)
    (tmp_path / "print").mkdir()
    (tmp_path / "static").mkdir()
    monkeypatch.setenv("LOG", str(tmp_path / "log"))

    def frontend(script: str) -> Frontend:
        npm = tmp_path / "npm"
        npm.write_text(f"#!/bin/sh\nset -e\n{script}\n", encoding="utf-8")
        npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
        wanted = {tmp_path / "print" / "vendor": {"font.ttf": "a/f"}, tmp_path / "static" / "vendor": {"s.js": "b/s"}}
        return Frontend(folder=home, wanted=wanted, npm=(str(npm),))

    return frontend


def runs(tmp_path: Path) -> int:
    """How often npm ran."""
    log = tmp_path / "log"
    return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0


def left_over(frontend: Frontend) -> list[str]:
    return sorted(path.name for path in frontend.work.iterdir())


def test_it_fetches_once_and_again_for_another_lock_file(make, tmp_path):
    frontend, said = make(WHOLE), []
    assert fetch(frontend, say=said.append)
    assert (tmp_path / "print" / "vendor" / "font.ttf").read_text() == "font\n"
    assert (tmp_path / "static" / "vendor" / "s.js").read_text() == "script\n"
    assert left_over(frontend) == ["lock"]
    assert not fetch(frontend, say=said.append)
    assert (runs(tmp_path), len(said)) == (1, 1)
    with (frontend.folder / LOCK_FILE).open("a") as lock_file:
        lock_file.write("\n")
    assert fetch(frontend, say=said.append)
    assert runs(tmp_path) == 2


def test_a_folder_without_its_mark_is_not_taken_for_whole(make, tmp_path):
    frontend = make(WHOLE)
    fetch(frontend, say=str)
    (tmp_path / "print" / "vendor" / MARK).unlink()
    (tmp_path / "print" / "vendor" / "left.ttf").write_text("of an older version")
    assert frontend.missing() == [tmp_path / "print" / "vendor"]
    fetch(frontend, say=str)
    assert sorted(path.name for path in (tmp_path / "print" / "vendor").iterdir()) == ["font.ttf", MARK]


def test_packages_that_lack_a_file_put_nothing_in_place(make, tmp_path):
    frontend = make(PACKAGES)
    with pytest.raises(CannotStart, match="cannot be put in place"):
        fetch(frontend, say=str)
    assert not (tmp_path / "static" / "vendor").exists()
    assert tmp_path / "static" / "vendor" in frontend.missing()
    assert left_over(frontend) == ["lock"]


def test_an_install_that_was_killed_is_begun_again(make, tmp_path):
    frontend = make(f'{PACKAGES} echo $$ > "$LOG.pid"; exec sleep 60')
    begun = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT)
    pid_file = tmp_path / "log.pid"
    try:
        wait_for(lambda: pid_file.exists() and pid_file.read_text().strip() != "")
    finally:
        begun.kill()
        begun.wait(10)
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert len(frontend.missing()) == 2
    assert left_over(frontend) != ["lock"]
    assert fetch(make(WHOLE), say=str)
    assert left_over(frontend) == ["lock"]
    assert frontend.missing() == []


# The same frontend as the test's, in a process that can be killed.
KILLED = """
import sys
from pathlib import Path
from app.build_assets import Frontend, fetch
home = Path(sys.argv[1])
wanted = {home / "print" / "vendor": {"font.ttf": "a/f"}, home / "static" / "vendor": {"s.js": "b/s"}}
fetch(Frontend(folder=home / "frontend", wanted=wanted, npm=(str(home / "npm"),)), say=str)
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_two_at_once_fetch_once(make, tmp_path):
    frontend, together, fetched = make(WHOLE), threading.Barrier(2), []

    def work() -> None:
        together.wait(10)
        fetched.append(fetch(frontend, say=str))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(fetched) == [False, True]
    assert runs(tmp_path) == 1


def test_what_npm_says_is_told_in_one_sentence(make):
    with pytest.raises(CannotStart, match=r"npm error code EINTEGRITY.*run `mapai assets`") as told:
        fetch(make("echo 'npm error code EINTEGRITY' >&2; exit 1"), say=str)
    assert "\n" not in str(told.value)
    with pytest.raises(CannotStart, match="npm did not do its work"):
        fetch(Frontend(folder=make(WHOLE).folder, wanted=make(WHOLE).wanted, npm=("/nowhere/npm",)), say=str)


def test_a_registry_that_cannot_be_reached_is_told_by_the_real_npm(make, tmp_path, monkeypatch):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    frontend = make(WHOLE)
    real = Frontend(folder=frontend.folder, wanted=frontend.wanted, npm=own_frontend().npm)
    with pytest.raises(CannotStart, match="see that its registry can be reached"):
        fetch(real, say=str)
    assert len(real.missing()) == 2


def test_the_lock_file_pins_by_hash_and_names_no_address():
    lock = json.loads((FRONTEND / LOCK_FILE).read_text(encoding="utf-8"))
    asked = json.loads((FRONTEND / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in asked.values())
    assert lock["packages"][""]["dependencies"] == asked
    packages = {name: facts for name, facts in lock["packages"].items() if name}
    assert {f"node_modules/{name}" for name in asked} <= set(packages)
    for name, facts in packages.items():
        assert facts["integrity"].startswith("sha512-"), name
        assert "resolved" not in facts, name
        assert not facts.get("hasInstallScript"), name


def test_the_command_says_that_all_is_in_place():
    shown = CliRunner().invoke(main, ["assets"])
    assert (shown.exit_code, shown.output) == (0, "Fonts and libraries were in place already.\n")


def test_up_goes_on_without_them_and_says_what_to_do(make, monkeypatch):
    monkeypatch.setattr("app.build_assets.own_frontend", lambda: make("echo 'npm error network' >&2; exit 1"))
    told = io.StringIO()
    _fetch_once(Console(file=told, width=400))
    assert "run `mapai assets`" in told.getvalue()
    assert "everything else works" in told.getvalue()


def test_without_npm_on_the_path_the_one_of_the_wheel_is_used(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    node, npm = own_frontend().npm
    assert os.access(node, os.X_OK)
    assert Path(npm).is_file()
