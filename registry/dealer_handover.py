"""Handing open trade-ins over: the bureau gives what a point cannot finish to another licensed point."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Identity, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.dealers import Dealer, lock_dealer, require_licensed
from registry.messages import owe_message
from registry.trade_ins import OVER, TradeIn


class TradeInHandover(Base):
    """One trade-in that changed hands between points; append-only. ``at`` is a business instant."""

    __tablename__ = "trade_in_handover"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"), index=True)
    from_dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"))
    to_dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"))
    reason: Mapped[str] = mapped_column(String(200))
    actor: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(Instant)


class SamePoint(Refusal):
    """A trade-in is handed over to another point than the one that has it."""

    code = "same_point"
    zh = "接收的代办点就是原来的代办点。"
    en = "The receiving point is the one that has it."
    remedy_zh = "请另选一家代办点。"
    remedy_en = "Choose another point."
    default_field = "to_dealer_id"


class NotOpenThere(Refusal):
    """A trade-in named is not open at this point: unknown, another point's, completed or withdrawn."""

    code = "not_open_there"
    kind = "conflict"
    zh = "{references} 不在这家代办点办理中。"
    en = "{references} is not open at this point."
    remedy_zh = "请刷新列表，只选还没办完的；办完的不用移交。"
    remedy_en = "Reload the list and choose open ones only; what is completed stays."
    default_field = "references"


def hand_over(
    *,
    session: Session,
    from_dealer_id: int,
    to_dealer_id: int,
    references: Sequence[str] | None,
    reason: str,
    actor: str,
    now: datetime,
) -> list[TradeIn]:
    """Give the named open trade-ins, all of them where ``references`` is None, to another licensed point.

    From then on the old point reaches them no more and the new one does; state, evidence and place stay as they are,
    and a bike sold at the old point stays sold. Each owner is told. All or none; the transaction is left to the caller.

    Raises SamePoint, DealerNotFound, PointNotLicensed for the receiving point, and NotOpenThere.
    """
    if from_dealer_id == to_dealer_id:
        raise SamePoint
    # Both rows in the order of their ids, so that two hand-overs that cross never wait for each other.
    for dealer_id in sorted((from_dealer_id, to_dealer_id)):
        lock_dealer(session=session, dealer_id=dealer_id, to_change=False)
    receiver = session.get_one(Dealer, to_dealer_id)
    require_licensed(dealer=receiver, now=now)
    trade_ins = _open_ones(session, from_dealer_id, references)
    for trade_in in trade_ins:
        trade_in.dealer_id = to_dealer_id
        session.add(
            TradeInHandover(
                trade_in_id=trade_in.id,
                from_dealer_id=from_dealer_id,
                to_dealer_id=to_dealer_id,
                reason=reason,
                actor=actor,
                at=now,
            )
        )
        detail = {"old": from_dealer_id, "new": to_dealer_id, "reason": reason}
        subject = f"trade_in:{trade_in.reference}"
        audit.record(session=session, actor=actor, action="trade_in.handed_over", subject=subject, detail=detail)
        owe_message(
            session=session,
            person_id=trade_in.owner_id,
            dedupe_key=f"handed_over:{trade_in.reference}:{from_dealer_id}:{to_dealer_id}:{int(now.timestamp())}",
            body=f"您的置换 {trade_in.reference} 已由市场监管局转给{receiver.name}（{receiver.address}，电话 "
            f"{receiver.phone}）继续办理，已办的手续不用重办。",
        )
    session.flush()
    return trade_ins


def open_of(*, session: Session, dealer_id: int, limit: int) -> Sequence[TradeIn]:
    """Return the dealer's trade-ins that are open, and so may be handed over, oldest first."""
    return session.scalars(select(TradeIn).where(*_open(dealer_id)).order_by(TradeIn.id).limit(limit)).all()


def count_open(*, session: Session, dealer_id: int) -> int:
    """Return how many of the dealer's trade-ins are open."""
    return session.scalar(select(func.count()).select_from(TradeIn).where(*_open(dealer_id))) or 0


def _open(dealer_id: int) -> tuple[ColumnElement[bool], ...]:
    return (TradeIn.dealer_id == dealer_id, TradeIn.state.not_in(OVER))


def _open_ones(session: Session, dealer_id: int, references: Sequence[str] | None) -> list[TradeIn]:
    query = (
        select(TradeIn)
        .where(*_open(dealer_id))
        .order_by(TradeIn.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if references is not None:
        query = query.where(TradeIn.reference.in_(references))
    found = list(session.scalars(query))
    missing = set(references or ()) - {trade_in.reference for trade_in in found}
    if missing:
        raise NotOpenThere(references="、".join(sorted(missing)))
    return found
