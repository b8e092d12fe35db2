"""Frozen payouts worked to an end: what a person found out about the money is written down once, with its paper.

A payout freezes where the bank contradicts itself (subsidy/settlement.py). It thaws here alone: settled, because the
owner has the money; taken back, because we have it; or ended, because the claim is not awarded any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from registry.audit import record
from registry.base import LARGEST_ID, Refusal
from registry.cases import Case
from registry.messages import owe_message
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.ledger import LedgerPosting
from subsidy.notices import yuan
from subsidy.payouts import ATTEMPT, PAYOUT, Payout, PayoutAttempt, PayoutEnd
from subsidy.settlement import Paid, await_wallet, book_settled
from subsidy.wallets import Wallet


class PayoutNotFound(Refusal):
    """There is no such payout."""

    code = "payout_not_found"
    kind = "not_found"
    zh = "没有编号是 {payout_id} 的发放。"
    en = "There is no payout {payout_id}."
    remedy_zh = "请从对账明细或待办里打开。"
    remedy_en = "Open it from the statement's lines or from the cases."


class PayoutNotFrozen(Refusal):
    """The payout goes its ordinary way: nobody has to decide about it."""

    code = "payout_not_frozen"
    kind = "conflict"
    zh = "这笔发放现在是「{state_zh}」，没有冻结，不用人工处理。"
    en = "This payout is «{state}», not frozen; nobody has to decide about it."
    remedy_zh = "请刷新页面，看看现在是什么状态。"
    remedy_en = "Reload to see how it stands."


class ClaimNotAwarded(Refusal):
    """The claim was returned or forfeited meanwhile: its money went to somebody else and cannot be booked as paid."""

    code = "claim_not_awarded"
    kind = "conflict"
    zh = "这笔补贴已经退回或者取消，名额给了后面的人，不能再记为已付。"
    en = "The claim was returned or forfeited and its money went on to others; it cannot be booked as paid."
    remedy_zh = "请向银行或车主追回这笔钱，收到后按「收到退款」办理。"
    remedy_en = "Get the money back, then record it as received back."


class PaidAlreadyBooked(Refusal):
    """The books say that the owner was paid: money that came back cannot be paid again under this payout."""

    code = "payout_already_booked"
    kind = "conflict"
    zh = "账上已经记为付给车主，不能改为未付。"
    en = "The books say that the owner was paid; it cannot be made unpaid."
    remedy_zh = "请先另行付给车主，再凭付款凭证按「凭证了结」办理。"
    remedy_en = "Pay the owner by hand first, then end it by that document."


class NoSuchAttempt(Refusal):
    """Another attempt of this payout is open or paid, or none was ever sent: this one alone decides nothing."""

    code = "no_attempt_to_settle"
    kind = "conflict"
    zh = "这笔发放的另一次付款还没有结果或者已经付出，或者从没有交给银行，现在不能这样处理。"
    en = "Another attempt of this payout is open or paid, or none was ever sent; it cannot be ended that way now."
    remedy_zh = "请等银行对另一次付款给出结果，并先处理那一次。"
    remedy_en = "Wait for the bank's word on the other attempt, and end that one first."


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Who found out, on which paper: ``document_no`` is the bank's or the treasury's number of it, "" for none."""

    actor: str
    finding: str
    document_no: str
    now: datetime


def lock_frozen(*, session: Session, payout_id: int) -> Payout:
    """Lock and return a frozen payout; raises PayoutNotFound and PayoutNotFrozen."""
    payout = lock_payout(session=session, payout_id=payout_id)
    require_frozen(payout)
    return payout


def require_frozen(payout: Payout) -> None:
    """Raise PayoutNotFrozen where nobody has to decide about it."""
    if payout.state != "frozen":
        raise PayoutNotFrozen(state=payout.state, state_zh=PAYOUT.words[payout.state])


def lock_payout(*, session: Session, payout_id: int) -> Payout:
    """Lock and return a payout; raises PayoutNotFound."""
    if payout_id > LARGEST_ID:
        raise PayoutNotFound(payout_id=payout_id)
    query = select(Payout).where(Payout.id == payout_id).with_for_update()
    payout = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if payout is None:
        raise PayoutNotFound(payout_id=payout_id)
    return payout


