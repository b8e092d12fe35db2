"""Correcting what was mistyped or cannot be read (law 9): position and money stay kept until the time is over.

A fault is found at the completion (subsidy/faults.py) or marked by somebody who looks at the papers. Every open fault
is corrected in one go; each wrong field is refused by itself, and what stands is not touched until all are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.receiving import keep_photo
from registry.sealing import Keyring
from registry.trade_ins import OVER, Reach, TradeIn, get_trade_in
from subsidy.business_clock import BusinessClock
from subsidy.claims import Claim, Decision
from subsidy.correction_fields import Given, correct_fields
from subsidy.events import EventKind
from subsidy.faults import FAULTS, MARKABLE, Fault, faults_in
from subsidy.fold import STAFF_HOLD, ClaimNotInState
from subsidy.standing import Standing, append_to_queue, lock_claim, require_another

EXPIRED = "correction_expired"
DEEDS = {EventKind.CORRECTED: "corrected", EventKind.RELEASE: "fault_waived"}


class MarkedFault(Base):
    """A field that somebody, or a check of pictures, marked as faulty. ``field`` is one of faults.MARKABLE."""

    __tablename__ = "marked_fault"
    __table_args__ = (
        Index("uq_marked_fault_open", "trade_in_id", "field", unique=True, postgresql_where=text("mended_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"))
    field: Mapped[str] = mapped_column(String(24))
    note: Mapped[str] = mapped_column(String(200))
    marked_by: Mapped[str] = mapped_column(String(60))
    marked_at: Mapped[datetime] = mapped_column(Instant)
    mended_by: Mapped[str | None] = mapped_column(String(60))
    mended_at: Mapped[datetime | None] = mapped_column(Instant)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToCorrect:
    """A claim that waits for a correction. ``expires_at`` is None while it waits in the line."""

    trade_in: TradeIn
    claim: Claim
    faults: tuple[Fault, ...]
    expires_at: datetime | None


class NothingToCorrect(Refusal):
    """The claim has no fault that a correction could put right."""

    code = "nothing_to_correct"
    kind = "conflict"
    zh = "置换 {reference} 没有要更正的内容。"
    en = "There is nothing to correct in the trade-in {reference}."
    remedy_zh = "请刷新页面，看看这笔申领现在的情况。"
    remedy_en = "Reload to see how the claim stands now."


class CorrectionTooLate(Refusal):
    """The time to correct is over: the claim was declined, and its place went on to the next."""

    code = "correction_too_late"
    kind = "conflict"
    zh = "更正的期限已过，名额已经给了后面的人。"
    en = "The time to correct is over; the place went on to the next in the line."
    remedy_zh = "有异议可以提出申诉。"
    remedy_en = "You can file an appeal."


class CannotBeMarked(Refusal):
    """Faults are marked while a trade-in runs; what is complete is held by staff instead."""

    code = "fault_cannot_be_marked"
    kind = "conflict"
    zh = "置换 {reference} 已经办完或撤回，不能再标记。"
    en = "The trade-in {reference} is complete or withdrawn; nothing can be marked any more."
    remedy_zh = "已经办完的，可以把申领扣下核对。"
    remedy_en = "Hold the claim instead where it is complete."


def mark_fault(*, session: Session, reference: str, field: str, note: str, actor: str, now: datetime) -> MarkedFault:
    """Mark a field of a running trade-in as faulty: at its completion the claim is held until that is put right.

    ``field`` is one of MARKABLE. The same field marked again is marked once. The transaction is left to the caller.
    Raises TradeInNotFound and CannotBeMarked.
    """
    assert field in MARKABLE, field
    trade_in = get_trade_in(session=session, reference=reference, reach=Reach())
    # Its row locked: either the completion sees the mark, or the mark sees that it is complete.
    state = session.scalars(select(TradeIn.state).where(TradeIn.id == trade_in.id).with_for_update()).one()
    if state in OVER:
        raise CannotBeMarked(reference=reference)
    row = insert(MarkedFault).values(trade_in_id=trade_in.id, field=field, note=note, marked_by=actor, marked_at=now)
    fresh = session.scalar(row.on_conflict_do_nothing().returning(MarkedFault.id))
    if fresh is not None:
        _note(session, actor, "trade_in.fault_marked", trade_in, {"field": field, "code": MARKABLE[field]})
    session.flush()
    return _marks(session, trade_in.id, (field,))[0]


def correct_claim(
    *,
    session: Session,
    keyring: Keyring,
    reference: str,
    reach: Reach,
    given: Given,
    clock: BusinessClock,
    actor: str,
) -> Standing:
    """Put right everything that was mistyped; the claim becomes the award it would have been, limit checked again.

    Photos are replaced first, by ``replace_photo``. The transaction is left to the caller. Raises TradeInNotFound,
    NoClaim, NothingToCorrect, CorrectionTooLate, and the refusals of correction_fields.correct_fields, several at once
    where several fields are wrong.
    """
    standing = lock_claim(session=session, reference=reference, reach=reach)
    faults = _correctable(session, standing, clock)
    changed = correct_fields(session=session, keyring=keyring, trade_in=standing.trade_in, faults=faults, given=given)
    _resolve(session=session, standing=standing, clock=clock, actor=actor, detail={"changed": changed})
    return standing


def replace_photo(
    *, session: Session, reference: str, reach: Reach, kind: str, image: bytes, clock: BusinessClock, actor: str
) -> Standing | None:
    """Keep a photo in place of one that cannot be read; where nothing else is wrong the claim is corrected by it.

    ``kind`` is one of trade_ins.PHOTO_KINDS. Before the completion the mark is lifted, and None returned. The
    transaction is left to the caller. Raises TradeInNotFound, NothingToCorrect, CorrectionTooLate, PhotoTooLarge,
    PhotoUnreadable and PhotoUsedBefore.
    """
    trade_in = get_trade_in(session=session, reference=reference, reach=reach)
    claimed = session.scalar(select(Claim.position).where(Claim.trade_in_id == trade_in.id)) is not None
    standing = lock_claim(session=session, reference=reference, reach=reach) if claimed else None
    if standing is not None:
        _correctable(session, standing, clock)
    marks = _marks(session, trade_in.id, (f"photo:{kind}",))
    if not marks:
        raise NothingToCorrect(reference=reference)
    keep_photo(session=session, trade_in=trade_in, kind=kind, image=image, actor=actor)
    marks[0].mended_by, marks[0].mended_at = actor, clock.now()
    session.flush()
    if standing is not None and not open_faults(session=session, standing=standing):
        _resolve(session=session, standing=standing, clock=clock, actor=actor, detail={"changed": {"photo": [kind]}})
    return standing


def waive_fault(*, session: Session, reference: str, reason: str, clock: BusinessClock, actor: str) -> Standing:
    """Let a claim pass although nothing was corrected: the fault was the police's, or a photo can be read after all.

    The transaction is left to the caller. Raises TradeInNotFound, NoClaim, NothingToCorrect, CorrectionTooLate and
    AnotherPersonNeeded where the same person marked the fault.
    """
    standing = lock_claim(session=session, reference=reference)
    faults = _correctable(session, standing, clock)
    for mark in _marks(session, standing.trade_in.id):
        require_another(first=mark.marked_by, second=actor, what_zh="标记这处问题", what_en="marking the fault")
    detail = {"faults": [fault.code for fault in faults], "reason": reason}
    _resolve(session=session, standing=standing, clock=clock, actor=actor, detail=detail, kind=EventKind.RELEASE)
    return standing


def open_faults(*, session: Session, standing: Standing) -> tuple[Fault, ...]:
    """Return what has to be corrected before the claim can be awarded, () where nothing does."""
    code = standing.decision.fault
    if code is None or code == STAFF_HOLD or standing.claim.state not in ("held", "waiting"):
        return ()
    return _open(standing.claim, _mended(session, [standing.trade_in.id]))


def waiting_for_correction(*, session: Session, reach: Reach, limit: int = 200) -> list[ToCorrect]:
    """Return the claims within reach that wait for a correction, the one due soonest first."""
    latest = (
        select(Decision)
        .where(Decision.programme_id == Claim.programme_id, Decision.position == Claim.position)
        .order_by(Decision.event_no.desc())
        .limit(1)
        .lateral("latest")
    )
    query = (
        select(TradeIn, Claim, latest.c.expires_at)
        .join(Claim, Claim.trade_in_id == TradeIn.id)
        .join(latest, text("true"))
        .where(Claim.state.in_(("held", "waiting")), latest.c.fault.in_(tuple(FAULTS)))
        .order_by(latest.c.expires_at.nulls_last(), Claim.position)
        .limit(limit)
    )
    if reach.dealer_id is not None:
        query = query.where(TradeIn.dealer_id == reach.dealer_id)
    if reach.owner_id is not None:
        query = query.where(TradeIn.owner_id == reach.owner_id)
    rows = session.execute(query).all()
    mended = _mended(session, [row[0].id for row in rows])
    return [ToCorrect(trade_in=row[0], claim=row[1], faults=_open(row[1], mended), expires_at=row[2]) for row in rows]


def _mended(session: Session, trade_in_ids: Sequence[int]) -> set[tuple[int, str]]:
    """The fields, by trade-in, that were marked and put right, and not marked again since."""
    marks = session.execute(
        select(MarkedFault.trade_in_id, MarkedFault.field)
        .where(MarkedFault.trade_in_id.in_(trade_in_ids))
        .group_by(MarkedFault.trade_in_id, MarkedFault.field)
        .having(func.bool_and(MarkedFault.mended_at.is_not(None)))
    )
    return {(row.trade_in_id, row.field) for row in marks}


def _open(claim: Claim, mended: set[tuple[int, str]]) -> tuple[Fault, ...]:
    return tuple(fault for fault in faults_in(claim.evidence) if (claim.trade_in_id, fault.field) not in mended)


def _correctable(session: Session, standing: Standing, clock: BusinessClock) -> tuple[Fault, ...]:
    expires_at = standing.decision.expires_at
    if standing.claim.reason == EXPIRED or (expires_at is not None and expires_at <= clock.now()):
        raise CorrectionTooLate
    faults = open_faults(session=session, standing=standing)
    if not faults:
        raise NothingToCorrect(reference=standing.trade_in.reference)
    return faults


def _resolve(
    *,
    session: Session,
    standing: Standing,
    clock: BusinessClock,
    actor: str,
    detail: Mapping[str, object],
    kind: EventKind = EventKind.CORRECTED,
) -> None:
    claim, before = standing.claim, standing.claim.state
    for mark in _marks(session, standing.trade_in.id):
        mark.mended_by, mark.mended_at = actor, clock.now()
    try:
        append_to_queue(session=session, claim=claim, kind=kind, clock=clock, actor=actor)
    except ClaimNotInState as refused:
        # By the queue's own clock the term is over: the expiry came first.
        raise CorrectionTooLate from refused
    facts = {"position": claim.position, "state": [before, claim.state], **detail}
    _note(session, actor, f"claim.{DEEDS[kind]}", standing.trade_in, facts)
    session.flush()


def _marks(session: Session, trade_in_id: int, fields: Sequence[str] | None = None) -> list[MarkedFault]:
    query = select(MarkedFault).where(MarkedFault.trade_in_id == trade_in_id, MarkedFault.mended_at.is_(None))
    if fields is not None:
        query = query.where(MarkedFault.field.in_(fields))
    return list(session.scalars(query.order_by(MarkedFault.id)))


def _note(session: Session, actor: str, action: str, trade_in: TradeIn, detail: dict[str, object]) -> None:
    audit.record(session=session, actor=actor, action=action, subject=f"trade_in:{trade_in.reference}", detail=detail)
