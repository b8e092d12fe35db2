"""Filed bikes (备案非标电动自行车): what may be traded in, and where each stands on its way to destruction."""

from __future__ import annotations

import re
from datetime import date, datetime

from sqlalchemy import BigInteger, Date, ForeignKey, Identity, Index, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant, Refusal
from registry.transitions import Transitions

FILED_BIKE = Transitions(
    noun_zh="旧车",
    noun_en="filed bike",
    words={"filed": "已备案", "received": "已收车", "plate_cancelled": "号牌已注销", "destroyed": "已拆解"},
    edges={
        "filed": {"receive": "received"},
        "received": {"cancel_plate": "plate_cancelled"},
        "plate_cancelled": {"destroy": "destroyed"},
        "destroyed": {},
    },
)


class FiledBike(Base):
    """One filing. ``filed_on`` is the day of filing; ``transferred_on`` the day it last changed hands (过户)."""

    __tablename__ = "filed_bike"
    __table_args__ = (Index("ix_filed_bike_owner", "owner_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    plate_no: Mapped[str] = mapped_column(String(16), unique=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    filed_on: Mapped[date] = mapped_column(Date)
    transferred_on: Mapped[date | None] = mapped_column(Date)
    brand: Mapped[str] = mapped_column(String(64))
    frame_no: Mapped[str] = mapped_column(String(40))
    sub_district: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16), server_default="filed")
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class PlateInvalid(Refusal):
    """The text is not a plate number of this district's pattern."""

    code = "plate_invalid"
    zh = "号牌号码「{typed}」不对。"
    en = "«{typed}» is not a plate number of this district."
    remedy_zh = "号牌是 1 个字母加 6 位数字，照车尾的牌子填，例如 B382617。"
    remedy_en = "A plate is one letter and six digits as on the rear of the bike, for example B382617."
    default_field = "plate_no"


class FilingNotFound(Refusal):
    """No filing carries this plate."""

    code = "filing_not_found"
    zh = "备案名单里没有号牌 {plate_no}。"
    en = "There is no filing with the plate {plate_no}."
    remedy_zh = "请对照车尾的牌子再看一遍；确实没有备案的车不能参加。"
    remedy_en = "Compare with the plate on the bike; a bike that was never filed cannot take part."
    default_field = "plate_no"


def clean_plate(text: str, *, pattern: str = r"[A-Z]\d{6}") -> str:
    """Return the plate number in capitals without spaces; raises PlateInvalid. ``pattern`` is the district's."""
    plate_no = re.sub(r"[\s·-]", "", text).upper()
    if not re.fullmatch(pattern, plate_no, re.ASCII):
        raise PlateInvalid(typed=text.strip()[:20])
    return plate_no


def get_filed_bike(*, session: Session, plate_no: str) -> FiledBike:
    """Return the filing with this (clean) plate number; raises FilingNotFound."""
    bike = session.scalar(select(FiledBike).where(FiledBike.plate_no == plate_no))
    if bike is None:
        raise FilingNotFound(plate_no=plate_no)
    return bike
