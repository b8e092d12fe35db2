"""New bikes: stocked with a registration code (赋码), sold once, plated once."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Identity, Integer, String, func
from sqlalchemy.orm import Mapped, mapped_column

from registry import dealers, people  # noqa: F401  (the tables its keys name)
from registry.base import Base, Instant
from registry.transitions import Transitions

BIKE = Transitions(
    noun_zh="新车",
    noun_en="new bike",
    words={"in_stock": "在库", "sold": "已售", "plated": "已上牌"},
    edges={
        "in_stock": {"sell": "sold"},
        "sold": {"plate": "plated", "return": "in_stock"},
        "plated": {"return": "in_stock"},
    },
)


class Bike(Base):
    """A new bike. The measured values decide whether it is compliant (registry/compliance.py)."""

    __tablename__ = "bike"
    # Sold and plated, a row is written anew: with room beside it none of its indexes has to be.
    __table_args__ = ({"postgresql_with": {"fillfactor": "80"}},)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    vehicle_code: Mapped[str] = mapped_column(String(15), unique=True)
    registration_code: Mapped[str] = mapped_column(String(12), unique=True)
    battery_code: Mapped[str] = mapped_column(String(40), unique=True)
    certificate_no: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(64))
    standard: Mapped[str] = mapped_column(String(16))
    made_on: Mapped[date] = mapped_column(Date)
    battery_kind: Mapped[str] = mapped_column(String(12))
    weight_g: Mapped[int] = mapped_column(Integer)
    top_speed_m_h: Mapped[int] = mapped_column(Integer)
    motor_w: Mapped[int] = mapped_column(Integer)
    voltage_mv: Mapped[int] = mapped_column(Integer)
    dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"), index=True)
    state: Mapped[str] = mapped_column(String(12), server_default="in_stock")
    stocked_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class Sale(Base):
    """One sale of one bike to one person: the price in full, in fen (policy: besides the subsidy)."""

    __tablename__ = "sale"
    __table_args__ = (
        CheckConstraint(
            "paid_fen = list_price_fen - discount_fen - deduction_fen AND paid_fen >= 0 AND discount_fen >= 0"
            " AND deduction_fen >= 0",
            name="price_adds_up",
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    bike_id: Mapped[int] = mapped_column(ForeignKey("bike.id"), unique=True)
    buyer_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    invoice_no: Mapped[str] = mapped_column(String(24), unique=True)
    list_price_fen: Mapped[int] = mapped_column(Integer)
    discount_fen: Mapped[int] = mapped_column(Integer)
    deduction_fen: Mapped[int] = mapped_column(Integer)
    paid_fen: Mapped[int] = mapped_column(Integer)
    sold_at: Mapped[datetime] = mapped_column(Instant)