def settle_by_hand(*, session: Session, payout: Payout, bank_number: str | None, evidence: Evidence) -> None:
    """Thaw the (locked, frozen) payout as settled: the owner has the money, by the attempt ``bank_number``.

    Books it unless it is booked already, and tells the owner. Raises ClaimNotAwarded and NoSuchAttempt.
    """
    if not is_booked(session=session, payout=payout):
        if not _is_awarded(session, payout):
            raise ClaimNotAwarded
        attempt = _attempt_that_paid(_attempts(session, payout), bank_number)
        if attempt.state != "settled":
            step = "settle_by_hand" if attempt.state == "rejected" else "settle"
            attempt.state = ATTEMPT.after(state=attempt.state, step=step)
            attempt.finished_at = attempt.finished_at or evidence.now
        _thaw(session, payout, "settle_by_hand", evidence)
        payout.settled_at = attempt.finished_at or evidence.now
        paid = [Paid(payout=payout, attempt=attempt)]
        book_settled(session=session, paid=paid, now=evidence.now, actor=evidence.actor)
    else:
        _thaw(session, payout, "settle_by_hand", evidence)
    _decide_attempts(session, payout, evidence.actor)


def take_back(*, session: Session, payout: Payout, bank_number: str | None, evidence: Evidence) -> None:
    """Thaw the (locked, frozen) payout because the money of ``bank_number`` is with us: refunded, or never left.

    An awarded claim's payout waits for a wallet again, its owner is told; one of a claim that is not awarded any more
    ends. Where the owner was paid by another attempt, what came back was paid twice, and the payout is settled. Raises
    NoSuchAttempt, and PaidAlreadyBooked where what came back is what the books say the owner has.
    """
    if is_booked(session=session, payout=payout):
        if not _was_paid_twice(session, payout, bank_number):
            raise PaidAlreadyBooked
        _thaw(session, payout, "settle_by_hand", evidence)
        _decide_attempts(session, payout, evidence.actor)
        return
    end_unpaid(session=session, payout=payout, bank_number=bank_number, evidence=evidence, reason="refunded")


def end_by_document(
    *, session: Session, payout: Payout, bank_number: str | None, resolution: str, evidence: Evidence
) -> None:
    """Thaw the (locked, frozen) payout as its paper says: ``settle_by_document`` or ``refund_received``."""
    end = settle_by_hand if resolution == "settle_by_document" else take_back
    end(session=session, payout=payout, bank_number=bank_number, evidence=evidence)


def try_end(*, session: Session, payout: Payout, bank_number: str | None, resolution: str, evidence: Evidence) -> None:
    """Raise what an end by document would be refused for as things stand, and change nothing."""
    trial = session.begin_nested()
    try:
        end_by_document(
            session=session, payout=payout, bank_number=bank_number, resolution=resolution, evidence=evidence
        )
        session.flush()
    finally:
        trial.rollback()


def end_unpaid(*, session: Session, payout: Payout, bank_number: str | None, evidence: Evidence, reason: str) -> None:
    """Thaw the (locked, frozen, never booked) payout as unpaid; the attempt ``bank_number`` is rejected for good.

    Raises NoSuchAttempt where another attempt may pay or has paid.
    """
    for attempt in _live_attempt(session, payout, bank_number):
        step = "reject_by_hand" if attempt.state == "settled" else "reject"
        attempt.state = ATTEMPT.after(state=attempt.state, step=step)
        attempt.reason, attempt.finished_at = reason, attempt.finished_at or evidence.now
    if _is_awarded(session, payout):
        _thaw(session, payout, "take_back", evidence)
        await_wallet(payout=payout, now=evidence.now)
        current = update(Wallet).where(Wallet.trade_in_id == payout.trade_in_id, Wallet.superseded_at.is_(None))
        session.execute(current.values(superseded_at=evidence.now))
        _ask_for_wallet(session, payout)
    else:
        _thaw(session, payout, "end_by_hand", evidence)
    _decide_attempts(session, payout, evidence.actor)


def is_paid_and_awarded(*, session: Session, payout: Payout) -> bool:
    """Say whether the bank paid something for this payout, and the claim may be booked as paid."""
    paid = any(attempt.state == "settled" for attempt in _attempts(session, payout))
    return is_booked(session=session, payout=payout) or (paid and _is_awarded(session, payout))


def state_after(*, session: Session, payout: Payout, resolution: str, bank_number: str | None) -> str | None:
    """Return the state in which an end by document leaves a frozen payout: what approving it would change.

    None where what came back is what the books say the owner has: it cannot end that way.
    """
    if resolution == "settle_by_document":
        return "settled"
    if is_booked(session=session, payout=payout):
        return "settled" if _was_paid_twice(session, payout, bank_number) else None
    return "awaiting_wallet" if _is_awarded(session, payout) else "withdrawn"


