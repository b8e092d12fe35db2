"""What the scheduler still has to do after a rush, and whether it goes on doing it: slowness is no failure, a halt is.

A wait ends in failure where nothing has moved for long, or after the longest time anyhow, and tells what is left.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from app.config import Settings
from app.db import psycopg_conninfo
from app.platform_run import Platform

STUCK_S, LONGEST_S = 90.0, 240.0
# Looking takes a moment of the very machine it waits for.
LOOK_EVERY_S = 1.0
STANDING = """
SELECT (SELECT count(*) FROM trade_in WHERE state = 'plate_applied' AND asked_at IS NOT NULL) AS polled,
       (SELECT count(*) FROM payout p WHERE p.state IN ('owed', 'in_flight')
        OR (p.state = 'awaiting_wallet' AND EXISTS (SELECT FROM wallet w WHERE w.trade_in_id = p.trade_in_id)))
           AS unpaid,
       (SELECT count(*) FROM audit_entry e WHERE NOT EXISTS (SELECT FROM audit_seal s WHERE s.entry_id = e.id))
           AS unsealed,
       (SELECT count(*) FROM payout WHERE state = 'settled') AS settled,
       (SELECT coalesce(sum(asked), 0) FROM payout_attempt) AS asked
"""
# The rows behind each count, ten at most, each as far as it tells why it waits.
LEFT = {
    "polled": """
        SELECT reference, state, clock_timestamp() - asked_at AS asked_ago FROM trade_in
        WHERE state = 'plate_applied' AND asked_at IS NOT NULL ORDER BY asked_at LIMIT 10""",
    "unpaid": """
        SELECT p.id, p.state, p.problem, b.state AS batch, a.bank_number, a.state AS attempt, a.asked,
               a.ask_at - clock_timestamp() AS asked_in
        FROM payout p LEFT JOIN payment_batch b ON b.id = p.batch_id
        LEFT JOIN payout_attempt a ON a.payout_id = p.id AND a.state <> 'rejected'
        WHERE p.state IN ('owed', 'in_flight')
        OR (p.state = 'awaiting_wallet' AND EXISTS (SELECT FROM wallet w WHERE w.trade_in_id = p.trade_in_id))
        ORDER BY a.ask_at DESC NULLS FIRST, p.id LIMIT 10""",
    "unsealed": """
        SELECT e.id, e.action, clock_timestamp() - e.at AS written_ago FROM audit_entry e
        WHERE NOT EXISTS (SELECT FROM audit_seal s WHERE s.entry_id = e.id) ORDER BY e.id LIMIT 10""",
}
RUNS = """
SELECT DISTINCT ON (job) job, leader, clock_timestamp() - started_at AS started_ago, finished_at IS NOT NULL AS over,
       outcome
FROM job_run ORDER BY job, started_at DESC
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is left of each kind, and the counters that move while somebody works on it."""

    polled: int
    unpaid: int
    unsealed: int
    settled: int
    asked: int

    @property
    def undone(self) -> int:
        """How many things are left to do, of all kinds."""
        return self.polled + self.unpaid + self.unsealed


class Patience:
    """Says how long to wait on: as long as something moves, and never longer than the longest time."""

    def __init__(self, *, stuck_s: float = STUCK_S, longest_s: float = LONGEST_S) -> None:
        self._stuck_s, self._longest_s = stuck_s, longest_s
        self._seen: Standing | None = None
        self._began_s: float | None = None
        self._moved_s = 0.0

    def why_over(self, standing: Standing, *, now_s: float) -> str | None:
        """Return why it is over, None where it is worth waiting on; ``now_s`` is any clock that only goes forward."""
        if self._began_s is None:
            self._began_s = now_s
        if standing != self._seen:
            self._seen, self._moved_s = standing, now_s
        if standing.undone == 0:
            return "done"
        if now_s - self._moved_s >= self._stuck_s:
            return f"nothing has moved for {self._stuck_s:.0f} s"
        return f"not done within {self._longest_s:.0f} s" if now_s - self._began_s >= self._longest_s else None


def watch_until_done(platform: Platform, settings: Settings) -> None:
    """Keep the platform running until nothing is left to do; raises AssertionError that tells what is, and why."""
    patience, looked_s, why = Patience(), 0.0, None

    def over() -> bool:
        nonlocal looked_s, why
        if time.monotonic() - looked_s >= LOOK_EVERY_S:
            why = patience.why_over(standing(settings), now_s=time.monotonic())
            looked_s = time.monotonic()
        return why is not None

    platform.watch(until=over)
    assert why == "done", f"{why}; {what_is_left(settings)}"


def standing(settings: Settings) -> Standing:
    """Return what is left to do at this moment."""
    (row,) = _ask(settings, STANDING)
    return Standing(**row)


def what_is_left(settings: Settings) -> str:
    """Return the counts, the rows behind them and what every job of the scheduler did last, a line each."""
    now = standing(settings)
    lines = [f"left: {now}"]
    for kind, question in LEFT.items():
        if getattr(now, kind):
            lines += [f"{kind}: {row}" for row in _ask(settings, question)]
    lines += [f"job: {row}" for row in _ask(settings, RUNS)]
    return "\n  ".join(lines)


def _ask(settings: Settings, question: str) -> list[dict[str, Any]]:
    with psycopg.connect(psycopg_conninfo(settings), row_factory=dict_row) as connection:
        return connection.execute(question).fetchall()
