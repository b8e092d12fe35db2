"""Appeals (申诉): an owner objects to a decline, staff answer in working days, and law 10 pays what is upheld."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.messages import owe_message
from registry.receiving import LARGEST_PHOTO_BYTES, PhotoTooLarge, PhotoUnreadable, is_picture
from registry.trade_ins import Reach, TradeIn
from registry.transitions import Transitions
from subsidy.business_clock import BusinessClock
from subsidy.case_numbers import APPEAL as PREFIX
from subsidy.case_numbers import new_case_number
from subsidy.overrules import Overrule, approve_overrule, propose_overrule, refuse_overrule, require_declined
from subsidy.standing import lock_claim

LOCAL = ZoneInfo("Asia/Shanghai")
MOST_PHOTOS = 9
APPEAL = Transitions(
    noun_zh="这份申诉",
    noun_en="appeal",
    words={"filed": "待答复", "upheld": "拟支持，待复核", "granted": "已支持", "rejected": "未支持"},
    edges={
        "filed": {"uphold": "upheld", "reject": "rejected"},
        "upheld": {"grant": "granted", "reopen": "filed"},
        "granted": {},
        "rejected": {},
    },
)
OPEN = ("filed", "upheld")


class Appeal(Base):
    """One appeal against one decision. ``due_on`` is the last day for the answer, Asia/Shanghai.

    ``body`` and ``answer`` are the owner's and the bureau's own words; they stay out of every append-only table.
    """

    __tablename__ = "appeal"
    __table_args__ = (
        ForeignKeyConstraint(["programme_id", "position"], ["claim.programme_id", "claim.position"]),
        UniqueConstraint("programme_id", "position", "decision_event_no"),
        Index("ix_appeal_due", "due_on", postgresql_where=text("state IN ('filed', 'upheld')")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    reference: Mapped[str] = mapped_column(String(12), unique=True)
    programme_id: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(BigInteger)
    decision_event_no: Mapped[int] = mapped_column(BigInteger)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    body: Mapped[str] = mapped_column(String(1000))
    filed_at: Mapped[datetime] = mapped_column(Instant)
    due_on: Mapped[date] = mapped_column(Date)
    state: Mapped[str] = mapped_column(String(8), server_default="filed", default="filed")
    answer: Mapped[str | None] = mapped_column(String(1000))
    answered_by: Mapped[str | None] = mapped_column(String(60))
    answered_at: Mapped[datetime | None] = mapped_column(Instant)


class AppealPhoto(Base):
    """One picture sent with an appeal."""

    __tablename__ = "appeal_photo"
    __table_args__ = (UniqueConstraint("appeal_id", "sha256"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    appeal_id: Mapped[int] = mapped_column(ForeignKey("appeal.id"))
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    image: Mapped[bytes] = mapped_column(LargeBinary)
    added_at: Mapped[datetime] = mapped_column(Instant)


class AppealStands(Refusal):
    """One decision is appealed against once."""

    code = "appeal_stands"
    kind = "conflict"
    zh = "这个决定已经申诉过，编号 {appeal}，现在是「{state}」。"
    en = "This decision was appealed against already: {appeal}, «{state_en}»."
    remedy_zh = "请按编号查看进度；对答复仍有异议的，可以依法申请行政复议。"
    remedy_en = "Follow it by its number; against the answer an administrative review is open to you."


class AppealNotFound(Refusal):
    """There is no such appeal within reach. Somebody else's is told in the same words as none at all."""

    code = "appeal_not_found"
    kind = "not_found"
    zh = "没有找到申诉 {reference}。"
    en = "There is no appeal {reference}."
    remedy_zh = "请核对编号；只能查看自己的申诉。"
    remedy_en = "Check the number; you can see your own only."
    default_field = "reference"


class TooManyAppealPhotos(Refusal):
    """An appeal takes a bounded number of pictures."""

    code = "too_many_appeal_photos"
    kind = "conflict"
    zh = "一份申诉最多交 {most} 张照片。"
    en = "An appeal takes {most} pictures at most."
    remedy_zh = "请把要紧的几张交上来；其他材料可以交到代办点转交。"
    remedy_en = "Send the ones that matter; hand other papers to the point."
    default_field = "image"


class AppealAnswered(Refusal):
    """Nothing is added to an appeal that was answered."""

    code = "appeal_answered"
    kind = "conflict"
    zh = "申诉 {reference} 已经答复，不能再补材料。"
    en = "The appeal {reference} was answered; nothing can be added."
    remedy_zh = "对答复有异议的，可以依法申请行政复议。"
    remedy_en = "Against the answer an administrative review is open to you."


