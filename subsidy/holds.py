"""Staff holds (law 9): a claim is held before its first payout attempt, and released by another person."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKeyConstraint, Identity, Index, Integer, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from subsidy.business_clock import BusinessClock
from subsidy.claims import CLAIM_WORDS
from subsidy.events import EventKind
from subsidy.fold import STAFF_HOLD
from subsidy.standing import Standing, append_to_queue, lock_claim, require_another

# What the queue's log keeps of a hold: a code. The sentence behind it stays in this table.
HOLD_REASONS = {
    "identity": "身份要再核对",
    "old_bike": "旧车材料要再核对",
    "new_bike": "新车材料要再核对",
    "sale": "发票或价格要再核对",
    "complaint": "收到投诉举报",
    "fraud": "疑似冒领",
    "other": "其他",
}


class ClaimHold(Base):
    """One hold, from the person who placed it to the one who released it. ``reason_code`` is of HOLD_REASONS."""

    __tablename__ = "claim_hold"
    __table_args__ = (
        ForeignKeyConstraint(["programme_id", "position"], ["claim.programme_id", "claim.position"]),
        Index(
            "uq_claim_hold_open",
            "programme_id",
            "position",
            unique=True,
            postgresql_where=text("released_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    programme_id: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(BigInteger)
    reason_code: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(String(200))
    held_by: Mapped[str] = mapped_column(String(60))
    held_at: Mapped[datetime] = mapped_column(Instant)
    released_by: Mapped[str | None] = mapped_column(String(60))
    released_at: Mapped[datetime | None] = mapped_column(Instant)
    release_reason: Mapped[str | None] = mapped_column(String(200))


class CannotBeHeld(Refusal):
    """Only a claim that waits or is awarded can be held."""

    code = "cannot_be_held"
    kind = "conflict"
    zh = "序号 {position} 的申领现在是「{state}」，不能扣下核对。"
    en = "The claim at position {position} is «{state_en}» and cannot be held."
    remedy_zh = "只有排队中的，或已给予、还没有交银行的申领可以扣下。"
    remedy_en = "Only a claim that waits, or an award that has not gone to the bank, can be held."


class NotHeldByStaff(Refusal):
    """There is no staff hold to release."""

    code = "not_held_by_staff"
    kind = "conflict"
    zh = "序号 {position} 的申领没有被扣下核对。"
    en = "The claim at position {position} is not held by staff."
    remedy_zh = "等更正的申领要更正，或由复核人员放行。"
    remedy_en = "A claim that waits for a correction is corrected, or its fault waived by a reviewer."


def hold_claim(
    *, session: Session, reference: str, reason_code: str, reason: str, clock: BusinessClock, actor: str
) -> ClaimHold:
    """Hold a claim before its first payout attempt; position, place and money stay kept. Transaction: the caller's.

    A claim that waits is held once its turn comes. Raises TradeInNotFound, NoClaim, CannotBeHeld and MoneyAtTheBank.
    """
    assert reason_code in HOLD_REASONS, reason_code
    standing = lock_claim(session=session, reference=reference)
    claim = standing.claim
    if claim.state not in ("awarded", "waiting") or standing.decision.fault is not None:
        raise _cannot(standing)
    before = claim.state
    append_to_queue(
        session=session, claim=claim, kind=EventKind.HOLD, clock=clock, actor=actor, reason=f"hold_{reason_code}"
    )
    hold = ClaimHold(
        programme_id=claim.programme_id,
        position=claim.position,
        reason_code=reason_code,
        reason=reason,
        held_by=actor,
        held_at=clock.now(),
    )
    earlier = open_hold(session=session, programme_id=claim.programme_id, position=claim.position)
    if earlier is not None:
        # Overtaken by a forfeiture or the programme's end, and the claim overruled since.
        earlier.released_by, earlier.released_at, earlier.release_reason = "queue", clock.now(), "队列已另有决定"
        session.flush()
    session.add(hold)
    detail = {"state": [before, claim.state], "reason_code": reason_code, "position": claim.position}
    audit.record(session=session, actor=actor, action="claim.held", subject=f"trade_in:{reference}", detail=detail)
    session.flush()
    return hold


def release_claim(*, session: Session, reference: str, reason: str, clock: BusinessClock, actor: str) -> ClaimHold:
    """Release a staff hold; the claim becomes the award it would have been. The transaction is left to the caller.

    Uniqueness and limit are checked again by the law. Raises TradeInNotFound, NoClaim, NotHeldByStaff and
    AnotherPersonNeeded: who placed the hold cannot lift it.
    """
    standing = lock_claim(session=session, reference=reference)
    claim = standing.claim
    hold = open_hold(session=session, programme_id=claim.programme_id, position=claim.position)
    if hold is None or standing.decision.fault != STAFF_HOLD:
        raise NotHeldByStaff(position=claim.position)
    require_another(first=hold.held_by, second=actor, what_zh="扣下核对", what_en="the hold")
    before = claim.state
    append_to_queue(session=session, claim=claim, kind=EventKind.RELEASE, clock=clock, actor=actor)
    hold.released_by, hold.released_at, hold.release_reason = actor, clock.now(), reason
    detail = {"state": [before, claim.state], "position": claim.position}
    audit.record(session=session, actor=actor, action="claim.released", subject=f"trade_in:{reference}", detail=detail)
    session.flush()
    return hold


def open_hold(*, session: Session, programme_id: int, position: int) -> ClaimHold | None:
    """Return the hold that was not released, None where there is none."""
    return session.scalar(
        select(ClaimHold).where(
            ClaimHold.programme_id == programme_id, ClaimHold.position == position, ClaimHold.released_at.is_(None)
        )
    )


def _cannot(standing: Standing) -> CannotBeHeld:
    claim = standing.claim
    return CannotBeHeld(position=claim.position, state=CLAIM_WORDS[claim.state], state_en=claim.state)
