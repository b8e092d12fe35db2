"""The trade-in (淘汰置换): its table and its legal steps. The steps' operations stand in the files beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    bindparam,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, Session, mapped_column

# The tables its keys name: whoever imports this module alone, as the scheduler does, can write a trade-in.
from registry import bikes, dealers, filings, people  # noqa: F401
from registry.base import Base, Instant, Refusal
from registry.transitions import Transitions

TRADE_IN = Transitions(
    noun_zh="这笔置换",
    noun_en="trade-in",
    words={
        "opened": "已登记，待交警核对",
        "old_bike_verified": "已核对，待收旧车",
        "old_bike_received": "已收旧车，待注销旧牌",
        "cancel_requested": "已申请注销，等交警",
        "old_plate_cancelled": "旧牌已注销，待买新车",
        "new_bike_sold": "已买新车，待申请新牌",
        "plate_applied": "已申请新牌，等交警",
        "completed": "全部办完",
        "withdrawn": "已撤回",
    },
    edges={
        "opened": {"verify": "old_bike_verified", "withdraw": "withdrawn"},
        "old_bike_verified": {"receive": "old_bike_received", "withdraw": "withdrawn"},
        "old_bike_received": {"request_cancellation": "cancel_requested"},
        "cancel_requested": {"confirm_cancellation": "old_plate_cancelled", "refuse_cancellation": "old_bike_received"},
        "old_plate_cancelled": {"sell": "new_bike_sold"},
        "new_bike_sold": {"apply_for_plate": "plate_applied"},
        "plate_applied": {"complete": "completed", "refuse_plate": "new_bike_sold"},
        "completed": {},
        "withdrawn": {},
    },
)
WAITS_FOR = {
    "opened": "police",
    "old_bike_verified": "point",
    "old_bike_received": "point",
    "cancel_requested": "police",
    "old_plate_cancelled": "point",
    "new_bike_sold": "point",
    "plate_applied": "police",
    "completed": "nobody",
    "withdrawn": "nobody",
}
# In these nothing more happens to it.
OVER = ("completed", "withdrawn")
PHOTO_KINDS = ("frame_no", "plate", "whole")


class TradeIn(Base):
    """One trade-in. ``reference`` is what people are given; ``opening`` the evidence frozen when it was opened.

    ``opening`` holds ``{"point_licensed": bool, "plate_status": str, "plate_district": str, "plate_owner_matches":
    bool, "police_name": "same" | "variant" | "other"}``; ``compliance`` the verdict on the new bike at the day of the
    sale.
    """

    __tablename__ = "trade_in"
    __table_args__ = (
        Index(
            "uq_trade_in_open_filed_bike",
            "filed_bike_id",
            unique=True,
            postgresql_where=text("state <> 'withdrawn'"),
        ),
        Index("ix_trade_in_dealer_state", "dealer_id", "state"),
        # What a claim names, all of it at once (subsidy/claims.py); and an owner's trade-ins are found by it.
        UniqueConstraint("owner_id", "id", "filed_bike_id", "bike_id", name="uq_trade_in_claimed"),
        Index(
            "ix_trade_in_waiting_for_police",
            "state",
            postgresql_where=text("state IN ('cancel_requested', 'plate_applied')"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    reference: Mapped[str] = mapped_column(String(16), unique=True)
    dealer_id: Mapped[int] = mapped_column(ForeignKey("dealer.id"))
    filed_bike_id: Mapped[int] = mapped_column(ForeignKey("filed_bike.id"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    state: Mapped[str] = mapped_column(String(20), server_default="opened")
    opening: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")
    recycling_certificate_no: Mapped[str | None] = mapped_column(String(32), unique=True)
    cancellation_no: Mapped[str | None] = mapped_column(String(32), unique=True)
    bike_id: Mapped[int | None] = mapped_column(ForeignKey("bike.id"), unique=True)
    sale_id: Mapped[int | None] = mapped_column(ForeignKey("sale.id"), unique=True)
    compliance: Mapped[str | None] = mapped_column(String(200))
    application_no: Mapped[str | None] = mapped_column(String(32), unique=True)
    refusal: Mapped[str | None] = mapped_column(String(200))
    opened_at: Mapped[datetime] = mapped_column(Instant)
    verified_at: Mapped[datetime | None] = mapped_column(Instant)
    received_at: Mapped[datetime | None] = mapped_column(Instant)
    old_plate_cancelled_at: Mapped[datetime | None] = mapped_column(Instant)
    sold_at: Mapped[datetime | None] = mapped_column(Instant)
    plate_applied_at: Mapped[datetime | None] = mapped_column(Instant)
    plate_issued_at: Mapped[datetime | None] = mapped_column(Instant)
    completed_at: Mapped[datetime | None] = mapped_column(Instant)
    asked_at: Mapped[datetime | None] = mapped_column(Instant)


class TradeInPhoto(Base):
    """One photo of the old bike. A picture may be used once in the whole district (policy: fraud found by audits)."""

    __tablename__ = "trade_in_photo"
    __table_args__ = (CheckConstraint("kind IN ('frame_no', 'plate', 'whole')", name="kind"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"), index=True)
    kind: Mapped[str] = mapped_column(String(12))
    sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    image: Mapped[bytes] = mapped_column(LargeBinary)
    taken_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whose trade-ins may be touched: one dealer's, one owner's, or everybody's (both None: bureau staff)."""

    dealer_id: int | None = None
    owner_id: int | None = None


