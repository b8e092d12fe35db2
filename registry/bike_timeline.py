"""The life of a bike as a timeline: a filed one from filing to destruction, a new one from stock-in onward.

Told to its owner, its dealer and staff only. Whoever did something is told by role, never by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from registry.accounts import Account
from registry.audit import AuditEntry
from registry.base import Refusal
from registry.batteries import Battery, BatterySwap, BikeNotFound
from registry.bikes import Bike, Sale
from registry.destruction import PART_WORDS, destructions_of
from registry.filing_history import FilingChange
from registry.filings import FiledBike
from registry.plates import Plate
from registry.trade_ins import Reach, TradeIn
from registry.transfers import transfers_of

LOCAL = ZoneInfo("Asia/Shanghai")
POLICE = "partner:plates"
ROLE_WORDS = {"owner": "车主", "dealer": "代办点", "staff": "区市场监管局", "police": "交警", "system": "系统"}
FIELD_WORDS = {"filed_on": "备案日期", "brand": "品牌", "frame_no": "车架号", "sub_district": "街道"}
REASON_WORDS = {"worn": "老化", "damaged": "损坏", "recalled": "召回", "changed": "换用"}


class FilingOutOfReach(Refusal):
    """There is no such filing within reach. Somebody else's is told in the same words as none at all."""

    code = "filing_out_of_reach"
    kind = "not_found"
    zh = "没有找到号牌 {plate_no} 的备案车。"
    en = "There is no filed bike with the plate {plate_no}."
    remedy_zh = "请对照车尾的牌子再看一遍；只能查看自己名下或者本店收下的车。"
    remedy_en = "Compare with the plate; you can see your own bike, or one your point has a trade-in for."
    default_field = "plate_no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened: its instant (UTC), or its day in Asia/Shanghai where no more is known (``at`` is None).

    ``who`` is a key of ROLE_WORDS, None where nobody is known. ``facts`` hold no personal data.
    """

    kind: str
    zh: str
    en: str
    at: datetime | None = None
    on: date | None = None
    who: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def when(self) -> datetime:
        """What events are ordered by."""
        if self.at is not None:
            return self.at
        assert self.on is not None, "an event has its instant or its day"
        return datetime.combine(self.on, time(), tzinfo=LOCAL)


def filed_bike_timeline(*, session: Session, plate_no: str, reach: Reach) -> list[Event]:
    """Return what happened to a filed bike, oldest first; raises FilingOutOfReach outside ``reach``.

    An owner reaches the bike filed in his name now, a dealer those it has a trade-in for, staff all.
    """
    bike = session.scalar(select(FiledBike).where(FiledBike.plate_no == plate_no))
    if bike is None or not _filing_within(session, bike, reach):
        raise FilingOutOfReach(plate_no=plate_no)
    actors = _Actors(session)
    trade_ins = session.scalars(select(TradeIn).where(TradeIn.filed_bike_id == bike.id).order_by(TradeIn.id)).all()
    events = [
        Event(kind="filed", zh="备案", en="filed", on=bike.filed_on),
        Event(kind="imported", zh="备案录入平台", en="taken into the platform", at=bike.created_at, who="system"),
        *_corrections(session, bike, actors),
        *_transfers(session, bike, actors),
    ]
    for trade_in in trade_ins:
        events += _trade_in(session, trade_in, actors)
    if bike.state == "destroyed":
        events.append(_destroyed(session, trade_ins[-1]))
    return sorted(events, key=lambda event: event.when)


def new_bike_timeline(*, session: Session, code: str, reach: Reach) -> list[Event]:
    """Return what happened to a new bike, oldest first, by its vehicle or registration code; raises BikeNotFound.

    An owner reaches the bike he bought or holds the plate of, a dealer those of its own stock, staff all.
    """
    bare = "".join(code.split()).upper()
    bike = session.scalar(select(Bike).where((Bike.vehicle_code == bare) | (Bike.registration_code == bare)))
    if bike is None or not _bike_within(session, bike, reach):
        raise BikeNotFound
    actors = _Actors(session)
    facts = {"registration_code": bike.registration_code, "model": bike.model, "standard": bike.standard}
    subject = f"bike:{bike.vehicle_code}"
    stocked_by = actors.who_did(subject, "bike.stocked")
    events = [
        Event(kind="made", zh="出厂", en="made", on=bike.made_on),
        Event(kind="stocked", zh="入库赋码", en="taken into stock", at=bike.stocked_at, who=stocked_by, facts=facts),
        *_sale_and_plate(session, bike, actors),
        *_swaps(session, bike, actors),
        *_returns(actors, subject),
    ]
    return sorted(events, key=lambda event: event.when)


class _Actors:
    """Who did what, by role: the audit's actors, each account looked up once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._roles: dict[str, str] = {}

    def entries(self, subject: str, action: str) -> list[AuditEntry]:
        """Return the deeds of this kind, oldest first."""
        query = select(AuditEntry).where(AuditEntry.subject == subject, AuditEntry.action == action)
        return list(self._session.scalars(query.order_by(AuditEntry.id)))

    def who_did(self, subject: str, action: str) -> str | None:
        """Return the role of whoever did this last, None where it is not on record."""
        found = self.entries(subject, action)
        return self.role(found[-1].actor) if found else None

    def role(self, actor: str) -> str:
        """Return the key of ROLE_WORDS an actor stands for."""
        if actor not in self._roles:
            self._roles[actor] = self._look_up(actor)
        return self._roles[actor]

    def _look_up(self, actor: str) -> str:
        kind, _, number = actor.partition(":")
        if actor == POLICE:
            return "police"
        if kind != "account" or not number.isdecimal():
            return "system"
        role = self._session.scalar(select(Account.role).where(Account.id == int(number)))
        return "system" if role is None else role if role in ("owner", "dealer") else "staff"


