"""Plates (号牌) issued by the traffic police for new bikes, as they confirmed them to us, and the codes on them."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    UniqueConstraint,
    exists,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.bikes import Bike
from registry.plate_codes import PlateFacts, PlateNotCodable, PlateSigner, make_code
from registry.trade_ins import EVERYBODYS, Reach
from registry.transitions import Transitions

PLATE_CODE = Transitions(
    noun_zh="号牌二维码",
    noun_en="plate code",
    words={"valid": "有效", "stolen": "已报失", "replaced": "已换发", "cancelled": "已注销"},
    edges={
        "valid": {"report_stolen": "stolen", "replace": "replaced", "cancel": "cancelled"},
        "stolen": {"report_found": "valid", "replace": "replaced", "cancel": "cancelled"},
        "replaced": {},
        "cancelled": {},
    },
)
# Why a code is replaced: a word and no free text, so that nobody's name ends up in the audit.
REASONS = ("damaged", "lost", "stolen", "misprinted", "key_replaced")


class Plate(Base):
    """One issued plate. ``issued_at`` is the police system's instant, UTC."""

    __tablename__ = "plate"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    plate_no: Mapped[str] = mapped_column(String(16), unique=True)
    bike_id: Mapped[int] = mapped_column(ForeignKey("bike.id"), unique=True)
    holder_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    application_no: Mapped[str] = mapped_column(String(32), unique=True)
    issued_at: Mapped[datetime] = mapped_column(Instant)


