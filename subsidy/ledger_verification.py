"""Verification of the money: balances against postings, payouts against awards, the bank's money against the books."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import orjson
import psycopg
from psycopg import Connection, sql
from psycopg.types.json import set_json_loads

from registry.audit import GENESIS, link
from subsidy.log_heads import Head
from subsidy.log_verification import verify_log
from subsidy.queue_rows import named_rows, stream_rows
from subsidy.verification import Difference, verify_programme

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
BALANCES = """
WITH sums AS (
    SELECT programme_id, account, sum(fen) AS fen FROM (
        SELECT programme_id, debit AS account, -amount_fen AS fen FROM ledger_posting
        UNION ALL SELECT programme_id, credit, amount_fen FROM ledger_posting) moved
    GROUP BY programme_id, account)
SELECT coalesce(b.account, s.account) AS account, b.balance_fen AS stored, s.fen AS replayed
FROM sums s FULL JOIN account_balance b USING (programme_id, account)
WHERE coalesce(b.balance_fen, 0) <> coalesce(s.fen, 0)
ORDER BY 1
"""
# Every awarded claim is owed its amount once, by a payout of the very amount. Nobody else is; a returned or forfeited
# claim keeps its payout only where the money had gone out before.
PAYOUTS = """
SELECT coalesce(c.position, p.position) AS position, p.state AS payout_state, p.amount_fen AS stored,
       c.amount_fen AS replayed, c.state AS claim_state
FROM (SELECT * FROM claim WHERE state = 'awarded') c
FULL JOIN (SELECT * FROM payout WHERE state <> 'withdrawn') p
    ON p.programme_id = c.programme_id AND p.position = c.position
WHERE p.amount_fen IS DISTINCT FROM c.amount_fen
  AND NOT (p.state IN ('settled', 'frozen') AND EXISTS (
      SELECT FROM claim e WHERE e.programme_id = p.programme_id AND e.position = p.position
      AND e.state IN ('returned', 'forfeited')))
ORDER BY 1
"""
# A settled payout has exactly one settled attempt and one posting of its amount; an unsettled one has no posting.
SETTLEMENTS = """
WITH attempts AS (
    SELECT payout_id, count(*) AS settled FROM payout_attempt WHERE state = 'settled' GROUP BY payout_id),
posted AS (
    SELECT payout_id, sum(amount_fen) AS fen FROM ledger_posting
    WHERE kind = 'settled' AND payout_id IS NOT NULL GROUP BY payout_id),
found AS (
    SELECT p.position, p.state, coalesce(a.settled, 0) AS settled, coalesce(l.fen, 0)::bigint AS posted_fen,
           CASE WHEN p.state = 'settled' THEN 1 ELSE 0 END AS due,
           CASE WHEN p.state = 'settled' THEN p.amount_fen ELSE 0 END AS due_fen
    FROM payout p LEFT JOIN attempts a ON a.payout_id = p.id LEFT JOIN posted l ON l.payout_id = p.id
    WHERE p.state <> 'frozen')
SELECT * FROM found WHERE (settled, posted_fen) <> (due, due_fen) ORDER BY position
"""
# A payout moves the money of its award, from the account in which the decision put it.
PURSES = """
SELECT p.position, l.debit, l.credit, d.account, replace(d.account, 'committed:', 'paid:') AS paid
FROM payout p JOIN ledger_posting l ON l.payout_id = p.id AND l.kind = 'settled'
CROSS JOIN LATERAL (
    SELECT account FROM decision d
    WHERE d.programme_id = p.programme_id AND d.position = p.position AND d.outcome = 'award'
    ORDER BY d.event_no DESC LIMIT 1) d
WHERE l.debit <> d.account OR l.credit <> replace(d.account, 'committed:', 'paid:')
ORDER BY 1
"""
# What was demanded back and came stands once, whether by a receipt or by the bank's hand; what did not come stands not.
REPAYMENTS = """
SELECT * FROM (
    SELECT r.reference, r.state, CASE WHEN r.state = 'repaid' THEN r.amount_fen ELSE 0 END AS due_fen,
           (SELECT coalesce(sum(amount_fen), 0)::bigint FROM repayment WHERE return_case_id = r.id) AS came_fen,
           (SELECT coalesce(sum(amount_fen), 0)::bigint FROM reclaim_attempt
            WHERE return_case_id = r.id AND state = 'reclaimed') AS taken_fen
    FROM return_case r) found
