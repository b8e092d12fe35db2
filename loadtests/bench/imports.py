"""``import``: a list of 180,000 filings read, validated, encrypted and stored, against COPY of what it stored.

The reference copies the very bytes of the two tables into empty tables of another copy of the same database: same
columns, indexes, constraints, foreign key and logging. Both sides are single-handed: one connection each.
"""

from __future__ import annotations

import gc
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from app.config import Settings
from app.db import psycopg_conninfo
from app.district.filings import generate_filings, write_filings_csv
from loadtests.bench.comparison import Progress, Run, summary
from loadtests.bench.database import fresh_database, own_server
from registry.filing_file import look_through, read_rows
from registry.filing_import import import_filings

GOAL = 0.3
ROWS = 180_000
RUNS = 5
TABLES = ("person", "filed_bike")
TODAY = date(2026, 6, 1)
_CHUNK = 1 << 20


def run(*, progress: Progress, rows: int = ROWS, runs: int = RUNS) -> dict[str, Any]:
    """Measure and return the JSON line's content; ``ours`` and ``reference`` are filings a second."""
    with TemporaryDirectory(prefix="mapai-bench-") as folder, own_server() as template:
        listed = Path(folder) / "filings.csv"
        write_filings_csv(listed, generate_filings(seed=1, count=rows))
        stored = {table: Path(folder) / table for table in TABLES}
        _, errors = _import(template, listed, rows, keep=stored)
        progress(f"import: {rows} filings, {sum(path.stat().st_size for path in stored.values()):,} bytes stored")
        measured = []
        for number in range(1, runs + 1):
            ours, wrong = _import(template, listed, rows)
            reference = _copy(template, stored)
            measured.append(Run(ours=rows / ours, reference=rows / reference, errors=wrong))
            progress(f"import: run {number}: {ours:.2f} s against {reference:.2f} s, ratio {measured[-1].ratio:.3f}")
    outcome = summary(name="import", goal=GOAL, runs=measured)
    outcome["errors"] += errors
    outcome["met"] = outcome["met"] and errors == 0
    return outcome


def _import(template: Settings, listed: Path, rows: int, *, keep: dict[str, Path] | None = None) -> tuple[float, int]:
    """Seconds from opening the file to the last commit, and how many rows did not arrive."""
    with fresh_database(template) as settings, _connect(settings) as connection:
        keyring = settings.keyring
        gc.collect()
        begun = time.perf_counter()
        report = import_filings(
            connection=connection, keyring=keyring, rows=read_rows(look_through(listed)), today=TODAY
        )
        seconds = time.perf_counter() - begun
        arrived = connection.execute("SELECT count(*) FROM filed_bike").fetchone()
        for table, path in (keep or {}).items():
            with path.open("wb") as out, connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
                out.writelines(copy)
        connection.rollback()
    assert arrived is not None
    return seconds, abs(rows - report.stored) + abs(rows - arrived[0])


def _copy(template: Settings, stored: dict[str, Path]) -> float:
    """Seconds from the first byte to the commit."""
    with fresh_database(template) as settings, _connect(settings) as connection:
        gc.collect()
        begun = time.perf_counter()
        for table in TABLES:
            with (
                stored[table].open("rb") as stream,
                connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy,
            ):
                while chunk := stream.read(_CHUNK):
                    copy.write(chunk)
        connection.commit()
        return time.perf_counter() - begun


def _connect(settings: Settings) -> psycopg.Connection[Any]:
    return psycopg.connect(psycopg_conninfo(settings, application="mapai-bench"))