class PlateCode(Base):
    """One signed code of a plate. ``edition`` counts them from 1; days are of Asia/Shanghai, ``valid_until`` is the
    last good day, None where it has no end. Whether it has expired is the reader's question: no state is kept of it.
    """

    __tablename__ = "plate_code"
    __table_args__ = (
        UniqueConstraint("plate_id", "edition"),
        CheckConstraint("state IN ('valid', 'stolen', 'replaced', 'cancelled')", name="known_state"),
        CheckConstraint("edition BETWEEN 1 AND 255 AND key_id BETWEEN 1 AND 255", name="a_byte"),
        Index("uq_plate_code_live", "plate_id", unique=True, postgresql_where=text("state IN ('valid', 'stolen')")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    plate_id: Mapped[int] = mapped_column(ForeignKey("plate.id"))
    edition: Mapped[int] = mapped_column(Integer)
    key_id: Mapped[int] = mapped_column(Integer)
    payload: Mapped[str] = mapped_column(String(200), unique=True)
    issued_on: Mapped[date] = mapped_column(Date)
    valid_until: Mapped[date | None] = mapped_column(Date)
    state: Mapped[str] = mapped_column(String(12), server_default="valid")
    changed_at: Mapped[datetime] = mapped_column(Instant)


class PlateNotFound(Refusal):
    """There is no such plate within reach. Somebody else's is told in the same words as none at all."""

    code = "plate_not_found"
    kind = "not_found"
    zh = "没有找到号牌 {plate_no}。"
    en = "There is no plate {plate_no}."
    remedy_zh = "请对照牌子再看一遍；刚发的牌子过一会儿再查。"
    remedy_en = "Compare with the plate itself; a plate just issued takes a moment to show."
    default_field = "plate_no"


class PlateCodeNotIssued(Refusal):
    """The plate has no code yet, so there is none to replace or report."""

    code = "plate_code_not_issued"
    kind = "conflict"
    zh = "号牌 {plate_no} 还没有签发过二维码。"
    en = "No code was ever issued for the plate {plate_no}."
    remedy_zh = "请先打开这块号牌的二维码，系统会自动签发。"
    remedy_en = "Open the plate's code first; that issues it."


class PlateCodeNotValid(Refusal):
    """A code that is reported stolen or cancelled is not printed."""

    code = "plate_code_not_valid"
    kind = "conflict"
    zh = "号牌 {plate_no} 的二维码{state}，不能再印。"
    en = "The code of the plate {plate_no} is {state_en} and cannot be printed."
    remedy_zh = "需要新牌的，请区市场监管局换发。"
    remedy_en = "Ask the bureau for a replacement where a new plate is needed."


class EditionsUsedUp(Refusal):
    """A plate has at most 255 codes in its life."""

    code = "plate_code_editions_used_up"
    kind = "conflict"
    zh = "号牌 {plate_no} 换发的次数已经用完。"
    en = "The plate {plate_no} has had as many codes as it can have."
    remedy_zh = "请为这辆车申请新的号牌。"
    remedy_en = "Apply for another plate for this bike."


def find_plate(*, session: Session, plate_no: str, reach: Reach) -> tuple[Plate, Bike]:
    """Return the plate and its bike: of a dealer's stock, an owner's own, any for staff; raises PlateNotFound."""
    query = select(Plate, Bike).join(Bike, Bike.id == Plate.bike_id).where(Plate.plate_no == plate_no)
    if reach.dealer_id is not None:
        query = query.where(Bike.dealer_id == reach.dealer_id)
    if reach.owner_id is not None:
        query = query.where(Plate.holder_id == reach.owner_id)
    row = session.execute(query).one_or_none()
    if row is None:
        raise PlateNotFound(plate_no=plate_no)
    return row[0], row[1]


def code_of(
    *, session: Session, signer: PlateSigner, plate_no: str, reach: Reach, actor: str, today: date, now: datetime
) -> PlateCode:
    """Return the newest code of a plate, whatever its state; the first is issued here, by whoever asks first.

    ``today`` is the day of issue in Asia/Shanghai. The transaction is left to the caller. Raises PlateNotFound and
    PlateNotCodable.
    """
    plate, bike = find_plate(session=session, plate_no=plate_no, reach=reach)
    newest = _newest(session, plate)
    if newest is None:
        _issue(session, signer=signer, plate=plate, bike=bike, edition=1, today=today, now=now, actor=actor)
        newest = _newest(session, plate)
        assert newest is not None, "issued here or by another at the same moment"
    return newest


def printable(*, code: PlateCode, plate_no: str) -> PlateCode:
    """Return the code where it may be printed; raises PlateCodeNotValid."""
    if code.state != "valid":
        raise PlateCodeNotValid(plate_no=plate_no, state=PLATE_CODE.words[code.state], state_en=code.state)
    return code


def replace_code(
    *,
    session: Session,
    signer: PlateSigner,
    plate_no: str,
    reason: str,
    actor: str,
    today: date,
    now: datetime,
    valid_until: date | None = None,
) -> PlateCode:
    """Issue the next code of a plate and revoke the last; ``reason`` is one of REASONS.

    The transaction is left to the caller. Raises PlateNotFound, PlateCodeNotIssued, EditionsUsedUp, PlateNotCodable
    and StepNotAllowed (a cancelled plate gets no new code).
    """
    assert reason in REASONS, reason
    plate, bike = find_plate(session=session, plate_no=plate_no, reach=EVERYBODYS)
    last = _locked(session, plate)
    if last.edition == 255:
        raise EditionsUsedUp(plate_no=plate_no)
    _step(session, plate=plate, code=last, step="replace", detail={"reason": reason}, actor=actor, now=now)
    session.flush()
    edition = last.edition + 1
    issued = _issue(
        session,
        signer=signer,
        plate=plate,
        bike=bike,
        edition=edition,
        today=today,
        now=now,
        actor=actor,
        valid_until=valid_until,
    )
    assert issued, "the plate is locked, and its live code has just ended"
    return _locked(session, plate)


def report(
    *, session: Session, plate_no: str, step: str, actor: str, now: datetime, reach: Reach = EVERYBODYS
) -> PlateCode:
    """Record that a plate was stolen, found again or cancelled: ``step`` is report_stolen, report_found or cancel.

    The transaction is left to the caller. Raises PlateNotFound, PlateCodeNotIssued and StepNotAllowed.
    """
    plate, _ = find_plate(session=session, plate_no=plate_no, reach=reach)
    code = _locked(session, plate)
    _step(session, plate=plate, code=code, step=step, detail={}, actor=actor, now=now)
    session.flush()
    return code


def issue_missing(
    *, session: Session, signer: PlateSigner, actor: str, today: date, now: datetime, limit: int, after_id: int = 0
) -> tuple[int, int, int | None]:
    """Issue the first code of up to ``limit`` plates that have none, in order of id above ``after_id``.

    Returns how many were issued, how many cannot be coded, and the last plate's id, None where none was left. The
    transaction is left to the caller.
    """
    query = (
        select(Plate, Bike)
        .join(Bike, Bike.id == Plate.bike_id)
        .where(Plate.id > after_id, ~exists().where(PlateCode.plate_id == Plate.id))
        .order_by(Plate.id)
        .limit(limit)
    )
    issued = left = 0
    last_id: int | None = None
    for plate, bike in session.execute(query):
        last_id = plate.id
        try:
            issued += _issue(
                session, signer=signer, plate=plate, bike=bike, edition=1, today=today, now=now, actor=actor
            )
        except PlateNotCodable:
            left += 1
    return issued, left, last_id


def _issue(
    session: Session,
    *,
    signer: PlateSigner,
    plate: Plate,
    bike: Bike,
    edition: int,
    today: date,
    now: datetime,
    actor: str,
    valid_until: date | None = None,
) -> bool:
    facts = PlateFacts(
        plate_no=plate.plate_no,
        registration_code=bike.registration_code,
        edition=edition,
        key_id=signer.key_id,
        issued_on=today,
    )
    row = insert(PlateCode).values(
        plate_id=plate.id,
        edition=edition,
        key_id=signer.key_id,
        payload=make_code(facts=facts, signer=signer),
        issued_on=today,
        valid_until=valid_until,
        changed_at=now,
    )
    # Two readers may be first at once: one of them issues, both then read the same row.
    issued = session.execute(row.on_conflict_do_nothing().returning(PlateCode.id)).scalar() is not None
    if issued:
        until = valid_until and valid_until.isoformat()
        detail: dict[str, object] = {"edition": edition, "key_id": signer.key_id, "valid_until": until}
        _note(session, actor, "plate_code.issued", plate, detail)
    return issued


def _newest(session: Session, plate: Plate) -> PlateCode | None:
    query = select(PlateCode).where(PlateCode.plate_id == plate.id).order_by(PlateCode.edition.desc()).limit(1)
    return session.scalar(query)


def _locked(session: Session, plate: Plate) -> PlateCode:
    # The plate's own row is locked, so that two replacements of one plate stand in line.
    session.execute(select(Plate.id).where(Plate.id == plate.id).with_for_update())
    code = _newest(session, plate)
    if code is None:
        raise PlateCodeNotIssued(plate_no=plate.plate_no)
    session.refresh(code)
    return code


def _step(
    session: Session, *, plate: Plate, code: PlateCode, step: str, detail: dict[str, object], actor: str, now: datetime
) -> None:
    before = code.state
    code.state, code.changed_at = PLATE_CODE.after(state=before, step=step), now
    change = {"edition": code.edition, "state": [before, code.state], **detail}
    _note(session, actor, f"plate_code.{step}", plate, change)


def _note(session: Session, actor: str, action: str, plate: Plate, detail: dict[str, object]) -> None:
    audit.record(session=session, actor=actor, action=action, subject=f"plate:{plate.plate_no}", detail=detail)
