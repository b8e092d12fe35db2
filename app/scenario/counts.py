"""Reads out of the books what the programme came to, in the shape in which it was expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy.orm import Session

from app.scenario.expected import AFTER, BEFORE, DEALT_WITH, LINES, RESERVE, STAGES, Counts, Dealt, Line
from subsidy.ledger import balances
from subsidy.live import live_state
from subsidy.programme import Programme

CLAIMS = """
SELECT c.position, t.reference, c.effective_at, c.recorded_at, c.state, c.stage_no, c.amount_fen, c.reason, c.person_id,
       (SELECT d.account FROM decision d WHERE d.programme_id = c.programme_id AND d.position = c.position
        ORDER BY d.event_no DESC LIMIT 1) AS account,
       EXISTS (SELECT FROM decision d WHERE d.programme_id = c.programme_id AND d.position = c.position
               AND d.outcome = 'waiting') AS waited,
       EXISTS (SELECT FROM decision d WHERE d.programme_id = c.programme_id AND d.position = c.position
               AND d.outcome = 'held') AS held,
       EXISTS (SELECT FROM queue_event e WHERE e.programme_id = c.programme_id AND e.position = c.position
               AND e.kind = 'corrected') AS corrected,
       coalesce((SELECT r.amount_fen FROM repayment r JOIN return_case k ON k.id = r.return_case_id
                 WHERE k.trade_in_id = c.trade_in_id), 0) AS repaid_fen,
       p.state AS payout_state, p.amount_fen AS payout_fen
FROM claim c JOIN trade_in t ON t.id = c.trade_in_id
LEFT JOIN payout p ON p.programme_id = c.programme_id AND p.position = c.position
WHERE c.programme_id = %s ORDER BY c.position
"""
WINDOWS = """
SELECT stage_no, min(due_at) FILTER (WHERE kind = 'opening') AS opened_at,
       min(due_at) FILTER (WHERE kind = 'closing') AS closed_at
FROM queue_event WHERE programme_id = %s AND stage_no IS NOT NULL AND kind IN ('opening', 'closing')
GROUP BY stage_no ORDER BY stage_no
"""
RESERVE_FEN = """
SELECT (rules->>'reserve_fen')::bigint FROM programme_version WHERE programme_id = %s ORDER BY version_no DESC LIMIT 1
"""

# How often each thing of expected.DEALT_WITH was done, to its end and where two people are needed by two.
DEALT = """
SELECT (SELECT count(*) FROM transfer WHERE state = 'completed') AS handed_over,
       (SELECT count(*) FROM claim_hold WHERE released_by <> held_by) AS held_by_staff,
       (SELECT count(*) FROM marked_fault) AS fault_marked,
       (SELECT count(*) FROM overrule WHERE state = 'approved' AND decided_by <> proposed_by) AS overruled,
       (SELECT count(*) FROM appeal WHERE state = 'granted') AS appeals_granted,
       (SELECT count(*) FROM return_case WHERE state = 'returned' AND decided_by <> opened_by) AS taken_back,
       (SELECT count(*) FROM return_case k JOIN repayment r ON r.return_case_id = k.id AND r.amount_fen = k.amount_fen
        WHERE k.state = 'repaid' AND k.decided_by <> k.opened_by) AS paid_back,
       (SELECT count(*) FROM programme_change p JOIN programme_change r USING (programme_id)
        WHERE programme_id = %(programme)s AND p.kind = 'pause' AND r.kind = 'resume' AND p.event_no < r.event_no
          AND p.decided_by <> p.drafted_by AND r.decided_by <> r.drafted_by) AS paused,
       (SELECT count(*) FROM decision d JOIN queue_event e USING (programme_id, event_no)
        WHERE programme_id = %(programme)s AND d.outcome = 'waiting' AND e.kind = 'claim'
          AND event_no > (SELECT min(event_no) FROM queue_event WHERE kind = 'pause')
          AND event_no < (SELECT max(event_no) FROM queue_event WHERE kind = 'resume')) AS waited_in_pause,
       (SELECT count(*) FROM programme_change WHERE programme_id = %(programme)s AND kind = 'version'
        AND state = 'approved' AND grace_reserves IS NOT NULL AND decided_by <> drafted_by) AS closed_early,
       (SELECT count(*) FROM payout p JOIN trade_in t ON t.id = p.trade_in_id
        WHERE t.reference = ANY(%(unanswered)s) AND p.state = 'settled'
          AND 1 = (SELECT count(*) FROM payout_attempt a WHERE a.payout_id = p.id)) AS left_unanswered,
       (SELECT count(*) FROM statement_line JOIN bank_statement USING (day)
        WHERE found_by IS NOT NULL AND resolved_at IS NOT NULL AND (findings->>'clean')::boolean) AS statement_lines
