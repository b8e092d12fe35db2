"""Walks made-up owners along the line: each step by the function that takes it in earnest, at a past instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NoReturn

import psycopg
from sqlalchemy.orm import Session

from app.clients.ecny.bank import Options as BankOptions
from app.clients.ecny.fake import FakeBank
from app.clients.plates.desk import Options as PoliceOptions
from app.clients.plates.fake import FakePolice
from app.clock import real
from app.completing import completion_of
from app.district.pictures import made_picture
from registry.base import PartnerUnavailable, Refusal
from registry.cancelling import cancel_old_plate
from registry.filing_rows import FilingRow
from registry.opening import open_trade_in, withdraw
from registry.plate_authority import PlateAuthority, PlateRecord
from registry.plating import apply_for_plate
from registry.receiving import add_photo, receive_old_bike
from registry.sealing import Keyring
from registry.selling import Price, sell_new_bike
from registry.stocking import list_stock
from registry.trade_ins import PHOTO_KINDS, Reach, TradeIn
from subsidy.completion import admit
from subsidy.foreseen import no_subsidy
from subsidy.wallets import confirm_wallet

FAKE_KEY = bytes(range(32))
STEP = timedelta(minutes=12)
# What a trade-in has been through once it stands in a state, in this order.
STEPS = ("opened", "received", "cancelled", "sold", "applied")
LAST_STEP = {
    "opened": "opened",
    "old_bike_verified": "opened",
    "withdrawn": "opened",
    "old_bike_received": "received",
    "cancel_requested": "cancelled",
    "old_plate_cancelled": "cancelled",
    "new_bike_sold": "sold",
    "plate_applied": "applied",
    "completed": "applied",
}


class PastClock:
    """A business clock that can be set back. It runs at the pace of the real one."""

    def __init__(self, now: datetime) -> None:
        self.set(now)

    def set(self, now: datetime) -> None:
        """Make ``now`` the present instant."""
        self._ahead = now - real()

    def now(self) -> datetime:
        return real() + self._ahead

    def business(self, instant: datetime, /) -> datetime:
        return instant + self._ahead

    def real_for(self, instant: datetime, /) -> datetime:
        return instant - self._ahead


class PoliceAway:
    """A PlateAuthority that cannot be reached: what it is asked stays pending."""

    def _away(self, **_: object) -> NoReturn:
        raise PartnerUnavailable(partner="云申领")

    look_up = cancel = find_cancellation = apply = find_application = _away


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """One trade-in to be: whose bike, at which dealer's, until which state, begun when, and paid into which wallet."""

    row: FilingRow
    dealer_id: int
    until: str
    begun_at: datetime
    wallet_id: str | None = None


