"""Everything the pages show about one trade-in, read in one go. Names are masked here; nothing sealed leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from app.web.owner_words import PHOTO_WORDS
from registry.bikes import Bike, Sale
from registry.dealers import Dealer
from registry.filings import FiledBike
from registry.people import Person, mask_name, open_name
from registry.plates import Plate
from registry.sealing import Keyring
from registry.trade_ins import PHOTO_KINDS, Reach, TradeIn, TradeInPhoto
from subsidy.appeals import Appeal, latest_appeal
from subsidy.claims import Claim
from subsidy.corrections import open_faults
from subsidy.faults import Fault
from subsidy.foreseen import Foreseen, foresee
from subsidy.payouts import Payout, PayoutAttempt
from subsidy.returns import ReturnCase
from subsidy.standing import read_claim
from subsidy.wallets import Wallet

__all__ = ["PHOTO_WORDS", "Record", "masked", "read_record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One trade-in with what hangs on it. ``ahead`` counts the claims that wait before this one.

    ``faults`` is what has to be corrected until ``correct_by``, which is None while the claim waits in the line.
    ``foreseen`` speaks against a subsidy before completion, ``returned`` is a return that was not refused, ``appeal``
    the newest one against a claim that got nothing, ``may_appeal`` whether another can be made.
    """

    trade_in: TradeIn
    old_bike: FiledBike
    dealer: Dealer
    owner_masked: str
    bike: Bike | None
    sale: Sale | None
    plate: Plate | None
    claim: Claim | None
    payout: Payout | None
    attempts: Sequence[PayoutAttempt]
    wallet: Wallet | None
    photos: frozenset[str]
    ahead: int
    faults: tuple[Fault, ...]
    correct_by: datetime | None
    foreseen: Foreseen | None
    returned: ReturnCase | None
    appeal: Appeal | None
    may_appeal: bool

    @property
    def photos_missing(self) -> tuple[str, ...]:
        """The kinds of photo still to be taken, in the order in which they are asked for."""
        return tuple(kind for kind in PHOTO_KINDS if kind not in self.photos)


def read_record(*, session: Session, keyring: Keyring, trade_in: TradeIn) -> Record:
    """Read everything shown about one trade-in; what stands once beside it comes in one question."""
    row = session.execute(_beside(trade_in)).one()
    faults, correct_by = _to_correct(session, trade_in, row.Claim)
    appeal, may_appeal = _appealed(session, trade_in, row.Claim, row.ReturnCase)
    return Record(
        trade_in=trade_in,
        old_bike=row.FiledBike,
        dealer=row.Dealer,
        owner_masked=mask_name(open_name(person=row.Person, keyring=keyring)),
        bike=row.Bike,
        sale=row.Sale,
        plate=row.Plate,
        claim=row.Claim,
        payout=row.Payout,
        attempts=_attempts(session, row.Payout),
        wallet=row.Wallet,
        photos=frozenset(row.photos or ()),
        ahead=_ahead(session, row.Claim),
        faults=faults,
        correct_by=correct_by,
        foreseen=foresee(session=session, trade_in=trade_in),
        returned=row.ReturnCase,
        appeal=appeal,
        may_appeal=may_appeal,
    )


def _beside(trade_in: TradeIn) -> Select[*tuple[Any, ...]]:
    kinds = select(func.array_agg(TradeInPhoto.kind)).where(TradeInPhoto.trade_in_id == trade_in.id)
    return (
        select(
            FiledBike,
            Dealer,
            Person,
            Bike,
            Sale,
            Plate,
            Claim,
            Payout,
            Wallet,
            ReturnCase,
            kinds.scalar_subquery().label("photos"),
        )
        .select_from(FiledBike)
        .join(Dealer, Dealer.id == trade_in.dealer_id)
        .join(Person, Person.id == trade_in.owner_id)
        .outerjoin(Bike, Bike.id == trade_in.bike_id)
        .outerjoin(Sale, Sale.id == trade_in.sale_id)
        .outerjoin(Plate, Plate.bike_id == trade_in.bike_id)
        .outerjoin(Claim, Claim.trade_in_id == trade_in.id)
        .outerjoin(Payout, Payout.trade_in_id == trade_in.id)
        .outerjoin(Wallet, and_(Wallet.trade_in_id == trade_in.id, Wallet.superseded_at.is_(None)))
        .outerjoin(ReturnCase, and_(ReturnCase.trade_in_id == trade_in.id, ReturnCase.state != "refused"))
        .where(FiledBike.id == trade_in.filed_bike_id)
    )


def masked(*, session: Session, keyring: Keyring, person_id: int) -> str:
    """Return a person's name as others may see it."""
    return mask_name(open_name(person=session.get_one(Person, person_id), keyring=keyring))


def _attempts(session: Session, payout: Payout | None) -> Sequence[PayoutAttempt]:
    if payout is None:
        return ()
    query = select(PayoutAttempt).where(PayoutAttempt.payout_id == payout.id).order_by(PayoutAttempt.attempt_no)
    return session.scalars(query).all()


def _ahead(session: Session, claim: Claim | None) -> int:
    if claim is None or claim.state != "waiting":
        return 0
    query = select(func.count()).where(
        Claim.programme_id == claim.programme_id, Claim.state == "waiting", Claim.position < claim.position
    )
    return session.scalar(query) or 0


def _to_correct(session: Session, trade_in: TradeIn, claim: Claim | None) -> tuple[tuple[Fault, ...], datetime | None]:
    if claim is None or claim.state not in ("held", "waiting"):
        return (), None
    standing = read_claim(session=session, reference=trade_in.reference, reach=Reach())
    faults = open_faults(session=session, standing=standing)
    return faults, standing.decision.expires_at if faults else None


def _appealed(
    session: Session, trade_in: TradeIn, claim: Claim | None, returned: ReturnCase | None
) -> tuple[Appeal | None, bool]:
    """The newest appeal for a claim that got nothing, and whether this decision can still be appealed against."""
    if claim is None or claim.state not in ("declined", "forfeited"):
        return None, False
    appeal = latest_appeal(session=session, trade_in_id=trade_in.id)
    if returned is not None or claim.reason == "returned":
        return appeal, False
    decided = read_claim(session=session, reference=trade_in.reference, reach=Reach()).decision.event_no
    return appeal, appeal is None or appeal.decision_event_no != decided
