"""The queue's tables: the append-only log of events and decisions, and each claim as it stands now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKeyConstraint, Index, Integer, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from registry.base import Base, Instant

CLAIM_WORDS = {
    "waiting": "排队中，等名额",
    "held": "待更正，名额保留",
    "awarded": "给予补贴",
    "declined": "不予补贴",
    "returned": "已退",
    "forfeited": "逾期未领",
}
COUNTING_STATES = ("awarded", "held", "waiting")


class QueueEvent(Base):
    """One event of the queue. Append-only, ``event_no`` gap-free within the programme.

    A claim's columns are filled for kind ``claim`` only; ``detail`` carries what other kinds need (rules, reason).
    ``effective_at`` is law 3's instant e; ``refusal`` the eligibility rule that failed; ``fault`` the correctable
    fault; ``evidence_sha256`` seals the evidence kept beside the claim.
    """

    __tablename__ = "queue_event"
    __table_args__ = (
        Index(
            "uq_queue_event_position",
            "programme_id",
            "position",
            unique=True,
            postgresql_where=text("kind = 'claim'"),
        ),
    )

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_no: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime | None] = mapped_column(Instant)
    stage_no: Mapped[int | None] = mapped_column(Integer)
    position: Mapped[int | None] = mapped_column(BigInteger)
    person_id: Mapped[int | None] = mapped_column(BigInteger)
    trade_in_id: Mapped[int | None] = mapped_column(BigInteger)
    effective_at: Mapped[datetime | None] = mapped_column(Instant)
    refusal: Mapped[str | None] = mapped_column(String(40))
    fault: Mapped[str | None] = mapped_column(String(40))
    evidence_sha256: Mapped[bytes | None] = mapped_column(LargeBinary)
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class Claim(Base):
    """One claim as it stands now. The three unique columns make a second subsidy impossible in the database.

    Its owner and its bikes are those of its trade-in: one foreign key over all four says so. Four of them would say
    less, and each would wait, with the queue's lock held, for whoever works on that filing or bike just now.
    """

    __tablename__ = "claim"
    __table_args__ = (
        ForeignKeyConstraint(
            ["person_id", "trade_in_id", "filed_bike_id", "bike_id"],
            ["trade_in.owner_id", "trade_in.id", "trade_in.filed_bike_id", "trade_in.bike_id"],
            name="fk_claim_trade_in",
        ),
        Index("ix_claim_person", "person_id", "programme_id"),
        Index("ix_claim_open", "programme_id", "position", postgresql_where=text("state IN ('waiting', 'held')")),
    )

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    trade_in_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    filed_bike_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    bike_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    person_id: Mapped[int] = mapped_column(BigInteger)
    effective_at: Mapped[datetime] = mapped_column(Instant)
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(String(10))
    stage_no: Mapped[int | None] = mapped_column(Integer)
    amount_fen: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(String(40))
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Decision(Base):
    """One decision (兑付决定) on one claim. Append-only: a later event adds a row, nothing is edited.

    ``account`` holds the money of an award or a hold; ``fault`` and ``expires_at`` say what a held claim's owner has
    to correct, and until when (subsidy/events.py).
    """

    __tablename__ = "decision"

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    event_no: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    outcome: Mapped[str] = mapped_column(String(8))
    stage_no: Mapped[int | None] = mapped_column(Integer)
    amount_fen: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(String(40))
    account: Mapped[str | None] = mapped_column(String(24))
    fault: Mapped[str | None] = mapped_column(String(40))
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    overruled: Mapped[bool] = mapped_column(Boolean, server_default="false")
