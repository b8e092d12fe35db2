"""What one box at the desk finds: what was typed tells by its form what it may be, and each of these is looked for.

People (by plate, name, ID or phone) are found through blind indexes, shown masked, and only with a reason that is kept.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import url_for

from app.auth import caller
from app.context import keyring
from app.db import db
from app.web.dealer_words import APPLICATION_STATES, DEALER_STATES
from app.web.desk_words import CLAIM_STATES, PAYOUT_STATES
from app.web.owner_words import TRADE_IN_STATES
from app.web.staff_words import BATCH_STATES
from app.web.wording import money_exact
from registry import audit
from registry.filing_search import FoundFiling, SearchReasonMissing, search_filings
from registry.finding import find_applications, find_dealers
from registry.people import mask_name, open_name
from subsidy.finding import find_batch, find_payouts, find_trade_ins

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
    found.trade_ins = _trade_ins(plain, [one.bike.id for one in found.filings])
    if found.by not in ("owner_id_no", "owner_phone", "plate_no"):
        found.payouts, found.batches = _payouts(typed.strip()), _batches(plain)
        found.dealers, found.applications = _dealers(typed.strip()), _applications(plain)
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
        if by == "owner_name" and find_dealers(session=db.session(), typed=wanted, limit=1):
            return
        raise
    found.filings, found.more = answer.filings, answer.more


def _trade_ins(plain: str, filed_bike_ids: Sequence[int]) -> list[dict[str, Any]]:
    rows = find_trade_ins(session=db.session(), typed=plain, filed_bike_ids=filed_bike_ids, limit=MOST)
    return [
        {
            "reference": row.trade_in.reference,
            "plate_no": row.old_plate_no,
            "owner": mask_name(open_name(person=row.owner, keyring=keyring())),
            "state": CLAIM_STATES[row.claim.state] if row.claim else TRADE_IN_STATES[row.trade_in.state],
            "position": row.claim.position if row.claim else None,
            "path": url_for("web.claim", position=row.claim.position)
            if row.claim
            else url_for("web.desk_trade_in", reference=row.trade_in.reference),
        }
        for row in rows
    ]


def _payouts(typed: str) -> list[dict[str, Any]]:
    return [
        {
            "number": bank_number,
            "money": money_exact(payout.amount_fen),
            "state": PAYOUT_STATES[payout.state],
            "batch": payout.batch_id,
            "path": url_for("web.claim", position=payout.position),
        }
        for payout, bank_number in find_payouts(session=db.session(), bank_number=typed)
    ]


def _batches(plain: str) -> list[dict[str, Any]]:
    batch = find_batch(session=db.session(), typed=plain)
    return [] if batch is None else [{"batch": batch, "state": BATCH_STATES[batch.state]}]


def _dealers(typed: str) -> list[dict[str, Any]]:
    rows = find_dealers(session=db.session(), typed=typed, limit=MOST)
    return [{"dealer": dealer, "state": DEALER_STATES[dealer.state]} for dealer in rows]


def _applications(plain: str) -> list[dict[str, Any]]:
    rows = find_applications(session=db.session(), reference=plain)
    return [{"application": row, "name": name, "state": APPLICATION_STATES[row.state]} for row, name in rows]
