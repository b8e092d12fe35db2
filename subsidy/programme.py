"""The programme (补贴活动) and its versions: the rules as data, and the head of its queue."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Integer, LargeBinary, Row, String, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant, Refusal


class Programme(Base):
    """One programme and the head of its queue.

    The row is the queue's lock: whoever appends holds it. ``head`` is the allocation's core state after
    ``event_no`` (subsidy/allocation.py), ``next_due_at`` the instant of the next boundary to be appended,
    ``last_instant`` the ``recorded_at`` of the last event.
    """

    __tablename__ = "programme"
    __table_args__ = ({"postgresql_with": {"fillfactor": "20"}},)

    id: Mapped[int] = mapped_column(Integer, Identity(always=True), primary_key=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    name_zh: Mapped[str] = mapped_column(String(80))
    name_en: Mapped[str] = mapped_column(String(80))
    version_no: Mapped[int] = mapped_column(Integer, server_default="0")
    event_no: Mapped[int] = mapped_column(BigInteger, server_default="0")
    head: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    last_instant: Mapped[datetime | None] = mapped_column(Instant)
    next_due_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class ProgrammeVersion(Base):
    """One version of a programme's full rules. Append-only; it governs the events after ``event_no``."""

    __tablename__ = "programme_version"

    programme_id: Mapped[int] = mapped_column(ForeignKey("programme.id"), primary_key=True)
    version_no: Mapped[int] = mapped_column(Integer, primary_key=True)
    rules: Mapped[dict[str, Any]] = mapped_column(JSONB)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    event_no: Mapped[int] = mapped_column(BigInteger)
    drafted_by: Mapped[str] = mapped_column(String(60))
    approved_by: Mapped[str] = mapped_column(String(60))


class ProgrammeNotFound(Refusal):
    """No programme has this code."""

    code = "programme_not_found"
    kind = "not_found"
    zh = "没有找到补贴活动 {programme}。"
    en = "There is no programme {programme}."
    remedy_zh = "请从首页进入。"
    remedy_en = "Start from the front page."


def get_programme(*, session: Session, code: str) -> Programme:
    """Return the programme with this code; raises ProgrammeNotFound."""
    programme = session.scalar(select(Programme).where(Programme.code == code))
    if programme is None:
        raise ProgrammeNotFound(programme=code)
    return programme


def get_version(*, session: Session, programme_id: int, version_no: int) -> ProgrammeVersion:
    """Return one version of the programme's rules, which has to exist."""
    return session.get_one(ProgrammeVersion, (programme_id, version_no))


def list_versions(*, session: Session, programme_id: int) -> list[ProgrammeVersion]:
    """Return every version of the programme's rules, the first first."""
    query = select(ProgrammeVersion).where(ProgrammeVersion.programme_id == programme_id)
    return list(session.scalars(query.order_by(ProgrammeVersion.version_no)))


_NEWEST = select(Programme).order_by(Programme.id.desc()).limit(1)
# Every step asks for it: made once, because putting a statement together takes longer than running it.
_NEWEST_HEAD = select(Programme.id, Programme.head).order_by(Programme.id.desc()).limit(1)


def newest_head(*, session: Session) -> Row[tuple[int, Any]] | None:
    """Return ``id`` and ``head`` of the programme that ``current_programme`` returns, None where there is none."""
    return session.execute(_NEWEST_HEAD).one_or_none()


def current_programme(*, session: Session) -> Programme:
    """Return the newest programme; raises ProgrammeNotFound."""
    programme = session.scalar(_NEWEST)
    if programme is None:
        raise ProgrammeNotFound(programme="")
    return programme
