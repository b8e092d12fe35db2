"""Payment batches (付款批次): owed payouts gathered, approved by finance, funded, and only then sent.

A batch is cut by staff or once a day by the scheduler. Finance approves it, seeing its total; above a threshold another
person does so besides. Before it is sent the operator is asked what our account there holds: too little, and the batch
waits, with a case. Nothing is sent outside a released batch (subsidy/dispatch.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session, sessionmaker

from registry.audit import record
from registry.base import LARGEST_ID, Refusal
from registry.cases import Case, open_case
from registry.people import Person, mask_name, open_name
from registry.sealing import Keyring
from registry.trade_ins import TradeIn
from subsidy.dispatch import ready_to_send
from subsidy.operator import PayoutOperator
from subsidy.payouts import BATCH, PaymentBatch, PaymentBatchItem, Payout

SCHEDULER = "scheduler"
FUND_CASE = "fund_short"
SHANGHAI = ZoneInfo("Asia/Shanghai")
# The daily cut falls on the first tick after this, Asia/Shanghai: finance finds it when the day's work begins.
CUT_FROM = time(8, 30)
MOST_PAYOUTS = 5_000

Sessions = sessionmaker[Session]


class NothingToPay(Refusal):
    """No payout is owed that is not in a batch already."""

    code = "nothing_to_pay"
    kind = "conflict"
    zh = "现在没有待发放的补贴可以编入批次。"
    en = "There is no owed payout to put into a batch."
    remedy_zh = "等有车主确认了钱包再生成；已经在别的批次里的，请先处理那个批次。"
    remedy_en = "Cut one when owners have confirmed their wallets; what stands in another batch is worked off there."


class BatchNotFound(Refusal):
    """There is no such batch."""

    code = "payment_batch_not_found"
    kind = "not_found"
    zh = "没有编号是 {batch_id} 的付款批次。"
    en = "There is no payment batch {batch_id}."
    remedy_zh = "请从批次列表里打开。"
    remedy_en = "Open it from the list of batches."


class BatchTotalChanged(Refusal):
    """The total somebody approves is not that of the batch: he looked at something else."""

    code = "payment_batch_total_differs"
    kind = "conflict"
    zh = "您批准的总额是 {told_fen} 分，这个批次的总额是 {total_fen} 分。"
    en = "You approve {told_fen} fen in all; this batch's total is {total_fen} fen."
    remedy_zh = "请重新打开这个批次，核对总额后再批准。"
    remedy_en = "Open the batch again, check the total, then approve."
    default_field = "total_fen"


class SecondPersonNeeded(Refusal):
    """The same person may not cut and approve a batch, nor approve it twice."""

    code = "second_person_needed"
    kind = "forbidden"
    zh = "这一步要换一个人办：生成、批准、复批不能是同一个人。"
    en = "Another person has to do this: cutting, approving and approving again take different people."
    remedy_zh = "请另一位财务或复核员登录后批准。"
    remedy_en = "Another finance officer or reviewer signs in and approves."


class FinanceApprovesFirst(Refusal):
    """The first approval of a batch is finance's; a reviewer may give the second."""

    code = "finance_approves_first"
    kind = "forbidden"
    zh = "批次要先由财务批准，复核员只能做第二次批准。"
    en = "Finance approves a batch first; a reviewer gives the second approval."
    remedy_zh = "请财务先批准。"
    remedy_en = "Ask finance to approve first."


def cut_batch(*, session: Session, actor: str, threshold_fen: int, now: datetime) -> PaymentBatch:
    """Gather every owed payout that is in no batch, those owed longest first, and return the new batch.

    Two people approve it where its total is above ``threshold_fen``. At most MOST_PAYOUTS go into one. Raises
    NothingToPay. Two cuts at once gather each payout once.
    """
    ready = (
        select(Payout)
        .where(Payout.state == "owed", Payout.batch_id.is_(None), *ready_to_send())
        .order_by(Payout.owed_since, Payout.id)
        .limit(MOST_PAYOUTS)
        .with_for_update(skip_locked=True, of=Payout)
    )
    payouts = session.scalars(ready, execution_options={"populate_existing": True}).all()
    if not payouts:
        raise NothingToPay
    total_fen = sum(payout.amount_fen for payout in payouts)
    batch = PaymentBatch(
        state="cut",
        payouts=len(payouts),
        total_fen=total_fen,
        needs_second=total_fen > threshold_fen,
        cut_at=now,
        cut_by=actor,
    )
    session.add(batch)
    session.flush()
    items = [{"batch_id": batch.id, "payout_id": payout.id, "amount_fen": payout.amount_fen} for payout in payouts]
    session.execute(insert(PaymentBatchItem), items)
    session.execute(update(Payout).where(Payout.id.in_([payout.id for payout in payouts])).values(batch_id=batch.id))
    _record(session, batch, actor, "payment_batch_cut", {"payouts": batch.payouts, "total_fen": total_fen})
    return batch


