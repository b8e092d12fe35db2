"""Returns (退回): the new bike came back, its plate was annulled, or the claim was untrue. Two persons, then the law.

What was not paid yet is freed at once (law 8). What was paid is demanded back, and freed once the money is here:
through the bank (subsidy/reclaims.py) or by hand with a receipt (subsidy/repayments.py).
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Identity, Index, Integer, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.codes import clean_paper_number
from registry.inputs import Inputs
from registry.messages import owe_message
from registry.trade_ins import EVERYBODYS, TradeIn, get_trade_in
from registry.transitions import Transitions
from registry.uniqueness import refusing_duplicates
from subsidy.business_clock import BusinessClock
from subsidy.case_numbers import RETURN as PREFIX
from subsidy.case_numbers import new_case_number
from subsidy.claims import COUNTING_STATES, Claim
from subsidy.events import EventKind
from subsidy.notices import LOCAL, yuan
from subsidy.payouts import PAYOUT, Payout
from subsidy.queue import MoneyAtTheBank
from subsidy.returned_bikes import take_back
from subsidy.standing import append_to_queue, lock_claim, require_another

KINDS = {"bike_returned": "新车已退", "plate_annulled": "号牌被撤销", "fraud": "查实冒领"}
RETURN = Transitions(
    noun_zh="这笔退回",
    noun_en="return",
    words={
        "proposed": "待复核",
        "refused": "未同意",
        "returned": "已退",
        "demanded": "待退款",
        "repaid": "已退款",
    },
    edges={
        "proposed": {"refuse": "refused", "take_back": "returned", "demand": "demanded"},
        "refused": {},
        "returned": {},
        "demanded": {"reclaim": "demanded", "repay": "repaid"},
        "repaid": {},
    },
)


class ReturnCase(Base):
    """One return. ``kind`` is of KINDS, ``proof_no`` the number of the paper behind it.

    ``amount_fen`` and ``due_on`` are set where money that was paid is demanded back.
    """

    __tablename__ = "return_case"
    __table_args__ = (
        CheckConstraint("(state IN ('demanded', 'repaid')) = (due_on IS NOT NULL)", name="demand"),
        Index("uq_return_case_standing", "trade_in_id", unique=True, postgresql_where=text("state <> 'refused'")),
        Index("ix_return_case_due", "due_on", postgresql_where=text("state = 'demanded'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    reference: Mapped[str] = mapped_column(String(12), unique=True)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"))
    kind: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(1000))
    proof_no: Mapped[str] = mapped_column(String(40))
    opened_by: Mapped[str] = mapped_column(String(60))
    opened_at: Mapped[datetime] = mapped_column(Instant)
    state: Mapped[str] = mapped_column(String(8), server_default="proposed", default="proposed")
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    decision_reason: Mapped[str | None] = mapped_column(String(1000))
    amount_fen: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    due_on: Mapped[date | None] = mapped_column(Date)


class Repayment(Base):
    """Money that came back: the bank's document (or our reclaim's number), the amount in fen, the day it arrived."""

    __tablename__ = "repayment"
    __table_args__ = (CheckConstraint("amount_fen > 0", name="amount_positive"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    return_case_id: Mapped[int] = mapped_column(ForeignKey("return_case.id"), unique=True)
    document_no: Mapped[str] = mapped_column(String(40), unique=True)
    amount_fen: Mapped[int] = mapped_column(Integer)
    received_on: Mapped[date] = mapped_column(Date)
    entered_by: Mapped[str] = mapped_column(String(60))
    entered_at: Mapped[datetime] = mapped_column(Instant)


class ReturnStands(Refusal):
    """A trade-in is returned once."""

    code = "return_stands"
    kind = "conflict"
    zh = "置换 {reference} 已经在办退回，或已经退回。"
    en = "A return of the trade-in {reference} is under way or done."
    remedy_zh = "请在退回列表里查看。"
    remedy_en = "Look it up in the list of returns."


class ReturnNotFound(Refusal):
    """There is no return of this number."""

    code = "return_not_found"
    kind = "not_found"
    zh = "没有编号是 {reference} 的退回。"
    en = "There is no return {reference}."
    remedy_zh = "请核对编号。"
    remedy_en = "Check the number."
    default_field = "reference"


class NothingToReturn(Refusal):
    """Only a completed trade-in can be returned."""

    code = "nothing_to_return"
    kind = "conflict"
    zh = "置换 {reference} 还没有办完，不能办退回。"
    en = "The trade-in {reference} is not complete; there is nothing to return."
    remedy_zh = "没有办完的，请按原来的步骤办理或撤回。"
    remedy_en = "What is not complete is finished or withdrawn by its own steps."
    default_field = "reference"


def open_return(
    *, session: Session, reference: str, kind: str, reason: str, proof_no: str, actor: str, now: datetime
) -> ReturnCase:
    """Open the return of a completed trade-in; another person decides on it. The transaction is left to the caller.

    Raises TradeInNotFound, NothingToReturn, CodeInvalid and ReturnStands.
    """
    assert kind in KINDS, kind
    trade_in = get_trade_in(session=session, reference=reference, reach=EVERYBODYS)
    if trade_in.state != "completed":
        raise NothingToReturn(reference=reference)
    inputs = Inputs()
    proof_no = inputs.take("proof_no", clean_document_no, proof_no)
    inputs.check()
    case = ReturnCase(
        reference=new_case_number(session=session, prefix=PREFIX, column=ReturnCase.reference),
        trade_in_id=trade_in.id,
        kind=kind,
        reason=reason,
        proof_no=proof_no,
        opened_by=actor,
        opened_at=now,
    )
    with refusing_duplicates(session, {"uq_return_case_standing": ReturnStands(reference=reference)}):
        session.add(case)
    note_return(
        session=session,
        actor=actor,
        action="return.opened",
        reference=reference,
        detail={"return": case.reference, "kind": kind, "proof_no": proof_no},
    )
    session.flush()
    return case


def approve_return(
    *,
    session: Session,
    reference: str,
    repayment_days: int,
    clock: BusinessClock,
    actor: str,
    repay_to: str | None = None,
) -> ReturnCase:
    """Take the claim back: free its money (law 8), or demand it from the owner where it was paid.

    ``reference`` is the return's own number, ``repay_to`` the payee and account the owner is told to pay to. The
    transaction is left to the caller. Raises ReturnNotFound, StepNotAllowed, AnotherPersonNeeded, and MoneyAtTheBank
    while the bank has the money and has not answered.
    """
    case = lock_return(session=session, reference=reference)
    RETURN.after(state=case.state, step="take_back")
    require_another(first=case.opened_by, second=actor, what_zh="退回申请", what_en="the return")
    trade_in, now = session.get_one(TradeIn, case.trade_in_id), clock.now()
    claim, paid = _lock_money(session, trade_in)
    case.decided_by, case.decided_at = actor, now
    before = claim.state if claim else "unclaimed"
    if paid is not None:
        case.state = RETURN.after(state=case.state, step="demand")
        case.amount_fen = paid.amount_fen
        case.due_on = now.astimezone(LOCAL).date() + timedelta(days=repayment_days)
        _demand(session, case, trade_in, repay_to)
    else:
        case.state = RETURN.after(state=case.state, step="take_back")
        if claim is not None and claim.state in COUNTING_STATES:
            append_to_queue(
                session=session, claim=claim, kind=EventKind.RETURN, clock=clock, actor=actor, reason=case.kind
            )
    take_back(session=session, trade_in=trade_in, kind=case.kind, actor=actor, now=now)
    detail = {
        "return": case.reference,
        "kind": case.kind,
        "claim": [before, claim.state if claim else "unclaimed"],
        "demanded_fen": case.amount_fen,
        "opened_by": case.opened_by,
    }
    note_return(
        session=session, actor=actor, action=f"return.{case.state}", reference=trade_in.reference, detail=detail
    )
    session.flush()
    return case


def refuse_return(*, session: Session, reference: str, reason: str, actor: str, now: datetime) -> ReturnCase:
    """Refuse a return, with a reason; the claim stands. The transaction is left to the caller.

    Raises ReturnNotFound, StepNotAllowed and AnotherPersonNeeded.
    """
    case = lock_return(session=session, reference=reference)
    following = RETURN.after(state=case.state, step="refuse")
    require_another(first=case.opened_by, second=actor, what_zh="退回申请", what_en="the return")
    case.state, case.decided_by, case.decided_at, case.decision_reason = following, actor, now, reason
    trade_in = session.get_one(TradeIn, case.trade_in_id)
    note_return(
        session=session,
        actor=actor,
        action="return.refused",
        reference=trade_in.reference,
        detail={"return": case.reference},
    )
    session.flush()
    return case


def list_returns(
    *, session: Session, state: str | None = None, overdue_on: date | None = None, limit: int = 200
) -> list[tuple[ReturnCase, TradeIn, Repayment | None]]:
    """Return the returns with trade-in and receipt, newest first; those unpaid by that day where it is given."""
    query = (
        select(ReturnCase, TradeIn, Repayment)
        .join(TradeIn, TradeIn.id == ReturnCase.trade_in_id)
        .outerjoin(Repayment, Repayment.return_case_id == ReturnCase.id)
        .order_by(ReturnCase.id.desc())
        .limit(limit)
    )
    if state is not None:
        query = query.where(ReturnCase.state == state)
    if overdue_on is not None:
        query = query.where(ReturnCase.state == "demanded", ReturnCase.due_on < overdue_on)
    return [(row[0], row[1], row[2]) for row in session.execute(query)]


def standing_return(*, session: Session, trade_in_id: int) -> ReturnCase | None:
    """Return the return of a trade-in that was not refused, None where there is none."""
    return session.scalar(
        select(ReturnCase).where(ReturnCase.trade_in_id == trade_in_id, ReturnCase.state != "refused")
    )


def clean_document_no(text: str) -> str:
    """Return the number of a paper in capitals without spaces; raises CodeInvalid."""
    return clean_paper_number(text, shortest=4, longest=40)


def lock_return(*, session: Session, reference: str) -> ReturnCase:
    """Lock a return by its own number and give it as it stands now; raises ReturnNotFound."""
    case = session.scalar(
        select(ReturnCase).where(ReturnCase.reference == reference).with_for_update(),
        execution_options={"populate_existing": True},
    )
    if case is None:
        raise ReturnNotFound(reference=reference)
    return case


def _lock_money(session: Session, trade_in: TradeIn) -> tuple[Claim | None, Payout | None]:
    """Lock queue and payout: the claim, None where there is none, and its payout where that has reached the owner."""
    if session.scalar(select(Claim.position).where(Claim.trade_in_id == trade_in.id)) is None:
        return None, None
    claim = lock_claim(session=session, reference=trade_in.reference).claim
    payout = session.scalar(
        select(Payout).where(Payout.trade_in_id == trade_in.id).with_for_update(),
        execution_options={"populate_existing": True},
    )
    if payout is None or claim.state not in COUNTING_STATES:
        return claim, None
    if payout.state in ("in_flight", "frozen"):
        words, named = PAYOUT.words[payout.state], payout.state.replace("_", " ")
        raise MoneyAtTheBank(position=claim.position, state=words, state_en=named, step="return")
    return claim, payout if payout.state == "settled" else None


def _demand(session: Session, case: ReturnCase, trade_in: TradeIn, repay_to: str | None) -> None:
    assert case.due_on is not None, "a demand has its day"
    due = f"{case.due_on.year}年{case.due_on.month}月{case.due_on.day}日"
    way = (
        f"请转到：{repay_to}，转账时写明编号 {case.reference}。"
        if repay_to
        else f"请带编号 {case.reference} 到区市场监管局窗口或代办点办理。"
    )
    owe_message(
        session=session,
        person_id=trade_in.owner_id,
        dedupe_key=f"return:{case.reference}:demanded",
        body=f"您的置换 {trade_in.reference}：{KINDS[case.kind]}，"
        f"请在 {due}以前退回补贴 {yuan(case.amount_fen)}，一次退清。{way}",
    )


def note_return(*, session: Session, actor: str, action: str, reference: str, detail: dict[str, Any]) -> None:
    """Keep one step of a return in the audit, under its trade-in's ``reference``."""
    audit.record(session=session, actor=actor, action=action, subject=f"trade_in:{reference}", detail=detail)
