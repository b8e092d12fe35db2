"""Dealers (销售商户): the table, their legal states, and whether a trade-in point (代办点) may take trade-ins."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, Boolean, Date, Identity, LargeBinary, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant, Refusal
from registry.transitions import Transitions

LOCAL = ZoneInfo("Asia/Shanghai")
DEALER = Transitions(
    noun_zh="商户",
    noun_en="dealer",
    words={
        "applied": "已申请，待审核",
        "refused": "申请未通过",
        "accepted": "审核通过，待签承诺书",
        "committed": "已签承诺书",
        "trained": "已培训",
        "enrolled": "已开通",
        "licensed": "已授牌",
        "suspended": "已暂停",
        "expired": "授牌已到期",
        "revoked": "已撤销",
    },
    edges={
        "applied": {"accept": "accepted", "refuse": "refused"},
        "refused": {"apply": "applied"},
        "accepted": {"commit": "committed"},
        "committed": {"train": "trained"},
        "trained": {"enrol": "enrolled"},
        "enrolled": {"license": "licensed"},
        "licensed": {"suspend": "suspended", "renew": "licensed", "expire": "expired", "revoke": "revoked"},
        "suspended": {"restore": "licensed", "revoke": "revoked"},
        "expired": {"renew": "licensed", "revoke": "revoked"},
        "revoked": {},
    },
)


class Dealer(Base):
    """A dealer, from its first application on.

    ``point_no`` is the plaque number it got when it was first licensed and keeps for good. ``licensed_until`` is the
    last day (Asia/Shanghai) of the licence, None for one without an end. ``phone`` is the shop's telephone, which
    everybody may see; the mobile number that signs for the dealer and the legal representative are sealed.
    """

    __tablename__ = "dealer"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    credit_code: Mapped[str] = mapped_column(String(18), unique=True)
    sub_district: Mapped[str] = mapped_column(String(32), index=True)
    address: Mapped[str] = mapped_column(String(120))
    phone: Mapped[str] = mapped_column(String(20))
    opening_hours: Mapped[str] = mapped_column(String(120))
    state: Mapped[str] = mapped_column(String(16), server_default="applied")
    point_no: Mapped[str | None] = mapped_column(String(8), unique=True)
    licensed_at: Mapped[datetime | None] = mapped_column(Instant)
    licensed_until: Mapped[date | None] = mapped_column(Date)
    trade_in_on: Mapped[bool] = mapped_column(Boolean, server_default="false")
    mobile_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    mobile_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    representative_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())

    @property
    def may_open_trade_ins(self) -> bool:
        """Whether this dealer stands as a licensed point with the trade-in function on; ask also ``licence_runs``."""
        return self.state == "licensed" and self.trade_in_on

    def licence_runs(self, *, now: datetime) -> bool:
        """Whether the licence, if there is one, has not run out by the day of ``now``."""
        return self.licensed_until is None or local_day(now) <= self.licensed_until


class PointNotLicensed(Refusal):
    """Only a licensed point with the trade-in function switched on opens trade-ins (policy: dealer enrolment)."""

    code = "point_not_licensed"
    kind = "conflict"
    zh = "{name}现在不能办淘汰置换：{why_zh}。"
    en = "{name} cannot take trade-ins now: {why_en}."
    remedy_zh = "请联系区市场监管局；已经收下旧车的，可以继续办完。"
    remedy_en = "Ask the bureau; a trade-in whose old bike was received may still be finished."


class DealerNotFound(Refusal):
    """There is no such dealer."""

    code = "dealer_not_found"
    kind = "not_found"
    zh = "没有找到这家商户。"
    en = "There is no such dealer."
    remedy_zh = "请从商户列表里选。"
    remedy_en = "Choose it from the list of dealers."


def local_day(moment: datetime) -> date:
    """Return the calendar day of an instant in Asia/Shanghai."""
    return moment.astimezone(LOCAL).date()


def require_licensed(*, dealer: Dealer, now: datetime) -> None:
    """Raise PointNotLicensed unless the dealer may open trade-ins at ``now``.

    A licence that has run out refuses from its first day on, whether or not the scheduler has marked it yet.
    """
    why = None
    if dealer.state != "licensed":
        why = (f"状态是「{DEALER.words[dealer.state]}」", f"it is {dealer.state}")
    elif not dealer.licence_runs(now=now):
        why = (f"授牌已于 {dealer.licensed_until} 到期", f"its licence ran out on {dealer.licensed_until}")
    elif not dealer.trade_in_on:
        why = ("置换功能没有开通", "the trade-in function is off")
    if why is not None:
        raise PointNotLicensed(name=dealer.name, why_zh=why[0], why_en=why[1])


def get_dealer(*, session: Session, dealer_id: int) -> Dealer:
    """Return the dealer; raises DealerNotFound."""
    dealer = session.get(Dealer, dealer_id)
    if dealer is None:
        raise DealerNotFound
    return dealer


def lock_dealer(*, session: Session, dealer_id: int, to_change: bool = True) -> Dealer:
    """Return the dealer as it stands now, its row locked until the transaction ends; raises DealerNotFound.

    ``to_change`` False takes the lock that others may share while none of them changes the dealer: it makes a
    suspension wait for an opening that was let in before it, and no opening is let in after it.
    """
    dealer = session.get(
        Dealer,
        dealer_id,
        with_for_update={"key_share": True} if to_change else {"read": True},
        populate_existing=True,
    )
    if dealer is None:
        raise DealerNotFound
    return dealer


def list_dealers(*, session: Session, state: str | None = None, after_id: int = 0, limit: int = 100) -> list[Dealer]:
    """Return dealers in the order in which they came, those in ``state`` where it is named, behind ``after_id``."""
    query = select(Dealer).where(Dealer.id > after_id).order_by(Dealer.id).limit(limit)
    if state is not None:
        query = query.where(Dealer.state == state)
    return list(session.scalars(query))
