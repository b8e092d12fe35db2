"""What the edge must remember in the database: first answers to idempotency keys, and which job slot ran."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, LargeBinary, String, func
from sqlalchemy.orm import Mapped, mapped_column

from registry.base import Base, Instant


class FirstAnswer(Base):
    """The first answer to one Idempotency-Key of one actor. ``status`` is 0 while the first request still runs."""

    __tablename__ = "first_answer"

    actor: Mapped[str] = mapped_column(String(60), primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    request_sha256: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(Integer, server_default="0")
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp(), index=True)


class JobRun(Base):
    """The fence of the scheduler: one row per job and slot, so that no slot runs twice whoever leads."""

    __tablename__ = "job_run"

    job: Mapped[str] = mapped_column(String(40), primary_key=True)
    slot: Mapped[datetime] = mapped_column(Instant, primary_key=True)
    leader: Mapped[str] = mapped_column(String(80))
    started_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    outcome: Mapped[str | None] = mapped_column(String(200))
