"""One-time codes (验证码): six digits sent to a phone, which prove that somebody holds it. All in real time.

A code goes to every phone that asks within its limits, whether anybody is filed with it or not: neither the answer nor
the time it takes tells a stranger who is known. The table holds no code and no phone in clear.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, String, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from registry.base import Base, Instant, PartnerSilent, PartnerUnavailable, Refusal
from registry.people import Person, clean_mobile, open_id_number, phone_index
from registry.sealing import Keyring
from registry.sms_gateway import SmsGateway

LIVES = timedelta(minutes=5)
TRIES = 5
DIGITS = 6
TAIL = 4
TEXT = "【码牌】验证码 {code}，5 分钟内有效。工作人员不会向您要验证码，请勿告诉任何人。"
DEED_TEXT = "【码牌】您正在{deed}，验证码 {code}，5 分钟内有效。工作人员不会向您要验证码，请勿告诉任何人。"
SIGN_IN = "sign_in"
# What a code is good for. One sent for one purpose proves nothing for another, and its message says what it is for.
DEEDS = {
    "dealer_application": "申请成为销售商户",
    "commitment": "签署商户承诺书",
    "dealer_password": "设置商户账号密码",
    "transfer_seller": "把备案车过户给别人",
    "transfer_buyer": "过户买入备案车",
    "resume": "查看您的换新",
}
# Codes for these are sent to a phone the request names; the others to a phone on record.
BY_TYPED_PHONE = {SIGN_IN, "dealer_application", "dealer_password"}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Limits = tuple[tuple[int, timedelta], ...]
# How many codes within how long. Many owners share an address: a point's, or a mobile operator's.
PER_PHONE: Limits = ((1, MINUTE), (5, HOUR), (10, DAY))
PER_ADDRESS: Limits = ((60, HOUR), (300, DAY))
PER_DEVICE: Limits = ((10, HOUR), (20, DAY))


class OneTimeCode(Base):
    """One code sent. ``number`` names it; ``code_index`` is the keyed hash of number and code.

    ``tries`` counts the codes typed for it, written down before they are looked at. Rows are kept for a day, for the
    limits, then forgotten.
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


class CodeWrong(Refusal):
    """The code is not the one last sent to this phone, is over, was used, or was tried five times: never which."""

    code = "code_wrong"
    zh = "验证码不对，或者已经失效。"
    en = "The code is wrong or no longer valid."
    remedy_zh = "请核对最近一条短信里的 6 位数字；超过 5 分钟或输错 5 次的，请重新获取。"
    remedy_en = "Check the 6 digits of the latest message; after 5 minutes or 5 wrong tries ask for a new code."
    default_field = "code"


class PhoneNotFiled(Refusal):
    """Nobody is filed with this phone. Told only to whoever has proved to hold it."""

    code = "phone_not_filed"
    zh = "没有车主登记过这个手机号码。"
    en = "No owner is filed with this phone."
    remedy_zh = "请用备案或者办理置换时留的手机号码；号码换了的，请带身份证到代办点更新。"
    remedy_en = "Use the phone given at filing or trade-in; if it changed, bring your ID card to a point."
    default_field = "phone"


class IdTailNeeded(Refusal):
    """Several people are filed with this phone: the end of the ID number tells which of them signs in."""

    code = "id_tail_needed"
    zh = "这个手机号码登记了不止一位车主。"
    en = "More than one owner is filed with this phone."
    remedy_zh = "请再填您本人证件号码的最后 4 位。"
    remedy_en = "Add the last 4 characters of your own ID number."
    default_field = "id_tail"


class IdTailWrong(Refusal):
    """The end of the ID number fits nobody, or more than one, of those filed with the phone."""

    code = "id_tail_wrong"
    zh = "证件号码最后 4 位和登记的对不上。"
    en = "The last 4 characters fit nobody filed with this phone."
    remedy_zh = "请对照证件再核对，最后一位可能是 X；还不对的，请带证件到代办点办理。"
    remedy_en = "Compare with the card, the last one may be X; if it still fails, bring the card to a point."
    default_field = "id_tail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks for a code: the network address, and the device by a random name it gave itself, where it has one."""

    address: str
    device: str | None