def _filing_within(session: Session, bike: FiledBike, reach: Reach) -> bool:
    if reach.owner_id is not None and bike.owner_id != reach.owner_id:
        return False
    if reach.dealer_id is None:
        return True
    mine = select(TradeIn.id).where(TradeIn.filed_bike_id == bike.id, TradeIn.dealer_id == reach.dealer_id).limit(1)
    return session.scalar(mine) is not None


def _bike_within(session: Session, bike: Bike, reach: Reach) -> bool:
    if reach.dealer_id is not None and bike.dealer_id != reach.dealer_id:
        return False
    if reach.owner_id is None:
        return True
    holder = session.scalar(select(Plate.holder_id).where(Plate.bike_id == bike.id))
    buyer = session.scalar(select(Sale.buyer_id).where(Sale.bike_id == bike.id))
    return reach.owner_id == (holder if holder is not None else buyer)


def _corrections(session: Session, bike: FiledBike, actors: _Actors) -> Iterator[Event]:
    query = select(FilingChange).where(FilingChange.filed_bike_id == bike.id).order_by(FilingChange.id)
    for change in session.scalars(query):
        if change.field in FIELD_WORDS:
            yield Event(
                kind="corrected",
                zh=f"更正备案：{FIELD_WORDS[change.field]}",
                en=f"filing corrected: {change.field}",
                at=change.at,
                who=actors.role(change.actor),
                facts={"old": change.old, "new": change.new},
            )


def _transfers(session: Session, bike: FiledBike, actors: _Actors) -> Iterator[Event]:
    ends = {
        "completed": ("过户完成", "transferred"),
        "expired": ("过户逾期失效", "transfer expired"),
        "withdrawn": ("过户撤回", "transfer withdrawn"),
    }
    for transfer in transfers_of(session=session, filed_bike_id=bike.id):
        opened_by = actors.role(transfer.opened_by)
        opened = Event(
            kind="transfer_opened", zh="登记过户", en="transfer opened", at=transfer.opened_at, who=opened_by
        )
        yield opened
        for zh, en, at in (
            ("卖方确认过户", "seller confirmed", transfer.seller_confirmed_at),
            ("买方确认过户", "buyer confirmed", transfer.buyer_confirmed_at),
        ):
            if at is not None:
                yield Event(kind="transfer_confirmed", zh=zh, en=en, at=at, who="owner")
        if transfer.ended_at is not None:
            zh, en = ends[transfer.state]
            yield Event(kind=f"transfer_{transfer.state}", zh=zh, en=en, at=transfer.ended_at)


