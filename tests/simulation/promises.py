"""What must hold after every step, found out without the code that is to be trusted: by SQL, by the slow model of the
law, and by the bank's own books."""

from __future__ import annotations

from collections import Counter
from typing import Any

from subsidy.events import Event
from subsidy.queue_rows import read_event
from tests.simulation.promises_of_returns import MoneyBack
from tests.simulation.world import World
from tests.subsidy.slow_model import SlowQueue

EVENTS = "SELECT * FROM queue_event WHERE event_no > %(after)s ORDER BY event_no"
DECISIONS = "SELECT * FROM decision ORDER BY event_no, position"
POSTINGS = "SELECT id, event_no, position, payout_id, kind, debit, credit, amount_fen FROM ledger_posting ORDER BY id"
INSTANTS = """
SELECT c.position, c.effective_at, c.recorded_at, t.plate_applied_at, substr(t.application_no, 2) AS number
FROM claim c JOIN trade_in t ON t.id = c.trade_in_id
"""
ALLOWED = {
    None: {"award", "decline", "waiting", "held"},
    "waiting": {"award", "decline", "waiting", "held"},
    "held": {"award", "decline"},
    "award": {"held", "decline"},
    "decline": {"award", "decline", "waiting"},
}
SECOND_CHANCE = {"award": ("hold", "return", "forfeiture"), "decline": ("overrule",)}


