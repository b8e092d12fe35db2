"""Opening a trade-in: a licensed point, a filed bike, its owner; then the traffic police have to agree."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from registry import audit
from registry.base import PartnerUnavailable, Refusal
from registry.codes import new_reference
from registry.dealers import lock_dealer, require_licensed
from registry.destruction import MOST_OVERDUE, require_few_overdue
from registry.filing_earlier import require_not_traded_in_earlier
from registry.filings import FiledBike, clean_plate, get_filed_bike
from registry.inputs import Inputs
from registry.messages import owe_message
from registry.name_variants import NameMatch, match_names
from registry.outlook import NoSubsidy, SubsidyOutlook
from registry.people import (
    Person,
    clean_id_number,
    clean_mobile,
    clean_name,
    id_index,
    know_person,
    open_id_number,
    open_name,
)
from registry.plate_authority import PlateAuthority, PlateRecord
from registry.sealing import Keyring
from registry.trade_ins import EVERYBODYS, TRADE_IN, Reach, TradeIn, lock_trade_in

_REFERENCE_TRIES = 20


class NotThisOwner(Refusal):
    """The filing is another person's. It never says whose, nor which of name and number was wrong."""

    code = "not_this_owner"
    zh = "姓名、证件号码和这辆车的备案车主对不上。"
    en = "Name and ID number are not those of this bike's filed owner."
    remedy_zh = "请核对证件和号牌；车已过户的，请先到交警办理过户，再来置换。"
    remedy_en = "Check ID card and plate; a bike that changed hands has to be transferred at the police first."
    default_field = "owner_id_no"


class AlreadyOpened(Refusal):
    """Another trade-in for this bike is open or done: one old bike is traded in once."""

    code = "already_opened"
    kind = "conflict"
    zh = "号牌 {plate_no} 的车已经登记过置换：{where_zh}。"
    en = "The bike {plate_no} has a trade-in already: {where_en}."
    remedy_zh = "没办完的，请在原来那笔里继续；登记错了且旧车还没收的，可以先撤回。一辆旧车只能换一次。"
    remedy_en = "Continue with it, or withdraw it if the bike was not received yet. An old bike is traded in once."
    default_field = "plate_no"


class PoliceDisagree(Refusal):
    """The traffic police's record does not allow this trade-in. The trade-in stays opened with the refusal kept."""

    code = "police_disagree"
    default_field = "plate_no"


class PlateUnknownToPolice(PoliceDisagree):
    """The police know no such plate."""

    code = "plate_unknown_to_police"
    zh = "交警的号牌系统里没有号牌 {plate_no}。"
    en = "The police know no plate {plate_no}."
    remedy_zh = "请对照号牌再看一遍；号牌确实没错的，请车主到交警窗口核实。"
    remedy_en = "Compare with the plate; if it is right, the owner asks at the police counter."


class PlateStolen(PoliceDisagree):
    """The plate is reported stolen."""

    code = "plate_stolen"
    zh = "号牌 {plate_no} 已登记被盗抢，不能置换。"
    en = "The plate {plate_no} is reported stolen."
    remedy_zh = "请车主到交警窗口处理；处理好以后，可以再核对一次。"
    remedy_en = "The owner clears it with the police; then ask for verification again."


class PlateDisputed(PoliceDisagree):
    """The plate is under dispute."""

    code = "plate_disputed"
    zh = "号牌 {plate_no} 有未了结的纠纷，不能置换。"
    en = "The plate {plate_no} is under dispute."
    remedy_zh = "请车主到交警窗口处理；处理好以后，可以再核对一次。"
    remedy_en = "The owner clears it with the police; then ask for verification again."


class PlateAlreadyCancelled(PoliceDisagree):
    """The plate was cancelled before."""

    code = "plate_already_cancelled"
    zh = "号牌 {plate_no} 早已注销，不能再置换。"
    en = "The plate {plate_no} was cancelled before."
    remedy_zh = "请核对号牌；对注销有疑问的，请车主到交警窗口核实。"
    remedy_en = "Check the plate; if the cancellation is in doubt, the owner asks the police."


