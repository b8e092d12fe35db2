"""The steps of a transfer (过户): seller and buyer each confirm by one-time code, before a point or staff."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry import audit
from registry.base import Refusal
from registry.code_limits import Asker
from registry.codes import new_message_no
from registry.filing_earlier import require_not_traded_in_earlier
from registry.filing_history import FilingChange
from registry.filings import FiledBike, clean_plate, get_filed_bike
from registry.inputs import Inputs
from registry.messages import owe_message
from registry.one_time_codes import DEEDS, prove_phone, send_code
from registry.opening import NotThisOwner
from registry.people import (
    Person,
    clean_id_number,
    clean_mobile,
    clean_name,
    find_person,
    id_index,
    know_person,
    open_name,
    open_phone,
    phone_index,
    require_unlocked,
)
from registry.sealing import Keyring
from registry.sms_gateway import SmsGateway
from registry.trade_ins import TradeIn
from registry.transfers import PARTIES, TRANSFER, Transfer, find_transfer, require_not_plated
from registry.uniqueness import refusing_duplicates

LOCAL = ZoneInfo("Asia/Shanghai")
LIVES = timedelta(days=7)
SYSTEM = "system"


class TransferOpen(Refusal):
    """The bike has a transfer open already."""

    code = "transfer_open"
    kind = "conflict"
    zh = "号牌 {plate_no} 的车已经有一笔过户在办。"
    en = "The bike {plate_no} has a transfer open already."
    remedy_zh = "请在原来那笔里确认，或先撤回；7 天没有确认的会自动失效。"
    remedy_en = "Confirm or withdraw that one; unconfirmed, it expires after 7 days."
    default_field = "plate_no"


class BikeBeingTradedIn(Refusal):
    """A bike that is being traded in, or was, does not change hands."""

    code = "bike_being_traded_in"
    kind = "conflict"
    zh = "号牌 {plate_no} 的车正在置换或已经换掉，不能过户。"
    en = "The bike {plate_no} is being traded in, or was, and does not change hands."
    remedy_zh = "旧车还没交的，请先撤回置换再过户。"
    remedy_en = "If the old bike was not received yet, withdraw the trade-in first."
    default_field = "plate_no"


class BuyerIsSeller(Refusal):
    """Buyer and seller are one person."""

    code = "buyer_is_seller"
    zh = "买方就是现在的车主。"
    en = "The buyer is the present owner."
    remedy_zh = "请填买方的证件号码。"
    remedy_en = "Give the buyer's ID number."
    default_field = "buyer_id_no"


class BuyerNameDiffers(Refusal):
    """Somebody with this ID number is known under another name."""

    code = "buyer_name_differs"
    zh = "买方的姓名和证件号码对不上。"
    en = "The buyer's name does not belong to this ID number."
    remedy_zh = "请对照买方的证件，把姓名和号码再核对一遍。"
    remedy_en = "Compare name and number with the buyer's card."
    default_field = "buyer_name"


class PartyPhoneMissing(Refusal):
    """No phone is known of a party, so there is nowhere to send the code."""

    code = "party_phone_missing"
    zh = "这一方没有登记过手机号码。"
    en = "No phone of this party is known."
    remedy_zh = "请填本人的手机号码；已经登记过户的，先撤回再重新登记。"
    remedy_en = "Give the party's own mobile number; if the transfer is open, withdraw it and open it again."
    default_field = "seller_phone"


class NotAParty(Refusal):
    """Whoever is signed in confirms for himself, not for the other party."""

    code = "not_a_party"
    kind = "forbidden"
    zh = "您不是这一方。"
    en = "You are not this party."
    remedy_zh = "卖方确认卖方，买方确认买方；也可以到代办点当面确认。"
    remedy_en = "The seller confirms as seller, the buyer as buyer; both may do so at the point."
    default_field = "party"


class TransferExpired(Refusal):
    """Seven days went by without both confirmations."""

    code = "transfer_expired"
    kind = "conflict"
    zh = "这笔过户超过 7 天没有确认，已经失效。"
    en = "This transfer was not confirmed within 7 days and has expired."
    remedy_zh = "仍要过户的，请重新登记。"
    remedy_en = "Open it again if the bike still changes hands."


class OwnerChanged(Refusal):
    """The filing's owner is not the seller any more."""

    code = "owner_changed"
    kind = "conflict"
    zh = "备案车主已经变了，这笔过户不能再办。"
    en = "The filing has another owner now; this transfer cannot be finished."
    remedy_zh = "请撤回，由现在的车主重新登记。"
    remedy_en = "Withdraw it; the present owner opens another."


