"""What the bank said about a transfer, written down once: by its answer, callback, poll or statement alike.

Every function here locks the payout first, so that the order in which the bank's words arrive does not matter, and
takes each word as often as it comes. What contradicts an earlier word freezes the payout and opens a case: a person
decides, no machine pays or books again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from registry.audit import record
from registry.base import Refusal
from registry.cases import open_case
from registry.messages import owe_message
from registry.trade_ins import TradeIn
from subsidy.claims import Decision
from subsidy.ledger import PaymentPosting, book_payment
from subsidy.notices import yuan
from subsidy.operator import TransferAnswer
from subsidy.payouts import ATTEMPT, PAYOUT, Payout, PayoutAttempt, problem_words
from subsidy.wallets import Wallet

ASK_AFTER_ACCEPTED = timedelta(seconds=3)
ASK_AFTER_SILENCE = timedelta(seconds=1)
FINISHED = ("settled", "rejected")
BANK = "bank"


class TransferNotOurs(Refusal):
    """The bank speaks of a number under which we never sent anything."""

    code = "transfer_not_ours"
    kind = "not_found"
    zh = "没有编号是 {bank_number} 的付款。"
    en = "There is no payment under the number {bank_number}."
    remedy_zh = "请核对付款编号；对账单会把这一笔列为差异。"
    remedy_en = "Check the number; the statement will list it as a difference."
    default_field = "bank_number"


def record_answer(*, session: Session, answer: TransferAnswer, now: datetime) -> str:
    """Write down one answer of the bank and return the attempt's state after it.

    A rejection that is not final changes nothing but is asked for again. Raises TransferNotOurs.
    """
    if answer.state == "settled":
        settle(
            session=session,
            bank_number=answer.bank_number,
            amount_fen=answer.amount_fen,
            settled_at=answer.settled_at or now,
            now=now,
        )
    elif answer.state == "rejected" and answer.final:
        reject(session=session, bank_number=answer.bank_number, reason=answer.reason or "rejected", now=now)
    else:
        _accept(session=session, bank_number=answer.bank_number)
    _, attempt = lock_attempt(session=session, bank_number=answer.bank_number)
    return attempt.state


def settle(*, session: Session, bank_number: str, amount_fen: int, settled_at: datetime, now: datetime) -> bool:
    """Settle the attempt and its payout, book the ledger, owe the owner the notice; return whether this was the first.

    ``amount_fen`` is what the bank says it paid; another amount than ours, or a success after a final rejection,
    freezes the payout as a case instead. Raises TransferNotOurs.
    """
    payout, attempt = lock_attempt(session=session, bank_number=bank_number)
    detail = {"bank_number": bank_number, "amount_fen": attempt.amount_fen, "bank_amount_fen": amount_fen}
    if attempt.state == "rejected":
        freeze(session=session, payout=payout, kind="success_after_rejection", detail=detail)
        return False
    first = attempt.state != "settled"
    if first:
        attempt.state = ATTEMPT.after(state=attempt.state, step="settle")
        attempt.finished_at = settled_at
    if amount_fen != attempt.amount_fen:
        attempt.reason = "amount_differs"
        freeze(session=session, payout=payout, kind="amount_differs", detail=detail)
        return False
    if not first:
        return False
    if not PAYOUT.allows(state=payout.state, step="settle"):
        freeze(session=session, payout=payout, kind="settled_out_of_turn", detail=detail | {"was": payout.state})
        return False
    _settle_payout(session=session, payout=payout, attempt=attempt, settled_at=settled_at, now=now)
    return True


def reject(*, session: Session, bank_number: str, reason: str, now: datetime) -> bool:
    """Write down the bank's FINAL rejection; return whether this was the first word of it.

    The payout waits for a wallet again, the wallet that failed is not tried a second time, and the owner is told what
    to do. A rejection after a success freezes the payout as a case. Raises TransferNotOurs.
    """
    payout, attempt = lock_attempt(session=session, bank_number=bank_number)
    reason = reason[:40]
    if attempt.state == "rejected":
        return False
    if attempt.state == "settled":
        detail = {"bank_number": bank_number, "reason": reason}
        freeze(session=session, payout=payout, kind="rejection_after_success", detail=detail)
        return False
    attempt.state = ATTEMPT.after(state=attempt.state, step="reject")
    attempt.reason, attempt.finished_at = reason, now
    wallet = session.get_one(Wallet, attempt.wallet_id)
    wallet.superseded_at = wallet.superseded_at or now
    detail = {"bank_number": bank_number, "reason": reason}
    record(session=session, actor=BANK, action="payout_rejected", subject=f"payout:{payout.id}", detail=detail)
    if PAYOUT.allows(state=payout.state, step="reject"):
        payout.state = PAYOUT.after(state=payout.state, step="reject")
        payout.problem = reason
        _tell_rejected(session=session, payout=payout, attempt=attempt, tail=wallet.tail)
    session.flush()
    return True


def lose(*, session: Session, bank_number: str) -> None:
    """Write down that the bank did not answer: the outcome is unknown and asked for soon. Raises TransferNotOurs."""
    _, attempt = lock_attempt(session=session, bank_number=bank_number)
    # A callback may have overtaken the answer that never came.
    if attempt.state not in FINISHED:
        attempt.state = ATTEMPT.after(state=attempt.state, step="lose")
        set_ask_at(attempt=attempt, after=ASK_AFTER_SILENCE)
        session.flush()


def lock_attempt(*, session: Session, bank_number: str) -> tuple[Payout, PayoutAttempt]:
    """Lock the payout this number pays and return both as they stand now; raises TransferNotOurs."""
    fresh = {"populate_existing": True}
    payout_id = session.scalar(select(PayoutAttempt.payout_id).where(PayoutAttempt.bank_number == bank_number))
    if payout_id is None:
        raise TransferNotOurs(bank_number=bank_number)
    payout = session.scalars(
        select(Payout).where(Payout.id == payout_id).with_for_update(), execution_options=fresh
    ).one()
    attempt = session.scalars(
        select(PayoutAttempt).where(PayoutAttempt.bank_number == bank_number), execution_options=fresh
    ).one()
    return payout, attempt


def freeze(*, session: Session, payout: Payout, kind: str, detail: dict[str, Any]) -> None:
    """Freeze the (locked) payout and open a case about it. A frozen payout stays so until a person has decided."""
    if payout.state != "frozen":
        payout.state = PAYOUT.after(state=payout.state, step="freeze")
        payout.problem = kind
        record(session=session, actor=BANK, action="payout_frozen", subject=f"payout:{payout.id}", detail=detail)
    open_case(session=session, kind=kind, subject=f"payout:{payout.id}", detail=detail)
    session.flush()


def real_instant(*, after: timedelta) -> ColumnElement[datetime]:
    """Return the SQL for the database's clock plus ``after``: waits run in real time, whatever business time does."""
    return func.clock_timestamp(type_=DateTime(timezone=True)) + after