"""


def read_deeds(*, connection: psycopg.Connection, programme_id: int, unanswered: Sequence[str]) -> Dealt:
    """Return how often each thing of DEALT_WITH was done; ``unanswered`` names trade-ins whose transfer the bank
    carries out and does not answer: their payouts count once they have arrived by a single attempt.
    """
    asked = {"programme": programme_id, "unanswered": list(unanswered)}
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        row = cursor.execute(DEALT, asked).fetchone()
    assert row is not None
    return {name: int(getattr(row, name)) for name in DEALT_WITH}


def read_claims(*, connection: psycopg.Connection, programme_id: int) -> Sequence[Any]:
    """Return every claim as it stands, with its payout, by position. Columns as in CLAIMS."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(CLAIMS, (programme_id,)).fetchall()


def line_of(effective_at: datetime, windows: Sequence[Any]) -> str:
    """Return the line of the table for a plate issued at that instant."""
    if effective_at < windows[0].opened_at:
        return BEFORE
    inside = (window for window in windows if window.opened_at <= effective_at < window.closed_at)
    return next((str(window.stage_no) for window in inside), AFTER)


def read_windows(*, connection: psycopg.Connection, programme_id: int) -> Sequence[Any]:
    """Return (stage_no, opened_at, closed_at) of each stage, as its boundaries stand in the queue."""
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(WINDOWS, (programme_id,)).fetchall()


def read_counts(*, connection: psycopg.Connection, session: Session, programme_id: int, now: datetime) -> Counts:
    """Return the counts of the programme as the books have them."""
    counts = {name: Line() for name in LINES}
    windows = read_windows(connection=connection, programme_id=programme_id)
    declined: dict[str, Counter[str]] = {name: Counter() for name in LINES}
    for claim in read_claims(connection=connection, programme_id=programme_id):
        name = line_of(claim.effective_at, windows)
        line = counts[name]
        line.completed += 1
        line.waited += claim.waited
        line.held += claim.held
        line.corrected += claim.corrected
        if claim.state == "declined":
            declined[name][claim.reason] += 1
        else:
            _add_money(counts, claim)
    for name, reasons in declined.items():
        counts[name].declined = dict(sorted(reasons.items()))
    _add_stages(counts, session=session, programme_id=programme_id, now=now)
    row = connection.execute(RESERVE_FEN, (programme_id,)).fetchone()
    counts[RESERVE].budget_fen = int(row[0]) if row else 0
    return counts


def _add_money(counts: Counts, claim: Any) -> None:
    if claim.state in ("returned", "forfeited"):
        line = counts[str(claim.stage_no)]
        line.returned += claim.state == "returned"
        line.repaid += claim.repaid_fen > 0
        line.forfeited += claim.state == "forfeited"
    if claim.state == "awarded":
        line = counts[claim.account.rpartition(":")[2]]
        line.awarded += 1
        line.awarded_fen += claim.amount_fen
        if claim.payout_state == "settled":
            line.paid += 1


def _add_stages(counts: Counts, *, session: Session, programme_id: int, now: datetime) -> None:
    programme = session.get_one(Programme, programme_id)
    live = live_state(session=session, programme=programme, now=now)
    for stage in live.stages:
        line = counts[str(stage.number)]
        line.places, line.budget_fen = stage.places, stage.budget_fen
        line.carried_in_fen, line.carried_out_fen = stage.carried_in_fen, stage.moved_fen
    accounts = balances(session=session, programme_id=programme_id)
    for name in (*STAGES, RESERVE):
        counts[name].paid_fen = accounts.get(f"paid:{name}", 0)
    session.rollback()