EVERYBODYS = Reach()


class TradeInNotFound(Refusal):
    """There is no such trade-in within reach. Somebody else's is told in the same words as none at all."""

    code = "trade_in_not_found"
    kind = "not_found"
    zh = "没有找到这笔置换。"
    en = "There is no such trade-in."
    remedy_zh = "请核对查询号；只能查看自己的置换。"
    remedy_en = "Check the reference on the receipt; you can see your own only."
    default_field = "reference"


def get_trade_in(*, session: Session, reference: str, reach: Reach) -> TradeIn:
    """Return the trade-in with this (clean) reference; raises TradeInNotFound outside ``reach``."""
    return _one(session, reference, reach, lock=False)


def lock_trade_in(*, session: Session, reference: str, reach: Reach = EVERYBODYS) -> TradeIn:
    """Return the trade-in as it stands now, its row locked until the transaction ends; raises TradeInNotFound."""
    return _one(session, reference, reach, lock=True)


def list_trade_ins(
    *,
    session: Session,
    reach: Reach,
    states: tuple[str, ...] | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[TradeIn]:
    """Return the trade-ins within reach, newest first; only those in ``states`` and older than ``before_id``."""
    query = select(TradeIn).where(*_within(reach)).order_by(TradeIn.id.desc()).limit(limit)
    if states is not None:
        query = query.where(TradeIn.state.in_(states))
    if before_id is not None:
        query = query.where(TradeIn.id < before_id)
    return list(session.scalars(query))


def count_trade_ins(*, session: Session, reach: Reach) -> dict[str, int]:
    """Return how many trade-ins within reach stand in each state; states without one are left out."""
    rows = session.execute(select(TradeIn.state, func.count()).where(*_within(reach)).group_by(TradeIn.state))
    return {row[0]: row[1] for row in rows}


# Every step runs these: made once, because putting a statement together takes longer than running it.
_KINDS = select(TradeInPhoto.kind).where(TradeInPhoto.trade_in_id == bindparam("trade_in_id"))
_NAMED = select(TradeIn).where(
    TradeIn.reference == bindparam("reference"),
    # Each of Reach's fields names the column it holds to.
    *(
        or_(bindparam(each.name, type_=BigInteger).is_(None), getattr(TradeIn, each.name) == bindparam(each.name))
        for each in fields(Reach)
    ),
)
_NAMED_LOCKED = _NAMED.with_for_update().execution_options(populate_existing=True)


def photo_kinds(*, session: Session, trade_in_id: int) -> tuple[str, ...]:
    """Return which kinds of photo the trade-in has, in the order of PHOTO_KINDS."""
    return in_order(session.scalars(_KINDS, {"trade_in_id": trade_in_id}))


def in_order(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return each of these kinds of photo once, in the order of PHOTO_KINDS."""
    known = set(kinds)
    return tuple(kind for kind in PHOTO_KINDS if kind in known)


def _within(reach: Reach) -> list[Any]:
    return [getattr(TradeIn, name) == value for name, value in asdict(reach).items() if value is not None]


def _one(session: Session, reference: str, reach: Reach, *, lock: bool) -> TradeIn:
    trade_in = session.scalar(_NAMED_LOCKED if lock else _NAMED, {"reference": reference, **asdict(reach)})
    if trade_in is None:
        raise TradeInNotFound
    return trade_in
