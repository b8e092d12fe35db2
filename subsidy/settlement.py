"""What the bank said about a transfer, written down once: by its answer, callback, poll or statement alike.

Every function here locks the payout first, so that the order in which the bank's words arrive does not matter, and
takes each word as often as it comes. What contradicts an earlier word freezes the payout and opens a case: a person
decides, no machine pays or books again (subsidy/statement_payouts.py). Once a person has, the bank's words about that
number change nothing any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, bindparam, func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from registry.audit import record
from registry.base import Refusal
from registry.cases import open_case
from registry.messages import Notice, owe_message, owe_messages
from registry.trade_ins import TradeIn
from subsidy.claims import Decision
from subsidy.ledger import PaymentPosting, book_payments
from subsidy.notices import yuan
from subsidy.operator import TransferAnswer
from subsidy.payouts import ATTEMPT, PAYOUT, Payout, PayoutAttempt, problem_remedy, problem_words
from subsidy.wallets import Wallet

ASK_AFTER_ACCEPTED = timedelta(seconds=3)
ASK_AFTER_SILENCE = timedelta(seconds=1)
FINISHED = ("settled", "rejected")
BANK = "bank"
# Every word of the bank runs these: made once, because putting a statement together takes longer than running it.
_OF_THESE = PayoutAttempt.bank_number.in_(bindparam("bank_numbers", expanding=True))
_NAMED = select(PayoutAttempt).where(_OF_THESE).execution_options(populate_existing=True)
_PAID_UNDER = (
    select(Payout)
    .where(Payout.id.in_(select(PayoutAttempt.payout_id).where(_OF_THESE)))
    .order_by(Payout.id)
    .with_for_update()
    .execution_options(populate_existing=True)
)
_AWARD = (
    select(Decision.account)
    .where(
        Decision.programme_id == Payout.programme_id,
        Decision.position == Payout.position,
        Decision.outcome == "award",
    )
    .order_by(Decision.event_no.desc())
    .limit(1)
    .correlate(Payout)
    .scalar_subquery()
)
_AROUND = (
    select(PayoutAttempt.id, Wallet.tail, TradeIn.reference, _AWARD.label("account"))
    .join(Payout, Payout.id == PayoutAttempt.payout_id)
    .join(Wallet, Wallet.id == PayoutAttempt.wallet_id)
    .join(TradeIn, TradeIn.id == Payout.trade_in_id)
    .where(PayoutAttempt.id.in_(bindparam("attempts", expanding=True)))
)


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
    return record_answers(session=session, answers=[answer], now=now)[0]


def record_answers(*, session: Session, answers: Sequence[TransferAnswer], now: datetime) -> list[str]:
    """Write down answers of the bank in their order, as record_answer does; return each attempt's state after it.

    All or none of them: raises TransferNotOurs where one number is not ours.
    """
    locked = _lock_attempts(session=session, bank_numbers=[answer.bank_number for answer in answers])
    paid, states = [], []
    for answer in answers:
        payout, attempt = locked[answer.bank_number]
        if answer.state == "settled":
            if _settle(session, payout, attempt, amount_fen=answer.amount_fen, settled_at=answer.settled_at or now):
                paid.append(Paid(payout=payout, attempt=attempt))
        elif answer.state == "rejected" and answer.final:
            _reject(session, payout, attempt, reason=answer.reason or "rejected", now=now)
        else:
            _accept(session, attempt)
        states.append(attempt.state)
    if paid:
        book_settled(session=session, paid=paid, now=now, actor=BANK)
    return states


def settle(*, session: Session, bank_number: str, amount_fen: int, settled_at: datetime, now: datetime) -> bool:
    """Settle the attempt and its payout, book the ledger, owe the owner the notice; return whether this was the first.

    ``amount_fen`` is what the bank says it paid; another amount than ours, or a success after a final rejection,
    freezes the payout as a case instead. Raises TransferNotOurs.
    """
    payout, attempt = lock_attempt(session=session, bank_number=bank_number)
    if not _settle(session, payout, attempt, amount_fen=amount_fen, settled_at=settled_at):
        return False
    book_settled(session=session, paid=[Paid(payout=payout, attempt=attempt)], now=now, actor=BANK)
    return True


def _settle(session: Session, payout: Payout, attempt: PayoutAttempt, *, amount_fen: int, settled_at: datetime) -> bool:
    """Say in the (locked) rows that the bank paid; return whether that is news, which has to be booked."""
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
    payout.settled_at = settled_at
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
    return _lock_attempts(session=session, bank_numbers=[bank_number])[bank_number]


def _lock_attempts(*, session: Session, bank_numbers: Sequence[str]) -> dict[str, tuple[Payout, PayoutAttempt]]:
    """Lock the payouts these numbers pay, in the order of their ids so that two batches cannot deadlock."""
    named = {"bank_numbers": list(bank_numbers)}
    payouts = {payout.id: payout for payout in session.scalars(_PAID_UNDER, named)}
    # Only now: whoever held the lock before may have changed the attempts.
    attempts = session.scalars(_NAMED, named)
    locked = {attempt.bank_number: (payouts[attempt.payout_id], attempt) for attempt in attempts}
    for bank_number in bank_numbers:
        if bank_number not in locked:
            raise TransferNotOurs(bank_number=bank_number)
    return locked


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A (locked) payout whose state and ``settled_at`` say that it is paid, and the attempt that paid it."""

    payout: Payout
    attempt: PayoutAttempt


