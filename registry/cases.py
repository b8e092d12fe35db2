"""Cases: what a person at the bureau has to look at, because the machine must not decide it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, String, func, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant


class Case(Base):
    """One open question. ``subject`` names what it is about, e.g. ``trade_in:GS-7K2M-94`` or ``payout:17``."""

    __tablename__ = "staff_case"
    __table_args__ = (
        Index("uq_staff_case_open", "kind", "subject", unique=True, postgresql_where=text("closed_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(60))
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    opened_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    closed_by: Mapped[str | None] = mapped_column(String(60))
    outcome: Mapped[str | None] = mapped_column(String(200))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """A case to be opened."""

    kind: str
    subject: str
    detail: dict[str, Any]


def open_case(*, session: Session, kind: str, subject: str, detail: dict[str, Any]) -> None:
    """Open a case; the same kind about the same subject is opened once while it is open."""
    open_new_cases(session=session, cases=[NewCase(kind=kind, subject=subject, detail=detail)])


def open_new_cases(*, session: Session, cases: Sequence[NewCase]) -> None:
    """Open each of the cases that is not open already."""
    if cases:
        row = insert(Case).on_conflict_do_nothing(
            index_elements=["kind", "subject"], index_where=text("closed_at IS NULL")
        )
        session.execute(row, [asdict(case) for case in cases])


def close_case(*, session: Session, kind: str, subject: str, actor: str, outcome: str) -> None:
    """Close the open case of this kind about this subject; nothing happens where none is open."""
    open_one = update(Case).where(Case.kind == kind, Case.subject == subject, Case.closed_at.is_(None))
    session.execute(open_one.values(closed_at=func.clock_timestamp(), closed_by=actor, outcome=outcome))
