"""What the registry holds on one person, for that person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.accounts import Account
from registry.consent import Consent, consents_of
from registry.filings import FiledBike
from registry.messages import Message
from registry.people import Person, document_kind, open_id_number, open_name, open_phone
from registry.plates import Plate
from registry.sealing import Keyring
from registry.trade_ins import TradeIn, TradeInPhoto
from registry.unmasking import Unmasking


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Somebody of the bureau saw a field in clear. The account is named by its role: the person may ask the bureau."""

    at: datetime
    field: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Everything in the registry that belongs to one person, in clear."""

    name: str
    id_no: str
    document: str
    phone: str | None
    known_since: datetime
    filed_bikes: Sequence[FiledBike]
    trade_ins: Sequence[tuple[TradeIn, int]]
    """Each trade-in with the number of its photos."""
    plates: Sequence[Plate]
    messages: Sequence[Message]
    consents: Sequence[Consent]
    looks: Sequence[Look]


def holdings_of(*, session: Session, keyring: Keyring, person_id: int) -> Holdings:
    """Return what is held on a person who exists. Show it to nobody else."""
    person = session.get_one(Person, person_id)
    id_no = open_id_number(person=person, keyring=keyring)
    photos = select(func.count()).where(TradeInPhoto.trade_in_id == TradeIn.id).scalar_subquery()
    trade_ins = session.execute(select(TradeIn, photos).where(TradeIn.owner_id == person_id).order_by(TradeIn.id))
    looks = session.execute(
        select(Unmasking.at, Unmasking.field, Account.role)
        .join(Account, Account.id == Unmasking.account_id)
        .where(Unmasking.person_id == person_id)
        .order_by(Unmasking.id)
    )
    return Holdings(
        name=open_name(person=person, keyring=keyring),
        id_no=id_no,
        document=document_kind(id_no),
        phone=open_phone(person=person, keyring=keyring),
        known_since=person.created_at,
        filed_bikes=session.scalars(
            select(FiledBike).where(FiledBike.owner_id == person_id).order_by(FiledBike.id)
        ).all(),
        trade_ins=[(trade_in, many) for trade_in, many in trade_ins],
        plates=session.scalars(select(Plate).where(Plate.holder_id == person_id).order_by(Plate.id)).all(),
        messages=session.scalars(select(Message).where(Message.person_id == person_id).order_by(Message.id)).all(),
        consents=consents_of(session=session, person_id=person_id),
        looks=[Look(at=at, field=field, role=role) for at, field, role in looks],
    )
