"""People: one row a natural person, sealed; found by blind index; shown masked.

A person who asked for erasure is locked (registry/erasure.py): what the law keeps stays sealed here and is shown as
``LOCKED`` to everybody, because every reader opens it through the functions below.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import BigInteger, Identity, LargeBinary, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column
from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from registry.audit import record
from registry.base import Base, Instant, Refusal
from registry.sealing import Keyring

MOBILE = re.compile(r"1[3-9]\d{9}", re.ASCII)
_NAME = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff·•A-Za-z .'-]{1,64}")


# Permanent-resident cards before December 2023: nationality in three letters, place of application in four digits,
# date of birth in six, two more. How the last digit is made was never published, so form and date are all there is.
_OLD_RESIDENT_CARD = re.compile(r"[A-Z]{3}\d{4}(\d{2})(\d{2})(\d{2})\d{2}", re.ASCII)
# What is shown of a locked person; masking leaves it as it is.
LOCKED = "***"
LOCKED_ID_NUMBER = "*" * 18
_PERMITS = {"81": "hong_kong_permit", "82": "macau_permit", "83": "taiwan_permit", "9": "permanent_resident"}


class Person(Base):
    """A natural person. ``id`` is the person_id used everywhere else; the sealed columns live only here."""

    __tablename__ = "person"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    id_index: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    id_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    name_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    name_index: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    phone_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    phone_index: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    locked_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class PersonNotFound(Refusal):
    """Nobody has this person_id."""

    code = "person_not_found"
    kind = "not_found"
    zh = "没有这个人。"
    en = "There is no such person."
    remedy_zh = "请从办理记录里重新打开。"
    remedy_en = "Open the person from a record again."


class PersonLocked(Refusal):
    """The person asked for erasure: nothing new is written under that name before the bureau opens it again."""

    code = "person_locked"
    kind = "conflict"
    zh = "这位车主申请删除了个人信息，资料已经锁定。"
    en = "This person asked for erasure; the data is locked."
    remedy_zh = "要再办理的，请本人带身份证到区市场监管局恢复以后再办。"
    remedy_en = "To start anew the person comes to the bureau with the ID card, which restores access."


class IdNumberInvalid(Refusal):
    """The form, the check character (GB 11643) or the date of birth in the number of the document does not hold."""

    code = "id_number_invalid"
    zh = "身份证号码不对：{why_zh}。"
    en = "The ID number is not valid: {why_en}."
    remedy_zh = "请对照证件把号码再核对一遍，18 位的最后一位可能是 X。"
    remedy_en = "Compare every character with the card; the last of 18 may be X."
    default_field = "id_no"


class MobileInvalid(Refusal):
    """A mainland mobile number has 11 digits and starts with 13 to 19."""

    code = "mobile_invalid"
    zh = "手机号码不对。"
    en = "The mobile number is not valid."
    remedy_zh = "手机号码是 11 位数字，以 13 到 19 开头。"
    remedy_en = "A mobile number has 11 digits and starts with 13 to 19."
    default_field = "phone"


class NameInvalid(Refusal):
    """A name holds letters and the middle dot only."""

    code = "name_invalid"
    zh = "姓名里有不能用的字符。"
    en = "The name holds characters a name cannot have."
    remedy_zh = "请照证件上的写法填写，间隔号用「·」。"
    remedy_en = "Write the name as on the ID card; use «·» between parts."
    default_field = "name"


def clean_id_number(text: str) -> str:
    """Return the number of an identity document in capitals; raises IdNumberInvalid. Taken are:

    - citizen IDs (GB 11643), 18 characters;
    - residence permits of Hong Kong, Macau and Taiwan: the same, beginning with 81, 82 and 83;
    - permanent-resident cards: since December 2023 the same, beginning with 9; before, 3 letters and 12 digits.

    Check character and date are errors. The region is not judged: genuine cards carry county codes that no list
    holds any more. Somebody who changes the old resident card for a new one is known by another number from then on.
    """
    number = re.sub(r"[\s-]", "", text).upper()
    old_card = _OLD_RESIDENT_CARD.fullmatch(number)
    if old_card is not None:
        _require_day_of_a_century(old_card)
        return number
    if not re.fullmatch(r"\d{17}[\dX]", number, re.ASCII):
        raise IdNumberInvalid(
            why_zh="应是 17 位数字加 1 位数字或 X；旧版永久居留证是 3 个字母加 12 位数字",
            why_en="it has 17 digits and a digit or X; an old permanent-resident card, 3 letters and 12 digits",
        )
    if ric.calc_check_digit(number) != number[-1]:
        raise IdNumberInvalid(why_zh="末位校验码不符", why_en="the check character does not match")
    try:
        ric.get_birth_date(number)
    except ValidationError as error:
        raise IdNumberInvalid(why_zh="出生日期不存在", why_en="the date of birth does not exist") from error
    return number


def document_kind(id_no: str) -> str:
    """Return what kind of document a (clean) number belongs to: ``citizen``, ``hong_kong_permit``, ``macau_permit``,
    ``taiwan_permit`` or ``permanent_resident``."""
    if not id_no[0].isdecimal():
        return "permanent_resident"
    return _PERMITS.get(id_no[:2]) or _PERMITS.get(id_no[0], "citizen")


def _require_day_of_a_century(card: re.Match[str]) -> None:
    year, month, day = map(int, card.groups())
    for century in (1900, 2000):
        with contextlib.suppress(ValueError):
            date(century + year, month, day)
            return
    raise IdNumberInvalid(why_zh="出生日期不存在", why_en="the date of birth does not exist")


def clean_mobile(text: str) -> str:
    """Return the 11-digit mobile number without spaces or dashes; raises MobileInvalid."""
    number = re.sub(r"[\s-]", "", text)
    if not MOBILE.fullmatch(number):
        raise MobileInvalid()
    return number


def clean_name(text: str) -> str:
    """Return the name stripped, every kind of middle dot as «·»; raises NameInvalid."""
    name = re.sub(r"[•‧・.]", "·", text.strip()) if re.search(r"[\u3400-\u9fff]", text) else text.strip()
    if not _NAME.fullmatch(name):
        raise NameInvalid()
    return name


def id_index(*, keyring: Keyring, id_no: str) -> bytes:
    """Return the blind index under which the person with this (clean) ID number is found."""
    return keyring.index(id_no, field="id_no")


def name_index(*, keyring: Keyring, name: str) -> bytes:
    """Return the blind index under which the people of this (clean) name are found."""
    return keyring.index(name, field="name")


def phone_index(*, keyring: Keyring, phone: str) -> bytes:
    """Return the blind index under which the people with this (clean) mobile number are found."""
    return keyring.index(phone, field="phone")


def find_person(*, session: Session, keyring: Keyring, id_no: str) -> Person | None:
    """Return the person with this ID number, None where nobody is known by it."""
    return session.scalar(select(Person).where(Person.id_index == id_index(keyring=keyring, id_no=id_no)))


def know_person(
    *, session: Session, keyring: Keyring, id_no: str, name: str, phone: str | None, actor: str = "registry"
) -> int:
    """Return the person_id for this ID number, creating the person where nobody is known by it.

    All three must be clean already. A known person keeps the name first given, and the phone: whoever stands at a
    counter with somebody's ID must not get that person's codes sent elsewhere. A phone is taken where none was known;
    another one is written down as refused, for ``actor``, and staff change it (``change_phone``). Raises PersonLocked.
    """
    row = insert(Person).values(
        id_index=id_index(keyring=keyring, id_no=id_no),
        id_sealed=keyring.seal(id_no, field="id_no"),
        name_sealed=keyring.seal(name, field="name"),
        name_index=name_index(keyring=keyring, name=name),
        phone_sealed=keyring.seal(phone, field="phone") if phone else None,
        phone_index=phone_index(keyring=keyring, phone=phone) if phone else None,
    )
    made: int | None = session.scalar(row.on_conflict_do_nothing(index_elements=[Person.id_index]).returning(Person.id))
    if made is not None:
        return made
    known = select(Person).where(Person.id_index == id_index(keyring=keyring, id_no=id_no))
    # Rows that refer to the person, a claim for one, can be inserted meanwhile.
    known = known.with_for_update(key_share=True).execution_options(populate_existing=True)
    person = session.scalars(known).one()
    if person.locked_at is not None:
        raise PersonLocked
    if phone and phone_index(keyring=keyring, phone=phone) != person.phone_index:
        if person.phone_sealed is None:
            _set_phone(session=session, keyring=keyring, person=person, phone=phone, actor=actor)
        else:
            _note_phone(session, keyring, person, phone=phone, actor=actor, action="person.phone_kept")
    return person.id


def change_phone(*, session: Session, keyring: Keyring, person_id: int, phone: str, reason: str, actor: str) -> Person:
    """Give the person another phone, as staff who have seen the ID card do; codes and notices go there from now on.

    ``phone`` may be as typed. Raises MobileInvalid, PersonNotFound and PersonLocked.
    """
    clean = clean_mobile(phone)
    query = select(Person).where(Person.id == person_id).with_for_update(key_share=True)
    person = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if person is None:
        raise PersonNotFound
    if person.locked_at is not None:
        raise PersonLocked
    if phone_index(keyring=keyring, phone=clean) != person.phone_index:
        _set_phone(session=session, keyring=keyring, person=person, phone=clean, actor=actor, reason=reason)
    return person


def require_unlocked(*, session: Session, person_ids: Sequence[int]) -> None:
    """Lock these people as an erasure does, so that whichever comes second sees the other; raises PersonLocked."""
    query = select(Person).where(Person.id.in_(person_ids)).order_by(Person.id).with_for_update(key_share=True)
    if any(person.locked_at for person in session.scalars(query.execution_options(populate_existing=True))):
        raise PersonLocked


def _set_phone(
    *, session: Session, keyring: Keyring, person: Person, phone: str, actor: str, reason: str | None = None
) -> None:
    _note_phone(session, keyring, person, phone=phone, actor=actor, action="person.phone_changed", reason=reason)
    person.phone_sealed = keyring.seal(phone, field="phone")
    person.phone_index = phone_index(keyring=keyring, phone=phone)
    session.flush()


def _note_phone(
    session: Session,
    keyring: Keyring,
    person: Person,
    *,
    phone: str,
    actor: str,
    action: str,
    reason: str | None = None,
) -> None:
    """Write down, masked, the phone that is known and the one that was given."""
    old = open_phone(person=person, keyring=keyring)
    detail: dict[str, object] = {"phone": [mask_phone(old) if old else None, mask_phone(phone)]}
    if reason is not None:
        detail["reason"] = reason
    record(session=session, actor=actor, action=action, subject=f"person:{person.id}", detail=detail)


def open_name(*, person: Person, keyring: Keyring, locked_too: bool = False) -> str:
    """Return the person's name in clear. For partners and for those entitled; show ``mask_name`` otherwise.

    A locked person's is LOCKED, except with ``locked_too``: for what the law asks for, and for comparing.
    """
    shown = person.locked_at is None or locked_too
    return keyring.open(person.name_sealed, field="name") if shown else LOCKED


def open_id_number(*, person: Person, keyring: Keyring, locked_too: bool = False) -> str:
    """Return the person's ID number in clear: for partners only. A locked person's is stars, as with the name."""
    shown = person.locked_at is None or locked_too
    return keyring.open(person.id_sealed, field="id_no") if shown else LOCKED_ID_NUMBER


def open_phone(*, person: Person, keyring: Keyring) -> str | None:
    """Return the person's mobile number in clear, None where none was given: for the message gateway only."""
    return keyring.open(person.phone_sealed, field="phone") if person.phone_sealed else None


def mask_name(name: str) -> str:
    """Return the name as others may see it: 陈建英 → 陈*英, 王伟 → 王*."""
    if len(name) <= 1:
        return "*"
    return name[0] + "*" if len(name) == 2 else f"{name[0]}*{name[-1]}"


def mask_id_number(id_no: str) -> str:
    """Return the ID number with its first six and last four characters showing, three and three of an old card's."""
    shown = 6 if len(id_no) == 18 else 3
    return f"{id_no[:shown]}{'*' * 8}{id_no[-4 if shown == 6 else -3 :]}"


def mask_phone(phone: str) -> str:
    """Return the mobile number with its middle four digits hidden."""
    return f"{phone[:3]}****{phone[-4:]}"
