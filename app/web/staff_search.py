"""What one box at the desk finds: what was typed tells by its form what it may be, and each of these is looked for.

People (by plate, name, ID or phone) are found through blind indexes, shown masked, and only with a reason that is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import url_for
from sqlalchemy import or_, select
from sqlalchemy.sql.elements import ColumnElement

from app.auth import caller
from app.context import keyring
from app.db import db
from app.web.desk_words import CLAIM_STATES, PAYOUT_STATES
from app.web.staff_words import APPLICATION_STATES, BATCH_STATES, DEALER_STATES, TRADE_IN_STATES
from app.web.wording import money_exact
from registry import audit
from registry.bikes import Bike
from registry.dealer_applications import DealerApplication
from registry.dealers import Dealer
from registry.filing_search import FoundFiling, SearchReasonMissing, search_filings
from registry.filings import FiledBike
from registry.people import Person, mask_name, open_name
from registry.plates import Plate
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.payouts import PaymentBatch, Payout, PayoutAttempt

MOST = 50
# By each of these a person is found; the order is that in which they are tried.
PEOPLE = {
    "plate_no": r"[A-Z]\d{6}",
    "owner_id_no": r"\d{17}[\dX]|[A-Z]{3}\d{12}",
    "owner_phone": r"1[3-9]\d{9}",
    "owner_name": r"[\u3400-\u9fff\uf900-\ufaff·•]{2,20}",
}


@dataclass(slots=True, kw_only=True)
class Found:
    """Everything found, by kind. ``by`` names the one thing about a person that was typed, None where it was none."""

    by: str | None = None
    filings: Sequence[FoundFiling] = ()
    more: bool = False
    trade_ins: list[dict[str, Any]] = field(default_factory=list)
    payouts: list[dict[str, Any]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    dealers: list[dict[str, Any]] = field(default_factory=list)
    applications: list[dict[str, Any]] = field(default_factory=list)

    @property
    def number(self) -> int:
        """How many things were found in all."""
        groups = (self.filings, self.trade_ins, self.payouts, self.batches, self.dealers, self.applications)
        return sum(len(group) for group in groups)


def find(*, typed: str, city: str, reason: str) -> Found:
    """Return what ``typed`` finds; who searched by what kind of thing and why is audited, never for whom. Commits.

    Raises SearchReasonMissing where a person would be found and no reason is given, and what cleaning raises.
    """
    plain = compact(typed, city=city)
    found = Found(by=kind_of(plain))
    if found.by is not None:
        _find_people(found, plain if found.by != "owner_name" else typed.strip(), reason)
    conditions: list[ColumnElement[bool]] = [TradeIn.filed_bike_id.in_([one.bike.id for one in found.filings])]
    conditions += _trade_in_conditions(plain, found.by)
    found.trade_ins = _trade_ins(or_(*conditions))
    if found.by not in ("owner_id_no", "owner_phone", "plate_no"):
        found.payouts, found.batches = _payouts(typed.strip()), _batches(plain)
        found.dealers, found.applications = _dealers(typed.strip(), plain), _applications(plain)
    if found.by is None:
        detail = {"reason": reason, "found": found.number}
        audit.record(session=db.session(), actor=caller().actor, action="desk.searched", subject="desk", detail=detail)
    db.session.commit()
    return found


def compact(typed: str, *, city: str) -> str:
    """Return what was typed in capitals, without spaces, dots and the city's name before a plate."""
    plain = re.sub(r"[\s·•]", "", typed).upper()
    return plain.removeprefix(city) if re.fullmatch(PEOPLE["plate_no"], plain.removeprefix(city)) else plain


def kind_of(plain: str) -> str | None:
    """Return the one thing about a person this may be, None where it is nothing of a person."""
    return next((by for by, form in PEOPLE.items() if re.fullmatch(form, plain, re.ASCII)), None)


def _find_people(found: Found, wanted: str, reason: str) -> None:
    by = found.by
    assert by is not None
    try:
        answer = search_filings(
            session=db.session(), keyring=keyring(), actor=caller().actor, reason=reason, wanted={by: wanted}
        )
    except SearchReasonMissing:
        # A dealer is no person: by its name it is found without a reason, its people are not.
        if by == "owner_name" and _dealers(wanted, wanted):
            return
        raise
    found.filings, found.more = answer.filings, answer.more