class PlateOfOtherDistrict(PoliceDisagree):
    """The plate belongs to another district."""

    code = "plate_of_other_district"
    zh = "号牌 {plate_no} 不是本区的。"
    en = "The plate {plate_no} is not of this district."
    remedy_zh = "请到号牌所在区的代办点办理。"
    remedy_en = "Go to a point in the plate's own district."


class PlateOfOtherOwner(PoliceDisagree):
    """The police hold the plate under another name."""

    code = "plate_of_other_owner"
    zh = "交警登记的号牌 {plate_no} 车主不是这位。"
    en = "The police hold the plate {plate_no} under another owner."
    remedy_zh = "请先到交警办理过户，再来置换。"
    remedy_en = "Have the plate transferred at the police first."


STATUS_REFUSALS = {"stolen": PlateStolen, "disputed": PlateDisputed, "cancelled": PlateAlreadyCancelled}


def open_trade_in(
    *,
    session: Session,
    keyring: Keyring,
    plates: PlateAuthority,
    district: str,
    dealer_id: int,
    plate_no: str,
    owner_name: str,
    owner_id_no: str,
    owner_phone: str,
    actor: str,
    now: datetime,
    most_overdue: int = MOST_OVERDUE,
    outlook: SubsidyOutlook | None = None,
) -> TradeIn:
    """Open a trade-in and ask the police; commits before asking and leaves the last transaction to the caller.

    Returns it ``old_bike_verified``, or still ``opened`` where the police could not be asked (``verify_old_bike`` asks
    again). Opening again at the same point before the police agreed continues the first. Texts may be as typed. A
    point with more than ``most_overdue`` old bikes whose destruction is overdue opens none. ``outlook`` lets the owner
    be told at once where no subsidy will come; without one nothing is said of it.

    Raises the refusals of the cleaning functions, PointNotLicensed, TooManyOverdue, FilingNotFound, NotThisOwner,
    TradedInEarlier, PersonLocked, AlreadyOpened and the subclasses of PoliceDisagree.
    """
    dealer = lock_dealer(session=session, dealer_id=dealer_id, to_change=False)
    require_licensed(dealer=dealer, now=now)
    require_few_overdue(session=session, dealer_id=dealer_id, now=now, most=most_overdue)
    inputs = Inputs()
    plate_no = inputs.take("plate_no", clean_plate, plate_no)
    name = inputs.take("owner_name", clean_name, owner_name)
    id_no = inputs.take("owner_id_no", clean_id_number, owner_id_no)
    phone = inputs.take("owner_phone", clean_mobile, owner_phone)
    inputs.check()
    bike = get_filed_bike(session=session, plate_no=plate_no)
    _require_owner(session=session, keyring=keyring, bike=bike, id_no=id_no, name=name)
    require_not_traded_in_earlier(session=session, plate_no=plate_no)
    know_person(session=session, keyring=keyring, id_no=id_no, name=name, phone=phone, actor=actor)
    trade_in = _insert(session=session, bike=bike, dealer_id=dealer_id, actor=actor, now=now)
    session.commit()
    try:
        return _ask_police(
            session=session,
            keyring=keyring,
            plates=plates,
            district=district,
            trade_in=trade_in,
            bike=bike,
            reach=EVERYBODYS,
            actor=actor,
            now=now,
            outlook=outlook,
        )
    except PartnerUnavailable:
        return trade_in


