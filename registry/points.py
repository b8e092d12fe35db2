"""The public list of trade-in points (代办点): who takes trade-ins, where, and whether the door is open now.

What stands here may be shown to anybody: nothing about people, and of trade-ins only how many.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.dealer_hours import OpeningHoursInvalid, Span, read_hours
from registry.dealers import LOCAL, Dealer, local_day
from registry.trade_ins import OVER, TradeIn

_POINT_NO = re.compile(r"[0-9A-Za-z-]{1,8}", re.ASCII)


class PointNotFound(Refusal):
    """No point has, or ever had, this plaque number; or it is not the caller's own."""

    code = "point_not_found"
    kind = "not_found"
    zh = "没有编号 {point_no} 的代办点。"
    en = "There is no trade-in point {point_no}."
    remedy_zh = "请照代办点标牌上的编号核对，或从全部代办点里找。"
    remedy_en = "Compare with the number on the point's plaque, or look in the list of all points."
    default_field = "point_no"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicPoint:
    """A trade-in point as everybody may see it at ``as_of``. ``state`` is the dealer's.

    ``licensed`` says whether the licence is in force that day, whatever the scheduler has marked, and ``trade_in_on``
    whether the point may open trade-ins besides. ``open_now`` is None where the opening hours cannot be read;
    ``open_until`` is the end of the present opening («18:00»), None while it is closed. ``under_way_today`` counts the
    trade-ins opened since midnight (Asia/Shanghai) that are neither completed nor withdrawn: how busy the counter is.
    ``licensed_until`` is the licence's last day.
    """

    dealer_id: int
    point_no: str
    name: str
    credit_code: str
    sub_district: str
    address: str
    phone: str
    opening_hours: str
    state: str
    licensed: bool
    trade_in_on: bool
    open_now: bool | None
    open_until: str | None
    under_way_today: int
    licensed_at: datetime | None
    licensed_until: date | None
    as_of: datetime


def list_public_points(*, session: Session, now: datetime) -> tuple[PublicPoint, ...]:
    """Return every licensed point by plaque number, as of ``now``. A few hundred a district: choose among them."""
    query = select(Dealer).where(Dealer.state == "licensed", Dealer.point_no.is_not(None)).order_by(Dealer.point_no)
    busy = _under_way(session, now)
    dealers = [dealer for dealer in session.scalars(query) if dealer.licence_runs(now=now)]
    return tuple(_public(dealer, busy.get(dealer.id, 0), now) for dealer in dealers)


def choose_points(
    *,
    points: Iterable[PublicPoint],
    sub_district: str = "",
    open_now: bool = False,
    trade_in_on: bool = False,
    words: str = "",
) -> tuple[PublicPoint, ...]:
    """Return those of ``points`` that meet everything asked, in their order.

    ``words`` are looked for in name, address, sub-district, phone and plaque number; each of them has to be there.
    ``open_now`` leaves out the points whose hours cannot be read.
    """
    wanted = words.casefold().split()
    return tuple(
        point
        for point in points
        if (not sub_district or point.sub_district == sub_district)
        and (not open_now or point.open_now)
        and (not trade_in_on or point.trade_in_on)
        and all(word in _searched(point) for word in wanted)
    )


def get_public_point(*, session: Session, point_no: str, now: datetime, dealer_id: int | None = None) -> PublicPoint:
    """Return the point with this plaque number, suspended, expired and revoked ones included.

    Raises PointNotFound, with ``dealer_id`` also where the point is another dealer's.
    """
    dealer = None
    if _POINT_NO.fullmatch(point_no):
        dealer = session.scalar(select(Dealer).where(Dealer.point_no == point_no))
    if dealer is None or dealer_id not in (None, dealer.id):
        raise PointNotFound(point_no=point_no[:20])
    return _public(dealer, _under_way(session, now, dealer_id=dealer.id).get(dealer.id, 0), now)


def _under_way(session: Session, now: datetime, *, dealer_id: int | None = None) -> dict[int, int]:
    midnight = datetime.combine(local_day(now), time(), tzinfo=LOCAL)
    query = (
        select(TradeIn.dealer_id, func.count())
        .where(TradeIn.opened_at >= midnight, TradeIn.opened_at <= now, TradeIn.state.not_in(OVER))
        .group_by(TradeIn.dealer_id)
    )
    if dealer_id is not None:
        query = query.where(TradeIn.dealer_id == dealer_id)
    return {row[0]: row[1] for row in session.execute(query)}


def _public(dealer: Dealer, under_way_today: int, now: datetime) -> PublicPoint:
    assert dealer.point_no is not None, "only points with a plaque number are public"
    try:
        spans = read_hours(dealer.opening_hours)
    except OpeningHoursInvalid:
        spans = ()
    present = _present(spans, now)
    licensed = dealer.state == "licensed" and dealer.licence_runs(now=now)
    return PublicPoint(
        dealer_id=dealer.id,
        point_no=dealer.point_no,
        name=dealer.name,
        credit_code=dealer.credit_code,
        sub_district=dealer.sub_district,
        address=dealer.address,
        phone=dealer.phone,
        opening_hours=dealer.opening_hours,
        state=dealer.state,
        licensed=licensed,
        trade_in_on=licensed and dealer.may_open_trade_ins,
        open_now=present is not None if spans else None,
        open_until=None if present is None else f"{present.closes_min // 60:02d}:{present.closes_min % 60:02d}",
        under_way_today=under_way_today,
        licensed_at=dealer.licensed_at,
        licensed_until=dealer.licensed_until,
        as_of=now,
    )


def _present(spans: Iterable[Span], now: datetime) -> Span | None:
    there = now.astimezone(LOCAL)
    minute = there.hour * 60 + there.minute
    return next(
        (span for span in spans if there.isoweekday() in span.days and span.opens_min <= minute < span.closes_min), None
    )


def _searched(point: PublicPoint) -> str:
    parts = (point.name, point.address, point.sub_district, point.phone, point.point_no)
    return " ".join(parts).casefold()