def send_code(
    *,
    session: Session,
    keyring: Keyring,
    gateway: SmsGateway,
    phone: str,
    asker: Asker,
    now: datetime,
    purpose: str = SIGN_IN,
    about: str = "",
    deed: str | None = None,
) -> None:
    """Send a fresh code to the phone; ``now`` is real. It takes the place of any sent for this purpose. COMMITS.

    ``about`` names the one thing it is good for, such as a transfer's number: it proves nothing for another.
    ``deed`` says it in the message, instead of the purpose's general words.

    Raises MobileInvalid, CodesTooOften and, where nothing was sent and nothing counts, PartnerUnavailable. A silent
    gateway is taken as having sent it: who gets no message asks again after a minute.
    """
    cleaned = clean_mobile(phone)
    number, code = secrets.token_hex(16), f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    row = OneTimeCode(
        number=number,
        purpose=purpose,
        phone_index=phone_index(keyring=keyring, phone=cleaned),
        code_index=_code_index(keyring, number, code, about),
        address=asker.address[:45],
        device=asker.device,
        created_at=now,
        expires_at=now + LIVES,
    )
    _require_within_limits(session=session, row=row, now=now)
    session.add(row)
    session.commit()
    text = TEXT.format(code=code) if purpose == SIGN_IN else DEED_TEXT.format(deed=deed or DEEDS[purpose], code=code)
    try:
        gateway.send(message_no=f"C-{number}", phone=cleaned, text=text)
    except PartnerSilent:
        return
    except PartnerUnavailable:
        session.execute(delete(OneTimeCode).where(OneTimeCode.number == number))
        session.commit()
        raise


def count_unsent(*, session: Session, keyring: Keyring, asker: Asker, now: datetime, purpose: str, about: str) -> None:
    """Count asking for a code about something that is not there, as if one had been sent. COMMITS.

    Whoever asks twice meets the same limits either way. Raises CodesTooOften.
    """
    row = OneTimeCode(
        number=secrets.token_hex(16),
        purpose=purpose,
        phone_index=keyring.index(about, field="no_phone"),
        code_index=secrets.token_bytes(32),
        address=asker.address[:45],
        device=asker.device,
        created_at=now,
        expires_at=now + LIVES,
    )
    _require_within_limits(session=session, row=row, now=now)
    session.add(row)
    session.commit()


def who_holds(
    *, session: Session, keyring: Keyring, phone: str, code: str, id_tail: str | None, now: datetime
) -> Person:
    """Return the person who proved with ``code`` to hold the phone and uses the code up; ``now`` is real.

    COMMITS the try before it looks at the code; that the code is used is the caller's to commit. Where several people
    are filed with the phone, ``id_tail`` (the last 4 characters of the ID number) tells which; it counts against the
    same five tries. Raises MobileInvalid, CodeWrong, PhoneNotFiled, IdTailNeeded and IdTailWrong.
    """
    index = phone_index(keyring=keyring, phone=clean_mobile(phone))
    number = _right_code(session=session, keyring=keyring, index=index, purpose=SIGN_IN, code=code, now=now)
    people = session.scalars(select(Person).where(Person.phone_index == index).order_by(Person.id)).all()
    person = _chosen(keyring, people, id_tail)
    _use(session=session, number=number, now=now)
    return person


def prove_phone(
    *, session: Session, keyring: Keyring, phone: str, purpose: str, code: str, now: datetime, about: str = ""
) -> str:
    """Return the number of the code that proved for ``purpose`` that somebody holds the phone, and use it up.

    ``about`` is what the code was sent for, as ``send_code`` was told it; ``now`` is real. COMMITS the try before it
    looks at the code; that the code is used is the caller's to commit.
    Raises MobileInvalid and CodeWrong.
    """
    index = phone_index(keyring=keyring, phone=clean_mobile(phone))
    number = _right_code(
        session=session, keyring=keyring, index=index, purpose=purpose, code=code, now=now, about=about
    )
    _use(session=session, number=number, now=now)
    return number