def file_appeal(
    *,
    session: Session,
    reference: str,
    reach: Reach,
    body: str,
    working_days: int,
    actor: str,
    now: datetime,
) -> Appeal:
    """File the owner's appeal against the decline of a trade-in's claim; due in ``working_days``.

    The transaction is left to the caller. Raises TradeInNotFound, NoClaim, CannotBeOverruled and AppealStands.
    """
    standing = lock_claim(session=session, reference=reference, reach=reach)
    claim, decided = standing.claim, standing.decision.event_no
    require_declined(session=session, claim=claim)
    earlier = session.scalar(
        select(Appeal).where(
            Appeal.programme_id == claim.programme_id,
            Appeal.position == claim.position,
            Appeal.decision_event_no == decided,
        )
    )
    if earlier is not None:
        raise AppealStands(appeal=earlier.reference, state=APPEAL.words[earlier.state], state_en=earlier.state)
    appeal = Appeal(
        reference=new_case_number(session=session, prefix=PREFIX, column=Appeal.reference),
        programme_id=claim.programme_id,
        position=claim.position,
        decision_event_no=decided,
        trade_in_id=standing.trade_in.id,
        person_id=claim.person_id,
        body=body,
        filed_at=now,
        due_on=working_day_after(now.astimezone(LOCAL).date(), days=working_days),
    )
    session.add(appeal)
    session.flush()
    detail = {"appeal": appeal.reference, "position": claim.position, "due_on": appeal.due_on.isoformat()}
    _note(session, actor, "appeal.filed", reference, detail)
    due = f"{appeal.due_on.month}月{appeal.due_on.day}日"
    _tell(session, appeal, "filed", f"您的申诉已收到，编号 {appeal.reference}，{due}前答复您。查询号 {reference}。")
    return appeal


def add_appeal_photo(
    *, session: Session, reference: str, reach: Reach, image: bytes, actor: str, now: datetime
) -> Appeal:
    """Keep a picture (JPEG or PNG, at most 3 MB) with an appeal that was not answered; the same one is kept once.

    The transaction is left to the caller. Raises AppealNotFound, AppealAnswered, PhotoTooLarge, PhotoUnreadable and
    TooManyAppealPhotos.
    """
    appeal = get_appeal(session=session, reference=reference, reach=reach, lock=True)
    if appeal.state not in OPEN:
        raise AppealAnswered(reference=reference)
    if len(image) > LARGEST_PHOTO_BYTES:
        raise PhotoTooLarge
    if not is_picture(image):
        raise PhotoUnreadable
    if len(photos_of(session=session, appeal=appeal)) >= MOST_PHOTOS:
        raise TooManyAppealPhotos(most=MOST_PHOTOS)
    sha256 = hashlib.sha256(image).digest()
    row = insert(AppealPhoto).values(appeal_id=appeal.id, sha256=sha256, image=image, added_at=now)
    if session.scalar(row.on_conflict_do_nothing().returning(AppealPhoto.id)) is not None:
        _note(session, actor, "appeal.photo", _reference_of(session, appeal), {"appeal": reference})
    session.flush()
    return appeal


def uphold_appeal(*, session: Session, reference: str, answer: str, actor: str, now: datetime) -> Overrule:
    """Answer that the owner is right: an overrule is proposed for another person to approve.

    The transaction is left to the caller. Raises AppealNotFound, StepNotAllowed, CannotBeOverruled and OverruleOpen.
    """
    appeal = _answer(session, reference, "uphold", answer, actor, now)
    trade_in = _reference_of(session, appeal)
    return propose_overrule(
        session=session, reference=trade_in, reason=answer, actor=actor, now=now, appeal_id=appeal.id
    )


def reject_appeal(*, session: Session, reference: str, answer: str, actor: str, now: datetime) -> Appeal:
    """Answer that the decision stands, with the reason; the owner is told. The transaction is left to the caller.

    Raises AppealNotFound and StepNotAllowed.
    """
    appeal = _answer(session, reference, "reject", answer, actor, now)
    _tell(
        session,
        appeal,
        "rejected",
        f"您的申诉 {reference} 已答复：原决定不变。理由请到「我的换新」查看，或到代办点问；"
        "有异议的，可以依法申请行政复议。",
    )
    return appeal


