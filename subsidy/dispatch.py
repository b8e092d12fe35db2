"""Sending payouts to the bank, and asking what became of them.

The attempt stands committed under its own number before the bank hears of it. From then on only that number is spoken
of: asked for, and sent again where the bank never received it. Another attempt exists only after the bank has finally
rejected the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, func, select, update
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.elements import ColumnElement

from registry.audit import record
from registry.base import PartnerSilent, PartnerUnavailable, Refusal
from registry.cases import open_case
from registry.filings import FiledBike
from registry.people import Person, open_name
from registry.sealing import Keyring
from registry.trade_ins import TradeIn
from subsidy.operator import PayoutOperator, TransferAnswer
from subsidy.payouts import PAYOUT, PaymentBatch, Payout, PayoutAttempt
from subsidy.programme import Programme, ProgrammeVersion
from subsidy.settlement import (
    ASK_AFTER_SILENCE,
    FINISHED,
    freeze,
    lock_attempt,
    lose,
    real_instant,
    record_answer,
    record_answers,
    set_ask_at,
)
from subsidy.wallets import Wallet, open_wallet_id

# How long the one who sends keeps the asker away: longer than any call to the bank may take.
LEASE = timedelta(seconds=10)
# For how long somebody who took several sends one after the other: well inside the lease.
SENDING = timedelta(seconds=4)
LONGEST_WAIT = timedelta(minutes=5)
CASE_AFTER = 12

Sessions = sessionmaker[Session]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One transfer as the bank is asked for it. ``wallet_id`` and ``holder_name`` are in clear: never log it."""

    bank_number: str
    wallet_id: str
    holder_name: str
    amount_fen: int

    def __repr__(self) -> str:
        return f"Order({self.bank_number}, {self.amount_fen} fen)"


def pay_next(
    *, sessions: Sessions, operator: PayoutOperator, keyring: Keyring, now: Callable[[], datetime]
) -> str | None:
    """Send the payout owed longest of a released batch; return its attempt's state after, None where there is none."""
    outcomes = pay_some(sessions=sessions, operator=operator, keyring=keyring, now=now, most=1)
    return outcomes[0] if outcomes else None


def pay_some(
    *, sessions: Sessions, operator: PayoutOperator, keyring: Keyring, now: Callable[[], datetime], most: int
) -> list[str]:
    """Send up to ``most`` payouts, those owed longest of released batches; return their attempts' states after.

    Their attempts are written in one transaction and the bank's answers in another. Where the bank is away or slow the
    rest is ``left``: the attempts are asked for soon, and sent then. ``unavailable``: the bank took nothing; better
    stop sending for a moment. Safe to call from many threads and processes at once.
    """
    with sessions.begin() as session:
        orders = open_attempts(session=session, keyring=keyring, now=now(), most=most)
    until_s = time.monotonic() + SENDING.total_seconds()
    outcomes: list[str] = []
    answers: list[TransferAnswer] = []
    left = list(orders)
    while left and time.monotonic() < until_s and "unavailable" not in outcomes:
        said = _send(sessions=sessions, operator=operator, order=left.pop(0))
        if isinstance(said, str):
            outcomes.append(said)
        else:
            answers.append(said)
    with sessions.begin() as session:
        if answers:
            outcomes += record_answers(session=session, answers=answers, now=now())
        if left:
            _leave(session=session, bank_numbers=[order.bank_number for order in left])
    return outcomes + ["left"] * len(left)


def open_attempts(*, session: Session, keyring: Keyring, now: datetime, most: int) -> list[Order]:
    """Take the payouts owed longest of released batches, which nobody else is taking, and write their attempts.

    Empty where there is none: nothing is sent outside a batch that was approved and funded.

    The caller commits before the bank hears of it. The number derives from the trade-in's reference and the count of
    attempts, so that a database restored from a backup speaks of the same transfer by the same number.
    """
    query = (
        select(Payout)
        .where(Payout.state == "owed", _is_released(), *ready_to_send())
        .order_by(Payout.owed_since)
        .limit(most)
        .with_for_update(skip_locked=True, of=Payout)
    )
    payouts = session.scalars(query, execution_options={"populate_existing": True}).all()
    if not payouts:
        return []
    around = {row.Wallet.trade_in_id: row for row in session.execute(_around(payouts))}
    opened = []
    for payout in payouts:
        row = around.get(payout.trade_in_id)
        if row is None:
            continue
        attempt_no = row.earlier + 1
        attempt = PayoutAttempt(
            payout_id=payout.id,
            attempt_no=attempt_no,
            bank_number=f"{row.number}-{attempt_no:02d}",
            wallet_id=row.Wallet.id,
            amount_fen=payout.amount_fen,
            state="sent",
            sent_at=now,
            ask_at=real_instant(after=LEASE),
        )
        session.add(attempt)
        payout.state = PAYOUT.after(state=payout.state, step="send")
        detail = {"bank_number": attempt.bank_number, "amount_fen": attempt.amount_fen}
        record(session=session, actor="scheduler", action="payout_sent", subject=f"payout:{payout.id}", detail=detail)
        opened.append(_order(wallet=row.Wallet, person=row.Person, attempt=attempt, keyring=keyring))
    session.flush()
    return opened