def _right_code(
    *, session: Session, keyring: Keyring, index: bytes, purpose: str, code: str, now: datetime, about: str = ""
) -> str:
    number, code_index = _count_try(session=session, index=index, purpose=purpose, now=now)
    if not hmac.compare_digest(code_index, _code_index(keyring, number, code.strip(), about)):
        raise CodeWrong
    return number


def _use(*, session: Session, number: str, now: datetime) -> None:
    mine = update(OneTimeCode).where(OneTimeCode.number == number, OneTimeCode.used_at.is_(None))
    if session.scalar(mine.values(used_at=now).returning(OneTimeCode.number)) is None:
        raise CodeWrong  # another request used it in this very moment


def _count_try(*, session: Session, index: bytes, purpose: str, now: datetime) -> tuple[str, bytes]:
    """Count a try at the code last sent to this phone; return its number and index. Commits; raises CodeWrong."""
    newest = (
        select(OneTimeCode.number)
        .where(OneTimeCode.phone_index == index, OneTimeCode.purpose == purpose)
        .order_by(OneTimeCode.created_at.desc(), OneTimeCode.number)
        .limit(1)
        .scalar_subquery()
    )
    tried = (
        update(OneTimeCode)
        .where(
            OneTimeCode.number == newest,
            OneTimeCode.expires_at > now,
            OneTimeCode.used_at.is_(None),
            OneTimeCode.tries < TRIES,
        )
        .values(tries=OneTimeCode.tries + 1)
        .returning(OneTimeCode.number, OneTimeCode.code_index)
    )
    row = session.execute(tried).one_or_none()
    session.commit()
    if row is None:
        raise CodeWrong
    return row.number, row.code_index


def _chosen(keyring: Keyring, people: Sequence[Person], id_tail: str | None) -> Person:
    if not people:
        raise PhoneNotFiled
    tail = (id_tail or "").strip().upper()
    if len(people) == 1 and not tail:
        return people[0]
    if not tail:
        raise IdTailNeeded
    fitting = [person for person in people if open_id_number(person=person, keyring=keyring)[-TAIL:] == tail]
    if len(fitting) != 1:
        raise IdTailWrong
    return fitting[0]


def _require_within_limits(*, session: Session, row: OneTimeCode, now: datetime) -> None:
    """Let one request at a time count for a phone, address or device; raises CodesTooOften."""
    limited: list[tuple[InstrumentedAttribute[Any], bytes | str, Limits]] = [
        (OneTimeCode.phone_index, row.phone_index, PER_PHONE),
        (OneTimeCode.address, row.address, PER_ADDRESS),
    ]
    if row.device is not None:
        limited.append((OneTimeCode.device, row.device, PER_DEVICE))
    # Always in this order, phones before addresses before devices, so that two requests never wait for each other.
    for column, value, _ in limited:
        name = value.hex() if isinstance(value, bytes) else value
        key = func.hashtextextended(func.concat("one_time_code:", func.current_schema(), f":{column.key}:{name}"), 0)
        session.execute(select(func.pg_advisory_xact_lock(key)))
    for column, value, limits in limited:
        for most, within in limits:
            times = session.scalars(
                select(OneTimeCode.created_at)
                .where(column == value, OneTimeCode.created_at > now - within)
                .order_by(OneTimeCode.created_at.desc())
                .limit(most)
            ).all()
            if len(times) == most:
                wait = times[-1] + within - now
                session.rollback()
                minutes = -(-wait // MINUTE)
                raise CodesTooOften(
                    field="phone" if row.purpose in BY_TYPED_PHONE else None,
                    minutes=minutes,
                    wait_en="1 minute" if minutes == 1 else f"{minutes} minutes",
                    retry_after_s=-(-wait // timedelta(seconds=1)),
                )


def _code_index(keyring: Keyring, number: str, code: str, about: str) -> bytes:
    return keyring.index(f"{number}:{code}:{about}", field="one_time_code")
