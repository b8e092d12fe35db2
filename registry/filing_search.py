"""Filings found by plate, or by their owner through blind indexes: nothing is opened but what is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from registry import audit
from registry.base import Refusal
from registry.filing_history import FilingChange
from registry.filings import FiledBike, clean_plate
from registry.people import (
    Person,
    clean_id_number,
    clean_mobile,
    clean_name,
    id_index,
    mask_id_number,
    mask_name,
    mask_phone,
    name_index,
    open_id_number,
    open_name,
    open_phone,
    phone_index,
)
from registry.sealing import Keyring

MOST_FOUND = 50
SHORTEST_REASON = 4


class SearchByOneThing(Refusal):
    """A search names one thing to look for: not none, not two."""

    code = "search_by_one_thing"
    zh = "请只按一项查找：号牌号码、车主姓名、证件号码或手机号码。"
    en = "Search by one thing: plate, owner's name, ID number or mobile number."
    remedy_zh = "留下最准的一项，其余的清空；证件号码找得最准。"
    remedy_en = "Keep the most exact one and clear the others; an ID number is the most exact."


class SearchReasonMissing(Refusal):
    """Whoever looks for people says why; the reason is kept with his name."""

    code = "search_reason_missing"
    zh = "请写明查找的原因。"
    en = "Say why you are searching."
    remedy_zh = "写一句话，例如「车主来电查询备案」；查找会连同原因一起留痕。"
    remedy_en = "One sentence, for example «the owner asks by phone»; the search is recorded with it."
    default_field = "reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFiling:
    """One filing with its owner masked, and the corrections it has had, oldest first."""

    bike: FiledBike
    owner_name: str
    owner_id_no: str
    owner_phone: str | None
    changes: tuple[FilingChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFilings:
    """Up to fifty filings by plate; ``more`` says that there are others."""

    filings: tuple[FoundFiling, ...]
    more: bool


def search_filings(
    *,
    session: Session,
    keyring: Keyring,
    actor: str,
    reason: str,
    wanted: dict[str, str],
    plate_pattern: str = r"[A-Z]\d{6}",
) -> FoundFilings:
    """Find filings and record in the audit who searched by what and why, never for whom. The caller commits.

    ``wanted`` holds one of plate_no, owner_name, owner_id_no and owner_phone as typed. A name is found whole and as it
    is written on the card. Raises SearchByOneThing, SearchReasonMissing, and what cleaning the typed text raises.
    """
    if len(wanted) != 1:
        raise SearchByOneThing
    if len(reason.strip()) < SHORTEST_REASON:
        raise SearchReasonMissing
    [(by, typed)] = wanted.items()
    condition = _condition(by, typed, keyring, plate_pattern)
    query = select(FiledBike, Person).join(Person, Person.id == FiledBike.owner_id).where(condition)
    rows = session.execute(query.order_by(FiledBike.plate_no).limit(MOST_FOUND + 1)).all()
    shown = [(bike, person) for bike, person in rows[:MOST_FOUND]]
    detail = {"by": by, "reason": reason.strip(), "found": len(shown)}
    audit.record(session=session, actor=actor, action="filings.searched", subject="filings", detail=detail)
    history = _history(session, [bike.id for bike, _ in shown])
    found = tuple(_masked(bike, person, keyring, history.get(bike.id, [])) for bike, person in shown)
    return FoundFilings(filings=found, more=len(rows) > MOST_FOUND)


def _condition(by: str, typed: str, keyring: Keyring, plate_pattern: str) -> ColumnElement[bool]:
    conditions: dict[str, Callable[[], ColumnElement[bool]]] = {
        "plate_no": lambda: FiledBike.plate_no == clean_plate(typed, pattern=plate_pattern),
        "owner_name": lambda: Person.name_index == name_index(keyring=keyring, name=clean_name(typed)),
        "owner_id_no": lambda: Person.id_index == id_index(keyring=keyring, id_no=clean_id_number(typed)),
        "owner_phone": lambda: Person.phone_index == phone_index(keyring=keyring, phone=clean_mobile(typed)),
    }
    try:
        return conditions[by]()
    except Refusal as refusal:
        refusal.field = by
        raise


def _history(session: Session, ids: list[int]) -> dict[int, list[FilingChange]]:
    changes: dict[int, list[FilingChange]] = {}
    query = select(FilingChange).where(FilingChange.filed_bike_id.in_(ids)).order_by(FilingChange.id)
    for change in session.scalars(query):
        changes.setdefault(change.filed_bike_id, []).append(change)
    return changes


def _masked(bike: FiledBike, person: Person, keyring: Keyring, changes: list[FilingChange]) -> FoundFiling:
    phone = open_phone(person=person, keyring=keyring)
    return FoundFiling(
        bike=bike,
        owner_name=mask_name(open_name(person=person, keyring=keyring)),
        owner_id_no=mask_id_number(open_id_number(person=person, keyring=keyring)),
        owner_phone=mask_phone(phone) if phone else None,
        changes=tuple(changes),
    )
