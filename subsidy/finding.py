"""Finding trade-ins with their claims, payouts and batches by the numbers people read out; nothing found is empty."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from registry.bikes import Bike
from registry.filings import FiledBike
from registry.finding import whole_number
from registry.people import Person
from registry.plates import Plate
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.payouts import PaymentBatch, Payout, PayoutAttempt


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTradeIn:
    """A trade-in with its old plate, its owner, and its claim where it is complete."""

    trade_in: TradeIn
    old_plate_no: str
    owner: Person
    claim: Claim | None


def find_trade_ins(
    *, session: Session, typed: str, filed_bike_ids: Sequence[int], limit: int
) -> Sequence[FoundTradeIn]:
    """Return trade-ins, newest first: those of the filed bikes, and those ``typed`` names.

    ``typed`` is in capitals without spaces: a reference, a new bike's vehicle code or plate, or a claim's position.
    """
    rows = session.execute(
        select(TradeIn, FiledBike.plate_no, Person, Claim)
        .join(FiledBike, FiledBike.id == TradeIn.filed_bike_id)
        .join(Person, Person.id == TradeIn.owner_id)
        .outerjoin(Claim, Claim.trade_in_id == TradeIn.id)
        .where(or_(TradeIn.filed_bike_id.in_(filed_bike_ids), *_named(typed)))
        .order_by(TradeIn.id.desc())
        .limit(limit)
    )
    return [
        FoundTradeIn(trade_in=trade_in, old_plate_no=plate_no, owner=person, claim=claim)
        for trade_in, plate_no, person, claim in rows
    ]


def find_payouts(*, session: Session, bank_number: str) -> Sequence[tuple[Payout, str]]:
    """Return the payout of an attempt by the number the bank knows it under, however it was typed, with that number."""
    # It begins with the district's small d, and goes on in capitals.
    capitals = bank_number.upper()
    number = f"d{capitals[1:]}" if capitals.startswith("D") else capitals
    rows = session.execute(
        select(Payout, PayoutAttempt.bank_number)
        .join(PayoutAttempt, PayoutAttempt.payout_id == Payout.id)
        .where(PayoutAttempt.bank_number == number)
    )
    return [(payout, known) for payout, known in rows]


def find_batch(*, session: Session, typed: str) -> PaymentBatch | None:
    """Return the payment batch of this number."""
    number = whole_number(typed)
    return None if number is None else session.get(PaymentBatch, number)


def _named(typed: str) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [TradeIn.reference == typed]
    if re.fullmatch(r"\d{15}", typed, re.ASCII):
        conditions.append(TradeIn.bike_id.in_(select(Bike.id).where(Bike.vehicle_code == typed)))
    if re.fullmatch(r"[A-Z]\d{6}", typed, re.ASCII):
        conditions.append(TradeIn.bike_id.in_(select(Plate.bike_id).where(Plate.plate_no == typed)))
    if (position := whole_number(typed)) is not None:
        conditions.append(TradeIn.id.in_(select(Claim.trade_in_id).where(Claim.position == position)))
    return conditions
