"""Tables of the published log: leaves, tree and signed heads, append-only; what opens a leaf stands outside them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from registry.base import Base, Instant
from subsidy.claims import Decision

# Decisions stand in their table as their events came: a few pages of ranges find those of some events.
Index(
    "ix_decision_event",
    Decision.event_no,
    postgresql_using="brin",
    postgresql_with={"autosummarize": "on"},
)


class PublishedLog(Base):
    """How far one programme's queue has been written into its log; whoever appends holds this row.

    ``windows`` are the stages' instants in force after ``event_no`` (subsidy/log_leaves.py), ``unseen`` counts the
    owners' events that no public head covers yet.
    """

    __tablename__ = "published_log"

    programme_id: Mapped[int] = mapped_column(ForeignKey("programme.id"), primary_key=True)
    event_no: Mapped[int] = mapped_column(BigInteger, server_default="0")
    size: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unseen: Mapped[int] = mapped_column(Integer, server_default="0")
    windows: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]")


class LogLeaf(Base):
    """One leaf: ``entry`` is canonical JSON, its very bytes are what ``sha256`` hashes. Append-only."""

    __tablename__ = "log_leaf"
    __table_args__ = (
        Index(
            "ix_log_leaf_position", "programme_id", "position", "leaf", postgresql_where=text("position IS NOT NULL")
        ),
    )

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    leaf: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    event_no: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int | None] = mapped_column(BigInteger)
    entry: Mapped[str] = mapped_column(Text)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)


class LogNode(Base):
    """The hash over the 2^level leaves from leaf number × 2^level on; level 1 and up. Append-only."""

    __tablename__ = "log_node"

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    level: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)


class LogHead(Base):
    """One signed tree head. ``is_public``: anybody may ask for it, and for the leaves under it. Append-only.

    One size may have two: signed for receipts first, published later.
    """

    __tablename__ = "log_head"
    __table_args__ = (Index("ix_log_head_public", "programme_id", "size", postgresql_where=text("is_public")),)

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    root: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime] = mapped_column(Instant)
    key_id: Mapped[int] = mapped_column(Integer)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    is_public: Mapped[bool] = mapped_column(Boolean, primary_key=True)


class LogSalt(Base):
    """The 32 random bytes in one leaf's commitment. Erasing them closes the commitment for ever."""

    __tablename__ = "log_salt"

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    leaf: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)


class LogToken(Base):
    """The random word under which one person's claims stand in one programme's log."""

    __tablename__ = "log_token"
    __table_args__ = (UniqueConstraint("programme_id", "token"),)

    programme_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    person_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    token: Mapped[str] = mapped_column(String(32))
