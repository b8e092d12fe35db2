"""The end of the chain: the dismantler's and the battery recycler's confirmations, and what is overdue of them.

A point that leaves too many old bikes unaccounted for takes no new ones (policy: weak end-of-chain proof).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    bindparam,
    func,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.codes import clean_paper_number
from registry.filings import FILED_BIKE, FiledBike
from registry.inputs import Inputs
from registry.receiving import LARGEST_PHOTO_BYTES, PhotoTooLarge, PhotoUnreadable, PhotoUsedBefore, is_picture
from registry.trade_ins import Reach, TradeIn, TradeInPhoto, lock_trade_in
from registry.uniqueness import refusing_duplicates

LOCAL = ZoneInfo("Asia/Shanghai")
PARTS = ("bike", "battery")
PART_WORDS = {"bike": "旧车拆解", "battery": "电池回收"}
DUE_WITHIN = timedelta(days=15)
# A point with more overdue than this opens no new trade-in; the district sets its own number.
MOST_OVERDUE = 50


class Destruction(Base):
    """One confirmation that the old bike, or its battery, was destroyed: by which firm, on what paper. Append-only."""

    __tablename__ = "destruction"
    __table_args__ = (
        UniqueConstraint("trade_in_id", "part"),
        UniqueConstraint("part", "document_no"),
        CheckConstraint("part IN ('bike', 'battery')", name="known_part"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"))
    part: Mapped[str] = mapped_column(String(8))
    firm: Mapped[str] = mapped_column(String(80))
    document_no: Mapped[str] = mapped_column(String(40))
    done_on: Mapped[date] = mapped_column(Date)
    photo: Mapped[bytes] = mapped_column(LargeBinary)
    photo_sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    actor: Mapped[str] = mapped_column(String(60))
    recorded_at: Mapped[datetime] = mapped_column(Instant)


# Made once, because every trade-in runs them and putting a statement together takes longer than running it.
_CONFIRMED = select(func.count()).where(Destruction.trade_in_id == bindparam("trade_in_id"))
_OVERDUE = (
    select(
        TradeIn.reference,
        TradeIn.dealer_id,
        FiledBike.plate_no,
        TradeIn.received_at,
        func.coalesce(func.array_agg(Destruction.part).filter(Destruction.part.is_not(None)), []).label("parts"),
    )
    .join(FiledBike, FiledBike.id == TradeIn.filed_bike_id)
    .outerjoin(Destruction, Destruction.trade_in_id == TradeIn.id)
    .where(TradeIn.received_at < bindparam("received_before"), FiledBike.state != "destroyed")
    .group_by(TradeIn.id, FiledBike.id)
    .having(func.count(Destruction.id) < len(PARTS))
    .order_by(TradeIn.received_at, TradeIn.id)
    .limit(bindparam("most", type_=Integer))
)
_OVERDUE_OF_ONE = _OVERDUE.where(TradeIn.dealer_id == bindparam("of_dealer"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A received old bike whose confirmations are late: what is missing, and since when (UTC)."""

    reference: str
    dealer_id: int
    plate_no: str
    received_at: datetime
    due_at: datetime
    missing: tuple[str, ...]


class FirmMissing(Refusal):
    """The firm that confirms is named by 2 to 80 characters."""

    code = "firm_missing"
    zh = "请写明拆解或回收单位。"
    en = "Name the dismantler or recycler."
    remedy_zh = "请照证明上的公章填写单位全称，2 到 80 个字。"
    remedy_en = "Copy the firm's whole name from the stamp, 2 to 80 characters."
    default_field = "firm"


class DestroyedOnWrong(Refusal):
    """The day lies ahead, or before the old bike was received."""

    code = "destroyed_on_wrong"
    zh = "拆解日期 {done_on} 不对：旧车在 {received_on} 收下，日期也不能晚于今天。"
    en = "The day {done_on} cannot be: the bike was received on {received_on}, and it cannot lie ahead."
    remedy_zh = "请照拆解或回收证明上的日期填写。"
    remedy_en = "Copy the day from the dismantler's or recycler's paper."
    default_field = "done_on"


class OldBikeNotReceived(Refusal):
    """There is no old bike to destroy yet."""

    code = "old_bike_not_received"
    kind = "conflict"
    zh = "这笔置换的旧车还没有收下。"
    en = "The old bike of this trade-in was not received yet."
    remedy_zh = "请先办理收车，再登记拆解。"
    remedy_en = "Receive the old bike first."


class DestructionRecorded(Refusal):
    """This part was confirmed before, on another paper."""

    code = "destruction_recorded"
    kind = "conflict"
    zh = "这一项（{part_zh}）已经登记过，证明 {document_no}。"
    en = "This part ({part}) was confirmed before, by {document_no}."
    remedy_zh = "不用再办；登记有误的，请联系区市场监管局核查。"
    remedy_en = "Nothing is left to do; if it is wrong, the bureau looks into it."


class DestructionPaperUsed(Refusal):
    """One paper stands for one bike or one battery."""

    code = "destruction_paper_used"
    zh = "证明 {document_no} 已经用于另一辆车。"
    en = "The paper {document_no} stands for another bike."
    remedy_zh = "请核对证明编号；一张证明只能用于一辆车。"
    remedy_en = "Check the number; one paper is for one bike."
    default_field = "document_no"


class TooManyOverdue(Refusal):
    """The point has more old bikes without confirmation than it may have."""

    code = "too_many_destructions_overdue"
    kind = "conflict"
    zh = "本店有 {count} 辆旧车超过 {days} 天没有拆解回收证明，现在不能登记新的置换。"
    en = "{count} old bikes of this point have had no destruction papers for {days} days; it opens no trade-in."
    remedy_zh = "请补登拆解和电池回收证明，逾期不超过 {most} 辆后马上恢复；已经登记的可以继续办。"
    remedy_en = "Record the papers: with {most} overdue or fewer it may open again. What is open may be finished."


