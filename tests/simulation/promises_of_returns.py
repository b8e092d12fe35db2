"""What must hold of money that is asked back, found out by SQL, the bank's own books and what left our process."""

from __future__ import annotations

from collections import Counter
from typing import Any

from app.clients.ecny.scenarios import Scenario, for_wallet
from tests.simulation.money_back import taken_fen
from tests.simulation.world import World

ATTEMPTS = "SELECT * FROM reclaim_attempt ORDER BY id"
# One row a payout: what our books say of it, and the return of its bike.
PAID = """
SELECT p.id, p.state, p.amount_fen, a.bank_number AS transfer_number, c.state AS claim_state,
       coalesce((SELECT sum(amount_fen) FROM ledger_posting l WHERE l.payout_id = p.id AND l.kind = 'settled'), 0)
           AS booked_fen,
       r.reference, r.state AS return_state, r.amount_fen AS demanded_fen, m.document_no, m.amount_fen AS repaid_fen
FROM payout p JOIN claim c ON c.trade_in_id = p.trade_in_id
LEFT JOIN payout_attempt a ON a.payout_id = p.id AND a.state <> 'rejected'
LEFT JOIN return_case r ON r.trade_in_id = p.trade_in_id AND r.state <> 'refused'
LEFT JOIN repayment m ON m.return_case_id = r.id
ORDER BY p.id
"""
UNTOLD = """
SELECT reference FROM return_case r WHERE state IN ('demanded', 'repaid') AND NOT EXISTS (
    SELECT FROM message WHERE dedupe_key = 'return:' || r.reference || ':demanded')
"""
PURSES = """
SELECT (SELECT coalesce(sum(balance_fen), 0) FROM account_balance WHERE account LIKE 'paid:%%') AS kept,
       (SELECT coalesce(sum(amount_fen), 0) FROM ledger_posting WHERE kind = 'settled') AS went,
       (SELECT coalesce(sum(amount_fen), 0) FROM repayment) AS came
"""


class MoneyBack:
    """Looks at the money that is asked back, and at nothing else."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def refused(self) -> set[str]:
        """The reclaims the bank once refused for good: taking the money all the same contradicts itself."""
        known = self._world.bank.inner.bank.reclaims._known
        return {
            number
            for number, one in known.items()
            if one.state == "rejected" or for_wallet(one.wallet_id) is Scenario.RECLAIMED_AFTER_REJECTED
        }

    def broken(self) -> list[str]:
        """Return a sentence for every promise that does not hold now."""
        attempts = {row.bank_number: row for row in self._world.ask(ATTEMPTS)}
        paid = self._world.ask(PAID)
        return [
            *self._a_number_means_one_thing(attempts),
            *self._given_up_after_a_no(attempts),
            *self._never_more_than_was_paid(attempts, paid),
            *self._what_is_freed_is_here(paid),
            *self._bank_and_books_agree(paid),
            *[f"nobody told the owner of return {row.reference}" for row in self._world.ask(UNTOLD)],
        ]

    def _a_number_means_one_thing(self, attempts: dict[str, Any]) -> list[str]:
        """What left our process stood committed before, and is what stands there under that number to this day."""
        broken = []
        for asked in self._world.bank.asked_back:
            row = attempts.get(asked.bank_number)
            if not asked.stood or row is None:
                broken.append(f"{asked.bank_number} was asked back and stood nowhere")
            elif (asked.transfer_number, asked.amount_fen) != (row.transfer_number, row.amount_fen):
                broken.append(f"{asked.bank_number} was asked back as {asked}, and stands as {row.amount_fen} fen")
        return broken

    def _given_up_after_a_no(self, attempts: dict[str, Any]) -> list[str]:
        """A reclaim is over without money only where the bank refused it for good or a person decided."""
        refused = self.refused
        return [
            f"{number} was given up and the bank never refused it"
            for number, row in attempts.items()
            if row.state == "rejected" and row.decided_by is None and number not in refused
        ]

    def _never_more_than_was_paid(self, attempts: dict[str, Any], paid: list[Any]) -> list[str]:
        """What came back, and what the bank may still take on our word, is never more than was paid."""
        may_come: Counter[str] = Counter()
        refused = self.refused
        for number, (transfer_number, amount_fen) in self._asked().items():
            row = attempts.get(number)
            over = row is not None and row.state == "rejected" and row.decided_by is not None
            if number not in refused and not over:
                may_come[transfer_number] += self._taken_by(number, amount_fen)
        for row in paid:
            may_come[row.transfer_number] += self._world.papers.get(row.document_no or "", 0)
        amounts = {row.transfer_number: row.amount_fen for row in paid if row.state == "settled"}
        return [
            f"of {transfer_number} {fen} fen may come back, {amounts.get(transfer_number, 0)} fen were paid"
            for transfer_number, fen in may_come.items()
            if fen > amounts.get(transfer_number, 0)
        ]

    def _asked(self) -> dict[str, tuple[str, int]]:
        return {asked.bank_number: (asked.transfer_number, asked.amount_fen) for asked in self._world.bank.asked_back}

    def _taken_by(self, number: str, amount_fen: int) -> int:
        """What the bank took under the number, or may yet take."""
        known = self._world.bank.inner.bank.reclaims._known.get(number)
        return known.taken_fen() if known is not None and known.state == "settled" else amount_fen

    def _what_is_freed_is_here(self, paid: list[Any]) -> list[str]:
        """A paid claim is returned once the whole amount is here, by the bank's hand or the owner's; never before."""
        broken = []
        for row in paid:
            if row.booked_fen and (row.claim_state == "returned") != (row.return_state == "repaid"):
                broken.append(f"payout {row.id} is paid, its claim {row.claim_state}, its return {row.return_state}")
            if (row.return_state == "repaid") != (row.document_no is not None):
                broken.append(f"return {row.reference} is {row.return_state} by {row.document_no}")
            if row.document_no is None:
                continue
            here = self._world.papers.get(row.document_no, 0) + taken_fen(self._world, row.transfer_number)
            if not row.repaid_fen == row.demanded_fen == row.amount_fen <= here:
                broken.append(f"return {row.reference} freed {row.repaid_fen} fen of {row.amount_fen}, {here} are here")
        return broken

    def _bank_and_books_agree(self, paid: list[Any]) -> list[str]:
        """What the owner has by the bank's books is what he has by ours, but for what the bank has not told us yet."""
        broken = []
        for row in paid:
            theirs = self._owner_has(row)
            ours = row.booked_fen - (row.repaid_fen or 0)
            under_way = not row.booked_fen or row.return_state == "demanded" or self._contradicted(row.transfer_number)
            if theirs != ours and not under_way:
                broken.append(f"payout {row.id}: the owner has {theirs} fen by the bank, {ours} fen by our books")
        (purses,) = self._world.ask(PURSES)
        if purses.kept != purses.went - purses.came:
            broken.append(f"{purses.kept} fen stand as paid; {purses.went} went, {purses.came} came back")
        return broken

    def _owner_has(self, row: Any) -> int:
        order = self._world.bank.inner.bank._transfers.get(row.transfer_number)
        got = order.paid_fen() if order is not None and order.state == "settled" else 0
        back = taken_fen(self._world, row.transfer_number) + self._world.papers.get(row.document_no or "", 0)
        return got - back

    def _contradicted(self, transfer_number: str) -> bool:
        """Whether the bank took money of this transfer after it had refused to."""
        known = self._world.bank.inner.bank.reclaims._known
        return any(
            one.state == "settled" and number in self.refused
            for number, one in known.items()
            if one.transfer_number == transfer_number
        )