def is_cut_due(*, session: Session, now: datetime) -> bool:
    """Say whether today's cut (Asia/Shanghai, from CUT_FROM) has not been made by the scheduler yet."""
    local = now.astimezone(SHANGHAI)
    due_at = datetime.combine(local.date(), CUT_FROM, tzinfo=SHANGHAI)
    if local < due_at:
        return False
    cut = select(PaymentBatch.id).where(PaymentBatch.cut_by == SCHEDULER, PaymentBatch.cut_at >= due_at).limit(1)
    return session.scalar(cut) is None


def approve_batch(
    *, session: Session, batch_id: int, total_fen: int, actor: str, role: str, now: datetime
) -> PaymentBatch:
    """Approve the batch, or give its second approval, and return it. ``total_fen`` is the total the approver saw.

    Finance approves first; another finance officer or a reviewer second. Raises BatchNotFound, BatchTotalChanged,
    FinanceApprovesFirst, SecondPersonNeeded and StepNotAllowed.
    """
    batch = _lock_batch(session=session, batch_id=batch_id)
    first = batch.state != "half"
    step = "approve_first" if first and batch.needs_second else "approve"
    state = BATCH.after(state=batch.state, step=step)
    if total_fen != batch.total_fen:
        raise BatchTotalChanged(told_fen=total_fen, total_fen=batch.total_fen)
    if first and role != "finance":
        raise FinanceApprovesFirst
    if actor in (batch.cut_by, batch.first_by):
        raise SecondPersonNeeded
    before, batch.state = batch.state, state
    if first:
        batch.first_by, batch.first_at = actor, now
    else:
        batch.second_by, batch.second_at = actor, now
    _record(session, batch, actor, "payment_batch_approved", {"state": [before, state], "total_fen": total_fen})
    return batch


def approve_automatically(*, session: Session, now: datetime) -> int:
    """Approve every batch that waits for it, where the bureau does without approval; return how many."""
    waiting = select(PaymentBatch).where(PaymentBatch.state == "cut").order_by(PaymentBatch.id).with_for_update()
    batches = session.scalars(waiting, execution_options={"populate_existing": True}).all()
    for batch in batches:
        batch.needs_second = False
        batch.state = BATCH.after(state=batch.state, step="approve")
        batch.first_by, batch.first_at = SCHEDULER, now
        detail = {"state": ["cut", batch.state], "total_fen": batch.total_fen}
        _record(session, batch, SCHEDULER, "payment_batch_approved", detail)
    return len(batches)


def cancel_batch(*, session: Session, batch_id: int, reason: str, actor: str, now: datetime) -> PaymentBatch:
    """Cancel a batch of which nothing was sent and return it: its payouts are gathered by the next cut.

    Raises BatchNotFound and StepNotAllowed.
    """
    batch = _lock_batch(session=session, batch_id=batch_id)
    before, batch.state = batch.state, BATCH.after(state=batch.state, step="cancel")
    batch.ended_at, batch.reason = now, reason
    session.execute(update(Payout).where(Payout.batch_id == batch.id).values(batch_id=None))
    _close_fund_case(session=session, batch=batch, actor=actor, outcome="批次已取消")
    detail = {"state": [before, batch.state], "reason": reason}
    _record(session, batch, actor, "payment_batch_cancelled", detail)
    return batch


def release_next(*, sessions: Sessions, operator: PayoutOperator, now: datetime, ask_again: bool = True) -> str | None:
    """Ask the operator about our fund and release the oldest approved batch; None where none waits.

    A batch found short before is asked about with ``ask_again`` only.

    ``released``, or ``short`` where the fund does not hold what this batch and what is still to be sent of released
    ones come to: then it waits with a case, and the batches behind it with it. Raises PartnerUnavailable and
    PartnerSilent, nothing changed.
    """
    waiting = select(PaymentBatch.id, PaymentBatch.state).where(PaymentBatch.state.in_(("approved", "short")))
    with sessions() as session:
        oldest = session.execute(waiting.order_by(PaymentBatch.id).limit(1)).first()
    if oldest is None or (oldest.state == "short" and not ask_again):
        return None
    batch_id = oldest.id
    balance = operator.fund_balance()
    with sessions.begin() as session:
        batch = _lock_batch(session=session, batch_id=batch_id)
        if batch.state not in ("approved", "short"):
            return None  # somebody else was quicker
        needed_fen = _unsent_fen(session=session, batch_ids=[batch.id, *_released(session)])
        batch.fund_fen, batch.fund_asked_at = balance.available_fen, now
        enough = balance.available_fen >= needed_fen
        before, batch.state = batch.state, BATCH.after(state=batch.state, step="release" if enough else "lack")
        detail = {"state": [before, batch.state], "fund_fen": balance.available_fen, "needed_fen": needed_fen}
        if enough:
            batch.released_at = now
            _close_fund_case(session=session, batch=batch, actor=SCHEDULER, outcome="资金已补足，开始付款")
            _record(session, batch, SCHEDULER, "payment_batch_released", detail)
        elif before != "short":
            open_case(session=session, kind=FUND_CASE, subject=_subject(batch), detail=detail)
            _record(session, batch, SCHEDULER, "payment_batch_fund_short", detail)
    return "released" if enough else "short"


