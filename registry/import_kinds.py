"""Which lists can be imported in the background, each with its way of reading: one line of KINDS a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
from sqlalchemy.orm import Session, sessionmaker

from registry.dealer_import import import_dealer_list
from registry.dealer_report import RowsReport
from registry.dealer_rows import ACCOUNT_HEADERS, DEALER_HEADERS
from registry.dealer_rules import EnrolmentRules
from registry.filing_earlier_import import EarlierReport, EarlierRow, earlier_list, import_earlier
from registry.filing_file import FilingFile, read_header, read_rows
from registry.filing_findings import ImportReport
from registry.filing_import import import_filings
from registry.filing_report import ProblemWorkbook, RowFinding, RowsOnTheirWay, problem_workbook
from registry.filing_rows import HEADERS
from registry.sealing import Keyring


@dataclass(slots=True, kw_only=True)
class Tally:
    """How an import stands, whatever its kind: read = stored + unchanged + changed + differing + refused."""

    counts: dict[str, int] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)
    findings: Sequence[RowFinding] = ()


class ProblemList(Protocol):
    """Where an import tells what is wrong: it hands its rows through ``watch`` and says each finding in order."""

    def watch(self, rows: Iterable[Any]) -> Iterable[Any]: ...
    def tell(self, finding: RowFinding) -> None: ...
    def done(self, read: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DealerTerms:
    """What a list of dealers is held to: the bureau's numbers, the business instant, the hash of no password."""

    rules: EnrolmentRules
    now: datetime
    password_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a kind is given to import one file. ``connection`` is idle; a dry run leaves nothing behind.

    ``progress`` is to be called after each block of rows with how the import stands. ``dealers`` is there where
    lists of dealers may come; they are imported through ``sessions``, each in one transaction.
    """

    connection: psycopg.Connection[Any]
    sessions: sessionmaker[Session]
    dealers: DealerTerms | None
    keyring: Keyring
    file: FilingFile
    today: date
    actor: str
    dry_run: bool
    problems: ProblemList
    progress: Callable[[Tally], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportKind:
    """One kind of list. ``run`` imports it; ``workbook`` opens its workbook of problems at a path."""

    name_zh: str
    name_en: str
    columns_zh: str
    run: Callable[[Errand], Tally]
    workbook: Callable[[FilingFile, Path, RowsOnTheirWay], AbstractContextManager[ProblemWorkbook]]


def _run_filings(errand: Errand) -> Tally:
    report = ImportReport()

    def progress(read: int) -> None:
        errand.problems.done(read)
        errand.progress(_filings_tally(report))

    import_filings(
        connection=errand.connection,
        keyring=errand.keyring,
        rows=errand.problems.watch(read_rows(errand.file)),
        today=errand.today,
        progress=progress,
        on_finding=errand.problems.tell,
        actor=errand.actor,
        dry_run=errand.dry_run,
        report=report,
    )
    return _filings_tally(report)


def _filings_tally(report: ImportReport) -> Tally:
    counts = {name: getattr(report, name) for name in ("read", "stored", "unchanged", "differing", "refused")}
    return Tally(counts={**counts, "changed": report.corrected}, codes=report.counts, findings=report.findings)


def _filings_workbook(file: FilingFile, path: Path, rows: RowsOnTheirWay) -> AbstractContextManager[ProblemWorkbook]:
    return problem_workbook(path=path, rows=rows)


def _run_earlier(errand: Errand) -> Tally:
    report = EarlierReport(kind=earlier_list(errand.file))

    def progress(read: int) -> None:
        errand.problems.done(read)
        errand.progress(_earlier_tally(report))

    import_earlier(
        connection=errand.connection,
        file=errand.file,
        today=errand.today,
        actor=errand.actor,
        dry_run=errand.dry_run,
        watch=errand.problems.watch,
        progress=progress,
        on_finding=errand.problems.tell,
        report=report,
    )
    return _earlier_tally(report)


def _earlier_tally(report: EarlierReport) -> Tally:
    counts = {name: getattr(report, name) for name in ("read", "stored", "unchanged", "differing", "refused")}
    return Tally(counts={**counts, "changed": 0}, codes=report.counts, findings=report.findings)


def earlier_workbook(file: FilingFile, path: Path, rows: RowsOnTheirWay) -> AbstractContextManager[ProblemWorkbook]:
    """Open the workbook of problems of a list of earlier trade-ins or plates."""
    return problem_workbook(path=path, rows=rows, headers=earlier_list(file).headers, cell=_earlier_cell)


def _earlier_cell(row: EarlierRow, name: str) -> str:
    return row.cells[name]


class DealerRow(NamedTuple):
    """One row of a list of dealers or accounts as typed: the cells by the names of their columns."""

    line: int
    cells: dict[str, str]


def _run_dealers(errand: Errand) -> Tally:
    terms = errand.dealers
    assert terms is not None, "a list of dealers came where nobody said what it is held to"
    with errand.sessions() as session:
        report = import_dealer_list(
            session=session,
            keyring=errand.keyring,
            file=errand.file,
            rules=terms.rules,
            actor=errand.actor,
            now=terms.now,
            password_hash=terms.password_hash,
        )
        session.rollback() if errand.dry_run else session.commit()
    _tell_dealers(errand.problems, report)
    counts = {name: getattr(report, name) for name in ("read", "stored", "unchanged", "differing", "refused")}
    findings = sorted(report.findings, key=lambda finding: finding.line)
    return Tally(counts={**counts, "changed": report.corrected}, codes=report.counts(), findings=findings)


def _tell_dealers(problems: ProblemList, report: RowsReport) -> None:
    """Hand over the rows that something is said about, then what is said, both in the order of their lines."""
    told = [
        DealerRow(line, dict(zip(report.headers, cells, strict=True))) for line, cells in sorted(report.typed.items())
    ]
    for row in problems.watch(told):
        for finding in report.findings:
            if finding.line == row.line:
                problems.tell(finding)
    problems.done(len(told))


def dealer_workbook(file: FilingFile, path: Path, rows: RowsOnTheirWay) -> AbstractContextManager[ProblemWorkbook]:
    """Open the workbook of problems of a list of dealers, or of their counter accounts."""
    accounts = ACCOUNT_HEADERS["login"] in read_header(file)
    headers = ACCOUNT_HEADERS if accounts else DEALER_HEADERS
    return problem_workbook(path=path, rows=rows, headers=headers, cell=_dealer_cell)


def _dealer_cell(row: DealerRow, name: str) -> str:
    return row.cells[name]


KINDS: dict[str, ImportKind] = {
    "filings": ImportKind(
        name_zh="备案名单",
        name_en="filed bikes",
        columns_zh="、".join(HEADERS.values()),
        run=_run_filings,
        workbook=_filings_workbook,
    ),
    "earlier": ImportKind(
        name_zh="以前的淘汰置换或发牌名单",
        name_en="trade-ins and plates from before Mapai",
        columns_zh="旧车号牌、新车整车编码、办结日期；或者 号牌号码、整车编码、发牌日期",
        run=_run_earlier,
        workbook=earlier_workbook,
    ),
    "dealers": ImportKind(
        name_zh="销售商户或店内账号名单",
        name_en="dealers, or their counter accounts",
        columns_zh="、".join(DEALER_HEADERS.values()) + "；或者 " + "、".join(ACCOUNT_HEADERS.values()),
        run=_run_dealers,
        workbook=dealer_workbook,
    ),
}
