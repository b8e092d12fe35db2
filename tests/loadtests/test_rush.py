"""A small rush from nothing to the verdict: the platform, Locust's users, the checks, and nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house_rules.tree import ROOT

WITHIN_S = 300
PLACES = 24
# What these users do first, however slow the machine is.
DONE = {"board: page", "front page", "own trade-in: page", "police: plate issued"}


@pytest.mark.slow
def test_a_small_rush_ends_with_every_invariant_at_nought(tmp_path: Path) -> None:
    report = tmp_path / "rush.html"
    size = ["--users", "20", "--spawn-rate", "40", "--minutes", "0.17"]
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.rush", *size, "--html", str(report)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:] + done.stdout[-3_000:]
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["met"] is True
    assert set(outcome["invariants"].values()) == {0}
    requests = {request["name"]: request for request in outcome["requests"]}
    assert requests.keys() >= DONE
    assert 0 < outcome["acknowledged"] == sum(outcome["acknowledged_as"].values()) <= sum(outcome["claims"].values())
    assert 0 < outcome["awarded_by_stage"]["1"] <= PLACES
    assert outcome["payouts"]["settled"] > 0
    assert all(request["p50_ms"] <= request["p99_ms"] for request in outcome["requests"])
    assert "<html" in report.read_text(encoding="utf-8").lower()
