"""The stand-alone script: it agrees with every honest log, and finds what was changed in one."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import subsidy.recompute
from subsidy.events import EventKind
from subsidy.log_leaves import canonical
from subsidy.merkle import Peaks, leaf_hash
from subsidy.recompute import Queue
from subsidy.rules import Rules, StageRules
from tests.subsidy.logged_trial import live_through
from tests.subsidy.test_allocation_property import DAWN, HOUR, acts, programmes

SCRIPT = Path(subsidy.recompute.__file__)
Life = list[tuple[int, tuple[Any, ...]]]
lives = st.lists(acts, min_size=20, max_size=60)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(programmes(), lives, st.booleans())
def test_it_agrees_with_every_honest_log(rules: Rules, life: Life, late: bool) -> None:
    trial = live_through(rules, life, late=late)
    assert Queue().difference(trial.entries) is None
    assert not late or trial.state.ended or trial.state.held_count


FORGERIES = ("amount", "outcome", "drop", "swap", "double", "position")


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(programmes(), lives, st.sampled_from(FORGERIES), st.data())
def test_a_changed_outcome_is_found_whatever_root_is_signed(
    rules: Rules, life: Life, forgery: str, data: st.DataObject
) -> None:
    """Whoever may write the log and sign it can still not pay against its own rules."""
    entries = live_through(rules, life, late=True).entries
    decided = [n for n, leaf in enumerate(entries) if "outcome" in leaf]
    if not decided:
        return
    at = data.draw(st.sampled_from(decided))
    forged = forge(entries, forgery, at)
    assert forged == entries or Queue().difference(forged) is not None


def forge(entries: list[dict[str, Any]], forgery: str, at: int) -> list[dict[str, Any]]:
    forged = copy.deepcopy(entries)
    leaf = forged[at]
    if forgery == "amount":
        leaf["amount_fen"] += 1
    elif forgery == "outcome":
        leaf["outcome"] = {"award": "decline", "decline": "waiting", "waiting": "award", "held": "award"}[
            leaf["outcome"]
        ]
    elif forgery == "drop":
        del forged[at]
        if at == len(forged) and leaf["kind"] == "claim":
            return entries  # a log that ends earlier is an honest log; the heads forbid it
    elif forgery == "swap":
        other = next((each for each in forged if each.get("outcome", leaf["outcome"]) != leaf["outcome"]), leaf)
        for name in ("outcome", "amount_fen"):
            leaf[name], other[name] = other[name], leaf[name]
    elif forgery == "double":
        forged.insert(at, copy.deepcopy(leaf))
    elif forgery == "position":
        leaf["position"] += 1
    return forged


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(programmes(), lives, st.data())
def test_any_changed_leaf_has_another_root(rules: Rules, life: Life, data: st.DataObject) -> None:
    entries = live_through(rules, life, late=True).entries
    tree = Peaks()
    for entry in entries:
        tree.append(leaf_hash(canonical(entry).encode()))
    head = {"size": len(entries), "root": tree.root().hex()}
    assert Queue().root(entries) == head["root"]
    assert Queue().difference(entries, [head]) is None
    forged = copy.deepcopy(entries)
    leaf = data.draw(st.sampled_from(forged))
    name = data.draw(st.sampled_from(sorted(leaf)))
    leaf[name] = 7 if leaf[name] != 7 else 8
    try:
        found = Queue().difference(forged, [head])
    except (LookupError, TypeError, AttributeError, ValueError):
        return  # what no queue can hold stops the script too
    assert found is not None


def as_folder(folder: Path, entries: list[dict[str, Any]]) -> Path:
    """The log as a reader would have fetched it: in pages, with a head beside them."""
    for start in range(0, len(entries), 7):
        page = {"programme": "GS", "start": start, "entries": entries[start : start + 7]}
        (folder / f"entries-{start}.json").write_text(json.dumps(page), encoding="utf-8")
    head = {"programme": "GS", "size": len(entries), "root": Queue().root(entries)}
    (folder / "head.json").write_text(json.dumps(head), encoding="utf-8")
    return folder


def run(place: Path) -> subprocess.CompletedProcess[str]:
    """The script as a journalist runs it: isolated, without our packages."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "script.py", place], capture_output=True, text=True, timeout=30, cwd=place.parent
    )


def test_it_runs_alone_and_says_what_it_found(tmp_path: Path) -> None:
    entries = one_life()
    (tmp_path / "script.py").write_bytes(SCRIPT.read_bytes())
    (tmp_path / "log").mkdir()
    honest = run(as_folder(tmp_path / "log", entries))
    assert (honest.returncode, honest.stdout) == (0, f"{len(entries)} leaves, every claim decided again: all agree\n")
    (tmp_path / "whole.json").write_text(json.dumps({"start": 0, "entries": entries}), encoding="utf-8")
    assert run(tmp_path / "whole.json").returncode == 0
    paid = next(leaf for leaf in entries if leaf.get("outcome") == "award")
    paid["amount_fen"] += 1
    forged = run(as_folder(tmp_path / "log", entries))
    assert forged.returncode == 1
    assert f"event {paid['event_no']}: published [({paid['position']}, 'award', {paid['amount_fen']})]" in forged.stdout


def one_life() -> list[dict[str, Any]]:
    """Every kind of event once at least, in a life of two stages."""
    claim = ("claim", 1, 0, None, None)
    acts_of_it = [
        claim, ("claim", 2, 0, None, "invoice_missing"), ("mend", 0, True), ("hold", 0, True), ("mend", 1, False),
        ("claim", 3, 0, "plate_of_another", None), ("overrule", 0, True), ("pause",), ("claim", 4, 0, None, None),
        ("resume",), ("take_back", 0, True), ("take_back", 0, False), ("claim", 5, 0, None, "invoice_missing"),
        ("claim", 1, 0, None, None), ("claim", 1, 30, None, None),
    ]  # fmt: skip
    rules = two_stages()
    trial = live_through(rules, [(0 if n else 12, what) for n, what in enumerate(acts_of_it)], late=True)
    return trial.entries


def test_the_life_above_holds_every_kind() -> None:
    kinds = {leaf["kind"] for leaf in one_life()}
    assert kinds == {kind.value for kind in EventKind} | {"decision"}


def two_stages() -> Rules:
    opens_at = DAWN + 6 * HOUR
    stages = (
        StageRules(1, 300, 3, 900, opens_at, opens_at + 24 * HOUR),
        StageRules(2, 200, 4, 800, opens_at + 24 * HOUR, opens_at + 48 * HOUR),
    )
    return Rules(stages, 6 * HOUR, 5 * HOUR, 1, 600, date(2025, 12, 31))


def test_it_is_short_and_needs_the_standard_library_alone() -> None:
    source = SCRIPT.read_text(encoding="utf-8")
    assert source.count("\n") < 150
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
    }
    assert imported <= sys.stdlib_module_names
    assert "not that a claim was rightly called eligible" in source