def confirm_destruction(
    *,
    session: Session,
    reference: str,
    reach: Reach,
    part: str,
    firm: str,
    document_no: str,
    done_on: date,
    image: bytes,
    actor: str,
    now: datetime,
) -> Destruction:
    """Record that the old bike or its battery was destroyed; ``part`` is one of PARTS, the day is of Asia/Shanghai.

    With both, and the plate cancelled, the old bike is ``destroyed``. The same paper again returns what stands. The
    transaction is left to the caller. Raises TradeInNotFound, OldBikeNotReceived, DestructionRecorded, and, several at
    once, FirmMissing, CodeInvalid, DestroyedOnWrong, PhotoTooLarge, PhotoUnreadable, PhotoUsedBefore and
    DestructionPaperUsed.
    """
    assert part in PARTS, part
    trade_in = lock_trade_in(session=session, reference=reference, reach=reach)
    if trade_in.received_at is None:
        raise OldBikeNotReceived
    inputs = Inputs()
    firm = inputs.take("firm", _clean_firm, firm)
    document_no = inputs.take("document_no", _clean_document_no, document_no)
    received_on, today = (moment.astimezone(LOCAL).date() for moment in (trade_in.received_at, now))
    if not received_on <= done_on <= today:
        inputs.refuse(DestroyedOnWrong(done_on=done_on.isoformat(), received_on=received_on.isoformat()))
    inputs.take("image", _require_photo, image)
    inputs.check()
    stands = session.scalar(select(Destruction).where(Destruction.trade_in_id == trade_in.id, Destruction.part == part))
    if stands is not None:
        if (stands.firm, stands.document_no, stands.done_on) == (firm, document_no, done_on):
            return stands
        raise DestructionRecorded(part=part, part_zh=PART_WORDS[part], document_no=stands.document_no)
    sha256 = hashlib.sha256(image).digest()
    if session.scalar(select(TradeInPhoto.id).where(TradeInPhoto.sha256 == sha256)) is not None:
        raise PhotoUsedBefore
    destruction = Destruction(
        trade_in_id=trade_in.id,
        part=part,
        firm=firm,
        document_no=document_no,
        done_on=done_on,
        photo=image,
        photo_sha256=sha256,
        actor=actor,
        recorded_at=now,
    )
    used = {
        "uq_destruction_part_document_no": DestructionPaperUsed(document_no=document_no),
        "uq_destruction_photo_sha256": PhotoUsedBefore(),
    }
    with refusing_duplicates(session, used):
        session.add(destruction)
    detail = {"part": part, "firm": firm, "document_no": document_no, "done_on": done_on.isoformat()}
    audit.record(
        session=session, actor=actor, action="trade_in.destruction", subject=f"trade_in:{reference}", detail=detail
    )
    bike = session.get_one(FiledBike, trade_in.filed_bike_id, with_for_update=True, populate_existing=True)
    finish_destruction(session=session, trade_in=trade_in, bike=bike, actor=actor)
    return destruction


def finish_destruction(*, session: Session, trade_in: TradeIn, bike: FiledBike, actor: str) -> None:
    """Set the old bike, locked by the caller, ``destroyed`` once its plate is cancelled and both parts confirmed."""
    session.flush()
    parts = session.scalar(_CONFIRMED, {"trade_in_id": trade_in.id})
    if bike.state != "plate_cancelled" or parts != len(PARTS):
        return
    bike.state = FILED_BIKE.after(state=bike.state, step="destroy")
    audit.record(session=session, actor=actor, action="filing.destroyed", subject=f"filing:{bike.plate_no}", detail={})
    session.flush()


def destructions_of(*, session: Session, trade_in_id: int) -> list[Destruction]:
    """Return what was confirmed of a trade-in's old bike, oldest first."""
    query = select(Destruction).where(Destruction.trade_in_id == trade_in_id).order_by(Destruction.id)
    return list(session.scalars(query))


def overdue_destructions(
    *, session: Session, now: datetime, dealer_id: int | None = None, limit: int = 500
) -> list[Overdue]:
    """Return received old bikes lacking a confirmation after DUE_WITHIN, longest due first; of one dealer if named."""
    query = _OVERDUE if dealer_id is None else _OVERDUE_OF_ONE
    given = {"received_before": now - DUE_WITHIN, "most": limit, "of_dealer": dealer_id}
    return [
        Overdue(
            reference=row.reference,
            dealer_id=row.dealer_id,
            plate_no=row.plate_no,
            received_at=row.received_at,
            due_at=row.received_at + DUE_WITHIN,
            missing=tuple(part for part in PARTS if part not in row.parts),
        )
        for row in session.execute(query, given)
    ]


def require_few_overdue(*, session: Session, dealer_id: int, now: datetime, most: int) -> None:
    """Raise TooManyOverdue where a point has more than ``most`` old bikes overdue."""
    late = overdue_destructions(session=session, now=now, dealer_id=dealer_id, limit=most + 1)
    if len(late) <= most:
        return
    count = len(overdue_destructions(session=session, now=now, dealer_id=dealer_id))
    raise TooManyOverdue(count=count, days=DUE_WITHIN.days, most=most)


def _clean_firm(text: str) -> str:
    firm = " ".join(text.split())
    if not 2 <= len(firm) <= 80:
        raise FirmMissing
    return firm


def _clean_document_no(text: str) -> str:
    return clean_paper_number(text, shortest=4, longest=40)


def _require_photo(image: bytes) -> None:
    if len(image) > LARGEST_PHOTO_BYTES:
        raise PhotoTooLarge
    if not is_picture(image):
        raise PhotoUnreadable