def _trade_in_conditions(plain: str, by: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [TradeIn.reference == plain]
    if re.fullmatch(r"\d{15}", plain, re.ASCII):
        conditions.append(TradeIn.bike_id.in_(select(Bike.id).where(Bike.vehicle_code == plain)))
    if by == "plate_no":
        conditions.append(TradeIn.bike_id.in_(select(Plate.bike_id).where(Plate.plate_no == plain)))
    if (position := _number(plain)) is not None:
        conditions.append(TradeIn.id.in_(select(Claim.trade_in_id).where(Claim.position == position)))
    return conditions


def _trade_ins(condition: ColumnElement[bool]) -> list[dict[str, Any]]:
    rows = db.session.execute(
        select(TradeIn, FiledBike.plate_no, Person, Claim)
        .join(FiledBike, FiledBike.id == TradeIn.filed_bike_id)
        .join(Person, Person.id == TradeIn.owner_id)
        .outerjoin(Claim, Claim.trade_in_id == TradeIn.id)
        .where(condition)
        .order_by(TradeIn.id.desc())
        .limit(MOST)
    )
    return [
        {
            "reference": trade_in.reference,
            "plate_no": plate_no,
            "owner": mask_name(open_name(person=person, keyring=keyring())),
            "state": CLAIM_STATES[claim.state] if claim else TRADE_IN_STATES[trade_in.state],
            "position": claim.position if claim else None,
            "path": url_for("web.claim", position=claim.position)
            if claim
            else url_for("web.desk_trade_in", reference=trade_in.reference),
        }
        for trade_in, plate_no, person, claim in rows
    ]


def _payouts(typed: str) -> list[dict[str, Any]]:
    """Payouts by the number the bank knows an attempt under: the district's small d, then capitals."""
    capitals = typed.upper()
    number = f"d{capitals[1:]}" if capitals.startswith("D") else capitals
    rows = db.session.execute(
        select(Payout, PayoutAttempt.bank_number)
        .join(PayoutAttempt, PayoutAttempt.payout_id == Payout.id)
        .where(PayoutAttempt.bank_number == number)
    )
    return [
        {
            "number": bank_number,
            "money": money_exact(payout.amount_fen),
            "state": PAYOUT_STATES[payout.state],
            "batch": payout.batch_id,
            "path": url_for("web.claim", position=payout.position),
        }
        for payout, bank_number in rows
    ]


def _batches(plain: str) -> list[dict[str, Any]]:
    number = _number(plain)
    batch = None if number is None else db.session.get(PaymentBatch, number)
    return [] if batch is None else [{"batch": batch, "state": BATCH_STATES[batch.state]}]


def _dealers(typed: str, plain: str) -> list[dict[str, Any]]:
    conditions: list[ColumnElement[bool]] = [Dealer.credit_code == plain]
    number = _number(plain)
    if number is not None:
        conditions.append(Dealer.point_no.in_({plain, plain.zfill(3), plain.zfill(4), str(number)}))
    elif len(typed) >= 2:
        conditions.append(Dealer.name.icontains(typed, autoescape=True))
    rows = db.session.scalars(select(Dealer).where(or_(*conditions)).order_by(Dealer.id).limit(MOST))
    return [{"dealer": dealer, "state": DEALER_STATES[dealer.state]} for dealer in rows]


def _applications(plain: str) -> list[dict[str, Any]]:
    rows = db.session.execute(
        select(DealerApplication, Dealer.name)
        .join(Dealer, Dealer.id == DealerApplication.dealer_id)
        .where(DealerApplication.reference == plain)
    )
    return [{"application": row, "name": name, "state": APPLICATION_STATES[row.state]} for row, name in rows]


def _number(plain: str) -> int | None:
    """A whole number a person would type for a position, a batch or a point; never a phone."""
    digits = plain.replace(",", "")
    return int(digits) if re.fullmatch(r"\d{1,9}", digits, re.ASCII) else None
