"""Imports that run in the background: the list kept sealed in the database, its job, and how far it has got.

A job is queued → running → done or failed (registry/import_turns.py). A trial (``dry_run``) keeps its list for a day,
so that it can be carried out without being sent again.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import IO, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.audit import record
from registry.base import Base, Instant, Refusal
from registry.codes import ALPHABET, check_character
from registry.sealing import Keyring

LARGEST_BYTES = 40 * 1024 * 1024
CHUNK_BYTES = 1 << 20
STATE_WORDS = {"queued": "等着开始", "running": "正在读", "done": "已经读完", "failed": "没有读成"}
LIST, PROBLEMS = "list", "problems"


class ImportJob(Base):
    """One list to be imported, or tried out (``dry_run``). ``no`` is what people are given.

    ``counts`` holds read, stored, unchanged, changed, differing, refused; ``codes`` how many findings there were of
    each code; ``problems`` the first of them in words, without personal data; ``failure`` why the list could not be
    read. ``rows_total`` is about how many rows there are; ``led_to`` the number of the real import a trial led to.
    ``alive_at`` is real time, by the database's clock.
    """

    __tablename__ = "import_job"
    __table_args__ = (Index("ix_import_job_due", "id", postgresql_where=text("state IN ('queued', 'running')")),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    no: Mapped[str] = mapped_column(String(16), unique=True)
    kind: Mapped[str] = mapped_column(String(24))
    dry_run: Mapped[bool] = mapped_column(Boolean)
    file_name: Mapped[str] = mapped_column(String(120))
    file_bytes: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(8), server_default="queued")
    actor: Mapped[str] = mapped_column(String(60))
    runs: Mapped[int] = mapped_column(Integer, server_default="0")
    rows_total: Mapped[int] = mapped_column(Integer, server_default="0")
    counts: Mapped[dict[str, int]] = mapped_column(JSONB, server_default="{}")
    codes: Mapped[dict[str, int]] = mapped_column(JSONB, server_default="{}")
    problems: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    led_to: Mapped[str | None] = mapped_column(String(16))
    failure: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    alive_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)

    @property
    def percent(self) -> int:
        """How far it has got, 0 to 100: 100 when it is over and not before."""
        if self.state == "done":
            return 100
        return min(99, 100 * self.counts.get("read", 0) // max(self.rows_total, 1))


class ImportChunk(Base):
    """A piece of a list (``part`` list) or of its workbook of problems: sealed, because both hold people's data."""

    __tablename__ = "import_chunk"
    __table_args__ = (UniqueConstraint("import_job_id", "part", "place"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    import_job_id: Mapped[int] = mapped_column(ForeignKey("import_job.id"))
    part: Mapped[str] = mapped_column(String(8))
    place: Mapped[int] = mapped_column(Integer)
    body_sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ImportFileEmpty(Refusal):
    """Nothing was sent."""

    code = "import_file_empty"
    zh = "这个文件是空的。"
    en = "The file is empty."
    remedy_zh = "请选有内容的名单（.xlsx 或 .csv）再上传。"
    remedy_en = "Choose the list (.xlsx or .csv) and send it again."
    default_field = "file"


class ImportFileTooLarge(Refusal):
    """The list is larger than 40 MB."""

    code = "import_file_too_large"
    zh = "这个文件超过 40 MB。"
    en = "The file is larger than 40 MB."
    remedy_zh = "请把名单分成几份，每份都带表头，分几次上传。"
    remedy_en = "Split the list into several files, each with the header, and send them one by one."
    default_field = "file"


class ImportNotFound(Refusal):
    """There is no such import."""

    code = "import_not_found"
    kind = "not_found"
    zh = "没有这次导入。"
    en = "There is no such import."
    remedy_zh = "请从导入列表里打开。"
    remedy_en = "Open it from the list of imports."


class ImportNotRepeatable(Refusal):
    """Only a trial that has been read through can be carried out, and only while its list is kept (a day)."""

    code = "import_not_repeatable"
    kind = "conflict"
    zh = "这次导入不能直接转为正式导入。"
    en = "This import cannot be carried out from here."
    remedy_zh = "试算读完以后一天之内可以转为正式导入；过了时间的，请重新上传名单。"
    remedy_en = "A trial can be carried out within a day after it was read; after that send the list again."


class NoProblemsKept(Refusal):
    """The import has no workbook of problems: there were none, or they were removed after a week."""

    code = "no_problems_kept"
    kind = "not_found"
    zh = "这次导入没有问题清单。"
    en = "This import has no workbook of problems."
    remedy_zh = "没有问题就没有清单；清单只留七天，过期的请重新上传名单。"
    remedy_en = "There is none where nothing was wrong; it is kept for a week, after that send the list again."


def queue_import(
    *, session: Session, keyring: Keyring, kind: str, file: IO[bytes], file_name: str, dry_run: bool, actor: str
) -> ImportJob:
    """Keep the list sealed and queue its import; reads ``file`` piece by piece. Commits nothing.

    Raises ImportFileEmpty and ImportFileTooLarge.
    """
    job = ImportJob(no=_new_no(), kind=kind, dry_run=dry_run, file_name=_shown(file_name), file_bytes=0, actor=actor)
    session.add(job)
    session.flush()
    job.file_bytes = keep_part(
        session=session, keyring=keyring, job_id=job.id, part=LIST, file=file, most=LARGEST_BYTES
    )
    if not job.file_bytes:
        raise ImportFileEmpty
    session.flush()
    note(session, job, actor, "import.queued", {"dry_run": dry_run, "bytes": job.file_bytes})
    return job


def carry_out(*, session: Session, no: str, actor: str) -> ImportJob:
    """Queue the real import of a list that was tried out; the same trial again returns the import it led to.

    Commits nothing. Raises ImportNotFound and ImportNotRepeatable.
    """
    trial = session.scalar(select(ImportJob).where(ImportJob.no == no).with_for_update())
    if trial is None:
        raise ImportNotFound
    if trial.led_to is not None:
        return get_import(session=session, no=trial.led_to)
    if not trial.dry_run or trial.state != "done" or not _has(session=session, job_id=trial.id, part=LIST):
        raise ImportNotRepeatable
    job = ImportJob(
        no=_new_no(),
        kind=trial.kind,
        dry_run=False,
        file_name=trial.file_name,
        file_bytes=trial.file_bytes,
        actor=actor,
    )
    session.add(job)
    session.flush()
    # The list moves to its new job: it is kept once.
    mine = update(ImportChunk).where(ImportChunk.import_job_id == trial.id, ImportChunk.part == LIST)
    session.execute(mine.values(import_job_id=job.id))
    trial.led_to = job.no
    note(session, job, actor, "import.queued", {"dry_run": False, "bytes": job.file_bytes, "trial": trial.no})
    return job


def get_import(*, session: Session, no: str) -> ImportJob:
    """Return the import as it stands; raises ImportNotFound."""
    job = session.scalar(select(ImportJob).where(ImportJob.no == no).execution_options(populate_existing=True))
    if job is None:
        raise ImportNotFound
    return job


def list_imports(*, session: Session, limit: int = 50, before_id: int | None = None) -> Sequence[ImportJob]:
    """Return the imports, newest first; only those older than ``before_id``."""
    query = select(ImportJob).order_by(ImportJob.id.desc()).limit(limit)
    return session.scalars(query if before_id is None else query.where(ImportJob.id < before_id)).all()


def has_problems(*, session: Session, job: ImportJob) -> bool:
    """Say whether the workbook of problems is there."""
    return _has(session=session, job_id=job.id, part=PROBLEMS)


def can_be_carried_out(*, session: Session, job: ImportJob) -> bool:
    """Say whether ``carry_out`` would take this import."""
    sound = job.dry_run and job.state == "done" and job.led_to is None
    return sound and _has(session=session, job_id=job.id, part=LIST)


def read_problems(*, session: Session, keyring: Keyring, no: str, actor: str) -> Iterator[bytes]:
    """Return the workbook of problems in pieces; who takes it is audited, the caller commits.

    It holds what was typed, personal data included. Raises ImportNotFound and NoProblemsKept.
    """
    job = get_import(session=session, no=no)
    if not has_problems(session=session, job=job):
        raise NoProblemsKept
    note(session, job, actor, "import.problems_taken", {})
    return read_part(session=session, keyring=keyring, job_id=job.id, part=PROBLEMS)


def read_part(*, session: Session, keyring: Keyring, job_id: int, part: str) -> Iterator[bytes]:
    """Yield the pieces of one part in clear, one at a time."""
    place = 0
    while True:
        mine = (ImportChunk.import_job_id == job_id, ImportChunk.part == part, ImportChunk.place == place)
        sealed = session.scalar(select(ImportChunk.body_sealed).where(*mine))
        if sealed is None:
            return
        yield base64.b64decode(keyring.open(sealed, field="import"))
        place += 1


def keep_part(
    *,
    session: Session,
    keyring: Keyring,
    job_id: int,
    part: str,
    file: IO[bytes],
    most: int | None,
) -> int:
    """Store a file sealed as a part of a job, a piece at a time; return its size in bytes.

    Raises ImportFileTooLarge where it is larger than ``most`` bytes.
    """
    size = place = 0
    while piece := file.read(CHUNK_BYTES):
        size += len(piece)
        if most is not None and size > most:
            raise ImportFileTooLarge
        sealed = keyring.seal(base64.b64encode(piece).decode(), field="import")
        row = {"import_job_id": job_id, "part": part, "place": place, "body_sealed": sealed}
        session.execute(insert(ImportChunk).values(**row))
        place += 1
    return size


def _has(*, session: Session, job_id: int, part: str) -> bool:
    mine = select(ImportChunk.id).where(ImportChunk.import_job_id == job_id, ImportChunk.part == part).limit(1)
    return session.scalar(mine) is not None


def drop_list(*, session: Session, job_id: int) -> None:
    """Remove the list of a job that needs it no more."""
    session.execute(delete(ImportChunk).where(ImportChunk.import_job_id == job_id, ImportChunk.part == LIST))


def note(session: Session, job: ImportJob, actor: str, action: str, detail: dict[str, Any]) -> None:
    """Write what was done to an import into the audit."""
    facts = {"kind": job.kind, **detail}
    record(session=session, actor=actor, action=action, subject=f"import:{job.no}", detail=facts)


def _new_no() -> str:
    code = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"IM-{code}{check_character(code)}"


def _shown(file_name: str) -> str:
    """The file's own name, without folders and without what cannot be printed."""
    name = file_name.replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, name)).strip()[-120:] or "list"
