"""How events and their effects become rows, and rows become events and working sets again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from psycopg import Connection, Cursor
from psycopg.rows import namedtuple_row

from subsidy.events import ClaimFacts, Decision, Effect, Event, EventKind, Movement, Outcome
from subsidy.notices import decision_notice
from subsidy.rules import Rules

ROWS_AT_ONCE = 10_000
CLAIM_STATE = {
    Outcome.AWARD: "awarded",
    Outcome.DECLINE: "declined",
    Outcome.WAITING: "waiting",
    Outcome.HELD: "held",
}
STATE_AFTER = {EventKind.RETURN: "returned", EventKind.FORFEITURE: "forfeited"}

INSERT_EVENT = """
INSERT INTO queue_event (programme_id, event_no, kind, recorded_at, due_at, stage_no, position, refusal, detail)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb)
"""
INSERT_POSTING = """
INSERT INTO ledger_posting (programme_id, event_no, position, at, kind, debit, credit, amount_fen)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
INSERT_DECISION = """
INSERT INTO decision (programme_id, event_no, position, outcome, stage_no, amount_fen, reason, account, fault,
                      expires_at, overruled)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
SET_CLAIM = """
UPDATE claim SET state = %s, stage_no = %s, amount_fen = %s, reason = %s
WHERE programme_id = %s AND position = %s
"""
END_CLAIM = "UPDATE claim SET state = %s WHERE programme_id = %s AND position = %s"
WITHDRAW_PAYOUT = """
UPDATE payout SET state = 'withdrawn', batch_id = NULL
WHERE programme_id = %s AND position = %s AND state IN ('awaiting_wallet', 'owed')
"""
OWE_PAYOUT = """
INSERT INTO payout (programme_id, position, trade_in_id, person_id, stage_no, amount_fen, state, owed_since)
SELECT programme_id, position, trade_in_id, person_id, %(stage_no)s, %(amount_fen)s,
       CASE WHEN EXISTS (SELECT FROM wallet w WHERE w.trade_in_id = claim.trade_in_id AND w.superseded_at IS NULL)
            THEN 'owed' ELSE 'awaiting_wallet' END, %(at)s
FROM claim WHERE programme_id = %(programme_id)s AND position = %(position)s
ON CONFLICT (programme_id, position) DO UPDATE
SET stage_no = excluded.stage_no, amount_fen = excluded.amount_fen, state = excluded.state,
    awaiting_since = excluded.owed_since, reminders = 0, reminded_at = NULL
WHERE payout.state = 'withdrawn'
"""
OWE_NOTICE = """
INSERT INTO message (person_id, dedupe_key, body)
SELECT person_id, %s, CASE WHEN EXISTS (
    SELECT FROM wallet w WHERE w.trade_in_id = claim.trade_in_id AND w.superseded_at IS NULL) THEN %s ELSE %s END
    || '查询号 ' || (SELECT t.reference FROM trade_in t WHERE t.id = claim.trade_in_id) || '。'
FROM claim WHERE programme_id = %s AND position = %s
ON CONFLICT (dedupe_key) DO NOTHING
"""
CHANGE_BALANCE = """
INSERT INTO account_balance AS held (programme_id, account, balance_fen) VALUES (%s, %s, %s)
ON CONFLICT (programme_id, account) DO UPDATE SET balance_fen = held.balance_fen + excluded.balance_fen
"""
LATEST_DECISION = """
SELECT c.position, c.person_id, c.effective_at, c.recorded_at,
       d.event_no, d.outcome, d.stage_no, d.amount_fen, d.reason, d.account, d.fault, d.expires_at, d.overruled
FROM claim c CROSS JOIN LATERAL (
    SELECT * FROM decision d WHERE d.programme_id = c.programme_id AND d.position = c.position
    ORDER BY d.event_no DESC LIMIT 1
) d
WHERE c.programme_id = %(programme_id)s AND (c.state IN ('waiting', 'held') OR c.position = ANY(%(positions)s))
ORDER BY c.position
"""
COUNTS = """
SELECT person_id, count(*) FROM claim
WHERE programme_id = %(programme_id)s AND person_id = ANY(%(persons)s)
  AND (state IN ('awarded', 'held') OR (state = 'waiting' AND reason IN ('no_place', 'paused')))
