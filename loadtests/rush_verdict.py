"""The verdict on a rush: what its users were told, compared with the tables, the bank's books and ``mapai verify``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from app.clients.ecny.bank import Bank, Options
from app.clients.proceedings import ManualOutgoing
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.checks import (
    POSTED,
    Acknowledged,
    duplicates,
    lost_or_changed,
    out_of_order,
    overspent,
    paid_otherwise,
    read_owed,
    read_standing,
    tally,
    unsealed,
)
from subsidy.operator import StatementLine

APPLICATIONS = "SELECT reference, application_no FROM trade_in WHERE reference = ANY(%s)"
AWARDED = "SELECT stage_no, count(*) FROM claim WHERE state = 'awarded' GROUP BY 1 ORDER BY 1"
CLAIMS = "SELECT state, count(*) FROM claim GROUP BY 1 ORDER BY 1"
PAYOUTS = "SELECT state, count(*) FROM payout GROUP BY 1 ORDER BY 1"
# What the scheduler still has to do, once the rush is over.
UNDONE = """
SELECT (SELECT count(*) FROM trade_in WHERE state = 'plate_applied' AND asked_at IS NOT NULL)
     + (SELECT count(*) FROM payout p WHERE p.state IN ('owed', 'in_flight') OR (p.state = 'awaiting_wallet'
        AND p.problem IS NULL
        AND EXISTS (SELECT FROM wallet w WHERE w.trade_in_id = p.trade_in_id AND w.superseded_at IS NULL)))
     + (SELECT count(*) FROM audit_entry e WHERE NOT EXISTS (SELECT FROM audit_seal s WHERE s.entry_id = e.id))
"""
VERIFY_WITHIN_S = 1_800.0


@dataclass(slots=True, kw_only=True)
class Told:
    """What users were told: completions, the answers to those said again, and whatever must never have happened."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    repeated: list[Acknowledged] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)


def read_told(path: Path, *, connection: psycopg.Connection[Any]) -> Told:
    """Read the lines the users left. Counters know references only; the tables say which application is meant."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    references = [line["reference"] for line in lines if line["kind"] == "walked"]
    numbers = dict(connection.execute(APPLICATIONS, (references,)).fetchall())
    told = Told()
    for line in lines:
        kind = line.pop("kind")
        if kind == "breach":
            told.breaches.append(line["what"])
            continue
        if kind == "walked":
            # One that is not there any more is acknowledged and missing, under the only name it has.
            reference = line.pop("reference")
            line["application_no"] = numbers.get(reference, reference)
        (told.repeated if kind == "repeated" else told.acknowledged).append(Acknowledged(**line))
    return told


def violations_by_kind(
    *, connection: psycopg.Connection[Any], told: Told, bank_lines: Iterable[StatementLine], verified: list[str]
) -> dict[str, list[str]]:
    """Return every violation in words, under the invariant it breaks; empty lists where all holds."""
    standing = read_standing(connection=connection)
    posted = connection.execute(POSTED).fetchone()
    assert posted is not None
    found = {
        "overspent": overspent(connection=connection),
        "duplicates": duplicates(connection=connection),
        "out_of_order": out_of_order(acknowledged=told.acknowledged),
        "paid_otherwise": paid_otherwise(owed=read_owed(connection=connection), lines=bank_lines, posted_fen=posted[0]),
        "acknowledged_but_missing": lost_or_changed(acknowledged=told.acknowledged, standing=standing),
        "repeated_otherwise": lost_or_changed(acknowledged=told.repeated, standing=standing),
        "unsealed": unsealed(connection=connection),
        "verify": verified,
        "breaches": told.breaches,
    }
    connection.rollback()
    return found


def outcome_of(settings: Settings, *, environ: Mapping[str, str], seen: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what the rush came to, and every violation in words. Ask while nothing is under way."""
    verified = verify(environ)
    with psycopg.connect(psycopg_conninfo(settings, application="mapai-rush")) as connection:
        told = read_told(seen, connection=connection)
        found = violations_by_kind(connection=connection, told=told, bank_lines=bank_lines(settings), verified=verified)
        outcome = {
            "acknowledged": len(told.acknowledged),
            "acknowledged_as": tally(acknowledged=told.acknowledged),
            "repeated": len(told.repeated),
            "awarded_by_stage": {str(number): many for number, many in connection.execute(AWARDED)},
            "claims": dict(connection.execute(CLAIMS).fetchall()),
            "payouts": dict(connection.execute(PAYOUTS).fetchall()),
            "invariants": {kind: len(words) for kind, words in found.items()},
        }
    return outcome, [f"{kind}: {words}" for kind, each in found.items() for words in each]


def undone(settings: Settings) -> int:
    """Return how much the scheduler still has to do."""
    with psycopg.connect(psycopg_conninfo(settings, application="mapai-rush")) as connection:
        row = connection.execute(UNDONE).fetchone()
    assert row is not None
    return int(row[0])


def verify(environ: Mapping[str, str]) -> list[str]:
    """Run ``mapai verify`` as anybody would; return its differences, or what it said when it failed without one."""
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "verify"],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=VERIFY_WITHIN_S,
        check=False,
    )
    if done.returncode == 0:
        return []
    lines = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    return lines or [f"exit code {done.returncode}: {(done.stdout + done.stderr)[-500:]}"]


def bank_lines(settings: Settings) -> list[StatementLine]:
    """Return all the bank's own statements will ever list, read from a copy of its journal."""
    journal = settings.data_dir / "ecny.journal"
    if not journal.exists():
        return []
    now = datetime.now(UTC)
    copy = settings.data_dir / "ecny-copy.journal"
    shutil.copyfile(journal, copy)
    bank = Bank(Options(key=settings.ecny_key, now=lambda: now + timedelta(days=3), state_file=copy), ManualOutgoing())
    try:
        statements = [bank.statement((now + timedelta(days=days)).date()) for days in (-1, 0, 1)]
    finally:
        bank.close()
    return [line for statement in statements if statement for line in statement.lines]


def worst(words: list[str], *, shown: int = 40) -> str:
    """Return the violations in lines, at most so many of a kind, for people to read."""
    kinds: Counter[str] = Counter()
    lines = []
    for each in words:
        kind = each.partition(":")[0]
        kinds[kind] += 1
        if kinds[kind] <= shown:
            lines.append(f"✗ {each}")
    return "\n".join(lines)