def verify_old_bike(
    *,
    session: Session,
    keyring: Keyring,
    plates: PlateAuthority,
    district: str,
    reference: str,
    reach: Reach,
    actor: str,
    now: datetime,
    outlook: SubsidyOutlook | None = None,
) -> TradeIn:
    """Ask the police about the old bike and freeze what they say; → ``old_bike_verified``.

    The owner is told by text, where no subsidy will come (``outlook``) with the reason and whatever consent stands. No
    transaction is open while the police are asked; the last one is left to the caller. Raises TradeInNotFound,
    StepNotAllowed, PartnerUnavailable, and a subclass of PoliceDisagree (kept on the trade-in, committed).
    """
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    TRADE_IN.after(state=trade_in.state, step="verify")
    bike = session.get_one(FiledBike, trade_in.filed_bike_id)
    session.commit()
    return _ask_police(
        session=session,
        keyring=keyring,
        plates=plates,
        district=district,
        trade_in=trade_in,
        bike=bike,
        reach=reach,
        actor=actor,
        now=now,
        outlook=outlook,
    )


def withdraw(*, session: Session, reference: str, reach: Reach, actor: str, now: datetime) -> TradeIn:
    """Withdraw a trade-in whose old bike was not received yet; the bike may be traded in again later.

    The transaction is left to the caller. Raises TradeInNotFound and StepNotAllowed.
    """
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    trade_in.state = TRADE_IN.after(state=trade_in.state, step="withdraw")
    _note(session, actor, "trade_in.withdrawn", trade_in, {"at": now.isoformat()})
    owe_message(
        session=session,
        person_id=trade_in.owner_id,
        dedupe_key=f"withdrawn:{reference}",
        body=f"您的置换 {reference} 已撤回。需要时可以重新登记。",
    )
    session.flush()
    return trade_in


def _ask_police(
    *,
    session: Session,
    keyring: Keyring,
    plates: PlateAuthority,
    district: str,
    trade_in: TradeIn,
    bike: FiledBike,
    reach: Reach,
    actor: str,
    now: datetime,
    outlook: SubsidyOutlook | None,
) -> TradeIn:
    """Ask about the trade-in's old bike, with no transaction open, and write down what they say."""
    reference = trade_in.reference
    record = plates.look_up(plate_no=bike.plate_no)
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    if trade_in.state == "old_bike_verified":
        return trade_in  # a second asking, side by side with the first, heard the same
    TRADE_IN.after(state=trade_in.state, step="verify")
    owner = session.get_one(Person, trade_in.owner_id)
    refusal = _judge(record=record, keyring=keyring, owner=owner, district=district, trade_in=trade_in, bike=bike)
    if refusal is not None or record is None:
        assert refusal is not None, "an unknown plate is refused"
        trade_in.refusal = refusal.message_zh[:200]
        _note(session, actor, "trade_in.verification_refused", trade_in, {"code": refusal.code})
        session.commit()
        raise refusal
    police_name = match_names(record.owner_name, open_name(person=owner, keyring=keyring))
    _freeze(trade_in=trade_in, record=record, police_name=police_name, now=now)
    # What has changed is written down below, as long as nothing of it has gone to the database.
    with session.no_autoflush:
        no_subsidy = outlook(session=session, trade_in=trade_in) if outlook is not None else None
    _note(session, actor, "trade_in.verified", trade_in, {"no_subsidy": no_subsidy.code} if no_subsidy else {})
    _tell_verified(session, trade_in, bike, no_subsidy)
    session.flush()
    return trade_in


def _tell_verified(session: Session, trade_in: TradeIn, bike: FiledBike, no_subsidy: NoSubsidy | None) -> None:
    """Tell the owner what comes next. That no subsidy will come is no mere news of a step: it reaches everybody."""
    registered = f"您的旧车（{bike.plate_no}）已登记置换，查询号 {trade_in.reference}。"
    if no_subsidy is not None:
        body = (
            f"{registered}请注意，这辆车领不了补贴：{no_subsidy.zh}不想换的，交旧车以前可以到代办点撤回，什么都不会少。"
        )
    else:
        body = f"{registered}请把旧车交给代办点；交旧车以前可以撤回。补贴名额不预留，新号牌发下来才排上队。"
    owe_message(
        session=session,
        person_id=trade_in.owner_id,
        dedupe_key=f"verified:{trade_in.reference}",
        kind="decision" if no_subsidy else "step",
        body=body,
    )


