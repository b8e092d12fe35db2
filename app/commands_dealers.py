"""``mapai import-dealers``: the dealers a bureau knows already, or the accounts at their counters, from a list."""

from __future__ import annotations

import secrets
from pathlib import Path

import click
from sqlalchemy.orm import Session

from app.auth import hash_password
from app.config import Settings
from app.db import engine_for
from app.startup import CannotStart
from registry.base import Refusal
from registry.dealer_import import import_dealer_list
from registry.dealer_report import RowsReport, write_problems
from registry.filing_file import look_through
from registry.filing_findings import KIND_WORDS

ACTOR = "command:import-dealers"
SHOWN = 20


def run_command(settings: Settings, file: Path, *, dry_run: bool, problems: Path | None) -> int:
    """Import the file and say how it went; return 1 where a row was refused or differs from what is stored, else 0.

    ``problems`` is written as a workbook with the bad cells marked. Raises CannotStart where the file is neither list.
    """
    if problems is not None and problems.resolve() == file.resolve():
        raise CannotStart("--problems 不能写到名单自己身上，请换一个文件名。 · --problems would overwrite the list.")
    try:
        report = run(settings, file, dry_run=dry_run)
    except Refusal as refusal:
        words = f"{refusal.message_zh}{refusal.help_zh} · {refusal.message_en} {refusal.help_en}"
        raise CannotStart(words) from refusal
    if problems is not None:
        write_problems(path=problems, report=report)
    show(report, dry_run=dry_run)
    return 1 if report.refused or report.differing else 0


def run(settings: Settings, file: Path, *, dry_run: bool) -> RowsReport:
    """Import the file in one transaction, rolled back where it is a dry run; raises what cannot be read of it."""
    engine = engine_for(settings, application="mapai-import", pool_size=1)
    try:
        with Session(engine) as session:
            report = import_dealer_list(
                session=session,
                keyring=settings.keyring,
                file=look_through(file),
                rules=settings.enrolment,
                actor=ACTOR,
                now=settings.clock.now(),
                password_hash=hash_password(secrets.token_urlsafe()),
            )
            session.rollback() if dry_run else session.commit()
    finally:
        engine.dispose()
    return report


def show(report: RowsReport, *, dry_run: bool) -> None:
    """Print the counts, and the first findings."""
    for finding in report.findings[:SHOWN]:
        said = finding.refusal
        words = f"{said.message_zh}{said.help_zh}"
        click.echo(f"第 {finding.line} 行「{finding.header}」{KIND_WORDS[finding.kind]}：{words}")
    if len(report.findings) > SHOWN:
        click.echo(f"……还有 {len(report.findings) - SHOWN:,} 处，用 --problems 文件名.xlsx 全部列出。")
    for code, many in report.counts().items():
        click.echo(f"  {code}: {many:,}")
    click.echo(
        f"{report.name_zh}，共 {report.read:,} 行：新增 {report.stored:,}，已有且相同 {report.unchanged:,}，"
        f"按名单更正 {report.corrected:,}，与已有不同 {report.differing:,}，未导入 {report.refused:,}。"
    )
    if dry_run:
        click.echo("这是试算，什么都没有写入。")