def _around(payouts: Sequence[Payout]) -> Select[Any]:
    """What attempts need besides the payouts: current wallet, its holder, our number so far, earlier attempts."""
    earlier = select(func.count()).select_from(PayoutAttempt).where(PayoutAttempt.payout_id == Payout.id)
    # The schema is the district, and several districts may bank at one house.
    number = func.concat(func.current_schema(), "-", TradeIn.reference)
    return (
        select(Wallet, Person, number.label("number"), earlier.correlate(Payout).scalar_subquery().label("earlier"))
        .join(TradeIn, TradeIn.id == Wallet.trade_in_id)
        .join(Person, Person.id == Wallet.person_id)
        .join(Payout, Payout.trade_in_id == Wallet.trade_in_id)
        .where(Payout.id.in_([payout.id for payout in payouts]), Wallet.superseded_at.is_(None))
    )


def ask_next(
    *, sessions: Sessions, operator: PayoutOperator, keyring: Keyring, now: Callable[[], datetime]
) -> str | None:
    """Ask the bank about the attempt due longest and return its state after; None where nothing is due.

    A number the bank never received is sent again, the same number; ``stopped`` where a case forbids that. ``silent``
    and ``unavailable``: the bank did not answer the question, or is away; it is asked again, at growing intervals. An
    attempt still open after twelve questions, about half an hour, becomes a case besides.
    """
    with sessions.begin() as session:
        bank_number = _due_number(session=session)
    if bank_number is None:
        return None
    try:
        answer = operator.find_transfer(bank_number=bank_number)
    except PartnerSilent:
        return "silent"
    except PartnerUnavailable:
        return "unavailable"
    if answer is None:
        return _send_again(sessions=sessions, operator=operator, keyring=keyring, bank_number=bank_number, now=now)
    with sessions.begin() as session:
        return record_answer(session=session, answer=answer, now=now())


def _send_again(
    *,
    sessions: Sessions,
    operator: PayoutOperator,
    keyring: Keyring,
    bank_number: str,
    now: Callable[[], datetime],
) -> str:
    with sessions.begin() as session:
        payout, attempt = lock_attempt(session=session, bank_number=bank_number)
        if payout.state != "in_flight" or attempt.state in FINISHED:
            return "stopped"
        set_ask_at(attempt=attempt, after=max(LEASE, _wait(asked=attempt.asked)))
        session.flush()
        wallet = session.get_one(Wallet, attempt.wallet_id)
        person = session.get_one(Person, wallet.person_id)
        order = _order(wallet=wallet, person=person, attempt=attempt, keyring=keyring)
    return _transfer(sessions=sessions, operator=operator, order=order, now=now)


def _transfer(*, sessions: Sessions, operator: PayoutOperator, order: Order, now: Callable[[], datetime]) -> str:
    """Send the order, write down the answer. After anything unforeseen the attempt is asked for when its lease ends."""
    said = _send(sessions=sessions, operator=operator, order=order)
    if isinstance(said, str):
        return said
    with sessions.begin() as session:
        return record_answer(session=session, answer=said, now=now())


def _send(*, sessions: Sessions, operator: PayoutOperator, order: Order) -> TransferAnswer | str:
    """Send the order; return the bank's answer, or what was written down because there is none."""
    try:
        answer = operator.transfer(
            bank_number=order.bank_number,
            wallet_id=order.wallet_id,
            holder_name=order.holder_name,
            amount_fen=order.amount_fen,
        )
    except PartnerSilent:
        with sessions.begin() as session:
            lose(session=session, bank_number=order.bank_number)
        return "unknown"
    except PartnerUnavailable:
        with sessions.begin() as session:
            _, attempt = lock_attempt(session=session, bank_number=order.bank_number)
            set_ask_at(attempt=attempt, after=max(ASK_AFTER_SILENCE, _wait(asked=attempt.asked)))
        return "unavailable"
    except Refusal as refusal:
        # The bank knows this number for something else: nobody may pay under it, or again, before a person has looked.
        with sessions.begin() as session:
            payout, _ = lock_attempt(session=session, bank_number=order.bank_number)
            detail = {"bank_number": order.bank_number, "refusal": refusal.code}
            freeze(session=session, payout=payout, kind="transfer_refused", detail=detail)
        return "stopped"
    if answer.bank_number != order.bank_number:
        raise ValueError(f"the bank answered about {answer.bank_number} when asked to pay {order.bank_number}")
    return answer


