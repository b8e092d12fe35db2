"""Licences (授牌): the trade-in function switched on, the plaque number, renewals, suspensions, revocations, expiry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Boolean, ForeignKey, Identity, Index, Integer, String, cast, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.dealer_commitments import require_signed
from registry.dealer_rules import EnrolmentRules
from registry.dealer_steps import DealerStepOfTwo, require_other_than, take_step
from registry.dealers import DEALER, Dealer, local_day, lock_dealer
from registry.uniqueness import refusing_duplicates

SCHEDULER = "scheduler"


class DealerRevocation(Base):
    """A revocation that somebody proposed and somebody else decides. One waits at a time for each dealer."""

    __tablename__ = "dealer_revocation"
    __table_args__ = (
        Index("uq_dealer_revocation_open", "dealer_id", unique=True, postgresql_where=text("decided_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"))
    reason: Mapped[str] = mapped_column(String(200))
    proposed_by: Mapped[str] = mapped_column(String(60))
    proposed_at: Mapped[datetime] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    approved: Mapped[bool | None] = mapped_column(Boolean)


class RenewedTooEarly(Refusal):
    """A licence is renewed in the weeks before its end, or after it."""

    code = "renewed_too_early"
    kind = "conflict"
    zh = "授牌到 {until} 才到期，{from_day} 起可以续期。"
    en = "The licence runs until {until}; it can be renewed from {from_day} on."
    remedy_zh = "到时再办，不用现在办。"
    remedy_en = "There is nothing to do before that day."


class RevocationProposed(Refusal):
    """A revocation of this dealer's licence is waiting for a decision already."""

    code = "revocation_proposed"
    kind = "conflict"
    zh = "这家商户已有一份撤销建议待审批。"
    en = "A revocation of this dealer's licence is waiting to be decided."
    remedy_zh = "请先由另一位工作人员审批那一份。"
    remedy_en = "Somebody else decides that one first."


class RevocationNotFound(Refusal):
    """No revocation of this dealer's licence waits to be decided."""

    code = "revocation_not_found"
    kind = "not_found"
    zh = "这家商户没有待审批的撤销建议。"
    en = "No revocation of this dealer's licence is waiting."
    remedy_zh = "请刷新页面；撤销要先有人提出。"
    remedy_en = "Reload; a revocation has to be proposed first."


def enrol(*, session: Session, dealer_id: int, actor: str, now: datetime) -> Dealer:
    """Switch the trade-in function on; trained → ``enrolled``. The transaction is left to the caller.

    Raises DealerNotFound, StepNotAllowed and CommitmentUnsigned.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    DEALER.after(state=dealer.state, step="enrol")
    require_signed(session=session, dealer=dealer, now=now)
    dealer.trade_in_on = True
    take_step(session=session, dealer=dealer, step="enrol", actor=actor, now=now)
    return dealer


def license_point(*, session: Session, dealer_id: int, rules: EnrolmentRules, actor: str, now: datetime) -> Dealer:
    """License the dealer as a trade-in point under the next plaque number; enrolled → ``licensed``.

    Plaque numbers have no gaps: the number is taken in the caller's transaction, one licensing at a time. Whoever
    switched the function on cannot license. Raises DealerNotFound, StepNotAllowed, DealerStepOfTwo and
    CommitmentUnsigned.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    DEALER.after(state=dealer.state, step="license")
    require_other_than(session=session, dealer_id=dealer_id, step="enrol", actor=actor)
    require_signed(session=session, dealer=dealer, now=now)
    dealer.point_no = next_point_no(session=session)
    dealer.licensed_at = now
    dealer.licensed_until = local_day(now) + timedelta(days=rules.licence_days - 1)
    take_step(session=session, dealer=dealer, step="license", actor=actor, now=now)
    return dealer


def next_point_no(*, session: Session) -> str:
    """Return the plaque number after the highest one; nobody else gets it until the transaction ends."""
    name = func.concat("point_no:", func.current_schema())
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
    highest = session.scalar(
        select(func.max(cast(Dealer.point_no, Integer))).where(Dealer.point_no.regexp_match(r"^\d+$"))
    )
    return f"{(highest or 0) + 1:04d}"