def open_transfer(
    *,
    session: Session,
    keyring: Keyring,
    plate_no: str,
    seller_name: str,
    seller_id_no: str,
    seller_phone: str | None = None,
    buyer_name: str,
    buyer_id_no: str,
    buyer_phone: str,
    dealer_id: int | None,
    actor: str,
    now: datetime,
) -> Transfer:
    """Open a transfer before a witness who has both people's cards before him; both then confirm within 7 days.

    A phone that is known stays as it is: ``seller_phone`` and ``buyer_phone`` count only where none was known. The
    transaction is left to the caller. Raises the refusals of the cleaning functions, TransferOfPlated, FilingNotFound,
    NotThisOwner, BuyerIsSeller, BuyerNameDiffers, PartyPhoneMissing, BikeBeingTradedIn, TradedInEarlier, PersonLocked
    and TransferOpen.
    """
    inputs = Inputs()
    plate_no = inputs.take("plate_no", clean_plate, plate_no)
    seller_name = inputs.take("seller_name", clean_name, seller_name)
    seller_no = inputs.take("seller_id_no", clean_id_number, seller_id_no)
    phone = inputs.take("seller_phone", clean_mobile, seller_phone) if seller_phone else None
    buyer_name = inputs.take("buyer_name", clean_name, buyer_name)
    buyer_no = inputs.take("buyer_id_no", clean_id_number, buyer_id_no)
    buyer_phone = inputs.take("buyer_phone", clean_mobile, buyer_phone)
    inputs.check()
    require_not_plated(session=session, plate_no=plate_no)
    bike = get_filed_bike(session=session, plate_no=plate_no)
    _expire_earlier(session=session, bike=bike, now=now)
    bike = _lock_bike(session, bike.id)
    seller = session.get_one(Person, bike.owner_id)
    same = seller.id_index == id_index(keyring=keyring, id_no=seller_no)
    if not same or open_name(person=seller, keyring=keyring) != seller_name:
        raise NotThisOwner(field="seller_id_no")
    if buyer_no == seller_no:
        raise BuyerIsSeller
    _require_free(session, bike)
    require_not_traded_in_earlier(session=session, plate_no=plate_no)
    _give_phone(keyring, seller, phone)
    buyer_id = _known_buyer(
        session=session, keyring=keyring, name=buyer_name, id_no=buyer_no, phone=buyer_phone, actor=actor
    )
    require_unlocked(session=session, person_ids=(seller.id, buyer_id))
    transfer = Transfer(
        transfer_no=new_message_no("T"),
        filed_bike_id=bike.id,
        seller_id=seller.id,
        buyer_id=buyer_id,
        dealer_id=dealer_id,
        opened_by=actor,
        opened_at=now,
        expires_at=now + LIVES,
    )
    with refusing_duplicates(session, {"uq_transfer_open": TransferOpen(plate_no=plate_no)}):
        session.add(transfer)
    detail = {"transfer_no": transfer.transfer_no, "seller": seller.id, "buyer": buyer_id}
    _note(session, actor, "filing.transfer_opened", bike, detail)
    return transfer


