"""Asking the bank for money back, and writing down what it says: answer, callback, poll and statement alike.

As with payouts: the request stands committed before the bank hears of it, from then on only its number is spoken of,
each word is taken as often as it comes, and what contradicts an earlier word goes to a person.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from registry.base import PartnerSilent, PartnerUnavailable, Refusal
from registry.cases import open_case
from subsidy.business_clock import BusinessClock
from subsidy.notices import LOCAL
from subsidy.operator import PayoutOperator, ReclaimAnswer
from subsidy.queue import MoneyAtTheBank
from subsidy.reclaims import OPEN, RECLAIM, ReclaimAttempt, note_reclaim, subject_of
from subsidy.repayments import free_repaid
from subsidy.returns import ReturnCase
from subsidy.settlement import BANK, TransferNotOurs, real_instant

# How long the one who speaks to the bank keeps the others away: longer than any call may take.
LEASE = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=10)
CASE_AFTER = 12
SOON = timedelta(seconds=1)

Sessions = sessionmaker[Session]


def reclaim_next(*, sessions: Sessions, operator: PayoutOperator, clock: BusinessClock) -> str | None:
    """Speak to the bank about the reclaim due longest; return its state after, None where none is due.

    A new one is sent; one that was sent is asked for, and sent again under its number only where the bank never
    received it. ``silent`` and ``unavailable``: the bank did not answer or is away, and is asked again at growing
    intervals. Safe to call from many threads and processes at once.
    """
    with sessions.begin() as session:
        attempt = _take_due(session, clock.now())
        if attempt is None:
            return None
        # Known outside the transaction: no lock is held while the bank thinks.
        session.expunge(attempt)
    try:
        answer = None if attempt.asked == 1 else operator.find_reclaim(bank_number=attempt.bank_number)
        if answer is None:
            answer = operator.reclaim(
                bank_number=attempt.bank_number,
                transfer_number=attempt.transfer_number,
                amount_fen=attempt.amount_fen,
            )
    except PartnerSilent:
        with sessions.begin() as session:
            _lose(session, attempt.bank_number)
        return "silent"
    except PartnerUnavailable:
        return "unavailable"
    except Refusal as refusal:
        # The bank knows this number for something else: a person has to look before anything is asked again.
        with sessions.begin() as session:
            _, held = lock_reclaim(session=session, bank_number=attempt.bank_number)
            _contest(session, held, kind="reclaim_refused", detail={"refusal": refusal.code})
        return "contested"
    if answer.bank_number != attempt.bank_number:
        raise ValueError(f"the bank answered about {answer.bank_number} when asked for {attempt.bank_number}")
    try:
        with sessions.begin() as session:
            return record_reclaim(session=session, answer=answer, clock=clock)
    except MoneyAtTheBank:
        # Its payout is frozen, and with finance: asked again, and booked, once that is decided.
        return "held_up"


def record_reclaim(*, session: Session, answer: ReclaimAnswer, clock: BusinessClock) -> str:
    """Write down one answer of the bank and return the reclaim's state after it; its first success frees the money.

    The transaction is left to the caller. Raises TransferNotOurs, and MoneyAtTheBank as the queue does.
    """
    case, attempt = lock_reclaim(session=session, bank_number=answer.bank_number)
    if attempt.decided_by is not None:
        return attempt.state
    if answer.state == "settled":
        _collect(session, case, attempt, answer, clock)
    elif answer.state == "rejected" and answer.final:
        _reject(session, attempt, reason=answer.reason or "rejected", now=clock.now())
    elif attempt.state in OPEN:
        attempt.state = RECLAIM.after(state=_sent(attempt, clock.now()), step="accept")
    session.flush()
    return attempt.state


def lock_reclaim(*, session: Session, bank_number: str) -> tuple[ReturnCase, ReclaimAttempt]:
    """Lock the return this number claims back, and the reclaim, as they stand now; raises TransferNotOurs."""
    fresh = {"populate_existing": True}
    case_id = select(ReclaimAttempt.return_case_id).where(ReclaimAttempt.bank_number == bank_number).scalar_subquery()
    case = session.scalars(
        select(ReturnCase).where(ReturnCase.id == case_id).with_for_update(), execution_options=fresh
    ).one_or_none()
    if case is None:
        raise TransferNotOurs(bank_number=bank_number)
    attempt = session.scalars(
        select(ReclaimAttempt).where(ReclaimAttempt.bank_number == bank_number).with_for_update(),
        execution_options=fresh,
    ).one()
    return case, attempt


def _take_due(session: Session, now: datetime) -> ReclaimAttempt | None:
    attempt = session.scalars(
        select(ReclaimAttempt)
        .where(ReclaimAttempt.state.in_(OPEN), ReclaimAttempt.ask_at <= func.clock_timestamp())
        .order_by(ReclaimAttempt.ask_at)
        .limit(1)
        .with_for_update(skip_locked=True),
        execution_options={"populate_existing": True},
    ).one_or_none()
    if attempt is None:
        return None
    attempt.state = _sent(attempt, now)
    attempt.asked += 1
    attempt.ask_at = real_instant(after=max(LEASE, min(timedelta(seconds=2 ** min(attempt.asked, 10)), LONGEST_WAIT)))
    if attempt.asked >= CASE_AFTER and attempt.state == "unknown":
        detail = {"bank_number": attempt.bank_number, "asked": attempt.asked}
        open_case(session=session, kind="reclaim_unanswered", subject=subject_of(attempt), detail=detail)
    session.flush()
    session.refresh(attempt)
    return attempt


def _sent(attempt: ReclaimAttempt, now: datetime) -> str:
    """Return the open reclaim's state, ``sent`` at the latest by now."""
    if attempt.state == "due":
        attempt.sent_at = now
        return RECLAIM.after(state=attempt.state, step="send")
    return attempt.state