def finish_batches(*, session: Session, now: datetime) -> int:
    """Finish every released batch none of whose payouts is owed or in flight any more; return how many."""
    unfinished = select(Payout.id).where(
        Payout.batch_id == PaymentBatch.id, Payout.state.in_(("owed", "in_flight", "frozen"))
    )
    over = select(PaymentBatch).where(PaymentBatch.state == "released", ~unfinished.exists())
    batches = session.scalars(over.order_by(PaymentBatch.id).with_for_update(skip_locked=True)).all()
    for batch in batches:
        batch.state, batch.ended_at = BATCH.after(state=batch.state, step="finish"), now
        _record(session, batch, SCHEDULER, "payment_batch_finished", {"state": ["released", batch.state]})
    return len(batches)


def list_batches(
    *, session: Session, state: str | None = None, before: int | None = None, limit: int = 50
) -> Sequence[PaymentBatch]:
    """Return batches, newest first; of one state, and older than the batch ``before``, where they are named."""
    query = select(PaymentBatch).order_by(PaymentBatch.id.desc()).limit(limit)
    if state is not None:
        query = query.where(PaymentBatch.state == state)
    if before is not None:
        query = query.where(PaymentBatch.id < before)
    return session.scalars(query).all()


def find_batch(*, session: Session, batch_id: int) -> PaymentBatch:
    """Return one batch; raises BatchNotFound."""
    batch = session.get(PaymentBatch, batch_id) if batch_id <= LARGEST_ID else None
    if batch is None:
        raise BatchNotFound(batch_id=batch_id)
    return batch


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One payout of a batch for people: ``owner`` is masked, ``amount_fen`` as approved, ``state`` the payout's now."""

    payout_id: int
    reference: str
    owner: str
    amount_fen: int
    state: str


def items_of(*, session: Session, keyring: Keyring, batch_id: int) -> list[BatchItem]:
    """Return what a batch gathered, owed longest first."""
    query = (
        select(PaymentBatchItem.payout_id, PaymentBatchItem.amount_fen, Payout.state, TradeIn.reference, Person)
        .join(Payout, Payout.id == PaymentBatchItem.payout_id)
        .join(TradeIn, TradeIn.id == Payout.trade_in_id)
        .join(Person, Person.id == Payout.person_id)
        .where(PaymentBatchItem.batch_id == batch_id)
        .order_by(Payout.owed_since, Payout.id)
    )
    return [
        BatchItem(
            payout_id=row.payout_id,
            reference=row.reference,
            owner=mask_name(open_name(person=row.Person, keyring=keyring)),
            amount_fen=row.amount_fen,
            state=row.state,
        )
        for row in session.execute(query)
    ]


def _lock_batch(*, session: Session, batch_id: int) -> PaymentBatch:
    find_batch(session=session, batch_id=batch_id)
    query = select(PaymentBatch).where(PaymentBatch.id == batch_id).with_for_update()
    return session.scalars(query, execution_options={"populate_existing": True}).one()


def _released(session: Session) -> Sequence[int]:
    return session.scalars(select(PaymentBatch.id).where(PaymentBatch.state == "released")).all()


def _unsent_fen(*, session: Session, batch_ids: Sequence[int]) -> int:
    """What is still to be sent of these batches. What is in flight the operator has set aside, or told us about."""
    query = select(func.coalesce(func.sum(Payout.amount_fen), 0))
    return int(session.scalars(query.where(Payout.batch_id.in_(batch_ids), Payout.state == "owed")).one())


def _close_fund_case(*, session: Session, batch: PaymentBatch, actor: str, outcome: str) -> None:
    case = update(Case).where(Case.kind == FUND_CASE, Case.subject == _subject(batch), Case.closed_at.is_(None))
    session.execute(case.values(closed_at=func.clock_timestamp(), closed_by=actor, outcome=outcome))


def _subject(batch: PaymentBatch) -> str:
    return f"payment_batch:{batch.id}"


def _record(session: Session, batch: PaymentBatch, actor: str, action: str, detail: Mapping[str, object]) -> None:
    record(session=session, actor=actor, action=action, subject=_subject(batch), detail=dict(detail))
    session.flush()