@dataclass(kw_only=True)
class Line:
    """Everything a walk needs. Police and bank are their in-memory selves, at the walk's own instants."""

    session: Session
    connection: psycopg.Connection[Any]
    keyring: Keyring
    district: str
    clock: PastClock
    actor: str

    def __post_init__(self) -> None:
        self.police = FakePolice(PoliceOptions(key=FAKE_KEY, now=self.clock.now, district_code=self.district))
        self._bank = FakeBank(BankOptions(key=FAKE_KEY, now=self.clock.now))
        self._serials = count(1)
        self._changed: set[str] = set()

    def take(self, walk: Walk) -> TradeIn:
        """Take one walk to its end and return the trade-in; everything is committed."""
        self.police.load([plate_record(walk.row, district=self.district)])
        self.clock.set(walk.begun_at)
        trade_in = self._open(walk)
        if walk.wallet_id is not None:
            confirm_wallet(
                session=self.session,
                keyring=self.keyring,
                operator=self._bank,
                trade_in=trade_in,
                wallet_id=walk.wallet_id,
                actor=f"person:{trade_in.owner_id}",
                now=self.clock.now(),
            )
            self.session.commit()
        for step in STEPS[1 : STEPS.index(LAST_STEP[walk.until]) + 1]:
            self.clock.set(self.clock.now() + STEP)
            getattr(self, f"_{step}")(walk, trade_in)
            self.session.commit()
        self.session.refresh(trade_in)
        if trade_in.state != walk.until:
            raise AssertionError(f"{trade_in.reference} stands at {trade_in.state}, not at {walk.until}")
        self.session.commit()
        return trade_in

    def news(self) -> list[PlateRecord]:
        """Return what the police hold about the plates cancelled or issued since this was last asked."""
        found = [self.police.look_up(plate_no=plate_no) for plate_no in sorted(self._changed)]
        self._changed.clear()
        return [record for record in found if record is not None]

    def _open(self, walk: Walk) -> TradeIn:
        trade_in = open_trade_in(
            session=self.session,
            keyring=self.keyring,
            plates=self._plates(walk, "opened"),
            district=self.district,
            dealer_id=walk.dealer_id,
            plate_no=walk.row.plate_no,
            owner_name=walk.row.owner_name,
            owner_id_no=walk.row.id_no,
            owner_phone=walk.row.phone,
            actor=self.actor,
            now=self.clock.now(),
            outlook=no_subsidy,
        )
        self.session.commit()
        if walk.until == "withdrawn":
            self.clock.set(self.clock.now() + STEP)
            withdraw(session=self.session, reference=trade_in.reference, **self._whose(walk), now=self.clock.now())
            self.session.commit()
        return trade_in

    def _received(self, walk: Walk, trade_in: TradeIn) -> None:
        for kind in PHOTO_KINDS:
            picture = made_picture(trade_in.id * 10 + PHOTO_KINDS.index(kind))
            add_photo(session=self.session, reference=trade_in.reference, kind=kind, image=picture, **self._whose(walk))
        receive_old_bike(
            session=self.session,
            reference=trade_in.reference,
            recycling_certificate_no=f"HS-{60_000 + trade_in.id:06d}",
            frame_no=walk.row.frame_no,
            complete=True,
            owner_knows=True,
            outlook=no_subsidy,
            now=self.clock.now(),
            **self._whose(walk),
        )

    def _cancelled(self, walk: Walk, trade_in: TradeIn) -> None:
        cancel_old_plate(
            session=self.session,
            keyring=self.keyring,
            plates=self._plates(walk, "cancel_requested"),
            reference=trade_in.reference,
            now=self.clock.now(),
            **self._whose(walk),
        )
        self._changed.add(walk.row.plate_no)

    def _sold(self, walk: Walk, trade_in: TradeIn) -> None:
        bike = list_stock(session=self.session, dealer_id=walk.dealer_id, limit=1)[0]
        list_price = 229_900 + next(self._serials) % 9 * 20_000
        sell_new_bike(
            session=self.session,
            reference=trade_in.reference,
            vehicle_code=bike.vehicle_code,
            invoice_no=f"2633{trade_in.id:016d}",
            price=Price(
                list_price_fen=list_price, discount_fen=20_000, deduction_fen=15_000, paid_fen=list_price - 35_000
            ),
            now=self.clock.now(),
            **self._whose(walk),
        )

    def _applied(self, walk: Walk, trade_in: TradeIn) -> None:
        application = apply_for_plate(
            session=self.session,
            keyring=self.keyring,
            plates=self._plates(walk, "plate_applied"),
            reference=trade_in.reference,
            now=self.clock.now(),
            **self._whose(walk),
        )
        self.session.commit()
        if application.answer is None:
            return
        completion = completion_of(keyring=self.keyring, answer=application.answer)
        outcomes = admit(connection=self.connection, completions=[completion], clock=self.clock, district=self.district)
        if isinstance(outcomes[0], Refusal):
            raise outcomes[0]
        self._changed.add(completion.plate_no)

    def _plates(self, walk: Walk, away_in: str) -> PlateAuthority:
        return PoliceAway() if walk.until == away_in else self.police

    def _whose(self, walk: Walk) -> dict[str, Any]:
        return {"reach": Reach(dealer_id=walk.dealer_id), "actor": self.actor}


def plate_record(row: FilingRow, *, district: str) -> PlateRecord:
    """Return what the police hold about a filed bike that nothing has happened to."""
    return PlateRecord(
        plate_no=row.plate_no,
        status="normal",
        district_code=district,
        owner_name=row.owner_name,
        owner_id_no=row.id_no,
    )
