"""Sending payouts to the bank, and asking what became of them.

The attempt stands committed under its own number before the bank hears of it. From then on only that number is spoken
of: asked for, and sent again where the bank never received it. Another attempt exists only after the bank has finally
rejected the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.elements import ColumnElement

from registry.audit import record
from registry.base import PartnerSilent, PartnerUnavailable, Refusal
from registry.cases import open_case
from registry.filings import FiledBike
from registry.people import Person, open_name
from registry.sealing import Keyring
from registry.trade_ins import TradeIn
from subsidy.operator import PayoutOperator
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
    set_ask_at,
)
from subsidy.wallets import Wallet, open_wallet_id

# How long the one who sends keeps the asker away: longer than any call to the bank may take.
LEASE = timedelta(seconds=10)
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
    """Send the payout owed longest of a released batch; return its attempt's state after, None where there is none.

    ``unavailable``: the bank took nothing and the attempt waits to be asked for; better stop sending for a moment.
    Safe to call from many threads and processes at once.
    """
    with sessions.begin() as session:
        order = open_attempt(session=session, keyring=keyring, now=now())
    return None if order is None else _transfer(sessions=sessions, operator=operator, order=order, now=now)


def open_attempt(*, session: Session, keyring: Keyring, now: datetime) -> Order | None:
    """Take the payout owed longest of a released batch, which nobody else is taking, and write its attempt.

    None where there is none: nothing is sent outside a batch that was approved and funded.

    The caller commits before the bank hears of it. The number derives from the trade-in's reference and the count of
    attempts, so that a database restored from a backup speaks of the same transfer by the same number.
    """
    payout = session.scalars(
        select(Payout)
        .where(Payout.state == "owed", _is_released(), *ready_to_send())
        .order_by(Payout.owed_since)
        .limit(1)
        .with_for_update(skip_locked=True, of=Payout),
        execution_options={"populate_existing": True},
    ).one_or_none()
    if payout is None:
        return None
    row = session.execute(_around(payout)).one_or_none()
    if row is None:
        return None
    wallet, attempt_no = row.Wallet, row.earlier + 1
    attempt = PayoutAttempt(
        payout_id=payout.id,
        attempt_no=attempt_no,
        bank_number=f"{row.number}-{attempt_no:02d}",
        wallet_id=wallet.id,
        amount_fen=payout.amount_fen,
        state="sent",
        sent_at=now,
        ask_at=real_instant(after=LEASE),
    )
    session.add(attempt)
    payout.state = PAYOUT.after(state=payout.state, step="send")
    detail = {"bank_number": attempt.bank_number, "amount_fen": attempt.amount_fen}
    record(session=session, actor="scheduler", action="payout_sent", subject=f"payout:{payout.id}", detail=detail)
    session.flush()
    return _order(wallet=wallet, person=row.Person, attempt=attempt, keyring=keyring)


def _around(payout: Payout) -> Select[Any]:
    """What an attempt needs besides the payout: current wallet, its holder, our number so far, earlier attempts."""
    earlier = select(func.count()).select_from(PayoutAttempt).where(PayoutAttempt.payout_id == payout.id)
    # The schema is the district, and several districts may bank at one house.
    number = func.concat(func.current_schema(), "-", TradeIn.reference)
    return (
        select(Wallet, Person, number.label("number"), earlier.scalar_subquery().label("earlier"))
        .join(TradeIn, TradeIn.id == Wallet.trade_in_id)
        .join(Person, Person.id == Wallet.person_id)
        .where(Wallet.trade_in_id == payout.trade_in_id, Wallet.superseded_at.is_(None))
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
    with sessions.begin() as session:
        return record_answer(session=session, answer=answer, now=now())


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
