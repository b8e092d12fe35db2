"""How often a phone, an address and a device may ask for a one-time code; the table counts it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Index, Integer, LargeBinary, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant, Refusal

SIGN_IN = "sign_in"
# Codes for these are sent to a phone the request names; the others to a phone on record.
BY_TYPED_PHONE = {SIGN_IN, "dealer_application", "dealer_password"}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Limits = tuple[tuple[int, timedelta], ...]
# What is counted when it is asked for, whether or not there is a phone to send to (count_asking): the code itself then
# counts for the phone alone.
ASKED = {"resume": "resume_asked"}
# How many codes within how long. Many owners share an address: a point's, or a mobile operator's.
# One phone for one purpose, asked from one address: a stranger elsewhere uses up his own share of it.
PER_PHONE_AND_ADDRESS: Limits = ((1, MINUTE), (5, HOUR), (10, DAY))
# All that one phone gets, for whatever purpose and whoever asks, so that nobody is flooded with messages.
PER_PHONE: Limits = ((3, MINUTE), (15, HOUR), (30, DAY))
PER_ADDRESS: Limits = ((60, HOUR), (300, DAY))
PER_DEVICE: Limits = ((10, HOUR), (20, DAY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks for a code: the network address, and the device by a random name it gave itself, where it has one."""

    address: str
    device: str | None


class OneTimeCode(Base):
    """One code sent. ``number`` names it; ``code_index`` is the keyed hash of number and code.

    ``tries`` counts the codes typed for it at the address that asked for it, ``tries_elsewhere`` those typed at any
    other, written down before they are looked at. Rows are kept for a day, for the limits, then forgotten.
    """

    __tablename__ = "one_time_code"
    __table_args__ = (
        Index("ix_one_time_code_phone", "phone_index", "created_at"),
        Index("ix_one_time_code_address", "address", "created_at"),
        Index("ix_one_time_code_device", "device", "created_at"),
    )

    number: Mapped[str] = mapped_column(String(32), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20), server_default=SIGN_IN)
    phone_index: Mapped[bytes] = mapped_column(LargeBinary)
    code_index: Mapped[bytes] = mapped_column(LargeBinary)
    address: Mapped[str] = mapped_column(String(45))
    device: Mapped[str | None] = mapped_column(String(64))
    tries: Mapped[int] = mapped_column(Integer, server_default="0")
    tries_elsewhere: Mapped[int] = mapped_column(Integer, server_default="0")
    created_at: Mapped[datetime] = mapped_column(Instant, index=True)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class CodesTooOften(Refusal):
    """Too many codes were asked for by this phone, address or device. It does not say which of the three.

    ``field`` is the phone where the request named one; a code for a known person's phone has no such field.
    """

    code = "codes_too_often"
    kind = "too_often"
    zh = "验证码要得太频繁了。"
    en = "Too many codes were asked for."
    remedy_zh = "请过 {minutes} 分钟再试；已经收到这一步验证码的，5 分钟内都能用。"
    remedy_en = "Try again in {wait_en}; a code you already have for this step works for 5 minutes."


def require_within_limits(*, session: Session, row: OneTimeCode, now: datetime) -> None:
    """Let one request at a time count for a phone, address or device; raises CodesTooOften."""
    limited = _limited(row)
    # Always in this order, phones before addresses before devices, so that two requests never wait for each other.
    for name, _, _ in limited:
        key = func.hashtextextended(func.concat("one_time_code:", func.current_schema(), ":", name), 0)
        session.execute(select(func.pg_advisory_xact_lock(key)))
    for _, counted, limits in limited:
        for most, within in limits:
            times = session.scalars(
                select(OneTimeCode.created_at)
                .where(*counted, OneTimeCode.created_at > now - within)
                .order_by(OneTimeCode.created_at.desc())
                .limit(most)
            ).all()
            if len(times) == most:
                session.rollback()
                raise _too_often(row, times[-1] + within - now)


def _limited(row: OneTimeCode) -> list[tuple[str, tuple[ColumnElement[bool], ...], Limits]]:
    """What counts together with this code: the name of a lock, what is counted, and its limits."""
    of_phone = OneTimeCode.phone_index == row.phone_index
    phone = (f"phone_index:{row.phone_index.hex()}", (of_phone,), PER_PHONE)
    if row.purpose in ASKED:
        return [phone]
    asked_here = (of_phone, OneTimeCode.purpose == row.purpose, OneTimeCode.address == row.address)
    counted = OneTimeCode.purpose.not_in(ASKED)
    limited = [
        phone,
        # Whoever holds the phone's lock holds this one as well.
        (phone[0], asked_here, PER_PHONE_AND_ADDRESS),
        (f"address:{row.address}", (OneTimeCode.address == row.address, counted), PER_ADDRESS),
    ]
    if row.device is not None:
        limited.append((f"device:{row.device}", (OneTimeCode.device == row.device, counted), PER_DEVICE))
    return limited


def _too_often(row: OneTimeCode, wait: timedelta) -> CodesTooOften:
    minutes = -(-wait // MINUTE)
    return CodesTooOften(
        field="phone" if row.purpose in BY_TYPED_PHONE else None,
        minutes=minutes,
        wait_en="1 minute" if minutes == 1 else f"{minutes} minutes",
        retry_after_s=-(-wait // timedelta(seconds=1)),
    )
