"""``mapai import-earlier``: what was traded in and plated before Mapai, so that it cannot claim again."""

from __future__ import annotations

from pathlib import Path

import click
import psycopg

from app.commands_import import problem_list, refuse_own_file
from app.config import Settings
from app.db import psycopg_conninfo
from app.district.programme import LOCAL
from app.startup import CannotStart
from registry.base import Refusal
from registry.filing_earlier_import import EarlierReport, earlier_list, import_earlier
from registry.filing_file import look_through

ACTOR = "command:import-earlier"
SHOWN = 20


def run_command(settings: Settings, file: Path, *, dry_run: bool, problems: Path | None = None) -> int:
    """Import the file and say how it went; return 1 where a row was refused or differs from what is stored, else 0.

    ``problems`` is written as a workbook with the bad cells marked where its name ends in .xlsx, as CSV otherwise.
    Raises CannotStart where the file is neither of the two lists.
    """
    try:
        listed = look_through(file)
        refuse_own_file(file, problems)
        opened = problem_list(problems, headers=earlier_list(listed).headers, cell=lambda row, name: row.cells[name])
        with opened as told, psycopg.connect(psycopg_conninfo(settings, application="mapai-import")) as connection:
            report = import_earlier(
                connection=connection,
                file=listed,
                today=settings.clock.now().astimezone(LOCAL).date(),
                actor=ACTOR,
                dry_run=dry_run,
                watch=told.watch,
                on_finding=told.tell,
                progress=told.done,
            )
    except Refusal as refusal:
        words = f"{refusal.message_zh}{refusal.help_zh} · {refusal.message_en} {refusal.help_en}"
        raise CannotStart(words) from refusal
    show(report, dry_run=dry_run)
    return 1 if report.refused or report.differing else 0


def show(report: EarlierReport, *, dry_run: bool) -> None:
    """Print the counts, and the first findings."""
    for finding in report.findings[:SHOWN]:
        said = finding.refusal
        click.echo(f"第 {finding.line} 行「{finding.header}」：{said.message_zh}{said.help_zh}")
    rest = sum(report.counts.values()) - SHOWN
    if rest > 0:
        click.echo(f"……还有 {rest:,} 处，用 --problems 文件名 全部列出。")
    click.echo(
        f"{report.kind.name_zh}，共 {report.read:,} 行：新增 {report.stored:,}，已有且相同 {report.unchanged:,}，"
        f"与已有不同 {report.differing:,}，未导入 {report.refused:,}。"
    )
    if dry_run:
        click.echo("这是试算，什么都没有写入。")
