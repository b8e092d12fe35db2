"""A small district to run the line in: dealers, an owner with a filed bike, stock, the fake police and bank."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session
from stdnum.cn import ric

from app.clients.plates.fake import FakePolice
from app.clients.plates.server import Options as PoliceOptions
from app.district.pictures import made_picture
from registry.bike_models import ModelFacts, keep_model
from registry.bikes import Bike
from registry.cancelling import cancel_old_plate
from registry.dealers import Dealer
from registry.destruction import MOST_OVERDUE
from registry.filings import FiledBike
from registry.opening import open_trade_in
from registry.people import know_person
from registry.plate_authority import PlateRecord
from registry.receiving import add_photo, receive_old_bike
from registry.sealing import Keyring
from registry.selling import Price
from registry.stocking import NewBike, stock_in
from registry.trade_ins import EVERYBODYS, PHOTO_KINDS, TradeIn

DISTRICT = "330105"
LOCAL = ZoneInfo("Asia/Shanghai")
KEY = b"a key shared by both sides of it"
NOW = datetime(2026, 6, 20, 2, 0, tzinfo=UTC)
PRICE = Price(list_price_fen=299_900, discount_fen=20_000, deduction_fen=10_000, paid_fen=269_900)
REACH = EVERYBODYS
ACTOR = "account:1"
_numbers = count(1)


def id_number(serial: int, *, born: date = date(1970, 1, 1)) -> str:
    """A citizen ID number of nobody, with a right check character; one per serial."""
    body = f"330105{born + timedelta(days=serial // 999):%Y%m%d}{serial % 999 + 1:03d}"
    return body + ric.calc_check_digit(f"{body}0")


def picture() -> bytes:
    """A picture never used before."""
    return made_picture(next(_numbers))


@dataclass(frozen=True, kw_only=True)
class Owner:
    """An owner and the old bike filed in their name."""

    person_id: int
    filed_bike_id: int
    plate_no: str
    name: str
    id_no: str
    phone: str
    frame_no: str


@dataclass(kw_only=True)
class District:
    """What the tests of the line stand on. Sessions are the test's own; everything made here is committed."""

    session: Session
    keyring: Keyring
    police: FakePolice
    now: datetime = NOW

    def dealer(self, *, state: str = "licensed", trade_in_on: bool = True) -> Dealer:
        serial = next(_numbers)
        dealer = Dealer(
            name=f"第{serial}车行",
            credit_code=f"9133010500{serial:08d}",
            sub_district="米市巷街道",
            address=f"莫干山路 {serial} 号",
            phone="0571-88000000",
            opening_hours="8:30–18:00",
            state=state,
            point_no=f"{serial:04d}",
            licensed_at=self.now,
            trade_in_on=trade_in_on,
        )
        self.session.add(dealer)
        self.certify(new_bike())
        self.session.commit()
        return dealer

    def owner(self, *, plate_no: str | None = None, police_status: str = "normal") -> Owner:
        serial = next(_numbers)
        name, id_no, phone = "陈建英", id_number(serial), f"138{serial:08d}"
        person_id = know_person(session=self.session, keyring=self.keyring, id_no=id_no, name=name, phone=None)
        bike = FiledBike(
            plate_no=plate_no or f"B{serial:06d}",
            owner_id=person_id,
            filed_on=date(2021, 3, 1),
            brand="雅迪",
            frame_no=f"FR-{serial:08d}",
            sub_district="米市巷街道",
        )
        self.session.add(bike)
        self.session.commit()
        self.police.load(
            [
                PlateRecord(
                    plate_no=bike.plate_no,
                    status=police_status,  # type: ignore[arg-type]
                    district_code=DISTRICT,
                    owner_name=name,
                    owner_id_no=id_no,
                )
            ]
        )
        return Owner(
            person_id=person_id,
            filed_bike_id=bike.id,
            plate_no=bike.plate_no,
            name=name,
            id_no=id_no,
            phone=phone,
            frame_no=bike.frame_no,
        )

    def stock(self, dealer: Dealer, *, vehicle_code: str | None = None, **changed: object) -> Bike:
        made = new_bike(vehicle_code=vehicle_code, **changed)
        self.certify(made)
        today = self.now.astimezone(LOCAL).date()
        bike = stock_in(session=self.session, dealer_id=dealer.id, bike=made, actor="account:1", today=today)
        self.session.commit()
        return bike

    def certify(self, bike: NewBike) -> None:
        """Put the bike's model into the catalogue."""
        facts = ModelFacts(
            maker_code=bike.vehicle_code[:4],
            name=bike.model,
            ccc_no="2025011119000001",
            standard=bike.standard,
            valid_from=date(2020, 1, 1),
            valid_until=date(2040, 12, 31),
            battery_kind="lithium",
            weight_g=54_000,
            top_speed_m_h=25_000,
            motor_w=400,
            voltage_mv=48_000,
        )
        keep_model(session=self.session, facts=facts, actor="account:1")

    def open(
        self,
        owner: Owner,
        dealer: Dealer,
        *,
        session: Session | None = None,
        now: datetime = NOW,
        most_overdue: int = MOST_OVERDUE,
    ) -> TradeIn:
        """The owner's trade-in, opened at the dealer; in the test's session or another."""
        session = session or self.session
        trade_in = open_trade_in(
            session=session,
            keyring=self.keyring,
            plates=self.police,
            district=DISTRICT,
            dealer_id=dealer.id,
            plate_no=owner.plate_no,
            owner_name=owner.name,
            owner_id_no=owner.id_no,
            owner_phone=owner.phone,
            actor=ACTOR,
            now=now,
            most_overdue=most_overdue,
        )
        session.commit()
        return trade_in

    def receive(self, owner: Owner, dealer: Dealer, *, last_photo: bytes | None = None) -> str:
        """The reference of a trade-in whose old bike the point has, with pictures never used before."""
        session, reference = self.session, self.open(owner, dealer).reference
        photos = [*(picture() for _ in PHOTO_KINDS[1:]), last_photo or picture()]
        for kind, photo in zip(PHOTO_KINDS, photos, strict=True):
            add_photo(session=session, reference=reference, reach=REACH, kind=kind, image=photo, actor=ACTOR)
        receive_old_bike(
            session=session,
            reference=reference,
            reach=REACH,
            recycling_certificate_no=f"HS{owner.plate_no}",
            frame_no=owner.frame_no,
            complete=True,
            actor=ACTOR,
            now=NOW,
        )
        session.commit()
        return reference

    def cancel(self, reference: str) -> TradeIn:
        """The trade-in once the point has asked the police to cancel its old plate."""
        trade_in = cancel_old_plate(
            session=self.session,
            keyring=self.keyring,
            plates=self.police,
            reference=reference,
            reach=REACH,
            actor=ACTOR,
            now=NOW,
        )
        self.session.commit()
        return trade_in

    def trade_in(self, reference: str) -> TradeIn:
        """The trade-in as the database has it now."""
        self.session.rollback()
        self.session.expire_all()
        trade_in = self.session.query(TradeIn).filter_by(reference=reference).one()
        self.session.rollback()
        return trade_in


def new_bike(*, vehicle_code: str | None = None, **changed: object) -> NewBike:
    """A compliant bike never seen before."""
    serial = next(_numbers)
    facts: dict[str, object] = {
        "vehicle_code": vehicle_code or f"1182226{serial:08d}",
        "certificate_no": f"CCC2026{serial:06d}",
        "battery_code": f"BAT{serial:08d}",
        "battery_kind": "lithium",
        "model": "TDT-26",
        "standard": "GB 17761-2024",
        "made_on": date(2026, 1, 15),
        "weight_g": 54_000,
        "top_speed_m_h": 25_000,
        "motor_w": 400,
        "voltage_mv": 48_000,
    }
    return NewBike(**{**facts, **changed})  # type: ignore[arg-type]


def make_district(session: Session, keyring: Keyring) -> District:
    """A district whose police answer everything at once."""
    return District(session=session, keyring=keyring, police=FakePolice(PoliceOptions(key=KEY, now=lambda: NOW)))