def book_settled(*, session: Session, paid: Sequence[Paid], now: datetime, actor: str) -> None:
    """Book the payouts, whose states say settled already, and owe their owners the notices; once for life."""
    around = _told_and_booked(session=session, paid=paid)
    notices, postings = [], []
    for item in paid:
        payout, (tail, reference, committed) = item.payout, around[item.attempt.id]
        payout.problem = None
        said = f"您的置换补贴 {yuan(payout.amount_fen)}已到账，请在尾号 {tail} 的数币钱包里查看。查询号 {reference}。"
        notices.append(Notice(person_id=payout.person_id, dedupe_key=f"payout:{payout.id}:settled", body=said))
        detail = {"bank_number": item.attempt.bank_number, "amount_fen": payout.amount_fen}
        record(session=session, actor=actor, action="payout_settled", subject=f"payout:{payout.id}", detail=detail)
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
        postings.append(posting)
    owe_messages(session=session, notices=notices)
    session.flush()
    # Last, because the stage's balances are rows the queue wants too.
    book_payments(session=session, postings=postings)


def _told_and_booked(*, session: Session, paid: Sequence[Paid]) -> dict[int, tuple[str, str, str]]:
    """By attempt: the wallet's last characters, the trade-in's reference, the account that holds the award's money.

    That is its stage's, or the reserve's for an overruled claim (law 10).
    """
    rows = session.execute(_AROUND, {"attempts": [item.attempt.id for item in paid]})
    around = {row.id: (row.tail, row.reference, row.account) for row in rows}
    assert all(account is not None for _, _, account in around.values()), "an award stands in an account"
    return around


def _tell_rejected(*, session: Session, payout: Payout, attempt: PayoutAttempt, tail: str) -> None:
    reference = session.scalar(select(TradeIn.reference).where(TradeIn.id == payout.trade_in_id))
    why, remedy = problem_words(attempt.reason or ""), problem_remedy(attempt.reason or "")
    owe_message(
        session=session,
        person_id=payout.person_id,
        dedupe_key=f"payout:{payout.id}:rejected:{attempt.attempt_no}",
        body=f"您的置换补贴 {yuan(payout.amount_fen)}没有发成：尾号 {tail} 的数币钱包，{why}。"
        f"{remedy}。名额和补贴都还在，到「我的换新」填好钱包，或到代办点办理，我们就再发。查询号 {reference}。",
    )
