"""Taking imports and bringing them to their end, one runner at a time for each.

Whoever runs an import shows with every block that it is alive; one whose runner has been silent for ``LEASE`` is taken
again from the start, which every import allows: what is stored already is met as stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import IO, Any

from sqlalchemy import DateTime, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from registry.base import Refusal
from registry.import_jobs import LIST, PROBLEMS, ImportChunk, ImportJob, drop_list, keep_part, note
from registry.sealing import Keyring

LEASE = timedelta(seconds=120)
MOST_RUNS = 5


class ImportBrokeOff(Refusal):
    """Reading the list broke off again and again."""

    code = "import_broke_off"
    kind = "conflict"
    zh = "读这份名单时几次中断，没有读完。"
    en = "Reading the list broke off several times."
    remedy_zh = "请另存为「CSV UTF-8」再上传；还不行的，请联系平台管理员。"
    remedy_en = "Save it as «CSV UTF-8» and send it again; if that does not help, ask the administrator."


class TakenOver(Exception):
    """Another process took the job because this one had been silent for too long."""


def take_next(*, session: Session) -> ImportJob | None:
    """Take the oldest import that is due and say that it runs; None where none is. The caller commits at once.

    Due is what is queued, and what runs although its runner has been silent for ``LEASE``. An import that was begun
    ``MOST_RUNS`` times is failed with ImportBrokeOff instead.
    """
    while True:
        query = select(ImportJob).where(_due()).order_by(ImportJob.id).limit(1).with_for_update(skip_locked=True)
        job = session.scalar(query.execution_options(populate_existing=True))
        if job is None:
            return None
        if job.runs < MOST_RUNS:
            break
        fail(session=session, job=job, refusal=ImportBrokeOff())
    job.state, job.runs = "running", job.runs + 1
    job.alive_at = func.clock_timestamp(type_=DateTime(timezone=True))
    job.counts, job.codes, job.problems, job.rows_total = {}, {}, [], 0
    session.flush()
    session.refresh(job)
    return job


def any_due(*, session: Session) -> bool:
    """Say whether ``take_next`` may find one."""
    return session.scalar(select(ImportJob.id).where(_due()).limit(1)) is not None


def _due() -> ColumnElement[bool]:
    silent = or_(ImportJob.alive_at.is_(None), ImportJob.alive_at < func.clock_timestamp() - LEASE)
    return or_(ImportJob.state == "queued", and_(ImportJob.state == "running", silent))


def show_progress(*, session: Session, job: ImportJob, counts: Mapping[str, int], rows_total: int) -> None:
    """Write down how far this run has got, and that it is alive; raises TakenOver where it is not its run any more."""
    values = {"counts": dict(counts), "rows_total": rows_total, "alive_at": func.clock_timestamp()}
    mine = update(ImportJob).where(ImportJob.id == job.id, ImportJob.state == "running", ImportJob.runs == job.runs)
    if session.execute(mine.values(**values).returning(ImportJob.id)).scalar() is None:
        raise TakenOver


def put_back(*, session: Session, job: ImportJob) -> None:
    """Give an import back that this process cannot finish: another takes it at once. The run does not count."""
    mine = update(ImportJob).where(ImportJob.id == job.id, ImportJob.state == "running", ImportJob.runs == job.runs)
    session.execute(mine.values(state="queued", runs=job.runs - 1))


def finish(
    *,
    session: Session,
    keyring: Keyring,
    job: ImportJob,
    counts: Mapping[str, int],
    codes: Mapping[str, int],
    problems: Sequence[Mapping[str, Any]],
    workbook: IO[bytes] | None,
) -> None:
    """Write down the end of this run with its workbook of problems; the list of a real import is removed.

    Raises TakenOver where it is not its run any more. The caller commits.
    """
    show_progress(session=session, job=job, counts=counts, rows_total=counts["read"])
    if workbook is not None:
        session.execute(delete(ImportChunk).where(ImportChunk.import_job_id == job.id, ImportChunk.part == PROBLEMS))
        keep_part(session=session, keyring=keyring, job_id=job.id, part=PROBLEMS, file=workbook, most=None)
    values = {"state": "done", "finished_at": func.clock_timestamp(), "codes": dict(codes), "problems": list(problems)}
    session.execute(update(ImportJob).where(ImportJob.id == job.id).values(**values))
    if not job.dry_run:
        drop_list(session=session, job_id=job.id)
    note(session, job, job.actor, "import.done", {"dry_run": job.dry_run, **counts})


def fail(*, session: Session, job: ImportJob, refusal: Refusal) -> None:
    """Write down that the list cannot be imported, and why; the list is removed. The caller commits."""
    failure = {
        "code": refusal.code,
        "zh": refusal.message_zh,
        "en": refusal.message_en,
        "remedy_zh": refusal.help_zh,
        "remedy_en": refusal.help_en,
    }
    values = {"state": "failed", "finished_at": func.clock_timestamp(), "failure": failure}
    session.execute(update(ImportJob).where(ImportJob.id == job.id).values(**values))
    drop_list(session=session, job_id=job.id)
    note(session, job, job.actor, "import.failed", {"code": refusal.code})


def forget_files(*, session: Session) -> int:
    """Remove the lists of trials over for a day and the workbooks of a week ago; return how many pieces.

    Commits nothing. The jobs stay, with their counts and without personal data.
    """
    over = ImportJob.id == ImportChunk.import_job_id
    day, week = (func.clock_timestamp() - timedelta(days=days) for days in (1, 7))
    old = or_(
        and_(ImportChunk.part == LIST, ImportJob.finished_at < day),
        and_(ImportChunk.part == PROBLEMS, ImportJob.finished_at < week),
    )
    gone = session.execute(delete(ImportChunk).where(over, old).returning(ImportChunk.id))
    return len(gone.all())
