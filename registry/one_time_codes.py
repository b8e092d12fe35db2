"""One-time codes (验证码): six digits sent to a phone, which prove that somebody holds it. All in real time.

A code goes to every phone that asks within its limits, whether anybody is filed with it or not: neither the answer nor
the time it takes tells a stranger who is known. The table holds no code and no phone in clear.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import case, delete, false, select, update
from sqlalchemy.orm import Session

from registry.base import PartnerSilent, PartnerUnavailable, Refusal
from registry.code_limits import ASKED, SIGN_IN, Asker, OneTimeCode, require_within_limits
from registry.people import Person, clean_mobile, open_id_number, phone_index
from registry.sealing import Keyring
from registry.sms_gateway import SmsGateway

LIVES = timedelta(minutes=5)
# Tries from the address that asked for the code, and as many from all others: a stranger who types nonsense for a
# phone that is not his leaves its holder his own.
TRIES = 5
DIGITS = 6
TAIL = 4
TEXT = "【码牌】验证码 {code}，5 分钟内有效。工作人员不会向您要验证码，请勿告诉任何人。"
DEED_TEXT = "【码牌】您正在{deed}，验证码 {code}，5 分钟内有效。工作人员不会向您要验证码，请勿告诉任何人。"
# What a code is good for. One sent for one purpose proves nothing for another, and its message says what it is for.
DEEDS = {
    "dealer_application": "申请成为销售商户",
    "commitment": "签署商户承诺书",
    "dealer_password": "设置商户账号密码",
    "transfer_seller": "把备案车过户给别人",
    "transfer_buyer": "过户买入备案车",
    "resume": "查看您的换新",
}


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
    send = write_code(
        session=session,
        keyring=keyring,
        gateway=gateway,
        phone=phone,
        asker=asker,
        now=now,
        purpose=purpose,
        about=about,
        deed=deed,
    )
    try:
        send()
    except PartnerUnavailable:
        session.execute(delete(OneTimeCode).where(OneTimeCode.number == send.number))
        session.commit()
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeToSend:
    """A code that stands written down and is still to be sent: call it, once. Touches no database.

    Raises PartnerUnavailable where nothing was sent; a silent gateway is taken as having sent it.
    """

    number: str
    phone: str
    text: str = field(repr=False)
    gateway: SmsGateway

    def __call__(self) -> None:
        """Send it."""
        with contextlib.suppress(PartnerSilent):
            self.gateway.send(message_no=f"C-{self.number}", phone=self.phone, text=self.text)


def write_code(
    *,
    session: Session,
    keyring: Keyring,
    gateway: SmsGateway,
    phone: str,
    asker: Asker,
    now: datetime,
    purpose: str,
    about: str = "",
    deed: str | None = None,
) -> CodeToSend:
    """Write a fresh code down as ``send_code`` does, and return the sending of it to the caller. COMMITS.

    Raises MobileInvalid and CodesTooOften.
    """
    cleaned = clean_mobile(phone)
    number, code = secrets.token_hex(16), f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    row = OneTimeCode(
        number=number,
        purpose=purpose,
        phone_index=phone_index(keyring=keyring, phone=cleaned),
        code_index=_code_index(keyring, number, code, about),
    )
    _count(session, row, asker, now)
    text = TEXT.format(code=code) if purpose == SIGN_IN else DEED_TEXT.format(deed=deed or DEEDS[purpose], code=code)
    return CodeToSend(number=number, phone=cleaned, text=text, gateway=gateway)


def count_asking(*, session: Session, keyring: Keyring, asker: Asker, now: datetime, purpose: str, about: str) -> None:
    """Count asking for a code about something, whether or not it is there. COMMITS.

    The limits of a phone hold for ``about``, so whoever asks twice learns nothing by them. For purposes in ``ASKED``,
    before ``write_code``. Raises CodesTooOften.
    """
    row = OneTimeCode(
        number=secrets.token_hex(16),
        purpose=ASKED[purpose],
        phone_index=keyring.index(about, field="no_phone"),
        code_index=secrets.token_bytes(32),
    )
    _count(session, row, asker, now)


def _count(session: Session, row: OneTimeCode, asker: Asker, now: datetime) -> None:
    """Write the row down as asked for by ``asker``; COMMITS. Raises CodesTooOften."""
    row.address, row.device = asker.address[:45], asker.device
    row.created_at, row.expires_at = now, now + LIVES
    require_within_limits(session=session, row=row, now=now)
    session.add(row)
    session.commit()


def who_holds(
    *,
    session: Session,
    keyring: Keyring,
    phone: str,
    code: str,
    id_tail: str | None,
    now: datetime,
    address: str | None = None,
) -> Person:
    """Return the person who proved with ``code`` to hold the phone and uses the code up; ``now`` is real.

    ``address`` is where the code was typed, None where that does not count: then the five tries are one for all.

    COMMITS the try before it looks at the code; that the code is used is the caller's to commit. Where several people
    are filed with the phone, ``id_tail`` (the last 4 characters of the ID number) tells which; it counts against the
    same five tries. Raises MobileInvalid, CodeWrong, PhoneNotFiled, IdTailNeeded and IdTailWrong.
    """
    index = phone_index(keyring=keyring, phone=clean_mobile(phone))
    try_at = _Try(index=index, purpose=SIGN_IN, about="", address=address)
    number = _right_code(session=session, keyring=keyring, at=try_at, code=code, now=now)
    people = session.scalars(select(Person).where(Person.phone_index == index).order_by(Person.id)).all()
    person = _chosen(keyring, people, id_tail)
    _use(session=session, number=number, now=now)
    return person


def prove_phone(
    *,
    session: Session,
    keyring: Keyring,
    phone: str,
    purpose: str,
    code: str,
    now: datetime,
    about: str = "",
    address: str | None = None,
) -> str:
    """Return the number of the code that proved for ``purpose`` that somebody holds the phone, and use it up.

    ``about`` is what the code was sent for, as ``send_code`` was told it; ``now`` is real; ``address`` as in
    ``who_holds``. COMMITS the try before it looks at the code; that the code is used is the caller's to commit.
    Raises MobileInvalid and CodeWrong.
    """
    index = phone_index(keyring=keyring, phone=clean_mobile(phone))
    try_at = _Try(index=index, purpose=purpose, about=about, address=address)
    number = _right_code(session=session, keyring=keyring, at=try_at, code=code, now=now)
    _use(session=session, number=number, now=now)
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """Which code somebody tries, and from where."""

    index: bytes
    purpose: str
    about: str
    address: str | None


def _right_code(*, session: Session, keyring: Keyring, at: _Try, code: str, now: datetime) -> str:
    number, code_index = _count_try(session=session, at=at, now=now)
    if not hmac.compare_digest(code_index, _code_index(keyring, number, code.strip(), at.about)):
        raise CodeWrong
    return number


def _use(*, session: Session, number: str, now: datetime) -> None:
    mine = update(OneTimeCode).where(OneTimeCode.number == number, OneTimeCode.used_at.is_(None))
    if session.scalar(mine.values(used_at=now).returning(OneTimeCode.number)) is None:
        raise CodeWrong  # another request used it in this very moment


def _count_try(*, session: Session, at: _Try, now: datetime) -> tuple[str, bytes]:
    """Count a try at the code last sent to this phone; return its number and index. Commits; raises CodeWrong."""
    newest = (
        select(OneTimeCode.number)
        .where(OneTimeCode.phone_index == at.index, OneTimeCode.purpose == at.purpose)
        .order_by(OneTimeCode.created_at.desc(), OneTimeCode.number)
        .limit(1)
        .scalar_subquery()
    )
    elsewhere = false() if at.address is None else OneTimeCode.address != at.address[:45]
    tried = (
        update(OneTimeCode)
        .where(
            OneTimeCode.number == newest,
            OneTimeCode.expires_at > now,
            OneTimeCode.used_at.is_(None),
            case((elsewhere, OneTimeCode.tries_elsewhere), else_=OneTimeCode.tries) < TRIES,
        )
        .values(
            tries=OneTimeCode.tries + case((elsewhere, 0), else_=1),
            tries_elsewhere=OneTimeCode.tries_elsewhere + case((elsewhere, 1), else_=0),
        )
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


def _code_index(keyring: Keyring, number: str, code: str, about: str) -> bytes:
    return keyring.index(f"{number}:{code}:{about}", field="one_time_code")
