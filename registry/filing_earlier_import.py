"""The import of earlier trade-ins and of plates issued before Mapai: two lists, told apart by their headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from registry.base import Refusal
from registry.codes import clean_vehicle_code
from registry.filing_file import FilingFile, read_columns, read_header
from registry.filing_findings import FindingKind
from registry.filing_rows import CellEmpty, fit_to_keep, read_day
from registry.filings import clean_plate

BLOCK_ROWS = 5_000
KEPT_FINDINGS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierList:
    """One kind of list: its table, and the header of each column that is stored. ``optional`` cells may be empty."""

    table: str
    name_zh: str
    headers: dict[str, str]
    optional: frozenset[str] = frozenset()


TRADE_INS = EarlierList(
    table="earlier_trade_in",
    name_zh="以前的淘汰置换",
    headers={"old_plate_no": "旧车号牌", "vehicle_code": "新车整车编码", "done_on": "办结日期"},
    optional=frozenset({"vehicle_code"}),
)
PLATES = EarlierList(
    table="earlier_plate",
    name_zh="以前发的号牌",
    headers={"plate_no": "号牌号码", "vehicle_code": "整车编码", "done_on": "发牌日期"},
)


class EarlierDayInvalid(Refusal):
    """The text is no day on which something can have been finished."""

    code = "earlier_day_invalid"
    zh = "日期「{typed}」不对。"
    en = "«{typed}» is not a possible day."
    remedy_zh = "请写成 2025-03-18 这样，不能晚于今天。"
    remedy_en = "Write it as 2025-03-18; it cannot lie in the future."
    default_field = "done_on"


class EarlierDiffers(Refusal):
    """The plate or the vehicle code is stored with other content; what is stored stays."""

    code = "earlier_differs"
    kind = "conflict"
    zh = "号牌 {plate_no} 或它的整车编码已经导入过，内容和这一行不同。"
    en = "The plate {plate_no} or its vehicle code was imported before, with other content than this row."
    remedy_zh = "系统保留原来的内容；请核对名单里是不是写重或写错了。"
    remedy_en = "What was stored is kept; check the list for a double or a mistake."


class EarlierRow(NamedTuple):
    """One row as typed: the cells by the names of their columns."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierFinding:
    """What is to be said about one cell of one row; ``header`` names its column. Kinds as in filing_findings.py."""

    line: int
    kind: FindingKind
    header: str
    refusal: Refusal