WHERE came_fen <> due_fen OR taken_fen NOT IN (0, due_fen)
ORDER BY reference
"""
SEALS = """
SELECT s.seal_no, s.sha256, e.id, e.at, e.actor, e.action, e.subject, e.detail
FROM audit_seal s LEFT JOIN audit_entry e ON e.id = s.entry_id ORDER BY s.seal_no
"""
STRAY_CLAIMS = """
SELECT t.reference FROM trade_in t
WHERE t.state = 'completed' AND NOT EXISTS (SELECT FROM claim c WHERE c.trade_in_id = t.id)
  AND NOT EXISTS (SELECT FROM audit_entry a WHERE a.subject = 'trade_in:' || t.reference
                  AND a.action = 'trade_in.complete' AND a.detail = '{"claimed": false}')
UNION ALL
SELECT t.reference FROM trade_in t JOIN claim c ON c.trade_in_id = t.id WHERE t.state <> 'completed'
"""


def verify(*, connection: Connection[Any], is_signed: Callable[[Head], bool] | None = None) -> Iterator[Difference]:
    """Yield every difference of the district: programmes with their logs, then the money, then the audit chain.

    Runs in one read-only snapshot of its own: ``connection`` must be idle. Signatures of the published log's heads are
    checked where ``is_signed`` is given. The books are compared in the database, on a second connection that sees the
    same snapshot, while the queue is replayed here.
    """
    connection.execute(SNAPSHOT)
    connection.execute("SET LOCAL TIME ZONE 'UTC'")
    set_json_loads(orjson.loads, connection)
    try:
        with _same_view(connection) as second, ThreadPoolExecutor(max_workers=1) as beside:
            books = beside.submit(lambda: [*verify_money(connection=second), *verify_trade_ins(connection=second)])
            try:
                with named_rows(connection) as cursor:
                    programmes = cursor.execute("SELECT * FROM programme ORDER BY id").fetchall()
                for programme in programmes:
                    yield from verify_programme(connection=connection, programme=programme)
                    yield from verify_log(connection=connection, programme=programme, is_signed=is_signed)
                yield from books.result()
            except BaseException:
                second.cancel()  # nobody waits for the books any more
                raise
        yield from verify_seals(connection=connection)
    finally:
        connection.rollback()


@contextmanager
def _same_view(connection: Connection[Any]) -> Iterator[Connection[Any]]:
    """Open a second connection of the same kind on the very snapshot that this transaction sees."""
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    with psycopg.connect(connection.info.dsn, password=connection.info.password) as second:
        second.execute(SNAPSHOT)
        second.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(row[0]))
        yield second


def verify_money(*, connection: Connection[Any]) -> Iterator[Difference]:
    """Yield every balance, payout and settlement that does not agree with the books."""
    with named_rows(connection) as cursor:
        for row in cursor.execute(BALANCES).fetchall():
            stored, replayed = row.stored, row.replayed and int(row.replayed)
            yield Difference(subject=f"account {row.account}", what="balance_fen", stored=stored, replayed=replayed)
        for row in cursor.execute(PAYOUTS).fetchall():
            yield Difference(
                subject=f"claim {row.position}",
                what=f"payout ({row.payout_state}) of claim ({row.claim_state})",
                stored=row.stored,
                replayed=row.replayed,
            )
        for row in cursor.execute(SETTLEMENTS).fetchall():
            yield Difference(
                subject=f"claim {row.position}",
                what=f"payout ({row.state}): settled attempts, posted fen",
                stored=(row.settled, row.posted_fen),
                replayed=(row.due, row.due_fen),
            )
        for row in cursor.execute(PURSES).fetchall():
            yield Difference(
                subject=f"claim {row.position}",
                what="accounts of the payment",
                stored=(row.debit, row.credit),
                replayed=(row.account, row.paid),
            )
        for row in cursor.execute(REPAYMENTS).fetchall():
            yield Difference(
                subject=f"return {row.reference}",
                what=f"money back ({row.state}): entered, taken by the bank",
                stored=(row.came_fen, row.taken_fen),
                replayed=row.due_fen,
            )


def verify_trade_ins(*, connection: Connection[Any]) -> Iterator[Difference]:
    """Yield every completed trade-in without its claim, and every claim whose trade-in is not complete."""
    for (reference,) in connection.execute(STRAY_CLAIMS).fetchall():
        yield Difference(subject=f"trade-in {reference}", what="claim", stored="one without the other", replayed="both")


def verify_seals(*, connection: Connection[Any]) -> Iterator[Difference]:
    """Yield the first broken link of the audit chain: behind it nothing can be told."""
    before, expected_no = GENESIS, 1
    for row in stream_rows(connection, "verify_seals", SEALS):
        whole = row.seal_no == expected_no and row.id is not None
        if not whole or link(before=before, entry=row) != bytes(row.sha256):
            subject = f"audit entry {row.id}"
            yield Difference(subject=subject, what=f"seal {row.seal_no}", stored="broken", replayed="an intact link")
            return
        before, expected_no = bytes(row.sha256), expected_no + 1
