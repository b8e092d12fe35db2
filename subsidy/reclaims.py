"""Money claimed back through the bank: what is asked of it, by whom, and what a person may do about it.

The request is written down before the bank hears of it; subsidy/reclaiming.py sends it and writes down the answer. One
return has one live reclaim at most; a receipt entered by hand (subsidy/repayments.py) waits for the bank's answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.audit import record
from registry.base import Base, Instant, Refusal
from registry.cases import Case
from registry.trade_ins import TradeIn
from registry.transitions import Transitions
from subsidy.payouts import Payout, PayoutAttempt
from subsidy.returns import RETURN, ReturnCase, ReturnNotFound, lock_return
from subsidy.standing import require_another

RECLAIM = Transitions(
    noun_zh="这次追回",
    noun_en="reclaim",
    words={
        "due": "等着发给银行",
        "sent": "已交银行，等车主同意",
        "unknown": "银行未答复",
        "reclaimed": "已追回",
        "rejected": "没有追回",
        "contested": "银行前后说法不一，等人核对",
    },
    edges={
        "due": {"send": "sent", "withdraw": "rejected"},
        "sent": {
            "accept": "sent",
            "collect": "reclaimed",
            "reject": "rejected",
            "lose": "unknown",
            "contest": "contested",
        },
        "unknown": {
            "accept": "sent",
            "collect": "reclaimed",
            "reject": "rejected",
            "lose": "unknown",
            "contest": "contested",
        },
        "reclaimed": {},
        "rejected": {"contest": "contested"},
        "contested": {"collect_by_hand": "reclaimed", "reject_by_hand": "rejected"},
    },
)
OPEN = ("due", "sent", "unknown")
WORDS_EN = {
    "due": "it waits to be sent",
    "sent": "the bank has it, the owner has to agree",
    "unknown": "the bank has not answered",
    "reclaimed": "collected",
    "rejected": "not collected",
    "contested": "the bank contradicts itself, a person decides",
}
WITHDRAWN = "withdrawn"


class ReclaimAttempt(Base):
    """One request under one bank number. At most one that is not rejected per return, by partial unique index.

    ``transfer_number`` is the transfer that paid. ``asked_at``, ``sent_at`` and ``finished_at`` are business instants;
    ``ask_at`` is the real one at which the bank is spoken to next, by the database's clock; ``asked`` counts how often.
    """

    __tablename__ = "reclaim_attempt"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount_positive"),
        CheckConstraint("(state = 'due') = (sent_at IS NULL) OR state = 'rejected'", name="sent"),
        Index("uq_reclaim_attempt_live", "return_case_id", unique=True, postgresql_where=text("state <> 'rejected'")),
        Index("ix_reclaim_attempt_ask", "ask_at", postgresql_where=text("state IN ('due', 'sent', 'unknown')")),
        Index("ix_reclaim_attempt_reclaimed", "finished_at", postgresql_where=text("state = 'reclaimed'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    return_case_id: Mapped[int] = mapped_column(ForeignKey("return_case.id"), index=True)
    payout_id: Mapped[int] = mapped_column(ForeignKey("payout.id"))
    attempt_no: Mapped[int] = mapped_column(Integer)
    bank_number: Mapped[str] = mapped_column(String(32), unique=True)
    transfer_number: Mapped[str] = mapped_column(String(32))
    amount_fen: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(10), server_default="due", default="due")
    reason: Mapped[str | None] = mapped_column(String(40))
    asked_by: Mapped[str] = mapped_column(String(60))
    asked_at: Mapped[datetime] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    ask_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    asked: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(String(60))


class ReclaimUnderWay(Refusal):
    """One return is claimed back once at a time, and not by hand meanwhile: the money could come twice."""

    code = "reclaim_under_way"
    kind = "conflict"
    zh = "退回 {reference} 正在通过银行追回，编号 {bank_number}：{state}。"
    en = "Return {reference} is being claimed back through the bank under {bank_number}: {state_en}."
    remedy_zh = "请等银行答复；银行说没有追回的，再重新追回或者凭回单登记。"
    remedy_en = "Wait for the bank's answer. If it says no, claim again or enter the owner's receipt."


class NoTransferToReclaim(Refusal):
    """The bank can take back only what one of our transfers paid."""

    code = "no_transfer_to_reclaim"
    kind = "conflict"
    zh = "退回 {reference} 的补贴不是经银行付到钱包的，银行追不回来。"
    en = "The subsidy of return {reference} came by no transfer of ours, so the bank cannot take it back."
    remedy_zh = "请车主自己退款，凭银行回单登记。"
    remedy_en = "Have the owner pay it back and enter the bank's receipt."


class ReclaimNotContested(Refusal):
    """A person decides only where the bank contradicted itself."""

    code = "reclaim_not_contested"
    kind = "conflict"
    zh = "退回 {reference} 没有等人核对的追回。"
    en = "No reclaim of return {reference} waits for a person's decision."
    remedy_zh = "请刷新页面，看追回现在到哪一步。"
    remedy_en = "Reload the page to see where the reclaim stands."


def request_reclaim(*, session: Session, reference: str, actor: str, now: datetime) -> ReclaimAttempt:
    """Have the bank asked for the money of a demand; ``reference`` is the return's own number.

    Nothing is sent here: the attempt stands committed before the bank hears of it. The transaction is left to the
    caller. Raises ReturnNotFound, StepNotAllowed, AnotherPersonNeeded, ReclaimUnderWay and NoTransferToReclaim.
    """
    case = lock_return(session=session, reference=reference)
    RETURN.after(state=case.state, step="reclaim")
    require_another(first=case.opened_by, second=actor, what_zh="退回申请", what_en="the return")
    earlier = reclaims_of(session=session, case=case)
    for attempt in earlier:
        if attempt.state != "rejected":
            raise _under_way(case, attempt)
    paid = session.execute(
        select(PayoutAttempt.bank_number, PayoutAttempt.payout_id)
        .join(Payout, Payout.id == PayoutAttempt.payout_id)
        .where(Payout.trade_in_id == case.trade_in_id, PayoutAttempt.state == "settled")
    ).one_or_none()
    if paid is None:
        raise NoTransferToReclaim(reference=case.reference)
    number = len(earlier) + 1
    # The schema is the district, and several districts may bank at one house.
    prefix = session.scalars(
        select(func.concat(func.current_schema(), "-", TradeIn.reference)).where(TradeIn.id == case.trade_in_id)
    ).one()
    attempt = ReclaimAttempt(
        return_case_id=case.id,
        payout_id=paid.payout_id,
        attempt_no=number,
        bank_number=f"{prefix}-R{number:02d}",
        transfer_number=paid.bank_number,
        amount_fen=case.amount_fen,
        asked_by=actor,
        asked_at=now,
    )
    session.add(attempt)
    session.flush()
    note_reclaim(
        session=session,
        attempt=attempt,
        actor=actor,
        action="reclaim_requested",
        detail={"return": case.reference, "state": [None, "due"]},
    )
    return attempt


def refuse_contested(
    *, session: Session, reference: str, finding: str, document_no: str, actor: str, now: datetime
) -> ReclaimAttempt:
    """Decide by document that a contested reclaim brought nothing: the demand stands and may be claimed again.

    Where it did bring the money, its receipt is entered instead. The transaction is left to the caller. Raises
    ReturnNotFound, AnotherPersonNeeded and ReclaimNotContested.
    """
    case = lock_return(session=session, reference=reference)
    require_another(first=case.opened_by, second=actor, what_zh="退回申请", what_en="the return")
    for attempt in reclaims_of(session=session, case=case):
        if attempt.state == "contested":
            detail = {"finding": finding, "document_no": document_no}
            _decide(session, attempt, step="reject_by_hand", actor=actor, now=now, detail=detail)
            return attempt
    raise ReclaimNotContested(reference=reference)


def give_way_to_receipt(*, session: Session, case: ReturnCase, document_no: str, actor: str, now: datetime) -> None:
    """Make room for a receipt of a (locked) return; raises ReclaimUnderWay while the bank may still take the money."""
    for attempt in reclaims_of(session=session, case=case):
        detail = {"document_no": document_no}
        if attempt.state == "due":
            attempt.reason = WITHDRAWN
            _decide(session, attempt, step="withdraw", actor=actor, now=now, detail=detail)
        elif attempt.state == "contested":
            _decide(session, attempt, step="collect_by_hand", actor=actor, now=now, detail=detail)
        elif attempt.state in OPEN:
            raise _under_way(case, attempt)


def list_reclaims(*, session: Session, reference: str) -> list[ReclaimAttempt]:
    """Return a return's reclaims, the first one first; raises ReturnNotFound."""
    case_id = session.scalar(select(ReturnCase.id).where(ReturnCase.reference == reference))
    if case_id is None:
        raise ReturnNotFound(reference=reference)
    query = select(ReclaimAttempt).where(ReclaimAttempt.return_case_id == case_id)
    return list(session.scalars(query.order_by(ReclaimAttempt.attempt_no)))


