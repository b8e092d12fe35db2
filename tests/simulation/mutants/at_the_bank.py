"""Bugs of payouts, ledger and notices."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from subsidy import dispatch, queue_rows, settlement
from subsidy.ledger import add_to_balances
from subsidy.settlement import lock_attempt


def pays_again_after_silence() -> list[Any]:
    """No answer is taken for a refusal: the payout is owed again and goes out under a new number."""

    def give_up(*, session: Any, bank_number: str) -> None:
        payout, attempt = lock_attempt(session=session, bank_number=bank_number)
        if attempt.state in ("sent", "unknown"):
            attempt.state, payout.state = "rejected", "owed"
            session.flush()

    return [patch.object(dispatch, "lose", give_up)]


def pays_the_returned() -> list[Any]:
    """A claim that is over keeps its payout."""
    nothing = queue_rows.WITHDRAW_PAYOUT.replace("state IN (", "state NOT IN (state, ")
    assert nothing != queue_rows.WITHDRAW_PAYOUT
    return [patch.object(queue_rows, "WITHDRAW_PAYOUT", nothing)]


def books_one_side() -> list[Any]:
    """The stage's money goes down and what was paid does not go up."""
    book = settlement.book_payments

    def half(*, session: Any, postings: Any) -> frozenset[int]:
        booked: frozenset[int] = book(session=session, postings=postings)
        for posting in postings:
            changes = ((posting.credit, -posting.amount_fen),)
            add_to_balances(session=session, programme_id=posting.programme_id, changes=changes)
        return booked

    return [patch.object(settlement, "book_payments", half)]


def tells_nobody() -> list[Any]:
    """The money arrives and no notice is owed."""
    return [patch.object(settlement, "owe_messages", lambda **what: None)]