@dataclass(slots=True, kw_only=True)
class EarlierReport:
    """How an import went: rows read = stored + unchanged + differing + refused.

    ``findings`` holds the first thousand, ``counts`` how many there were of each code.
    """

    kind: EarlierList
    read: int = 0
    stored: int = 0
    unchanged: int = 0
    differing: int = 0
    refused: int = 0
    findings: list[EarlierFinding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def earlier_list(file: FilingFile) -> EarlierList:
    """Return which of the two lists this is: trade-ins where there is a header 旧车号牌, else plates."""
    return TRADE_INS if TRADE_INS.headers["old_plate_no"] in read_header(file) else PLATES


def import_earlier(
    *,
    connection: psycopg.Connection[Any],
    file: FilingFile,
    today: date,
    actor: str,
    dry_run: bool = False,
    watch: Callable[[Iterable[EarlierRow]], Iterable[EarlierRow]] = iter,
    progress: Callable[[int], None] | None = None,
    on_finding: Callable[[EarlierFinding], None] | None = None,
    report: EarlierReport | None = None,
) -> EarlierReport:
    """Store the rows of a list of earlier trade-ins (header 旧车号牌) or of issued plates; return how it went.

    The same list again changes nothing, and nothing stored is overwritten. Each block of rows is a transaction of its
    own; a dry run rolls all back. ``watch`` sees the rows first, ``on_finding`` every finding in the order of lines,
    ``progress`` the rows read so far after each block; ``report`` is filled where one is given. Raises the refusals
    of registry/filing_file.py.
    """
    kind = earlier_list(file)
    report = EarlierReport(kind=kind) if report is None else report
    columns = read_columns(file, tuple(kind.headers.values()))
    rows = iter(watch(EarlierRow(line, dict(zip(kind.headers, cells, strict=True))) for line, cells in columns))
    whole = connection.transaction(force_rollback=True) if dry_run else nullcontext()
    with whole:
        while block := list(islice(rows, BLOCK_ROWS)):
            findings: list[EarlierFinding] = []
            good = _checked(block, today, report, findings)
            with connection.transaction():
                _store(connection, good, report, actor, findings)
            _tell(findings, report, on_finding)
            if progress is not None:
                progress(report.read)
        if report.stored:
            with connection.transaction():
                _audit(connection, report, actor)
    return report


def _checked(
    rows: list[EarlierRow], today: date, report: EarlierReport, findings: list[EarlierFinding]
) -> dict[int, list[Any]]:
    """The clean cells of each good row by its line."""
    good = {}
    for line, cells in rows:
        report.read += 1
        refusals: list[Refusal] = []
        clean = [_clean(report.kind, name, typed, today, refusals) for name, typed in cells.items()]
        if refusals:
            report.refused += 1
        else:
            good[line] = clean
        for refusal in refusals:
            header = report.kind.headers[refusal.field or "done_on"]
            findings.append(EarlierFinding(line=line, kind="refused", header=header, refusal=refusal))
    return good


def _tell(
    findings: list[EarlierFinding], report: EarlierReport, on_finding: Callable[[EarlierFinding], None] | None
) -> None:
    for finding in sorted(findings, key=lambda finding: finding.line):
        code = finding.refusal.code
        report.counts[code] = report.counts.get(code, 0) + 1
        if len(report.findings) < KEPT_FINDINGS:
            report.findings.append(finding)
        if on_finding is not None:
            on_finding(finding)


def _clean(kind: EarlierList, name: str, typed: str, today: date, refusals: list[Refusal]) -> str | date | None:
    text = typed.strip()
    if not text and name in kind.optional:
        return None
    cleaners: dict[str, Callable[[str], str]] = {"vehicle_code": clean_vehicle_code}
    try:
        if not text:
            raise CellEmpty(header=kind.headers[name])
        if name != "done_on":
            return cleaners.get(name, clean_plate)(text)
        day = read_day(text, latest=today)
        if day is None:
            raise EarlierDayInvalid(typed=text[:20])
        return day
    except Refusal as refusal:
        refusals.append(fit_to_keep(refusal, field=name))
        return None


def _store(
    connection: psycopg.Connection[Any],
    block: dict[int, list[Any]],
    report: EarlierReport,
    actor: str,
    findings: list[EarlierFinding],
) -> None:
    kind = report.kind
    columns = SQL(", ").join(map(Identifier, kind.headers))
    types = SQL(", ").join(SQL("%s::date[]" if name == "done_on" else "%s::text[]") for name in kind.headers)
    lists = [list(column) for column in zip(*block.values(), strict=True)] or [[] for _ in kind.headers]
    report.stored += connection.execute(
        SQL("INSERT INTO {} ({}, imported_by) SELECT *, %s FROM unnest({}) ON CONFLICT DO NOTHING").format(
            Identifier(kind.table), columns, types
        ),
        [actor, *lists],
    ).rowcount
    same = SQL(" AND ").join(SQL("t.{0} IS NOT DISTINCT FROM u.{0}").format(Identifier(name)) for name in kind.headers)
    others = connection.execute(
        SQL("SELECT line FROM unnest(%s::int[], {}) u (line, {}) WHERE NOT EXISTS (SELECT FROM {} t WHERE {})").format(
            types, columns, Identifier(kind.table), same
        ),
        [list(block), *lists],
    ).fetchall()
    report.differing += len(others)
    for (line,) in others:
        refusal = EarlierDiffers(field=next(iter(kind.headers)), plate_no=block[line][0])
        header = next(iter(kind.headers.values()))
        findings.append(EarlierFinding(line=line, kind="differs", header=header, refusal=refusal))
    report.unchanged = report.read - report.refused - report.differing - report.stored


def _audit(connection: psycopg.Connection[Any], report: EarlierReport, actor: str) -> None:
    names = ("read", "stored", "unchanged", "differing", "refused")
    detail = Jsonb({name: getattr(report, name) for name in names})
    connection.execute(
        "INSERT INTO audit_entry (actor, action, subject, detail) VALUES (%s, 'earlier.imported', %s, %s)",
        (actor, report.kind.table, detail),
    )
