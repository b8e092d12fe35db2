"""The import of a filing list: every good row goes in once, every other row is named with what is wrong.

A filing already stored is compared: the same is left alone, another brand, frame number, sub-district or day corrects
it and what it said before is kept (filing_history.py). An owner is never changed by a list. Rows travel in blocks, each
in one transaction, so a list that breaks off can simply be imported again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext, suppress
from datetime import date
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from registry.filing_findings import Finding, ImportReport
from registry.filing_rows import Filing, FilingRow, RowChecker
from registry.filing_store import Block, begin_import, store_block
from registry.people import id_index, name_index, phone_index
from registry.sealing import Keyring

BLOCK_ROWS = 10_000
KEPT_FINDINGS = 1_000


def import_filings(
    *,
    connection: psycopg.Connection[Any],
    keyring: Keyring,
    rows: Iterable[FilingRow],
    today: date,
    progress: Callable[[int], None] | None = None,
    on_finding: Callable[[Finding], None] | None = None,
    plate_pattern: str = r"[A-Z]\d{6}",
    actor: str = "import",
    dry_run: bool = False,
    report: ImportReport | None = None,
) -> ImportReport:
    """Validate, seal and store the rows; return how it went: ``report``, where one is given, filled as rows go in.

    ``progress`` hears the number of rows read so far after each block, ``on_finding`` every finding (the report keeps
    the first thousand). ``connection`` must be idle: each block is a transaction of its own, and while PostgreSQL
    stores one, the next is checked and sealed. One import runs at a time in a district; others wait for its block.
    ``actor`` is named in the history of a corrected filing and in the audit.
    A dry run does the same and rolls all of it back. Raises what reading the rows raises; blocks before stay.
    """
    checker = RowChecker(today=today, plate_pattern=plate_pattern)
    report = ImportReport() if report is None else report
    whole = connection.transaction(force_rollback=True) if dry_run else nullcontext()
    with whole, closing(_ahead(_blocks(rows, checker, keyring))) as blocks:
        begun_at = begin_import(connection)
        for block in blocks:
            with connection.transaction():
                store_block(
                    connection=connection, keyring=keyring, block=block, report=report, actor=actor, begun_at=begun_at
                )
            _tell(block, report, on_finding)
            if progress is not None:
                progress(report.read)
        if report.stored or report.corrected:
            with connection.transaction():
                _audit(connection, report, actor)
    return report


def _audit(connection: psycopg.Connection[Any], report: ImportReport, actor: str) -> None:
    names = ("read", "stored", "unchanged", "corrected", "differing", "refused", "new_people")
    detail = Jsonb({name: getattr(report, name) for name in names})
    connection.execute(
        "INSERT INTO audit_entry (actor, action, subject, detail) VALUES (%s, 'filings.imported', 'filings', %s)",
        (actor, detail),
    )


def _blocks(rows: Iterable[FilingRow], checker: RowChecker, keyring: Keyring) -> Iterator[Block]:
    """Checked and sealed rows in blocks. A plate stands once in a block, so that a later row meets it as stored."""
    block = Block()
    for row in rows:
        filing = checker.check(row)
        if isinstance(filing, list):
            block.refused += 1
            block.findings += [Finding(line=row.line, kind="refused", refusal=refusal) for refusal in filing]
        else:
            if filing.plate_no in block.plates:
                yield block
                block = Block()
            block.plates.add(filing.plate_no)
            block.filings[filing.line] = filing
            block.sealed.append((*_seal(filing, keyring), filing.id_no in block.owners))
            block.owners.add(filing.id_no)
        block.read += 1
        if block.read >= BLOCK_ROWS:
            yield block
            block = Block()
    if block.read:
        yield block


def _seal(filing: Filing, keyring: Keyring) -> tuple[object, ...]:
    """The row in the order in which filing_store.py copies it."""
    line, plate_no, owner_name, id_no, phone, filed_on, brand, frame_no, sub_district = filing
    return (
        line,
        plate_no,
        filed_on,
        brand,
        frame_no,
        sub_district,
        id_index(keyring=keyring, id_no=id_no),
        keyring.seal(id_no, field="id_no"),
        keyring.seal(owner_name, field="name"),
        name_index(keyring=keyring, name=owner_name),
        keyring.seal(phone, field="phone") if phone else None,
        phone_index(keyring=keyring, phone=phone) if phone else None,
    )


def _ahead(blocks: Iterator[Block]) -> Generator[Block, None, None]:
    """Yield the same blocks, the next ones being made by a thread meanwhile; at most one waits."""
    waiting: queue.Queue[Block | BaseException | None] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def make() -> None:
        try:
            for block in blocks:
                waiting.put(block)
                if stopped.is_set():
                    return
            waiting.put(None)
        except BaseException as error:  # handed on to whoever takes the blocks
            waiting.put(error)

    maker = threading.Thread(target=make, name="filing-import", daemon=True)
    maker.start()
    try:
        while (block := waiting.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block
    finally:
        stopped.set()
        while maker.is_alive():
            with suppress(queue.Empty):
                waiting.get(timeout=0.02)


def _tell(block: Block, report: ImportReport, on_finding: Callable[[Finding], None] | None) -> None:
    for finding in sorted(block.findings, key=lambda finding: finding.line):
        code = finding.refusal.code
        report.counts[code] = report.counts.get(code, 0) + 1
        if len(report.findings) < KEPT_FINDINGS:
            report.findings.append(finding)
        if on_finding is not None:
            on_finding(finding)
