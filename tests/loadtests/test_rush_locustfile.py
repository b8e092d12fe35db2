"""The locustfile by itself, as ``locust -f`` has it: readers only; a server that is away is a failure, no stumble."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from loadtests.free_ports import free_port
from loadtests.users_known import KNOWN_FILE
from tests.house_rules.tree import ROOT

WITHIN_S = 120


def test_readers_alone_find_nobody_at_home() -> None:
    environ = {name: value for name, value in os.environ.items() if name != KNOWN_FILE}
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--host", address, "--headless"]
    done = subprocess.run(
        [*command, "-u", "3", "-r", "3", "-t", "1s", "--json"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    asked = {each["name"]: each for each in json.loads(done.stdout)}
    assert {"front page"} <= asked.keys() <= {"front page", "live state: card", "live state: API"}
    assert all(each["num_failures"] == each["num_requests"] for each in asked.values())
