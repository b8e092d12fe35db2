"""What was done before Mapai: old bikes traded in and new ones plated by then, so that neither can claim again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from sqlalchemy import BigInteger, Date, Identity, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant, Refusal


class EarlierTradeIn(Base):
    """One trade-in finished before Mapai. ``vehicle_code`` is the new bike's, where the list names it."""

    __tablename__ = "earlier_trade_in"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    old_plate_no: Mapped[str] = mapped_column(String(16), unique=True)
    vehicle_code: Mapped[str | None] = mapped_column(String(15), unique=True)
    done_on: Mapped[date] = mapped_column(Date)
    imported_by: Mapped[str] = mapped_column(String(60))
    imported_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class EarlierPlate(Base):
    """One plate issued before Mapai, and the bike that carries it."""

    __tablename__ = "earlier_plate"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    plate_no: Mapped[str] = mapped_column(String(16), unique=True)
    vehicle_code: Mapped[str] = mapped_column(String(15), unique=True)
    done_on: Mapped[date] = mapped_column(Date)
    imported_by: Mapped[str] = mapped_column(String(60))
    imported_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class TradedInEarlier(Refusal):
    """The old bike was traded in before Mapai: one old bike is traded in once."""

    code = "traded_in_earlier"
    kind = "conflict"
    zh = "号牌 {plate_no} 的旧车在 {done_on} 已经办过淘汰置换，不能再办。"
    en = "The bike {plate_no} was traded in on {done_on} already and cannot be traded in again."
    remedy_zh = "请对照车尾的牌子核对号牌；确实没有办过，请带行驶证件到区市场监管局核查。"
    remedy_en = "Compare with the plate on the bike; if it never was, ask the bureau to look into it."
    default_field = "plate_no"


class PlatedEarlier(Refusal):
    """The new bike was plated or given for an old one before Mapai: it is no new bike any more."""

    code = "plated_earlier"
    kind = "conflict"
    zh = "整车编码 {vehicle_code} 的车在 {done_on} 已经上牌，不能当新车入库。"
    en = "The bike {vehicle_code} was plated on {done_on} already and is not a new one."
    remedy_zh = "请对照合格证核对整车编码；确实是新车，请联系区市场监管局核查。"
    remedy_en = "Compare the code with the certificate; if the bike is new, ask the bureau to look into it."
    default_field = "vehicle_code"


def require_not_traded_in_earlier(*, session: Session, plate_no: str) -> None:
    """Raise TradedInEarlier where the old bike with this (clean) plate was traded in before Mapai."""
    done_on = session.scalar(select(EarlierTradeIn.done_on).where(EarlierTradeIn.old_plate_no == plate_no))
    if done_on is not None:
        raise TradedInEarlier(plate_no=plate_no, done_on=done_on.isoformat())


def require_not_plated_earlier(*, session: Session, vehicle_code: str) -> None:
    """Raise PlatedEarlier where the bike with this (clean) vehicle code was plated before Mapai."""
    done = plated_earlier(session=session, vehicle_codes=[vehicle_code])
    if done:
        raise PlatedEarlier(vehicle_code=vehicle_code, done_on=done[vehicle_code].isoformat())


def plated_earlier(*, session: Session, vehicle_codes: Iterable[str]) -> dict[str, date]:
    """Return those of the (clean) vehicle codes that were plated before Mapai, with the day."""
    codes = set(vehicle_codes)
    traded = select(EarlierTradeIn.vehicle_code, EarlierTradeIn.done_on).where(EarlierTradeIn.vehicle_code.in_(codes))
    plated = select(EarlierPlate.vehicle_code, EarlierPlate.done_on).where(EarlierPlate.vehicle_code.in_(codes))
    rows = session.execute(plated.union_all(traded)).all()
    return {row.vehicle_code: row.done_on for row in rows}