def reclaims_of(*, session: Session, case: ReturnCase) -> list[ReclaimAttempt]:
    """Lock and return the reclaims of a (locked) return as they stand now, the first one first."""
    query = select(ReclaimAttempt).where(ReclaimAttempt.return_case_id == case.id).order_by(ReclaimAttempt.attempt_no)
    return list(session.scalars(query.with_for_update(), execution_options={"populate_existing": True}))


def note_reclaim(*, session: Session, attempt: ReclaimAttempt, actor: str, action: str, detail: dict[str, Any]) -> None:
    """Keep one step of a reclaim in the audit."""
    known = {"bank_number": attempt.bank_number, "amount_fen": attempt.amount_fen}
    record(session=session, actor=actor, action=action, subject=subject_of(attempt), detail=known | detail)


def subject_of(attempt: ReclaimAttempt) -> str:
    """Return what cases and audit call a reclaim."""
    return f"reclaim:{attempt.bank_number}"


def _decide(
    session: Session, attempt: ReclaimAttempt, *, step: str, actor: str, now: datetime, detail: dict[str, Any]
) -> None:
    before, attempt.state = attempt.state, RECLAIM.after(state=attempt.state, step=step)
    attempt.decided_by, attempt.finished_at = actor, now
    note_reclaim(
        session=session,
        attempt=attempt,
        actor=actor,
        action="reclaim_decided",
        detail={"state": [before, attempt.state], **detail},
    )
    cases = update(Case).where(Case.subject == subject_of(attempt), Case.closed_at.is_(None))
    outcome = RECLAIM.words[attempt.state]
    session.execute(cases.values(closed_at=func.clock_timestamp(), closed_by=actor, outcome=outcome))
    session.flush()


def _under_way(case: ReturnCase, attempt: ReclaimAttempt) -> ReclaimUnderWay:
    return ReclaimUnderWay(
        reference=case.reference,
        bank_number=attempt.bank_number,
        state=RECLAIM.words[attempt.state],
        state_en=WORDS_EN[attempt.state],
    )
