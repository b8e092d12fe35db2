"""``mapai import-filings``: a bureau's list of filings goes in, and every row that does not is named."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.config import Settings
from app.db import psycopg_conninfo
from app.district.programme import LOCAL
from app.startup import CannotStart
from registry.base import Refusal
from registry.filing_file import FilingFile, look_through, read_rows
from registry.filing_findings import KIND_WORDS, ImportReport
from registry.filing_import import import_filings
from registry.filing_report import RowFinding, RowsOnTheirWay, problem_workbook
from registry.filing_rows import HEADERS

SHOWN = 20
ACTOR = "command:import-filings"
PROBLEM_HEADERS = ("行", "结果", "列", "问题", "怎么办", "problem", "remedy", "code")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemList:
    """Where findings go. ``watch`` sees the rows first, ``tell`` each finding, ``done`` how many rows are behind."""

    watch: Callable[[Iterable[Any]], Iterable[Any]] = iter
    tell: Callable[[RowFinding], None] | None = None
    done: Callable[[int], None] = lambda read: None


def run_command(settings: Settings, file: Path, *, dry_run: bool, problems: Path | None) -> int:
    """Import the file and say how it went; return 1 where a row was refused or differs from what is stored, else 0.

    ``problems`` is written as a workbook with the bad cells marked where its name ends in .xlsx, as CSV otherwise.
    Raises CannotStart where the file is no list of filings.
    """
    try:
        report = run(settings, file, dry_run=dry_run, problems=problems)
    except Refusal as refusal:
        words = f"{refusal.message_zh}{refusal.help_zh} · {refusal.message_en} {refusal.help_en}"
        raise CannotStart(words) from refusal
    show(report, dry_run=dry_run)
    return 1 if report.refused or report.differing else 0


def run(settings: Settings, file: Path, *, dry_run: bool, problems: Path | None) -> ImportReport:
    """Import the file with a progress bar on standard error; raises the refusals of registry/filing_file.py."""
    listed = look_through(file)
    refuse_own_file(file, problems)
    with _bar(listed) as bar, problem_list(problems) as told, psycopg.connect(_conninfo(settings)) as connection:

        def progress(read: int) -> None:
            bar(read)
            told.done(read)

        return import_filings(
            connection=connection,
            keyring=settings.keyring,
            rows=told.watch(read_rows(listed)),
            today=settings.clock.now().astimezone(LOCAL).date(),
            progress=progress,
            on_finding=told.tell,
            actor=ACTOR,
            dry_run=dry_run,
        )


def refuse_own_file(file: Path, problems: Path | None) -> None:
    """Raise CannotStart where the problems would be written over the list itself."""
    if problems is not None and problems.resolve() == file.resolve():
        raise CannotStart("--problems 不能写到名单自己身上，请换一个文件名。 · --problems would overwrite the list.")


def show(report: ImportReport, *, dry_run: bool) -> None:
    """Print the counts, and the first findings."""
    for finding in report.findings[:SHOWN]:
        click.echo(f"第 {finding.line} 行「{finding.header}」{KIND_WORDS[finding.kind]}：{finding.refusal.message_zh}")
    rest = sum(report.counts.values()) - SHOWN
    if rest > 0:
        click.echo(f"……还有 {rest:,} 处，用 --problems 文件名 全部列出。")
    for code, many in sorted(report.counts.items()):
        click.echo(f"  {code}: {many:,}")
    click.echo(
        f"共 {report.read:,} 行：新增 {report.stored:,}，已有且相同 {report.unchanged:,}，"
        f"按名单更正 {report.corrected:,}，与已有不同 {report.differing:,}，未导入 {report.refused:,}；"
        f"新登记车主 {report.new_people:,} 人。"
    )
    if dry_run:
        click.echo("这是试算，什么都没有写入。")


@contextmanager
def _bar(listed: FilingFile) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(listed.path.name, total=listed.rows)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def problem_list(
    path: Path | None, *, headers: Mapping[str, str] = HEADERS, cell: Callable[[Any, str], str] = getattr
) -> Iterator[ProblemList]:
    """Open the list of problems at ``path``: a workbook where it ends in .xlsx, else CSV; None keeps nothing.

    ``headers`` and ``cell`` as in registry/filing_report.py.
    """
    if path is None:
        yield ProblemList()
    elif path.suffix.lower() == ".xlsx":
        rows = RowsOnTheirWay()
        with problem_workbook(path=path, rows=rows, headers=headers, cell=cell) as workbook:
            yield ProblemList(watch=rows.watch, tell=workbook.tell, done=workbook.done)
    else:
        with path.open("w", encoding="utf-8-sig", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(PROBLEM_HEADERS)
            yield ProblemList(tell=lambda finding: _write(table.writerow, finding))


def _write(write_row: Callable[[tuple[object, ...]], object], finding: RowFinding) -> None:
    said = finding.refusal
    cells = (
        KIND_WORDS[finding.kind],
        finding.header,
        said.message_zh,
        said.help_zh,
        said.message_en,
        said.help_en,
        said.code,
    )
    # A spreadsheet would run a cell that begins like a formula, and part of the wording was typed by somebody.
    write_row((finding.line, *("'" + cell if cell[:1] in "=+-@" else cell for cell in cells)))


def _conninfo(settings: Settings) -> str:
    return psycopg_conninfo(settings, application="mapai-import")