def set_ask_at(*, attempt: PayoutAttempt, after: timedelta) -> None:
    """Have the bank asked about the attempt ``after`` from now, real time."""
    attempt.ask_at = real_instant(after=after)


def _accept(*, session: Session, bank_number: str) -> None:
    """The bank has the transfer and has not finished it: ``sent``, whatever we believed; asked for in a while."""
    _, attempt = lock_attempt(session=session, bank_number=bank_number)
    if attempt.state in FINISHED:
        return
    attempt.state = ATTEMPT.after(state=attempt.state, step="accept")
    if attempt.asked == 0:  # later on the back-off of asking decides
        set_ask_at(attempt=attempt, after=ASK_AFTER_ACCEPTED)
    session.flush()


def _settle_payout(
    *, session: Session, payout: Payout, attempt: PayoutAttempt, settled_at: datetime, now: datetime
) -> None:
    payout.state = PAYOUT.after(state=payout.state, step="settle")
    payout.settled_at, payout.problem = settled_at, None
    tail = session.scalar(select(Wallet.tail).where(Wallet.id == attempt.wallet_id))
    reference = session.scalar(select(TradeIn.reference).where(TradeIn.id == payout.trade_in_id))
    owe_message(
        session=session,
        person_id=payout.person_id,
        dedupe_key=f"payout:{payout.id}:settled",
        body=f"您的置换补贴 {yuan(payout.amount_fen)}已到账，请在尾号 {tail} 的数币钱包里查看。查询号 {reference}。",
    )
    detail = {"bank_number": attempt.bank_number, "amount_fen": payout.amount_fen}
    record(session=session, actor=BANK, action="payout_settled", subject=f"payout:{payout.id}", detail=detail)
    session.flush()
    committed = _purse(session=session, payout=payout)
    # Last, because the stage's balances are rows the queue wants too.
    posting = PaymentPosting(
        programme_id=payout.programme_id,
        payout_id=payout.id,
        position=payout.position,
        at=now,
        kind="settled",
        debit=committed,
        credit=committed.replace("committed:", "paid:"),
        amount_fen=payout.amount_fen,
    )
    book_payment(session=session, posting=posting)


def _purse(*, session: Session, payout: Payout) -> str:
    """The account that holds the award's money: its stage's, or the reserve's for an overruled claim (law 10)."""
    award = (
        select(Decision.account)
        .where(
            Decision.programme_id == payout.programme_id,
            Decision.position == payout.position,
            Decision.outcome == "award",
        )
        .order_by(Decision.event_no.desc())
        .limit(1)
    )
    account = session.scalars(award).one()
    assert account is not None, "an award stands in an account"
    return account


def _tell_rejected(*, session: Session, payout: Payout, attempt: PayoutAttempt, tail: str) -> None:
    reference = session.scalar(select(TradeIn.reference).where(TradeIn.id == payout.trade_in_id))
    why = problem_words(attempt.reason or "")
    owe_message(
        session=session,
        person_id=payout.person_id,
        dedupe_key=f"payout:{payout.id}:rejected:{attempt.attempt_no}",
        body=f"您的置换补贴 {yuan(payout.amount_fen)}没有发成：尾号 {tail} 的数币钱包，{why}。"
        f"名额和补贴都还在，请到「我的换新」另填一个您本人实名的数币钱包，我们马上再发。查询号 {reference}。",
    )