def _lose(session: Session, bank_number: str) -> None:
    _, attempt = lock_reclaim(session=session, bank_number=bank_number)
    # A callback may have overtaken the answer that never came.
    if attempt.state in OPEN:
        attempt.state = RECLAIM.after(state=attempt.state, step="lose")
        if attempt.asked == 1:
            attempt.ask_at = real_instant(after=SOON)
        session.flush()


def _collect(
    session: Session, case: ReturnCase, attempt: ReclaimAttempt, answer: ReclaimAnswer, clock: BusinessClock
) -> None:
    if attempt.state == "reclaimed":
        return
    said = {"bank_amount_fen": answer.amount_fen, "was": attempt.state}
    if case.state != "demanded" or attempt.state == "rejected":
        # Finally refused, and collected all the same: the demand may have been met another way meanwhile.
        _contest(session, attempt, kind="reclaimed_after_rejection", detail=said)
        return
    if answer.amount_fen != attempt.amount_fen:
        _contest(session, attempt, kind="reclaimed_other_amount", detail=said)
        return
    if attempt.state == "contested":
        return
    now = clock.now()
    before = attempt.state
    attempt.state = RECLAIM.after(state=_sent(attempt, now), step="collect")
    attempt.finished_at = answer.settled_at or now
    note_reclaim(
        session=session,
        attempt=attempt,
        actor=BANK,
        action="reclaim_collected",
        detail={"state": [before, attempt.state]},
    )
    free_repaid(
        session=session,
        case=case,
        document_no=attempt.bank_number,
        received_on=attempt.finished_at.astimezone(LOCAL).date(),
        clock=clock,
        actor=BANK,
    )


def _reject(session: Session, attempt: ReclaimAttempt, *, reason: str, now: datetime) -> None:
    if attempt.state == "reclaimed":
        # The queue has given the money away on the bank's word: the statement tells which word holds.
        detail = {"reason": reason[:40], "was": attempt.state}
        open_case(session=session, kind="rejected_after_reclaim", subject=subject_of(attempt), detail=detail)
        return
    if attempt.state in OPEN:
        before, attempt.state = attempt.state, RECLAIM.after(state=_sent(attempt, now), step="reject")
        attempt.reason, attempt.finished_at = reason[:40], now
        note_reclaim(
            session=session,
            attempt=attempt,
            actor=BANK,
            action="reclaim_rejected",
            detail={"state": [before, attempt.state], "reason": reason[:40]},
        )


def _contest(session: Session, attempt: ReclaimAttempt, *, kind: str, detail: dict[str, Any]) -> None:
    """Open a case, and keep everything else from this return until a person has decided, where nothing newer stands."""
    open_case(session=session, kind=kind, subject=subject_of(attempt), detail=detail)
    if not RECLAIM.allows(state=attempt.state, step="contest") or _has_successor(session, attempt):
        return
    before, attempt.state = attempt.state, RECLAIM.after(state=attempt.state, step="contest")
    note_reclaim(
        session=session,
        attempt=attempt,
        actor=BANK,
        action="reclaim_contested",
        detail={"state": [before, attempt.state], "kind": kind},
    )
    session.flush()


def _has_successor(session: Session, attempt: ReclaimAttempt) -> bool:
    others = select(ReclaimAttempt.id).where(
        ReclaimAttempt.return_case_id == attempt.return_case_id,
        ReclaimAttempt.state != "rejected",
        ReclaimAttempt.id != attempt.id,
    )
    return session.scalar(others.limit(1)) is not None
