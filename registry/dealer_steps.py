"""The steps a dealer has taken: append-only, one row for each change of its state, with who, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import BigInteger, Date, ForeignKey, Identity, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.dealer_notices import dealer_notice
from registry.dealers import DEALER, Dealer
from registry.messages import owe_dealer


class DealerStep(Base):
    """One step; ``state`` is where it led. ``at`` is a business instant, ``licensed_until`` the licence's last day."""

    __tablename__ = "dealer_step"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"), index=True)
    step: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(Instant)
    reason: Mapped[str | None] = mapped_column(String(200))
    licensed_until: Mapped[date | None] = mapped_column(Date)


class DealerStepOfTwo(Refusal):
    """Two people have to take this step: whoever took the first half cannot take the second."""

    code = "dealer_step_of_two"
    kind = "forbidden"
    zh = "这一步要由另一位工作人员办：前一步是您办的。"
    en = "Somebody else has to take this step: you took the one before it."
    remedy_zh = "请让有权限的同事来办。"
    remedy_en = "Ask a colleague with the right role."


def take_step(
    *, session: Session, dealer: Dealer, step: str, actor: str, now: datetime, reason: str | None = None
) -> None:
    """Lead the (locked) dealer along one edge and write it down; raises StepNotAllowed.

    Of a step the bureau took the dealer is told by text message, where a mobile number of it is registered.
    """
    before, dealer.state = dealer.state, DEALER.after(state=dealer.state, step=step)
    row = DealerStep(
        dealer_id=dealer.id,
        step=step,
        state=dealer.state,
        actor=actor,
        at=now,
        reason=reason,
        licensed_until=dealer.licensed_until,
    )
    session.add(row)
    detail = {"old": before, "new": dealer.state, **({"reason": reason} if reason else {})}
    if dealer.licensed_until is not None:
        detail["licensed_until"] = dealer.licensed_until.isoformat()
    audit.record(session=session, actor=actor, action=f"dealer.{step}", subject=f"dealer:{dealer.id}", detail=detail)
    session.flush()
    _owe_notice(session, dealer, row)


def _owe_notice(session: Session, dealer: Dealer, row: DealerStep) -> None:
    words = dealer_notice(
        step=row.step, name=dealer.name, reason=row.reason, point_no=dealer.point_no, until=dealer.licensed_until
    )
    if words is not None and dealer.mobile_sealed is not None:
        owe_dealer(session=session, dealer_id=dealer.id, dedupe_key=f"dealer_step:{row.id}", body=words.zh)


def steps_of(*, session: Session, dealer_id: int) -> Sequence[DealerStep]:
    """Return the dealer's steps, oldest first."""
    return session.scalars(select(DealerStep).where(DealerStep.dealer_id == dealer_id).order_by(DealerStep.id)).all()


def require_other_than(*, session: Session, dealer_id: int, step: str, actor: str) -> None:
    """Raise DealerStepOfTwo where ``actor`` took the dealer's last ``step``."""
    last = (
        select(DealerStep.actor)
        .where(DealerStep.dealer_id == dealer_id, DealerStep.step == step)
        .order_by(DealerStep.id.desc())
        .limit(1)
    )
    if session.scalar(last) == actor:
        raise DealerStepOfTwo