def renew_licence(*, session: Session, dealer_id: int, rules: EnrolmentRules, actor: str, now: datetime) -> Dealer:
    """Renew a licence that is about to run out or has: it runs on from its end, or from today where that is over.

    The transaction is left to the caller. Raises DealerNotFound, StepNotAllowed, CommitmentUnsigned and
    RenewedTooEarly.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    DEALER.after(state=dealer.state, step="renew")
    require_signed(session=session, dealer=dealer, now=now)
    today, until = local_day(now), dealer.licensed_until
    if until is not None and today < (begins := until - timedelta(days=rules.renew_from_days)):
        raise RenewedTooEarly(until=until, from_day=begins)
    runs_on = until is not None and until >= today
    last = until if runs_on and until is not None else today - timedelta(days=1)
    dealer.licensed_until = last + timedelta(days=rules.licence_days)
    take_step(session=session, dealer=dealer, step="renew", actor=actor, now=now)
    return dealer


def suspend(*, session: Session, dealer_id: int, reason: str, actor: str, now: datetime) -> Dealer:
    """Stop new trade-ins at once; licensed → ``suspended``. What is open may be finished, or handed over.

    The transaction is left to the caller. Raises DealerNotFound and StepNotAllowed.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    take_step(session=session, dealer=dealer, step="suspend", actor=actor, now=now, reason=reason)
    return dealer


def restore(*, session: Session, dealer_id: int, reason: str, actor: str, now: datetime) -> Dealer:
    """End a suspension; suspended → ``licensed``, until the day on which the licence runs out anyway.

    The transaction is left to the caller. Raises DealerNotFound and StepNotAllowed.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    take_step(session=session, dealer=dealer, step="restore", actor=actor, now=now, reason=reason)
    return dealer


def propose_revocation(*, session: Session, dealer_id: int, reason: str, actor: str, now: datetime) -> DealerRevocation:
    """Propose to revoke a licence; nothing changes until somebody else decides. Left to the caller to commit.

    Raises DealerNotFound, StepNotAllowed and RevocationProposed.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    DEALER.after(state=dealer.state, step="revoke")
    proposal = DealerRevocation(dealer_id=dealer_id, reason=reason, proposed_by=actor, proposed_at=now)
    with refusing_duplicates(session, {"uq_dealer_revocation_open": RevocationProposed()}):
        session.add(proposal)
    _note(session, actor, "dealer.revocation_proposed", proposal, {"reason": reason})
    return proposal


def decide_revocation(*, session: Session, dealer_id: int, approved: bool, actor: str, now: datetime) -> Dealer:
    """Approve the proposed revocation, → ``revoked`` for good, or turn it down. Left to the caller to commit.

    Raises DealerNotFound, RevocationNotFound, DealerStepOfTwo for whoever proposed it, and StepNotAllowed.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id)
    proposal = open_revocation(session=session, dealer_id=dealer_id)
    if proposal is None:
        raise RevocationNotFound
    if proposal.proposed_by == actor:
        raise DealerStepOfTwo
    if approved:
        dealer.trade_in_on = False
        take_step(session=session, dealer=dealer, step="revoke", actor=actor, now=now, reason=proposal.reason)
    proposal.decided_by, proposal.decided_at, proposal.approved = actor, now, approved
    _note(session, actor, "dealer.revocation_decided", proposal, {"approved": approved})
    return dealer


def open_revocation(*, session: Session, dealer_id: int) -> DealerRevocation | None:
    """Return the revocation that waits to be decided, None where none does."""
    waiting = (DealerRevocation.dealer_id == dealer_id, DealerRevocation.decided_at.is_(None))
    return session.scalar(select(DealerRevocation).where(*waiting))


def expire_licences(*, session: Session, now: datetime, actor: str = SCHEDULER) -> Sequence[int]:
    """Mark every licence that ran out before today; licensed → ``expired``. Return the dealers' ids.

    The transaction is left to the caller. Running it late changes nothing for anybody: a licence that has run out
    opens no trade-in whether it is marked or not.
    """
    over = (
        select(Dealer)
        .where(Dealer.state == "licensed", Dealer.licensed_until < local_day(now))
        .order_by(Dealer.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    expired = []
    for dealer in session.scalars(over).all():
        take_step(session=session, dealer=dealer, step="expire", actor=actor, now=now)
        expired.append(dealer.id)
    return expired


def _note(session: Session, actor: str, action: str, proposal: DealerRevocation, detail: dict[str, object]) -> None:
    audit.record(session=session, actor=actor, action=action, subject=f"dealer:{proposal.dealer_id}", detail=detail)
    session.flush()