def is_booked(*, session: Session, payout: Payout) -> bool:
    """Say whether the ledger calls this payout paid."""
    query = select(LedgerPosting.id).where(LedgerPosting.payout_id == payout.id, LedgerPosting.kind == "settled")
    return session.scalar(query) is not None


def _was_paid_twice(session: Session, payout: Payout, bank_number: str | None) -> bool:
    """Whether what came back is not the payment the books know: another number, or a success after a rejection."""
    if bank_number is None:
        return payout.problem == "success_after_rejection"
    return all(each.state == "rejected" for each in _attempts(session, payout) if each.bank_number == bank_number)


def _live_attempt(session: Session, payout: Payout, bank_number: str | None) -> Sequence[PayoutAttempt]:
    """The attempt that is not rejected, none where all are; it has to be the one somebody speaks of.

    Without a number an open attempt is ended only where the bank refused even to take it: any other may still pay.
    """
    live = [each for each in _attempts(session, payout) if each.state != "rejected"]
    for attempt in live:
        is_open = attempt.state in ("sent", "unknown") and payout.problem != "transfer_refused"
        if (bank_number is None and is_open) or (bank_number is not None and attempt.bank_number != bank_number):
            raise NoSuchAttempt
    return live


def _attempt_that_paid(attempts: Sequence[PayoutAttempt], bank_number: str | None) -> PayoutAttempt:
    """The attempt by which the owner has the money; no other may be open or settled beside it."""
    chosen = [each for each in attempts if each.bank_number == bank_number] if bank_number else list(attempts[-1:])
    if not chosen or any(each.state != "rejected" and each is not chosen[0] for each in attempts):
        raise NoSuchAttempt
    return chosen[0]


def _attempts(session: Session, payout: Payout) -> Sequence[PayoutAttempt]:
    query = select(PayoutAttempt).where(PayoutAttempt.payout_id == payout.id).order_by(PayoutAttempt.attempt_no)
    return session.scalars(query, execution_options={"populate_existing": True}).all()


def _is_awarded(session: Session, payout: Payout) -> bool:
    # The claim cannot change meanwhile: returns and forfeitures lock the payout first, and stop at a frozen one.
    of_payout = (Claim.programme_id == payout.programme_id, Claim.position == payout.position)
    return session.scalar(select(Claim.state).where(*of_payout)) == "awarded"


def _thaw(session: Session, payout: Payout, step: str, evidence: Evidence) -> None:
    before, payout.state = payout.state, PAYOUT.after(state=payout.state, step=step)
    problem, payout.problem = payout.problem, None
    subject = f"payout:{payout.id}"
    detail = {
        "state": [before, payout.state],
        "problem": [problem, None],
        "finding": evidence.finding,
        "document_no": evidence.document_no,
    }
    # What somebody else would have done about it was meant for how it stood.
    waiting = update(PayoutEnd).where(PayoutEnd.payout_id == payout.id, PayoutEnd.outcome.is_(None))
    session.execute(waiting.values(outcome="overtaken", decided_by=evidence.actor, decided_at=evidence.now))
    record(session=session, actor=evidence.actor, action="payout_thawed", subject=subject, detail=detail)
    cases = update(Case).where(Case.subject == subject, Case.closed_at.is_(None))
    outcome = f"{PAYOUT.words[payout.state]}：{evidence.finding}"[:200]
    session.execute(cases.values(closed_at=func.clock_timestamp(), closed_by=evidence.actor, outcome=outcome))
    session.flush()


def _decide_attempts(session: Session, payout: Payout, actor: str) -> None:
    """From here on the bank's words about these numbers change nothing: a person has heard them all."""
    session.execute(update(PayoutAttempt).where(PayoutAttempt.payout_id == payout.id).values(decided_by=actor))


def _ask_for_wallet(session: Session, payout: Payout) -> None:
    reference = session.scalar(select(TradeIn.reference).where(TradeIn.id == payout.trade_in_id))
    tries = select(func.count()).select_from(PayoutAttempt).where(PayoutAttempt.payout_id == payout.id)
    owe_message(
        session=session,
        person_id=payout.person_id,
        dedupe_key=f"payout:{payout.id}:taken_back:{session.scalars(tries).one()}",
        body=f"您的置换补贴 {yuan(payout.amount_fen)}上一次没有付成，已经查清，钱还在。"
        f"请到「我的换新」再确认一次收款的数币钱包，或到代办点办理，我们就再发。查询号 {reference}。",
    )
