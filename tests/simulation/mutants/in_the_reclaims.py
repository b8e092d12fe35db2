"""Bugs of money that is asked back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

from sqlalchemy import select

from subsidy import reclaiming, repayments
from subsidy.claims import Decision
from subsidy.ledger import PaymentPosting, book_payments
from subsidy.payouts import Payout
from subsidy.reclaims import OPEN, request_reclaim
from tests.simulation import deeds
from tests.simulation.world import FINANCE


def another_number_after_silence() -> list[Any]:
    """No answer is taken for a refusal: the money is asked back under the next number, and nobody asks for the last."""

    def give_up(session: Any, bank_number: str) -> None:
        case, attempt = reclaiming.lock_reclaim(session=session, bank_number=bank_number)
        if attempt.state in OPEN:
            attempt.state = "rejected"
            session.flush()
            request_reclaim(session=session, reference=case.reference, actor=FINANCE, now=attempt.asked_at)

    return [patch.object(reclaiming, "_lose", give_up)]


def booked_twice() -> list[Any]:
    """The bank's word that the money is here books it, beside the queue that has freed it."""
    free = reclaiming.free_repaid

    def free_and_book(*, session: Any, case: Any, clock: Any, **what: Any) -> None:
        free(session=session, case=case, clock=clock, **what)
        payout = session.scalars(select(Payout).where(Payout.trade_in_id == case.trade_in_id)).one()
        awards = select(Decision).where(Decision.position == payout.position, Decision.outcome == "award")
        award = session.scalars(awards.order_by(Decision.event_no.desc()).limit(1)).one()
        posting = PaymentPosting(
            programme_id=payout.programme_id,
            payout_id=payout.id,
            position=payout.position,
            at=clock.now(),
            kind="clawed_back",
            debit=award.account.replace("committed:", "paid:"),
            credit="appropriation",
            amount_fen=payout.amount_fen,
        )
        book_payments(session=session, postings=[posting])

    return [patch.object(reclaiming, "free_repaid", free_and_book)]


def accepted_is_taken_for_paid() -> list[Any]:
    """The bank has the request, and the next in line gets money that is not here yet."""
    record = reclaiming.record_reclaim

    def hasty(*, answer: Any, **what: Any) -> str:
        state = "settled" if answer.state == "accepted" else answer.state
        return record(answer=replace(answer, state=state), **what)

    return [patch.object(reclaiming, "record_reclaim", hasty), patch.object(deeds, "record_reclaim", hasty)]


def receipt_beside_the_bank() -> list[Any]:
    """The owner pays by hand while the bank takes the money too."""
    return [patch.object(repayments, "give_way_to_receipt", lambda **what: None)]
