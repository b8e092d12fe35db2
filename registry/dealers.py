"""Dealers (销售商户) and their way to being a licensed trade-in point (代办点)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Identity, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant, Refusal
from registry.transitions import Transitions

DEALER = Transitions(
    noun_zh="商户",
    noun_en="dealer",
    words={
        "applied": "已申请",
        "committed": "已签承诺书",
        "trained": "已培训",
        "enrolled": "已开通",
        "licensed": "已授牌",
        "suspended": "已暂停",
        "revoked": "已撤销",
    },
    edges={
        "applied": {"commit": "committed"},
        "committed": {"train": "trained"},
        "trained": {"enrol": "enrolled"},
        "enrolled": {"license": "licensed"},
        "licensed": {"suspend": "suspended", "revoke": "revoked"},
        "suspended": {"restore": "licensed", "revoke": "revoked"},
        "revoked": {},
    },
)


class Dealer(Base):
    """A dealer. ``point_no`` is the plaque number it got when it was first licensed."""

    __tablename__ = "dealer"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    credit_code: Mapped[str] = mapped_column(String(18), unique=True)
    sub_district: Mapped[str] = mapped_column(String(32), index=True)
    address: Mapped[str] = mapped_column(String(120))
    phone: Mapped[str] = mapped_column(String(20))
    opening_hours: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(16), server_default="applied")
    point_no: Mapped[str | None] = mapped_column(String(8), unique=True)
    licensed_at: Mapped[datetime | None] = mapped_column(Instant)
    trade_in_on: Mapped[bool] = mapped_column(Boolean, server_default="false")
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())

    @property
    def may_open_trade_ins(self) -> bool:
        """Whether this dealer is a licensed point with the trade-in function on, now."""
        return self.state == "licensed" and self.trade_in_on


class PointNotLicensed(Refusal):
    """Only a licensed point with the trade-in function switched on opens trade-ins (policy: dealer enrolment)."""

    code = "point_not_licensed"
    kind = "conflict"
    zh = "{name}现在不能办淘汰置换：{why_zh}。"
    en = "{name} cannot take trade-ins now: {why_en}."
    remedy_zh = "请联系区市场监管局；已经收下旧车的，可以继续办完。"
    remedy_en = "Ask the bureau; a trade-in whose old bike was received may still be finished."


def require_licensed(*, dealer: Dealer) -> None:
    """Raise PointNotLicensed unless the dealer may open trade-ins now."""
    if dealer.state != "licensed":
        raise PointNotLicensed(
            name=dealer.name, why_zh=f"状态是「{DEALER.words[dealer.state]}」", why_en=f"it is {dealer.state}"
        )
    if not dealer.trade_in_on:
        raise PointNotLicensed(name=dealer.name, why_zh="置换功能没有开通", why_en="the trade-in function is off")


def list_points(*, session: Session, sub_district: str | None = None, limit: int = 300) -> list[Dealer]:
    """Return the licensed points, by plaque number; of one sub-district where it is named."""
    query = select(Dealer).where(Dealer.state == "licensed").order_by(Dealer.point_no).limit(limit)
    if sub_district is not None:
        query = query.where(Dealer.sub_district == sub_district)
    return list(session.scalars(query))