def send_transfer_code(
    *,
    session: Session,
    keyring: Keyring,
    gateway: SmsGateway,
    transfer_no: str,
    dealer_id: int | None,
    party: str,
    party_id: int | None = None,
    asker: Asker,
    real_now: datetime,
) -> None:
    """Send the seller or the buyer (``party``) a code to the phone on file; its message says what it is for. COMMITS.

    Reach as in ``confirm_transfer``. Raises TransferNotFound, StepNotAllowed, NotAParty, PartyPhoneMissing and what
    ``send_code`` raises.
    """
    transfer = find_transfer(session=session, transfer_no=transfer_no, dealer_id=dealer_id, party_id=party_id)
    TRANSFER.after(state=transfer.state, step="complete")
    plate_no = session.get_one(FiledBike, transfer.filed_bike_id).plate_no
    send_code(
        session=session,
        keyring=keyring,
        gateway=gateway,
        phone=_phone_of(session=session, keyring=keyring, transfer=transfer, party=party, party_id=party_id),
        asker=asker,
        now=real_now,
        purpose=f"transfer_{party}",
        # Whoever tells the clerk this code agrees to this transfer, and to no other opened beside it.
        about=transfer.transfer_no,
        deed=f"{DEEDS[f'transfer_{party}']}（号牌尾号 {plate_no[-4:]}）",
    )


def confirm_transfer(
    *,
    session: Session,
    keyring: Keyring,
    transfer_no: str,
    dealer_id: int | None,
    party: str,
    party_id: int | None = None,
    code: str,
    actor: str,
    now: datetime,
    real_now: datetime,
) -> Transfer:
    """Take the confirmation of the seller or the buyer (``party``) by the code sent; the second completes the transfer.

    ``dealer_id`` restricts to a point's own transfers, ``party_id`` to what one of the two people may confirm; codes
    live in real time. A confirmation given again changes nothing. COMMITS the try at the code; the rest is left to the
    caller. Raises TransferNotFound, StepNotAllowed, NotAParty, PartyPhoneMissing, CodeWrong, TransferExpired (kept,
    committed), BikeBeingTradedIn and OwnerChanged.
    """
    transfer = find_transfer(session=session, transfer_no=transfer_no, dealer_id=dealer_id, party_id=party_id)
    TRANSFER.after(state=transfer.state, step="complete")
    phone = _phone_of(session=session, keyring=keyring, transfer=transfer, party=party, party_id=party_id)
    facts = {"phone": phone, "purpose": f"transfer_{party}", "code": code, "about": transfer_no}
    prove_phone(session=session, keyring=keyring, now=real_now, **facts)
    transfer = _lock(session, transfer_no)
    TRANSFER.after(state=transfer.state, step="complete")
    if transfer.expires_at <= now:
        expired = session.get_one(FiledBike, transfer.filed_bike_id)
        _end(session, transfer, expired, step="expire", actor=SYSTEM, now=now)
        session.commit()
        raise TransferExpired
    bike = _lock_bike(session, transfer.filed_bike_id)
    if bike.owner_id != transfer.seller_id:
        raise OwnerChanged
    _require_free(session, bike)
    if getattr(transfer, f"{party}_confirmed_at") is None:
        setattr(transfer, f"{party}_confirmed_at", now)
        _note(session, actor, "filing.transfer_confirmed", bike, {"transfer_no": transfer.transfer_no, "by": party})
    if transfer.seller_confirmed_at is not None and transfer.buyer_confirmed_at is not None:
        _complete(session=session, transfer=transfer, bike=bike, actor=actor, now=now)
    session.flush()
    return transfer


def withdraw_transfer(
    *,
    session: Session,
    transfer_no: str,
    dealer_id: int | None,
    party_id: int | None = None,
    actor: str,
    now: datetime,
) -> Transfer:
    """Withdraw a transfer not completed yet, by its witness or a party; raises TransferNotFound and StepNotAllowed."""
    find_transfer(session=session, transfer_no=transfer_no, dealer_id=dealer_id, party_id=party_id)
    transfer = _lock(session, transfer_no)
    bike = session.get_one(FiledBike, transfer.filed_bike_id)
    _end(session, transfer, bike, step="withdraw", actor=actor, now=now)
    return transfer