def _leave(*, session: Session, bank_numbers: Sequence[str]) -> None:
    """Have the bank asked soon about attempts it was not sent: it does not know them, and they are sent then."""
    mine = update(PayoutAttempt).where(PayoutAttempt.bank_number.in_(bank_numbers), PayoutAttempt.state == "sent")
    # None of them was asked for before, unless their lease is over.
    session.execute(mine.where(PayoutAttempt.asked == 0).values(ask_at=real_instant(after=ASK_AFTER_SILENCE)))


def _due_number(*, session: Session) -> str | None:
    """Take one attempt that is due to be asked for, putting off its next time; None where none is."""
    attempt = session.scalars(
        select(PayoutAttempt)
        .where(PayoutAttempt.state.in_(("sent", "unknown")), PayoutAttempt.ask_at <= func.clock_timestamp())
        .order_by(PayoutAttempt.ask_at)
        .limit(1)
        .with_for_update(skip_locked=True),
        execution_options={"populate_existing": True},
    ).one_or_none()
    if attempt is None:
        return None
    attempt.asked += 1
    if attempt.asked == CASE_AFTER:
        detail = {"bank_number": attempt.bank_number, "asked": attempt.asked}
        subject = f"payout:{attempt.payout_id}"
        open_case(session=session, kind="transfer_unanswered", subject=subject, detail=detail)
    set_ask_at(attempt=attempt, after=_wait(asked=attempt.asked))
    return attempt.bank_number


def hasten_questions(*, session: Session) -> int:
    """Have every open attempt that would be asked about later asked about in ten seconds; return how many.

    For a bank that answers again. Not sooner: within its lease somebody may be sending it. The transaction is left to
    the caller.
    """
    late = (
        select(PayoutAttempt.id)
        .where(PayoutAttempt.state.in_(("sent", "unknown")), PayoutAttempt.ask_at > real_instant(after=LEASE))
        .with_for_update(skip_locked=True)
    )
    soon = update(PayoutAttempt).where(PayoutAttempt.id.in_(late)).values(ask_at=real_instant(after=LEASE))
    return len(session.scalars(soon.returning(PayoutAttempt.id)).all())


def _wait(*, asked: int) -> timedelta:
    """2, 4, 8 … seconds after the first, second, third question, five minutes at most."""
    return min(timedelta(seconds=2 ** min(asked, 10)), LONGEST_WAIT)


def _order(*, wallet: Wallet, person: Person, attempt: PayoutAttempt, keyring: Keyring) -> Order:
    return Order(
        bank_number=attempt.bank_number,
        wallet_id=open_wallet_id(wallet=wallet, keyring=keyring),
        holder_name=open_name(person=person, keyring=keyring, locked_too=True),
        amount_fen=attempt.amount_fen,
    )


def ready_to_send() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on an owed payout: it has a wallet, and does not wait for the old bike's destruction."""
    return _has_wallet(), ~_waits_for_destruction()


def _is_released() -> ColumnElement[bool]:
    return Payout.batch_id.in_(select(PaymentBatch.id).where(PaymentBatch.state == "released"))


def _has_wallet() -> ColumnElement[bool]:
    wallet = select(Wallet.id).where(Wallet.trade_in_id == Payout.trade_in_id, Wallet.superseded_at.is_(None))
    return wallet.exists()


def _waits_for_destruction() -> ColumnElement[bool]:
    """The rules in force have payment wait until the old bike is destroyed, and it is not."""
    in_force = and_(ProgrammeVersion.programme_id == Programme.id, ProgrammeVersion.version_no == Programme.version_no)
    rules_say_so = select(Programme.id).join(ProgrammeVersion, in_force)
    rules_say_so = rules_say_so.where(
        Programme.id == Payout.programme_id, ProgrammeVersion.rules["payment_waits_for_destruction"].as_boolean()
    )
    standing = select(FiledBike.id).join(TradeIn, TradeIn.filed_bike_id == FiledBike.id)
    standing = standing.where(TradeIn.id == Payout.trade_in_id, FiledBike.state != "destroyed")
    return and_(rules_say_so.exists(), standing.exists())