def _require_owner(*, session: Session, keyring: Keyring, bike: FiledBike, id_no: str, name: str) -> None:
    owner = session.get_one(Person, bike.owner_id)
    same_number = owner.id_index == id_index(keyring=keyring, id_no=id_no)
    same = same_number and open_name(person=owner, keyring=keyring, locked_too=True) == name
    if not same:
        raise NotThisOwner


def _insert(*, session: Session, bike: FiledBike, dealer_id: int, actor: str, now: datetime) -> TradeIn:
    owner_id = bike.owner_id
    session.refresh(bike, with_for_update=True)
    if bike.owner_id != owner_id:
        raise NotThisOwner  # it changed hands between the look at its owner and now
    if bike.state != "filed":
        raise AlreadyOpened(plate_no=bike.plate_no, where_zh="旧车已经收下", where_en="the old bike was received")
    for _ in range(_REFERENCE_TRIES):
        row = insert(TradeIn).values(
            reference=new_reference(),
            dealer_id=dealer_id,
            filed_bike_id=bike.id,
            owner_id=bike.owner_id,
            opening={"point_licensed": True},
            opened_at=now,
        )
        # Either the bike has an open trade-in, or (one in a hundred thousand) the reference is taken: look which.
        trade_in_id = session.scalar(row.on_conflict_do_nothing().returning(TradeIn.id))
        if trade_in_id is not None:
            trade_in = session.get_one(TradeIn, trade_in_id)
            _note(session, actor, "trade_in.opened", trade_in, {})
            return trade_in
        earlier = session.scalar(select(TradeIn).where(TradeIn.filed_bike_id == bike.id, text("state <> 'withdrawn'")))
        if earlier is not None:
            return _continue(earlier=earlier, bike=bike, dealer_id=dealer_id)
    raise RuntimeError(f"{_REFERENCE_TRIES} references in a row were taken")


def _continue(*, earlier: TradeIn, bike: FiledBike, dealer_id: int) -> TradeIn:
    mine = earlier.dealer_id == dealer_id
    if mine and earlier.state == "opened":
        return earlier
    where_zh = f"查询号 {earlier.reference}" if mine else "在另一家代办点"
    where_en = f"its reference is {earlier.reference}" if mine else "it is at another point"
    raise AlreadyOpened(plate_no=bike.plate_no, where_zh=where_zh, where_en=where_en)


def _judge(
    *,
    record: PlateRecord | None,
    keyring: Keyring,
    owner: Person,
    district: str,
    trade_in: TradeIn,
    bike: FiledBike,
) -> PoliceDisagree | None:
    facts = {"plate_no": bike.plate_no, "reference": trade_in.reference}
    if record is None:
        return PlateUnknownToPolice(**facts)
    if record.status in STATUS_REFUSALS:
        return STATUS_REFUSALS[record.status](**facts)
    if record.district_code != district:
        return PlateOfOtherDistrict(**facts)
    if record.owner_id_no != open_id_number(person=owner, keyring=keyring):
        return PlateOfOtherOwner(**facts)
    return None


def _freeze(*, trade_in: TradeIn, record: PlateRecord, police_name: NameMatch, now: datetime) -> None:
    trade_in.state = TRADE_IN.after(state=trade_in.state, step="verify")
    trade_in.verified_at = now
    trade_in.refusal = None
    trade_in.opening = {
        **trade_in.opening,
        "plate_status": record.status,
        "plate_district": record.district_code,
        "plate_owner_matches": True,
        "police_name": police_name,
    }


def _note(session: Session, actor: str, action: str, trade_in: TradeIn, detail: dict[str, str]) -> None:
    facts = {**audit.changes_of(trade_in, "state"), **detail}
    audit.record(session=session, actor=actor, action=action, subject=f"trade_in:{trade_in.reference}", detail=facts)
