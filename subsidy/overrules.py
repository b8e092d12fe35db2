"""Overruling a decline (改判, law 10): proposed by one person with a reason, approved by another, paid by the law."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Identity, Index, Integer, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.trade_ins import TradeIn
from registry.transitions import Transitions
from registry.uniqueness import refusing_duplicates
from subsidy.business_clock import BusinessClock
from subsidy.case_numbers import OVERRULE as PREFIX
from subsidy.case_numbers import new_case_number
from subsidy.claims import CLAIM_WORDS, Claim
from subsidy.events import EventKind
from subsidy.returns import standing_return
from subsidy.standing import append_to_queue, lock_claim, require_another

OVERRULE = Transitions(
    noun_zh="这份改判建议",
    noun_en="proposed overrule",
    words={"proposed": "待复核", "approved": "已同意", "refused": "未同意"},
    edges={"proposed": {"approve": "approved", "refuse": "refused"}, "approved": {}, "refused": {}},
)


class Overrule(Base):
    """One proposal to pay a declined claim. ``appeal_id`` names the appeal that led to it, None where none did."""

    __tablename__ = "overrule"
    __table_args__ = (
        ForeignKeyConstraint(["programme_id", "position"], ["claim.programme_id", "claim.position"]),
        Index("uq_overrule_open", "programme_id", "position", unique=True, postgresql_where=text("state = 'proposed'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    reference: Mapped[str] = mapped_column(String(12), unique=True)
    programme_id: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(BigInteger)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"))
    appeal_id: Mapped[int | None] = mapped_column(ForeignKey("appeal.id"))
    reason: Mapped[str] = mapped_column(String(1000))
    proposed_by: Mapped[str] = mapped_column(String(60))
    proposed_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(String(8), server_default="proposed", default="proposed")
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decision_reason: Mapped[str | None] = mapped_column(String(1000))


class CannotBeOverruled(Refusal):
    """Only a decline can be overruled, and not that of a claim that was taken back."""

    code = "cannot_be_overruled"
    kind = "conflict"
    zh = "序号 {position} 的申领现在是「{state}」，不能改判。"
    en = "The claim at position {position} is «{state_en}» and cannot be overruled."
    remedy_zh = "只有「不予补贴」的申领可以改判；退回的不能。"
    remedy_en = "Only a declined claim can be overruled, and none that was returned."


class OverruleOpen(Refusal):
    """A proposal for this claim waits for its decision already."""

    code = "overrule_open"
    kind = "conflict"
    zh = "序号 {position} 的申领已有一份改判建议在等复核。"
    en = "An overrule of position {position} is proposed already and waits for its decision."
    remedy_zh = "请复核人员先办那一份。"
    remedy_en = "A reviewer decides that one first."


class OverruleNotFound(Refusal):
    """There is no proposal of this number."""

    code = "overrule_not_found"
    kind = "not_found"
    zh = "没有编号是 {reference} 的改判建议。"
    en = "There is no proposed overrule {reference}."
    remedy_zh = "请核对编号。"
    remedy_en = "Check the number."
    default_field = "reference"


def propose_overrule(
    *, session: Session, reference: str, reason: str, actor: str, now: datetime, appeal_id: int | None = None
) -> Overrule:
    """Propose that a declined claim be paid; ``reference`` is the trade-in's. The transaction is left to the caller.

    Raises TradeInNotFound, NoClaim, CannotBeOverruled and OverruleOpen.
    """
    standing = lock_claim(session=session, reference=reference)
    claim = standing.claim
    require_declined(session=session, claim=claim)
    overrule = Overrule(
        reference=new_case_number(session=session, prefix=PREFIX, column=Overrule.reference),
        programme_id=claim.programme_id,
        position=claim.position,
        trade_in_id=standing.trade_in.id,
        appeal_id=appeal_id,
        reason=reason,
        proposed_by=actor,
        proposed_at=now,
    )
    with refusing_duplicates(session, {"uq_overrule_open": OverruleOpen(position=claim.position)}):
        session.add(overrule)
    detail = {"overrule": overrule.reference, "position": claim.position, "declined_for": claim.reason}
    _note(session, actor, "overrule.proposed", reference, detail)
    session.flush()
    return overrule


def approve_overrule(*, session: Session, reference: str, clock: BusinessClock, actor: str) -> Overrule:
    """Overrule the decline: what the position would have had, by law 10. ``reference`` is the proposal's.

    The transaction is left to the caller. Raises OverruleNotFound, StepNotAllowed, AnotherPersonNeeded and
    CannotBeOverruled.
    """
    overrule = _lock(session, reference, "approve", actor)
    trade_in = session.get_one(TradeIn, overrule.trade_in_id)
    # The queue before the change of the proposal: whoever proposes another holds the queue and looks at this row.
    claim = lock_claim(session=session, reference=trade_in.reference).claim
    require_declined(session=session, claim=claim)
    _decide(overrule, "approve", actor, clock.now())
    before = [claim.state, claim.reason]
    append_to_queue(session=session, claim=claim, kind=EventKind.OVERRULE, clock=clock, actor=actor)
    detail = {
        "overrule": overrule.reference,
        "position": claim.position,
        "state": [before[0], claim.state],
        "reason": [before[1], claim.reason],
        "amount_fen": claim.amount_fen,
        "proposed_by": overrule.proposed_by,
    }
    _note(session, actor, "overrule.approved", trade_in.reference, detail)
    session.flush()
    return overrule


def refuse_overrule(*, session: Session, reference: str, reason: str, actor: str, now: datetime) -> Overrule:
    """Refuse a proposal, with a reason; the decline stands. The transaction is left to the caller.

    Raises OverruleNotFound, StepNotAllowed and AnotherPersonNeeded.
    """
    overrule = _lock(session, reference, "refuse", actor)
    _decide(overrule, "refuse", actor, now)
    overrule.decision_reason = reason
    trade_in = session.get_one(TradeIn, overrule.trade_in_id)
    _note(session, actor, "overrule.refused", trade_in.reference, {"overrule": overrule.reference})
    session.flush()
    return overrule


def list_overrules(
    *, session: Session, state: str | None = None, limit: int = 200
) -> list[tuple[Overrule, TradeIn, Claim]]:
    """Return proposals with their trade-in and claim, newest first."""
    query = (
        select(Overrule, TradeIn, Claim)
        .join(TradeIn, TradeIn.id == Overrule.trade_in_id)
        .join(Claim, Claim.trade_in_id == TradeIn.id)
        .order_by(Overrule.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(Overrule.state == state)
    return [(row[0], row[1], row[2]) for row in session.execute(query)]


def require_declined(*, session: Session, claim: Claim) -> None:
    """Raise CannotBeOverruled unless the claim is declined and was not returned.

    A forfeited one may be overruled (law 10).
    """
    taken_back = claim.state not in ("declined", "forfeited") or claim.reason == "returned"
    if taken_back or standing_return(session=session, trade_in_id=claim.trade_in_id) is not None:
        raise CannotBeOverruled(position=claim.position, state=CLAIM_WORDS[claim.state], state_en=claim.state)


def _lock(session: Session, reference: str, step: str, actor: str) -> Overrule:
    overrule = session.scalar(
        select(Overrule).where(Overrule.reference == reference).with_for_update(),
        execution_options={"populate_existing": True},
    )
    if overrule is None:
        raise OverruleNotFound(reference=reference)
    OVERRULE.after(state=overrule.state, step=step)
    require_another(first=overrule.proposed_by, second=actor, what_zh="改判建议", what_en="the proposal")
    return overrule


def _decide(overrule: Overrule, step: str, actor: str, now: datetime) -> None:
    overrule.state = OVERRULE.after(state=overrule.state, step=step)
    overrule.decided_by, overrule.decided_at = actor, now


def _note(session: Session, actor: str, action: str, reference: str, detail: dict[str, object]) -> None:
    audit.record(session=session, actor=actor, action=action, subject=f"trade_in:{reference}", detail=detail)
