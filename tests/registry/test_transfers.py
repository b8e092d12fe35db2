"""过户: both confirm, nobody else can; a week is the limit; never beside a trade-in."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from registry.base import Refusal, StepNotAllowed
from registry.code_limits import Asker
from registry.filing_history import FilingChange
from registry.filings import FiledBike
from registry.messages import Message
from registry.one_time_codes import CodeWrong, who_holds
from registry.opening import NotThisOwner, open_trade_in
from registry.people import Person, open_phone
from registry.plates import Plate
from registry.trade_ins import TradeIn
from registry.transferring import (
    BikeBeingTradedIn,
    BuyerIsSeller,
    NotAParty,
    PartyPhoneMissing,
    TransferExpired,
    TransferOpen,
    confirm_transfer,
    expire_transfers,
    open_transfer,
    send_transfer_code,
    withdraw_transfer,
)
from registry.transfers import Transfer, TransferNotFound, TransferOfPlated
from tests.registry.line import DISTRICT, LOCAL, NOW, District, Owner, id_number

WITNESS = "account:1"
BUYER = {"buyer_name": "王小明", "buyer_id_no": id_number(880_001), "buyer_phone": "13911110001"}


@dataclass
class Gateway:
    """Hands over what was sent."""

    texts: dict[str, str] = field(default_factory=dict)

    def send(self, *, message_no: str, phone: str, text: str) -> None:
        self.texts[phone] = text


@pytest.fixture
def dealer_id(district: District) -> int:
    return district.dealer().id


@pytest.fixture
def seller(district: District) -> Owner:
    return district.owner()


@pytest.fixture
def start(district: District, seller: Owner, dealer_id: int) -> Callable[..., Transfer]:
    def opened(**changed: object) -> Transfer:
        facts = {
            "plate_no": seller.plate_no,
            "seller_name": seller.name,
            "seller_id_no": seller.id_no,
            "seller_phone": seller.phone,
            "now": NOW,
            **BUYER,
            **changed,
        }
        transfer = open_transfer(
            session=district.session,
            keyring=district.keyring,
            dealer_id=dealer_id,
            actor=WITNESS,
            **facts,  # type: ignore[arg-type]
        )
        district.session.commit()
        return transfer

    return opened


def code_for(session: Session, district: District, transfer_no: str, party: str) -> tuple[str, str]:
    """The phone a code was sent to, and the code."""
    gateway = Gateway()
    send_transfer_code(
        session=session,
        keyring=district.keyring,
        gateway=gateway,
        transfer_no=transfer_no,
        dealer_id=None,
        party=party,
        asker=Asker(address="127.0.0.1", device=None),
        real_now=NOW,
    )
    [(phone, text)] = gateway.texts.items()
    assert "过户" in text
    found = re.search(r"\d{6}", text)
    assert found
    return phone, found[0]


def confirm(
    session: Session, district: District, transfer_no: str, party: str, *, code: str | None = None, **changed: object
) -> Transfer:
    """Ask for a code, type it, and commit."""
    if code is None:
        _, code = code_for(session, district, transfer_no, party)
    facts = {"dealer_id": None, "now": NOW, **changed}
    transfer = confirm_transfer(
        session=session,
        keyring=district.keyring,
        transfer_no=transfer_no,
        party=party,
        code=code,
        actor=WITNESS,
        real_now=NOW,
        **facts,  # type: ignore[arg-type]
    )
    session.commit()
    return transfer


def filing(district: District, owner: Owner) -> FiledBike:
    district.session.rollback()
    district.session.expire_all()
    return district.session.get_one(FiledBike, owner.filed_bike_id)


def start_trade_in(session: Session, district: District, owner: Owner, dealer_id: int) -> TradeIn:
    return open_trade_in(
        session=session,
        keyring=district.keyring,
        plates=district.police,
        district=DISTRICT,
        dealer_id=dealer_id,
        plate_no=owner.plate_no,
        owner_name=owner.name,
        owner_id_no=owner.id_no,
        owner_phone=owner.phone,
        actor=WITNESS,
        now=NOW,
    )


def test_both_confirm_and_the_bike_is_the_buyers(
    district: District, seller: Owner, start: Callable[..., Transfer]
) -> None:
    session, transfer = district.session, start()
    confirm(session, district, transfer.transfer_no, "seller")
    assert filing(district, seller).owner_id == seller.person_id, "one confirmation moves nothing"
    done = confirm(session, district, transfer.transfer_no, "buyer")
    assert (done.state, done.ended_at) == ("completed", NOW)
    bike = filing(district, seller)
    assert (bike.owner_id, bike.transferred_on) == (transfer.buyer_id, NOW.astimezone(LOCAL).date())
    changes = session.scalars(select(FilingChange).order_by(FilingChange.id)).all()
    assert [(each.field, each.old, each.new) for each in changes] == [
        ("owner", f"person:{seller.person_id}", f"person:{transfer.buyer_id}"),
        ("transferred_on", "", "2026-06-20"),
    ]
    told = session.scalars(select(Message.person_id).order_by(Message.person_id)).all()
    assert told == [seller.person_id, transfer.buyer_id]
    with pytest.raises(StepNotAllowed):
        confirm(session, district, transfer.transfer_no, "seller", now=NOW + timedelta(minutes=2), code="000000")


def test_a_code_goes_to_the_partys_own_phone_and_is_good_for_that_party_alone(
    district: District, seller: Owner, start: Callable[..., Transfer]
) -> None:
    session, transfer = district.session, start()
    phone, code = code_for(session, district, transfer.transfer_no, "seller")
    assert phone == seller.phone
    for party, typed in (("buyer", code), ("seller", f"{(int(code) + 1) % 10**6:06d}")):
        with pytest.raises(CodeWrong):
            confirm(session, district, transfer.transfer_no, party, code=typed)
        session.rollback()
    with pytest.raises(CodeWrong):
        who_holds(session=session, keyring=district.keyring, phone=phone, code=code, id_tail=None, now=NOW)
    session.rollback()
    for reach, refusal in (
        ({"dealer_id": (transfer.dealer_id or 0) + 1}, TransferNotFound),
        ({"party_id": district.owner().person_id}, TransferNotFound),
        ({"party_id": transfer.buyer_id}, NotAParty),
    ):
        with pytest.raises(refusal):
            confirm(session, district, transfer.transfer_no, "seller", code=code, **reach)
        session.rollback()
    done = confirm(session, district, transfer.transfer_no, "seller", code=code, party_id=seller.person_id)
    assert (done.state, done.seller_confirmed_at) == ("opened", NOW)


def test_a_known_phone_is_not_replaced_by_what_a_witness_types(
    district: District, seller: Owner, start: Callable[..., Transfer]
) -> None:
    session, transfer = district.session, start()
    withdraw_transfer(session=session, transfer_no=transfer.transfer_no, dealer_id=None, actor=WITNESS, now=NOW)
    start(seller_phone="13999999999", buyer_phone="13999999998")
    for person_id, phone in ((transfer.seller_id, seller.phone), (transfer.buyer_id, BUYER["buyer_phone"])):
        person = session.get_one(Person, person_id)
        assert open_phone(person=person, keyring=district.keyring) == phone


def test_what_opening_refuses(
    district: District, seller: Owner, start: Callable[..., Transfer], dealer_id: int
) -> None:
    with pytest.raises(NotThisOwner) as wrong:
        start(seller_name="王小明")
    assert wrong.value.field == "seller_id_no"
    with pytest.raises(BuyerIsSeller):
        start(buyer_id_no=seller.id_no)
    with pytest.raises(PartyPhoneMissing):
        start(seller_phone=None)
    start()
    with pytest.raises(TransferOpen):
        start()
    district.session.rollback()
    other = district.owner()
    start_trade_in(district.session, district, other, dealer_id)
    district.session.commit()
    with pytest.raises(BikeBeingTradedIn):
        start(plate_no=other.plate_no, seller_id_no=other.id_no)


def test_a_new_bikes_own_plate_is_not_transferred_here(
    district: District, seller: Owner, start: Callable[..., Transfer]
) -> None:
    bike = district.stock(district.dealer())
    district.session.add(
        Plate(plate_no="A900001", bike_id=bike.id, holder_id=seller.person_id, application_no="P1", issued_at=NOW)
    )
    district.session.commit()
    with pytest.raises(TransferOfPlated) as told:
        start(plate_no="a900001")
    assert (told.value.field, told.value.facts["plate_no"]) == ("plate_no", "A900001")


def test_a_week_without_both_confirmations_ends_it(
    district: District, seller: Owner, start: Callable[..., Transfer]
) -> None:
    session = district.session
    first = start()
    last_moment = NOW + timedelta(days=7) - timedelta(seconds=1)
    confirm(session, district, first.transfer_no, "seller", now=last_moment)
    with pytest.raises(TransferExpired):
        confirm(session, district, first.transfer_no, "buyer", now=NOW + timedelta(days=7))
    session.refresh(first)
    assert first.state == "expired", "kept, though the confirmation was refused"
    second = start(now=NOW + timedelta(days=7))
    third = start(now=NOW + timedelta(days=14))
    session.refresh(second)
    assert second.state == "expired", "an expired one makes room for the next"
    assert expire_transfers(session=session, now=third.expires_at - timedelta(seconds=1)) == 0
    assert expire_transfers(session=session, now=third.expires_at) == 1
    assert filing(district, seller).owner_id == seller.person_id


def test_a_trade_in_opened_while_the_transfer_completes_and_one_of_them_wins(
    district: District, seller: Owner, start: Callable[..., Transfer], dealer_id: int, engine: Engine
) -> None:
    """Whoever comes first, the trade-in never belongs to somebody who no longer owns the bike."""
    transfer_no = start().transfer_no
    confirm(district.session, district, transfer_no, "seller")

    def complete() -> str:
        with Session(engine, expire_on_commit=False) as mine:
            try:
                return confirm(mine, district, transfer_no, "buyer").state
            except Refusal as refusal:
                return refusal.code

    def trade_in() -> str:
        with Session(engine, expire_on_commit=False) as mine:
            try:
                start_trade_in(mine, district, seller, dealer_id)
                mine.commit()
            except Refusal as refusal:
                return refusal.code
            return "opened"

    with ThreadPoolExecutor(2) as pool:
        outcomes = {pool.submit(complete), pool.submit(trade_in)}
        told = {future.result() for future in outcomes}
    assert told in ({"completed", "not_this_owner"}, {"bike_being_traded_in", "opened"})
    bike = filing(district, seller)
    for owner_id in district.session.scalars(select(TradeIn.owner_id)):
        assert owner_id == bike.owner_id


def test_a_code_sent_for_one_transfer_confirms_no_other_of_the_same_seller(
    district: District, start: Callable[..., Transfer], seller: Owner, dealer_id: int
) -> None:
    session = district.session
    honest = start().transfer_no
    other = district.owner()
    session.get_one(FiledBike, other.filed_bike_id).owner_id = seller.person_id
    session.commit()
    stolen = start(plate_no=other.plate_no).transfer_no
    gateway = Gateway()
    send_transfer_code(
        session=session,
        keyring=district.keyring,
        gateway=gateway,
        transfer_no=honest,
        dealer_id=dealer_id,
        party="seller",
        asker=Asker(address="127.0.0.1", device=None),
        real_now=NOW,
    )
    assert f"（号牌尾号 {seller.plate_no[-4:]}）" in gateway.texts[seller.phone]
    found = re.search(r"验证码 (\d{6})", gateway.texts[seller.phone])
    assert found
    with pytest.raises(CodeWrong):
        confirm(session, district, stolen, "seller", code=found[1])
    assert confirm(session, district, honest, "seller", code=found[1]).seller_confirmed_at == NOW
