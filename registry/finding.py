"""Finding things by what is printed on them or what they are called; nothing found is None or empty, no refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from registry.batteries import Battery
from registry.bikes import Bike
from registry.dealer_applications import DealerApplication
from registry.dealers import Dealer
from registry.filings import FiledBike
from registry.plates import Plate
from registry.trade_ins import TradeIn

SHORTEST_NAME = 2


def whole_number(typed: str) -> int | None:
    """Return a number as people type it for a position, a batch or a point, thousands parted or not; never a phone."""
    digits = typed.replace(",", "")
    return int(digits) if re.fullmatch(r"\d{1,9}", digits, re.ASCII) else None


def bike_by_registration_code(*, session: Session, code: str) -> Bike | None:
    """Return the new bike with this registration code, or with the battery that has it."""
    of_battery = select(Battery.bike_id).where(Battery.registration_code == code)
    return session.scalar(select(Bike).where(or_(Bike.registration_code == code, Bike.id.in_(of_battery))))


def bike_by_vehicle_code(*, session: Session, vehicle_code: str) -> Bike | None:
    """Return the new bike with these 15 digits."""
    return session.scalar(select(Bike).where(Bike.vehicle_code == vehicle_code))


def bike_by_plate(*, session: Session, plate_no: str) -> Bike | None:
    """Return the new bike that has this plate."""
    return session.scalar(select(Bike).join(Plate, Plate.bike_id == Bike.id).where(Plate.plate_no == plate_no))


def filed_bike_by_plate(*, session: Session, plate_no: str) -> FiledBike | None:
    """Return the filed bike that has this plate."""
    return session.scalar(select(FiledBike).where(FiledBike.plate_no == plate_no))


def trade_in_here(*, session: Session, reference: str, dealer_id: int) -> TradeIn | None:
    """Return the trade-in where it is this dealer's."""
    return session.scalar(select(TradeIn).where(TradeIn.reference == reference, TradeIn.dealer_id == dealer_id))


def trade_in_of_filed_bike(*, session: Session, filed_bike_id: int, dealer_id: int) -> TradeIn | None:
    """Return this dealer's newest trade-in of a filed bike that was not withdrawn."""
    return session.scalar(
        select(TradeIn)
        .where(TradeIn.filed_bike_id == filed_bike_id, TradeIn.dealer_id == dealer_id, TradeIn.state != "withdrawn")
        .order_by(TradeIn.id.desc())
        .limit(1)
    )


def trade_in_of_bike(*, session: Session, bike_id: int) -> TradeIn | None:
    """Return the newest trade-in a new bike was sold in."""
    return session.scalar(select(TradeIn).where(TradeIn.bike_id == bike_id).order_by(TradeIn.id.desc()).limit(1))


def waiting_for_a_bike(*, session: Session, dealer_id: int, limit: int) -> Sequence[TradeIn]:
    """Return the dealer's trade-ins whose old plate is cancelled and whose new bike is not bought yet, oldest first."""
    waiting = select(TradeIn).where(TradeIn.dealer_id == dealer_id, TradeIn.state == "old_plate_cancelled")
    return session.scalars(waiting.order_by(TradeIn.id).limit(limit)).all()


def find_dealers(*, session: Session, typed: str, limit: int) -> Sequence[Dealer]:
    """Return dealers by credit code, by point number (leading zeros or none) or by a part of their name."""
    plain = re.sub(r"[\s·•]", "", typed).upper()
    conditions: list[ColumnElement[bool]] = [Dealer.credit_code == plain]
    number = whole_number(plain)
    if number is not None:
        conditions.append(Dealer.point_no.in_({plain, plain.zfill(3), plain.zfill(4), str(number)}))
    elif len(typed) >= SHORTEST_NAME:
        conditions.append(Dealer.name.icontains(typed, autoescape=True))
    return session.scalars(select(Dealer).where(or_(*conditions)).order_by(Dealer.id).limit(limit)).all()


def find_applications(*, session: Session, reference: str) -> Sequence[tuple[DealerApplication, str]]:
    """Return a dealer's application by its number, with the dealer's name."""
    rows = session.execute(
        select(DealerApplication, Dealer.name)
        .join(Dealer, Dealer.id == DealerApplication.dealer_id)
        .where(DealerApplication.reference == reference)
    )
    return [(application, name) for application, name in rows]
