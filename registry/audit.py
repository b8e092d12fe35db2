"""Who did what, when: append-only rows, written with the business fact and chained by a sealer afterwards."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Identity,
    Index,
    LargeBinary,
    String,
    and_,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.sql.elements import ColumnElement

from registry.base import Base, Instant, table_of

GENESIS = bytes(32)


class AuditEntry(Base):
    """One deed: ``actor`` did ``action`` to ``subject``. ``detail`` holds facts without personal data."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_actor_id", "actor", "id"),
        Index("ix_audit_entry_at", "at", postgresql_using="brin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    actor: Mapped[str] = mapped_column(String(60))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(60), index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")


class AuditSeal(Base):
    """One link of the chain: the hash of the link before it and of one entry. Order of sealing, not of writing."""

    __tablename__ = "audit_seal"

    seal_no: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)


# Every step writes one: made once, because putting a statement together takes longer than running it.
_WRITTEN = insert(table_of(AuditEntry)).inline()


def record(*, session: Session, actor: str, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Write one deed in the caller's transaction. What the session has not flushed yet stays so: see ``changes_of``."""
    deed = {"actor": actor, "action": action, "subject": subject, "detail": detail or {}}
    session.connection().execute(_WRITTEN, deed)


def changes_of(row: object, *fields: str) -> dict[str, list[Any]]:
    """Return ``{field: [old, new]}`` for those of the fields that were changed on this row and are not flushed yet.

    For fields that hold no personal data; instants and days come as text.
    """
    changes = {}
    for field in fields:
        history = inspect(row).attrs[field].history
        if history.has_changes() and history.deleted:
            changes[field] = [_plain(history.deleted[0]), _plain(history.added[0])]
    return changes


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


class SealedEntry(NamedTuple):
    """A deed with the number and the hash of its seal, None while it waits for the sealer."""

    entry: AuditEntry
    seal_no: int | None
    sha256: bytes | None


def find_entries(
    *,
    session: Session,
    actor: str | None = None,
    subject: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[SealedEntry]:
    """Return deeds, newest first, those that fit every filter given.

    ``since`` is the first instant asked for, ``until`` the first one behind them; ``before`` the id of the last deed
    of the page before.
    """
    conditions: list[ColumnElement[bool] | None] = [
        AuditEntry.actor == actor if actor is not None else None,
        AuditEntry.subject == subject if subject is not None else None,
        AuditEntry.action == action if action is not None else None,
        AuditEntry.at >= since if since is not None else None,
        AuditEntry.at < until if until is not None else None,
        AuditEntry.id < before if before is not None else None,
    ]
    asked = (
        select(AuditEntry, AuditSeal.seal_no, AuditSeal.sha256)
        .outerjoin(AuditSeal, AuditSeal.entry_id == AuditEntry.id)
        .where(*[each for each in conditions if each is not None])
        .order_by(AuditEntry.id.desc())
        .limit(limit)
    )
    return [SealedEntry(*row) for row in session.execute(asked)]


def link(*, before: bytes, entry: AuditEntry) -> bytes:
    """Return the SHA-256 that seals ``entry`` onto the chain ending in ``before``."""
    content = [entry.id, entry.at.isoformat(), entry.actor, entry.action, entry.subject, entry.detail]
    body = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(before + body.encode()).digest()


def seal_entries(*, session: Session, limit: int = 5000, from_id: int = 0) -> int:
    """Chain up to ``limit`` committed, unsealed entries in id order; return how many.

    An entry that commits late, behind ones already sealed, is found by the anti-join and sealed next: every entry is
    sealed once, and the order of the chain is the order of sealing. One sealer at a time. Entries below ``from_id``
    are not looked at: the caller knows them to be sealed (see Sealer).
    """
    key = func.hashtextextended(func.concat("audit_seal:", func.current_schema()), 0)
    session.execute(select(func.pg_advisory_xact_lock(key)))
    last = session.execute(
        select(AuditSeal.seal_no, AuditSeal.sha256).order_by(AuditSeal.seal_no.desc()).limit(1)
    ).one_or_none()
    seal_no, before = last if last is not None else (0, GENESIS)
    unsealed = select(AuditEntry).where(_unsealed(from_id)).order_by(AuditEntry.id).limit(limit)
    seals = []
    for entry in session.scalars(unsealed):
        seal_no, before = seal_no + 1, link(before=before, entry=entry)
        seals.append({"seal_no": seal_no, "entry_id": entry.id, "sha256": before})
    if seals:
        session.execute(insert(AuditSeal), seals)
    return len(seals)


def oldest_unsealed_at(*, session: Session, from_id: int = 0) -> datetime | None:
    """Return when the oldest unsealed entry was written, None where all are sealed: the sealer's lag."""
    return session.scalar(select(func.min(AuditEntry.at)).where(_unsealed(from_id)))


def _unsealed(from_id: int) -> ColumnElement[bool]:
    sealed = select(AuditSeal.entry_id).where(AuditSeal.entry_id == AuditEntry.id, AuditSeal.entry_id >= from_id)
    return and_(AuditEntry.id >= from_id, ~sealed.exists())


class Sealer:
    """Seals again and again, and knows below which id nothing can be missing any more, so that it need not look there.

    An id is taken before its entry is committed, so «the highest sealed id» is no safe bound: a slow transaction may
    still hold a lower one. But whoever has taken an id holds a lock on the table until he commits. So after a complete
    run the highest id becomes a candidate, together with everyone holding that lock at that moment; once all of them
    are gone, one more complete run makes it the bound. A new process starts without a bound, which costs one look at
    everything.
    """

    def __init__(self, *, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._candidate: int | None = None
        self._writers: frozenset[str] = frozenset()
        self.from_id = 0

    def run(self, *, limit: int = 5000) -> int:
        """Seal up to ``limit`` entries in a transaction of its own; return how many."""
        with self._sessions.begin() as session:
            # Asked before the entries are read: what those who are gone have committed is then seen.
            reached = self._candidate if self._writers.isdisjoint(_writers(session=session)) else None
            count = seal_entries(session=session, limit=limit, from_id=self.from_id)
            highest = session.scalar(select(func.max(AuditEntry.id))) or 0
            writers = _writers(session=session)
        if count == limit:
            return count
        if reached is not None:
            self.from_id, self._candidate = reached, None
        if self._candidate is None:
            self._candidate, self._writers = highest + 1, writers
        return count


def _writers(*, session: Session) -> frozenset[str]:
    """Who is writing entries at this moment: the transactions holding the lock every INSERT takes first."""
    rows = session.scalars(
        text(
            "SELECT virtualtransaction FROM pg_locks WHERE mode = 'RowExclusiveLock' AND locktype = 'relation'"
            " AND relation = 'audit_entry'::regclass"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    )
    return frozenset(rows)
