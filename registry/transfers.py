"""过户: a filed bike changes hands. Its table and states; the steps stand in transferring.py."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import dealers, filings, people  # noqa: F401  (the tables its keys name)
from registry.base import Base, Instant, Refusal
from registry.plates import Plate
from registry.transitions import Transitions

PARTIES = ("seller", "buyer")
TRANSFER = Transitions(
    noun_zh="过户",
    noun_en="transfer",
    words={"opened": "待双方确认", "completed": "已过户", "expired": "逾期未确认", "withdrawn": "已撤回"},
    edges={
        "opened": {"complete": "completed", "expire": "expired", "withdraw": "withdrawn"},
        "completed": {},
        "expired": {},
        "withdrawn": {},
    },
)


class Transfer(Base):
    """One transfer of a filed bike. ``dealer_id`` is the point that witnesses it, None for staff. Business instants."""

    __tablename__ = "transfer"
    __table_args__ = (
        Index("uq_transfer_open", "filed_bike_id", unique=True, postgresql_where=text("state = 'opened'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    transfer_no: Mapped[str] = mapped_column(String(32), unique=True)
    filed_bike_id: Mapped[int] = mapped_column(ForeignKey("filed_bike.id"), index=True)
    seller_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    buyer_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    dealer_id: Mapped[int | None] = mapped_column(ForeignKey("dealer.id"))
    state: Mapped[str] = mapped_column(String(12), server_default="opened")
    opened_by: Mapped[str] = mapped_column(String(60))
    opened_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    seller_confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    buyer_confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)


class TransferNotFound(Refusal):
    """There is no such transfer within reach."""

    code = "transfer_not_found"
    kind = "not_found"
    zh = "没有找到这笔过户。"
    en = "There is no such transfer."
    remedy_zh = "请核对过户编号；只能办理本店登记的过户。"
    remedy_en = "Check the number; a point reaches the transfers it opened."
    default_field = "transfer_no"


class TransferOfPlated(Refusal):
    """The plate is a new bike's own: that bike is no filed bike, and its register is the police's."""

    code = "transfer_of_plated"
    kind = "conflict"
    zh = "号牌 {plate_no} 是新车的正式号牌，不在这里过户。"
    en = "The plate {plate_no} is a new bike's own; such bikes do not change hands here."
    remedy_zh = "这里只办备案非标车的过户。新车过户请买卖双方带身份证和行驶证到交警的非机动车管理窗口办。"
    remedy_en = "Only filed bikes are transferred here. For a new bike, seller and buyer go to the traffic police."
    default_field = "plate_no"


def require_not_plated(*, session: Session, plate_no: str) -> None:
    """Raise TransferOfPlated where a plate of a new bike bears this number."""
    if session.scalar(select(Plate.id).where(Plate.plate_no == plate_no)) is not None:
        raise TransferOfPlated(plate_no=plate_no)


def find_transfer(
    *, session: Session, transfer_no: str, dealer_id: int | None, party_id: int | None = None
) -> Transfer:
    """Return a transfer: of a point's own, of one of the two people, any for staff; raises TransferNotFound."""
    query = select(Transfer).where(Transfer.transfer_no == transfer_no)
    if dealer_id is not None:
        query = query.where(Transfer.dealer_id == dealer_id)
    if party_id is not None:
        query = query.where((Transfer.seller_id == party_id) | (Transfer.buyer_id == party_id))
    transfer = session.scalar(query)
    if transfer is None:
        raise TransferNotFound
    return transfer


def transfers_of(*, session: Session, filed_bike_id: int) -> list[Transfer]:
    """Return every transfer of a filed bike, oldest first."""
    query = select(Transfer).where(Transfer.filed_bike_id == filed_bike_id).order_by(Transfer.id)
    return list(session.scalars(query))