def _trade_in(session: Session, trade_in: TradeIn, actors: _Actors) -> Iterator[Event]:
    subject, facts = f"trade_in:{trade_in.reference}", {"reference": trade_in.reference}
    for kind, zh, en, at, action in (
        ("trade_in_opened", "登记置换", "trade-in opened", trade_in.opened_at, "trade_in.opened"),
        ("received", "代办点收下旧车", "received by the point", trade_in.received_at, "trade_in.received"),
        (
            "plate_cancelled",
            "旧号牌注销",
            "plate cancelled",
            trade_in.old_plate_cancelled_at,
            "trade_in.old_plate_cancelled",
        ),
    ):
        if at is not None:
            yield Event(kind=kind, zh=zh, en=en, at=at, who=actors.who_did(subject, action), facts=facts)
    for entry in actors.entries(subject, "trade_in.withdrawn"):
        at = datetime.fromisoformat(entry.detail["at"])
        who = actors.role(entry.actor)
        yield Event(kind="trade_in_withdrawn", zh="撤回置换", en="trade-in withdrawn", at=at, who=who, facts=facts)
    for each in destructions_of(session=session, trade_in_id=trade_in.id):
        yield Event(
            kind=f"{each.part}_confirmed",
            zh=f"{PART_WORDS[each.part]}证明",
            en=f"destruction of the {each.part} confirmed",
            at=each.recorded_at,
            who=actors.role(each.actor),
            facts={"document_no": each.document_no, "firm": each.firm, "done_on": each.done_on.isoformat()},
        )


def _destroyed(session: Session, trade_in: TradeIn) -> Event:
    moments = [each.recorded_at for each in destructions_of(session=session, trade_in_id=trade_in.id)]
    if trade_in.old_plate_cancelled_at is not None:
        moments.append(trade_in.old_plate_cancelled_at)
    at = max(moments, default=trade_in.received_at)
    return Event(kind="destroyed", zh="旧车已拆解", en="destroyed", at=at, who="system")


def _sale_and_plate(session: Session, bike: Bike, actors: _Actors) -> Iterator[Event]:
    sold = session.execute(
        select(Sale.sold_at, TradeIn.reference).join(TradeIn, TradeIn.sale_id == Sale.id).where(Sale.bike_id == bike.id)
    ).first()
    if sold is not None:
        who = actors.who_did(f"trade_in:{sold.reference}", "trade_in.sold")
        facts = {"reference": sold.reference}
        yield Event(kind="sold", zh="售出", en="sold", at=sold.sold_at, who=who, facts=facts)
    plate = session.scalar(select(Plate).where(Plate.bike_id == bike.id))
    if plate is not None:
        facts = {"plate_no": plate.plate_no}
        yield Event(kind="plated", zh="核发号牌", en="plate issued", at=plate.issued_at, who="police", facts=facts)


def _swaps(session: Session, bike: Bike, actors: _Actors) -> Iterator[Event]:
    old, new = aliased(Battery), aliased(Battery)
    query = (
        select(BatterySwap, old.battery_code, new.battery_code)
        .join(old, old.id == BatterySwap.out_id)
        .join(new, new.id == BatterySwap.in_id)
        .where(BatterySwap.bike_id == bike.id)
        .order_by(BatterySwap.id)
    )
    for swap, old_code, new_code in session.execute(query):
        yield Event(
            kind="battery_swapped",
            zh=f"更换电池（{REASON_WORDS[swap.reason]}）",
            en=f"battery swapped ({swap.reason})",
            at=swap.at,
            who=actors.role(swap.actor),
            facts={"old_battery_code": old_code, "new_battery_code": new_code},
        )


def _returns(actors: _Actors, subject: str) -> Iterator[Event]:
    for entry in actors.entries(subject, "bike.returned"):
        who = actors.role(entry.actor)
        yield Event(kind="returned", zh="退车回库", en="returned into stock", at=entry.at, who=who)