GROUP BY person_id
"""


def named_rows(connection: Connection[Any]) -> Cursor[Any]:
    """Return a cursor whose rows are read by column name."""
    return connection.cursor(row_factory=namedtuple_row)


def stream_rows(connection: Connection[Any], name: str, query: str, *parameters: Any) -> Iterator[Any]:
    """Yield rows by column name through a server-side cursor called ``name``: memory stays flat.

    The server works on the next rows while the caller works on these.
    """
    with connection.cursor(name, row_factory=namedtuple_row) as cursor, ThreadPoolExecutor(max_workers=1) as ahead:
        cursor.execute(query, parameters, binary=True)
        coming = ahead.submit(cursor.fetchmany, ROWS_AT_ONCE)
        while rows := coming.result():
            coming = ahead.submit(cursor.fetchmany, ROWS_AT_ONCE)
            yield from rows


def write_events(*, cursor: Cursor[Any], programme_id: int, events: Sequence[Event], actor: str) -> None:
    """Append events other than claims to the log."""
    cursor.executemany(INSERT_EVENT, [event_row(programme_id=programme_id, event=event) for event in events])
    cursor.executemany(
        "INSERT INTO audit_entry (actor, action, subject, detail) VALUES (%s, %s, %s, %s)",
        [
            (actor, f"queue.{event.kind.value}", f"programme:{programme_id}", json.dumps({"event_no": event.event_no}))
            for event in events
        ],
    )


def event_row(*, programme_id: int, event: Event) -> tuple[Any, ...]:
    """Return the row of an event that is not a claim."""
    detail: dict[str, Any] = {}
    if event.rules is not None:
        detail["rules"] = event.rules.to_json()
    if event.reason is not None:
        detail["reason"] = event.reason
    if event.was_paid:
        detail["was_paid"] = True
    return (
        programme_id,
        event.event_no,
        event.kind.value,
        event.recorded_at,
        event.due_at,
        event.stage,
        event.position,
        event.refusal,
        json.dumps(detail, ensure_ascii=False) if detail else None,
    )


def read_event(row: Any) -> Event:
    """Return the event that a queue_event row (all columns, by name) stands for."""
    if row.kind == EventKind.CLAIM:
        facts = ClaimFacts(row.position, row.person_id, row.effective_at, row.refusal, row.fault)
        return Event(row.event_no, EventKind.CLAIM, row.recorded_at, position=row.position, claim=facts)
    detail = row.detail or {}
    return Event(
        row.event_no,
        EventKind(row.kind),
        row.recorded_at,
        due_at=row.due_at,
        stage=row.stage_no,
        position=row.position,
        rules=Rules.from_json(detail["rules"]) if "rules" in detail else None,
        reason=detail.get("reason"),
        refusal=row.refusal,
        was_paid=detail.get("was_paid", False),
    )


def write_effects(
    *, cursor: Cursor[Any], programme_id: int, events: Sequence[Event], effects: Iterable[Effect], at: datetime
) -> None:
    """Write decisions on claims that stand already, their payouts and notices, and every posting with its balances."""
    effects = list(effects)
    decisions = [effect for effect in effects if isinstance(effect, Decision)]
    movements = [effect for effect in effects if isinstance(effect, Movement)]
    with cursor.connection.pipeline():
        cursor.executemany(INSERT_DECISION, [decision_row(programme_id, decision) for decision in decisions])
        for decision in decisions:
            _apply_decision(cursor, programme_id, decision, at)
        for event in events:
            if event.kind in STATE_AFTER:
                cursor.execute(END_CLAIM, (STATE_AFTER[event.kind], programme_id, event.position))
                cursor.execute(WITHDRAW_PAYOUT, (programme_id, event.position))
        write_movements(cursor=cursor, programme_id=programme_id, at=at, movements=movements)


def decision_row(programme_id: int, decision: Decision) -> tuple[Any, ...]:
    """Return the row of one decision."""
    return (
        programme_id,
        decision.event_no,
        decision.position,
        decision.outcome.value,
        decision.stage,
        decision.amount_fen,
        decision.reason,
        decision.account,
        decision.fault,
        decision.expires_at,
        decision.overruled,
    )


def _apply_decision(cursor: Cursor[Any], programme_id: int, decision: Decision, at: datetime) -> None:
    state = CLAIM_STATE[decision.outcome]
    claim = (programme_id, decision.position)
    cursor.execute(SET_CLAIM, (state, decision.stage, decision.amount_fen, decision.reason, *claim))
    if decision.outcome is Outcome.AWARD:
        values = {"stage_no": decision.stage, "amount_fen": decision.amount_fen, "at": at}
        cursor.execute(OWE_PAYOUT, {**values, "programme_id": programme_id, "position": decision.position})
    elif decision.outcome is Outcome.HELD:
        cursor.execute(WITHDRAW_PAYOUT, claim)
    bodies = [
        decision_notice(
            position=decision.position,
            state=state,
            amount_fen=decision.amount_fen,
            reason=decision.reason,
            has_wallet=has_wallet,
            fault=decision.fault,
            expires_at=decision.expires_at,
        )
        for has_wallet in (True, False)
    ]
    key = f"decision:{programme_id}:{decision.event_no}:{decision.position}"
    cursor.execute(OWE_NOTICE, (key, *bodies, *claim))


def write_movements(*, cursor: Cursor[Any], programme_id: int, movements: Sequence[Movement], at: datetime) -> None:
    """Book movements of money, and their running balances in account order."""
    rows = [(programme_id, m.event_no, m.position, at, m.kind, m.debit, m.credit, m.amount_fen) for m in movements]
    cursor.executemany(INSERT_POSTING, rows)
    changes = balance_changes(movements)
    cursor.executemany(CHANGE_BALANCE, [(programme_id, account, fen) for account, fen in sorted(changes.items())])


def balance_changes(movements: Iterable[Movement]) -> dict[str, int]:
    """Return what each account gains or loses in sum, in fen; accounts that do not change are left out."""
    changes: Counter[str] = Counter()
    for movement in movements:
        changes[movement.debit] -= movement.amount_fen
        changes[movement.credit] += movement.amount_fen
    return {account: fen for account, fen in changes.items() if fen}


def read_decision(row: Any) -> Decision:
    """Return the decision that a row of the decision table (by name) stands for."""
    return Decision(
        row.event_no,
        row.position,
        Outcome(row.outcome),
        row.stage_no,
        row.amount_fen,
        row.reason,
        row.account,
        row.fault,
        row.expires_at,
        row.overruled,
    )