def expire_transfers(*, session: Session, now: datetime, limit: int = 500) -> int:
    """End the transfers whose seven days are over; return how many. The transaction is left to the caller."""
    due = (
        select(Transfer)
        .where(Transfer.state == "opened", Transfer.expires_at <= now)
        .order_by(Transfer.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ended = session.scalars(due).all()
    for transfer in ended:
        bike = session.get_one(FiledBike, transfer.filed_bike_id)
        _end(session, transfer, bike, step="expire", actor=SYSTEM, now=now)
    return len(ended)


def _complete(*, session: Session, transfer: Transfer, bike: FiledBike, actor: str, now: datetime) -> None:
    day = now.astimezone(LOCAL).date()
    before = bike.transferred_on.isoformat() if bike.transferred_on else ""
    changed = (
        ("owner", f"person:{transfer.seller_id}", f"person:{transfer.buyer_id}"),
        ("transferred_on", before, day.isoformat()),
    )
    for field, old, new in changed:
        session.add(FilingChange(filed_bike_id=bike.id, at=now, actor=actor, field=field, old=old, new=new))
    bike.owner_id, bike.transferred_on = transfer.buyer_id, day
    _end(session, transfer, bike, step="complete", actor=actor, now=now)
    for role, person_id in (("卖方", transfer.seller_id), ("买方", transfer.buyer_id)):
        owe_message(
            session=session,
            person_id=person_id,
            dedupe_key=f"transferred:{transfer.id}:{person_id}",
            body=f"号牌 {bike.plate_no} 的备案车已于 {day.isoformat()} 过户，您是{role}。"
            "不是本人办理的，请联系区市场监管局。",
        )


def _end(session: Session, transfer: Transfer, bike: FiledBike, *, step: str, actor: str, now: datetime) -> None:
    before = transfer.state
    transfer.state, transfer.ended_at = TRANSFER.after(state=before, step=step), now
    detail = {"transfer_no": transfer.transfer_no, "state": [before, transfer.state]}
    _note(session, actor, f"filing.transfer_{transfer.state}", bike, detail)
    session.flush()


def _expire_earlier(*, session: Session, bike: FiledBike, now: datetime) -> None:
    query = select(Transfer).where(
        Transfer.filed_bike_id == bike.id, Transfer.state == "opened", Transfer.expires_at <= now
    )
    for earlier in session.scalars(query.with_for_update()):
        _end(session, earlier, bike, step="expire", actor=SYSTEM, now=now)


def _require_free(session: Session, bike: FiledBike) -> None:
    traded = select(TradeIn.id).where(TradeIn.filed_bike_id == bike.id, TradeIn.state != "withdrawn").limit(1)
    if bike.state != "filed" or session.scalar(traded) is not None:
        raise BikeBeingTradedIn(plate_no=bike.plate_no)


def _phone_of(*, session: Session, keyring: Keyring, transfer: Transfer, party: str, party_id: int | None) -> str:
    assert party in PARTIES, party
    person_id = transfer.seller_id if party == "seller" else transfer.buyer_id
    if party_id not in (None, person_id):
        raise NotAParty
    phone = open_phone(person=session.get_one(Person, person_id), keyring=keyring)
    if phone is None:
        raise PartyPhoneMissing(field="party")
    return phone


def _give_phone(keyring: Keyring, seller: Person, phone: str | None) -> None:
    if seller.phone_sealed is not None:
        return
    if phone is None:
        raise PartyPhoneMissing
    seller.phone_sealed = keyring.seal(phone, field="phone")
    seller.phone_index = phone_index(keyring=keyring, phone=phone)


def _known_buyer(*, session: Session, keyring: Keyring, name: str, id_no: str, phone: str, actor: str) -> int:
    known = find_person(session=session, keyring=keyring, id_no=id_no)
    if known is not None and open_name(person=known, keyring=keyring) != name:
        raise BuyerNameDiffers
    if known is not None and known.phone_sealed is not None:
        return known.id  # whoever is known confirms with the phone on file: a witness cannot put another in its place
    return know_person(session=session, keyring=keyring, id_no=id_no, name=name, phone=phone, actor=actor)


def _lock(session: Session, transfer_no: str) -> Transfer:
    query = select(Transfer).where(Transfer.transfer_no == transfer_no)
    return session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()


def _lock_bike(session: Session, bike_id: int) -> FiledBike:
    return session.get_one(FiledBike, bike_id, with_for_update=True, populate_existing=True)


def _note(session: Session, actor: str, action: str, bike: FiledBike, detail: Mapping[str, object]) -> None:
    subject = f"filing:{bike.plate_no}"
    audit.record(session=session, actor=actor, action=action, subject=subject, detail=dict(detail))
