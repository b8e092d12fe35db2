"""What the bank said about a transfer, written down once: by its answer, callback, poll or statement alike.

Every function here locks the payout first, so that the order in which the bank's words arrive does not matter, and
takes each word as often as it comes. What contradicts an earlier word freezes the payout and opens a case: a person
decides, no machine pays or books again (subsidy/statement_payouts.py). Once a person has, the bank's words about that
number change nothing any more.
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
from subsidy.payouts import ATTEMPT, PAYOUT, Payout, PayoutAttempt, problem_remedy, problem_words
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
    payout, attempt = lock_attempt(session=session, bank_number=answer.bank_number)
    if answer.state == "settled":
        settled_at = answer.settled_at or now
        _settle(session, payout, attempt, amount_fen=answer.amount_fen, settled_at=settled_at, now=now)
    elif answer.state == "rejected" and answer.final:
        _reject(session, payout, attempt, reason=answer.reason or "rejected", now=now)
    else:
        _accept(session, attempt)
    return attempt.state


def settle(*, session: Session, bank_number: str, amount_fen: int, settled_at: datetime, now: datetime) -> bool:
    """Settle the attempt and its payout, book the ledger, owe the owner the notice; return whether this was the first.

    ``amount_fen`` is what the bank says it paid; another amount than ours, or a success after a final rejection,
    freezes the payout as a case instead. Raises TransferNotOurs.
    """
    payout, attempt = lock_attempt(session=session, bank_number=bank_number)
    return _settle(session, payout, attempt, amount_fen=amount_fen, settled_at=settled_at, now=now)


def _settle(
    session: Session, payout: Payout, attempt: PayoutAttempt, *, amount_fen: int, settled_at: datetime, now: datetime
) -> bool:
    if attempt.decided_by is not None:
        return False
    bank_number = attempt.bank_number
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
    payout.state = PAYOUT.after(state=payout.state, step="settle")
    book_settled(session=session, payout=payout, attempt=attempt, settled_at=settled_at, now=now, actor=BANK)
    return True


def reject(*, session: Session, bank_number: str, reason: str, now: datetime) -> bool:
    """Write down the bank's FINAL rejection; return whether this was the first word of it.

    The payout waits for a wallet again, the wallet that failed is not tried a second time, and the owner is told what
    to do. A rejection after a success freezes the payout as a case. Raises TransferNotOurs.
    """
    payout, attempt = lock_attempt(session=session, bank_number=bank_number)
    return _reject(session, payout, attempt, reason=reason, now=now)


def _reject(session: Session, payout: Payout, attempt: PayoutAttempt, *, reason: str, now: datetime) -> bool:
    bank_number, reason = attempt.bank_number, reason[:40]
    if attempt.state == "rejected" or attempt.decided_by is not None:
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
        await_wallet(payout=payout, now=now)
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
    payout_id = select(PayoutAttempt.payout_id).where(PayoutAttempt.bank_number == bank_number).scalar_subquery()
    payout = session.scalars(
        select(Payout).where(Payout.id == payout_id).with_for_update(), execution_options=fresh
    ).one_or_none()
    if payout is None:
        raise TransferNotOurs(bank_number=bank_number)
    # Only now: whoever held the lock before may have changed the attempt.
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


def _accept(session: Session, attempt: PayoutAttempt) -> None:
    """The bank has the transfer and has not finished it: ``sent``, whatever we believed; asked for in a while."""
    if attempt.state in FINISHED:
        return
    attempt.state = ATTEMPT.after(state=attempt.state, step="accept")
    if attempt.asked == 0:  # later on the back-off of asking decides
        set_ask_at(attempt=attempt, after=ASK_AFTER_ACCEPTED)
    session.flush()


def await_wallet(*, payout: Payout, now: datetime) -> None:
    """Have the (locked) payout wait for a wallet from now on: paying it again takes a batch of its own."""
    payout.batch_id = None
    payout.awaiting_since, payout.reminders, payout.reminded_at = now, 0, None


def book_settled(
    *,
    session: Session,
    payout: Payout,
    attempt: PayoutAttempt,
    settled_at: datetime,
    now: datetime,
    actor: str,
) -> None:
    """Book the (locked) payout, whose state says settled already, and owe its owner the notice; once for life."""
    payout.settled_at, payout.problem = settled_at, None
    tail, reference, committed = _told_and_booked(session=session, payout=payout, attempt=attempt)
    owe_message(
        session=session,
        person_id=payout.person_id,
        dedupe_key=f"payout:{payout.id}:settled",
        body=f"您的置换补贴 {yuan(payout.amount_fen)}已到账，请在尾号 {tail} 的数币钱包里查看。查询号 {reference}。",
    )
    detail = {"bank_number": attempt.bank_number, "amount_fen": payout.amount_fen}
    record(session=session, actor=actor, action="payout_settled", subject=f"payout:{payout.id}", detail=detail)
    session.flush()
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


def _told_and_booked(*, session: Session, payout: Payout, attempt: PayoutAttempt) -> tuple[str, str, str]:
    """The wallet's last characters, the trade-in's reference, and the account that holds the award's money.

    That is its stage's, or the reserve's for an overruled claim (law 10).
    """
    award = (
        select(Decision.account)
        .where(
            Decision.programme_id == payout.programme_id,
            Decision.position == payout.position,
            Decision.outcome == "award",
        )
        .order_by(Decision.event_no.desc())
        .limit(1)
        .scalar_subquery()
    )
    row = session.execute(
        select(Wallet.tail, TradeIn.reference, award.label("account"))
        .join(TradeIn, TradeIn.id == payout.trade_in_id)
        .where(Wallet.id == attempt.wallet_id)
    ).one()
    assert row.account is not None, "an award stands in an account"
    return row.tail, row.reference, row.account


def _tell_rejected(*, session: Session, payout: Payout, attempt: PayoutAttempt, tail: str) -> None:
    reference = session.scalar(select(TradeIn.reference).where(TradeIn.id == payout.trade_in_id))
    why, remedy = problem_words(attempt.reason or ""), problem_remedy(attempt.reason or "")
    owe_message(
        session=session,
        person_id=payout.person_id,
        dedupe_key=f"payout:{payout.id}:rejected:{attempt.attempt_no}",
        body=f"您的置换补贴 {yuan(payout.amount_fen)}没有发成：尾号 {tail} 的数币钱包，{why}。"
        f"{remedy}。名额和补贴都还在，到「我的换新」填好钱包，我们就再发。查询号 {reference}。",
    )