def approve_proposal(*, session: Session, reference: str, clock: BusinessClock, actor: str) -> Overrule:
    """Approve a proposed overrule, and grant the appeal that led to it. Transaction and refusals: approve_overrule."""
    overrule = approve_overrule(session=session, reference=reference, clock=clock, actor=actor)
    appeal = _appeal_behind(session, overrule)
    if appeal is not None:
        appeal.state = APPEAL.after(state=appeal.state, step="grant")
        _note(session, actor, "appeal.granted", _reference_of(session, appeal), {"appeal": appeal.reference})
        _tell(session, appeal, "granted", f"您的申诉 {appeal.reference} 得到支持，原决定已改。补贴情况另行告知。")
    return overrule


def refuse_proposal(*, session: Session, reference: str, reason: str, actor: str, now: datetime) -> Overrule:
    """Refuse a proposed overrule; the appeal that led to it waits for another answer. As refuse_overrule."""
    overrule = refuse_overrule(session=session, reference=reference, reason=reason, actor=actor, now=now)
    appeal = _appeal_behind(session, overrule)
    if appeal is not None:
        appeal.state = APPEAL.after(state=appeal.state, step="reopen")
        appeal.answer = appeal.answered_by = appeal.answered_at = None
        _note(session, actor, "appeal.reopened", _reference_of(session, appeal), {"appeal": appeal.reference})
        session.flush()
    return overrule


def get_appeal(*, session: Session, reference: str, reach: Reach, lock: bool = False) -> Appeal:
    """Return the appeal of this (clean) number; raises AppealNotFound outside ``reach``."""
    query = select(Appeal).where(Appeal.reference == reference, *_within(reach))
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    appeal = session.scalar(query)
    if appeal is None:
        raise AppealNotFound(reference=reference)
    return appeal


def list_appeals(
    *, session: Session, reach: Reach, state: str | None = None, overdue_on: date | None = None, limit: int = 200
) -> list[tuple[Appeal, TradeIn]]:
    """Return appeals with their trade-in, the one due soonest first; those overdue on that day where it is given."""
    query = select(Appeal, TradeIn).join(TradeIn, TradeIn.id == Appeal.trade_in_id).where(*_within(reach))
    if state is not None:
        query = query.where(Appeal.state == state)
    if overdue_on is not None:
        query = query.where(Appeal.state.in_(OPEN), Appeal.due_on < overdue_on)
    return [(row[0], row[1]) for row in session.execute(query.order_by(Appeal.due_on, Appeal.id).limit(limit))]


def latest_appeal(*, session: Session, trade_in_id: int) -> Appeal | None:
    """Return the newest appeal about a trade-in, None where there is none."""
    query = select(Appeal).where(Appeal.trade_in_id == trade_in_id).order_by(Appeal.id.desc()).limit(1)
    return session.scalar(query)


def photos_of(*, session: Session, appeal: Appeal) -> list[int]:
    """Return the ids of an appeal's pictures, oldest first."""
    return list(
        session.scalars(select(AppealPhoto.id).where(AppealPhoto.appeal_id == appeal.id).order_by(AppealPhoto.id))
    )


def working_day_after(day: date, *, days: int) -> date:
    """Return the day ``days`` working days after ``day``: Saturdays and Sundays do not count.

    Public holidays are not known here and count as working days, so that an owner is never answered later than due.
    """
    while days > 0:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day


def _within(reach: Reach) -> list[Any]:
    # A point sees nothing of what its customers write to the bureau.
    if reach.owner_id is not None:
        return [Appeal.person_id == reach.owner_id]
    return [] if reach.dealer_id is None else [text("false")]


def _answer(session: Session, reference: str, step: str, answer: str, actor: str, now: datetime) -> Appeal:
    appeal = get_appeal(session=session, reference=reference, reach=Reach(), lock=True)
    before = appeal.state
    appeal.state = APPEAL.after(state=before, step=step)
    appeal.answer, appeal.answered_by, appeal.answered_at = answer, actor, now
    detail = {"appeal": reference, "state": [before, appeal.state]}
    _note(session, actor, f"appeal.{appeal.state}", _reference_of(session, appeal), detail)
    session.flush()
    return appeal


def _appeal_behind(session: Session, overrule: Overrule) -> Appeal | None:
    return None if overrule.appeal_id is None else session.get_one(Appeal, overrule.appeal_id, with_for_update=True)


def _reference_of(session: Session, appeal: Appeal) -> str:
    return session.get_one(TradeIn, appeal.trade_in_id).reference


def _tell(session: Session, appeal: Appeal, what: str, body: str) -> None:
    owe_message(session=session, person_id=appeal.person_id, dedupe_key=f"appeal:{appeal.reference}:{what}", body=body)
    session.flush()


def _note(session: Session, actor: str, action: str, reference: str, detail: dict[str, Any]) -> None:
    audit.record(session=session, actor=actor, action=action, subject=f"trade_in:{reference}", detail=detail)
