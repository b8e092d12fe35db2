"""Reads out of the books what the programme came to, in the shape in which it was expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy.orm import Session

from app.scenario.expected import AFTER, BEFORE, LINES, RESERVE, STAGES, Counts, Line
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
