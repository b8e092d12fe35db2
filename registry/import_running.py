"""Running one import in the background: list out of the database, rows in, workbook of problems back.

The list lies on disk in clear only while it is read, in a folder of this account alone; whoever takes the import again
after a crash clears that folder first.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.orm import Session, sessionmaker

from registry.base import Refusal
from registry.filing_file import look_through
from registry.filing_findings import KIND_WORDS
from registry.filing_report import RowFinding, RowsOnTheirWay
from registry.import_jobs import LIST, ImportJob, read_part
from registry.import_kinds import KINDS, DealerTerms, Errand, Tally
from registry.import_turns import TakenOver, fail, finish, put_back, show_progress, take_next
from registry.sealing import Keyring

SHOWN_PROBLEMS = 100


class Interrupted(Exception):
    """This process is to stop: another goes on with the import."""


def run_next_import(
    *,
    connection: psycopg.Connection[Any],
    sessions: sessionmaker[Session],
    keyring: Keyring,
    today: date,
    go_on: Callable[[], bool],
    folder: Path | None = None,
    dealers: DealerTerms | None = None,
) -> str | None:
    """Run the next import that is due to its end; return its number and what became of it, None where none is due.

    ``connection`` must be idle and is used for the rows alone; ``dealers`` says what lists of dealers are held to.
    ``go_on`` is asked after each block: where it says no, the import is put back for another process. Anything
    unexpected is raised and leaves the import to be taken again.
    """
    with sessions.begin() as session:
        job = take_next(session=session)
        if job is None:
            return None
        session.expunge(job)  # read in this run as it was taken
    run = _Run(connection=connection, sessions=sessions, keyring=keyring, job=job, go_on=go_on, dealers=dealers)
    try:
        with _private_folder(folder, job) as place:
            return f"{job.no} {run.go(place, today)}"
    except Refusal as refusal:
        with sessions.begin() as session:
            fail(session=session, job=job, refusal=refusal)
        return f"{job.no} {refusal.code}"
    except TakenOver:
        return f"{job.no} taken over"
    except Interrupted:
        with sessions.begin() as session:
            put_back(session=session, job=job)
        return f"{job.no} put back"


class _Run:
    """One run of one import."""

    def __init__(
        self,
        *,
        connection: psycopg.Connection[Any],
        sessions: sessionmaker[Session],
        keyring: Keyring,
        job: ImportJob,
        go_on: Callable[[], bool],
        dealers: DealerTerms | None,
    ) -> None:
        self._connection, self._sessions, self._keyring = connection, sessions, keyring
        self._job, self._go_on, self._dealers = job, go_on, dealers
        self._rows_total = 0

    def go(self, place: Path, today: date) -> str:
        """Import the list; return «done» or «tried out»."""
        job, kind = self._job, KINDS[self._job.kind]
        path = place / "list"
        self._fetch(path)
        file = look_through(path)
        self._rows_total = file.rows
        self._show(Tally())
        rows, book = RowsOnTheirWay(), place / "problems.xlsx"
        with kind.workbook(file, book, rows) as workbook:
            problems = _Problems(rows=rows, tell=workbook.tell, done=workbook.done)
            errand = Errand(
                connection=self._connection,
                sessions=self._sessions,
                dealers=self._dealers,
                keyring=self._keyring,
                file=file,
                today=today,
                actor=job.actor,
                dry_run=job.dry_run,
                problems=problems,
                progress=self._show,
            )
            tally = kind.run(errand)
        with self._sessions.begin() as session, book.open("rb") as stream:
            finish(
                session=session,
                keyring=self._keyring,
                job=job,
                counts=tally.counts,
                codes=tally.codes,
                problems=[_told(finding) for finding in tally.findings[:SHOWN_PROBLEMS]],
                workbook=stream if tally.codes else None,
            )
        return "tried out" if job.dry_run else "done"

    def _fetch(self, path: Path) -> None:
        with self._sessions() as session, path.open("wb") as file:
            for piece in read_part(session=session, keyring=self._keyring, job_id=self._job.id, part=LIST):
                file.write(piece)

    def _show(self, tally: Tally) -> None:
        with self._sessions.begin() as session:
            show_progress(session=session, job=self._job, counts=tally.counts, rows_total=self._rows_total)
        if not self._go_on():
            raise Interrupted


class _Problems:
    """Where the kind of list says what is wrong: the workbook."""

    def __init__(
        self, *, rows: RowsOnTheirWay, tell: Callable[[RowFinding], None], done: Callable[[int], None]
    ) -> None:
        self.watch, self.tell, self.done = rows.watch, tell, done


def _told(finding: RowFinding) -> dict[str, Any]:
    said = finding.refusal
    return {
        "line": finding.line,
        "column": finding.header,
        "result": finding.kind,
        "result_zh": KIND_WORDS[finding.kind],
        "code": said.code,
        "zh": said.message_zh,
        "en": said.message_en,
        "remedy_zh": said.help_zh,
        "remedy_en": said.help_en,
    }


@contextmanager
def _private_folder(parent: Path | None, job: ImportJob) -> Iterator[Path]:
    """A folder that is the job's own wherever it is run, so that what a crash left there is cleared."""
    place = (parent or Path(tempfile.gettempdir())) / f"mapai-{job.no}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