class Promises:
    """Remembers what was seen, so that nothing that was said once can be unsaid."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.money_back = MoneyBack(world)
        self._slow = SlowQueue()
        self._kinds: dict[int, str] = {}
        self._decisions: list[tuple[Any, ...]] = []
        self._postings: list[tuple[Any, ...]] = []
        self._highest = 0
        self._counted = 0

    def broken(self) -> list[str]:
        """Return a sentence for every promise that does not hold now."""
        return [
            *self._queue_follows_the_law(),
            *self._decided_once(),
            *self._money_is_conserved(),
            *self._acknowledged_stands(),
            *self._nothing_sold_twice(),
            *self._bank_paid_once(),
            *self._everybody_was_told(),
            *self.money_back.broken(),
        ]

    def _queue_follows_the_law(self) -> list[str]:
        """Every new event, given to the slow model, decides what our tables say; numbers have no gap."""
        broken = []
        seen = len(self._slow.history)
        told_by_event: dict[int, set[tuple[Any, ...]]] = {}
        for row in self._world.ask(EVENTS, after=seen):
            event = read_event(row)
            if event.event_no != len(self._slow.history) + 1:
                broken.append(f"event {event.event_no} follows {len(self._slow.history)}")
                return broken
            broken += self._overdue_before(event)
            self._kinds[event.event_no] = event.kind.value
            told_by_event[event.event_no] = set(self._slow.step(event))
        for event_no, told in told_by_event.items():
            query = "SELECT position, outcome, stage_no, amount_fen, reason FROM decision WHERE event_no = %(n)s"
            ours = {tuple(row) for row in self._world.ask(query, n=event_no)}
            if ours != told:
                broken.append(f"event {event_no} ({self._kinds[event_no]}) decided {ours}, the law says {told}")
        return broken

    def _overdue_before(self, event: Event) -> list[str]:
        """Nothing that was due is passed over by an event recorded later."""
        due = self._slow.due(event.recorded_at) if self._slow.history else None
        if due is None or due[1:] == (event.kind.value, event.stage, event.position):
            return []
        return [f"event {event.event_no} ({event.kind.value}) came before what was due at {due[0]}: {due[1:]}"]

    def _decided_once(self) -> list[str]:
        """Nothing decided is edited, and a claim decided finally is decided again only by what may do so."""
        rows = [tuple(row) for row in self._world.ask(DECISIONS)]
        broken = []
        if rows[: len(self._decisions)] != self._decisions:
            broken.append("a decision was edited")
        self._decisions = rows
        last: dict[int, str] = {}
        for row in self._world.ask(DECISIONS):
            before = last.get(row.position)
            if row.outcome not in ALLOWED[before]:
                broken.append(f"position {row.position} went from {before} to {row.outcome}")
            if before in SECOND_CHANCE and self._kinds.get(row.event_no) not in SECOND_CHANCE[before]:
                is_waiting_end = before == "decline" and row.outcome != "decline"
                if before == "award" or not is_waiting_end:
                    broken.append(f"position {row.position} was decided twice, by event {row.event_no}")
            last[row.position] = row.outcome
        return broken

    def _money_is_conserved(self) -> list[str]:
        rows = self._world.ask(POSTINGS)
        broken = []
        if [tuple(row) for row in rows][: len(self._postings)] != self._postings:
            broken.append("a posting was edited")
        self._postings = [tuple(row) for row in rows]
        sums: Counter[str] = Counter()
        for row in rows:
            sums[row.debit] -= row.amount_fen
            sums[row.credit] += row.amount_fen
            if row.debit != "appropriation" and sums[row.debit] < 0:
                broken.append(f"posting {row.id} leaves {row.debit} at {sums[row.debit]} fen")
        kept = {row.account: row.balance_fen for row in self._world.ask("SELECT * FROM account_balance")}
        ours = {account: fen for account, fen in sums.items() if fen}
        if {account: fen for account, fen in kept.items() if fen} != ours:
            broken.append(f"balances {kept} are not the sums {ours}")
        law = _merged(self._slow.balances())
        if _merged(ours) != law:
            broken.append(f"accounts hold {_merged(ours)}, the law says {law}")
        return broken

    def _acknowledged_stands(self) -> list[str]:
        """Who was told a position has it, in the order in which people were told."""
        broken = []
        query = "SELECT t.reference, c.position FROM claim c JOIN trade_in t ON t.id = c.trade_in_id ORDER BY 2"
        claims = {row.reference: row.position for row in self._world.ask(query)}
        if sorted(claims.values()) != list(range(1, len(claims) + 1)):
            broken.append(f"positions {sorted(claims.values())} have a gap or a double")
        known = self._counted
        fresh = self._world.told[self._counted :]
        self._counted = len(self._world.told)
        for told in fresh:
            if told.outcome.first and (told.outcome.position or 0) <= self._highest:
                broken.append(f"{told.outcome.reference} came later and stands at {told.outcome.position}")
        firsts = [t.outcome.position or 0 for t in self._world.told[known:] if t.outcome.first]
        self._highest = max([self._highest, *firsts])
        for row in self._world.ask(INSTANTS):
            wanted = max(self._world.sent[int(row.number)].issued_at, row.plate_applied_at)
            if row.effective_at != min(wanted, row.recorded_at):
                broken.append(f"position {row.position} counts from {row.effective_at}, its plate from {wanted}")
        for told in self._world.told:
            if claims.get(told.outcome.reference) != told.outcome.position:
                broken.append(f"{told.outcome.reference} was told {told.outcome.position}, and it is gone")
        return broken

    def _nothing_sold_twice(self) -> list[str]:
        broken = []
        for what in ("filed_bike_id", "bike_id", "trade_in_id"):
            (row,) = self._world.ask(f"SELECT count(*) - count(DISTINCT {what}) AS twice FROM claim")
            if row.twice:
                broken.append(f"{what} stands in two claims")
        for stage in self._world.rules.stages:
            query = "SELECT count(*) AS n FROM decision_now WHERE stage_no = %(s)s AND outcome IN ('award', 'held')"
            (row,) = self._world.ask(DECISION_NOW + query, s=stage.number)
            grown = self._slow.places(stage.number)
            if grown < 0:
                broken.append(f"stage {stage.number} sold {-grown} places too many ({row.n} in all)")
        return broken

    def _bank_paid_once(self) -> list[str]:
        """By the bank's own books no trade-in was paid twice, and what we booked as paid it has paid."""
        broken = []
        paid: Counter[str] = Counter()
        for order in self._world.bank.inner.bank._transfers.values():
            if order.state == "settled":
                paid[order.bank_number.rpartition("-")[0]] += 1
        broken += [f"{reference} was paid {times} times" for reference, times in paid.items() if times > 1]
        query = (
            "SELECT a.bank_number, a.amount_fen FROM payout_attempt a JOIN payout p ON p.id = a.payout_id"
            " WHERE p.state = 'settled' AND a.state = 'settled'"
        )
        booked = {row.bank_number for row in self._world.ask(query)}
        settled = {n for n, order in self._world.bank.inner.bank._transfers.items() if order.state == "settled"}
        broken += [f"{number} is booked as paid and was not" for number in booked - settled]
        twice = "SELECT payout_id FROM ledger_posting WHERE kind = 'settled' GROUP BY 1 HAVING count(*) > 1"
        broken += [f"payout {row.payout_id} is booked twice" for row in self._world.ask(twice)]
        (sums,) = self._world.ask(
            "SELECT (SELECT coalesce(sum(amount_fen), 0) FROM payout WHERE state = 'settled') AS payouts,"
            " (SELECT coalesce(sum(amount_fen), 0) FROM ledger_posting WHERE kind = 'settled') AS postings"
        )
        if sums.payouts != sums.postings:
            broken.append(f"{sums.payouts} fen of payouts are settled, {sums.postings} fen are booked")
        return broken

    def _everybody_was_told(self) -> list[str]:
        """Whatever was decided or paid, the owner is owed word of it from the same commit on."""
        return [f"nobody told the owner: {row.what} {row.id}" for row in self._world.ask(UNTOLD)]


UNTOLD = """
SELECT 'payout' AS what, id FROM payout p WHERE state = 'settled' AND NOT EXISTS (
    SELECT FROM message WHERE dedupe_key = 'payout:' || p.id || ':settled')
UNION ALL
SELECT 'position', position FROM claim c WHERE NOT EXISTS (SELECT FROM message m WHERE m.person_id = c.person_id)
"""
DECISION_NOW = """
WITH decision_now AS (SELECT DISTINCT ON (position) * FROM decision ORDER BY position, event_no DESC)
"""


def _merged(accounts: dict[str, int]) -> dict[str, int]:
    """Paid money is committed money as far as the law is concerned: the bank moves it, not the queue."""
    merged: Counter[str] = Counter()
    for account, fen in accounts.items():
        merged[account.replace("paid:", "committed:")] += fen
    return {account: fen for account, fen in merged.items() if fen}
