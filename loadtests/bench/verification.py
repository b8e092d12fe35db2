"""``verify``: claims replayed and compared a second ÷ claims a second that COPY … TO STDOUT drains of the same tables.

Ours is what `mapai verify` does: the queue replayed from its events, every decision, posting, claim, balance and payout
compared. The reference is the least any reader must do: the rows of the same tables, taken out by psycopg and thrown
away. Every award is paid, so that each has its ledger and its payout.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import psycopg

from app.config import Settings
from app.db import psycopg_conninfo
from app.verify import find_differences
from loadtests.bench.comparison import Progress, Run, summary
from loadtests.bench.database import fresh_database, own_server, owner_connection
from loadtests.past import make_past

# At most three times as long as COPY takes.
GOAL = 1 / 3
RUNS, CLAIMS = 5, 1_000_000
TABLES = (
    "queue_event",
    "decision",
    "claim",
    "ledger_posting",
    "account_balance",
    "payout",
    "payout_attempt",
    "trade_in",
    "audit_entry",
)
PAY_ALL = (
    """INSERT INTO wallet (trade_in_id, person_id, wallet_sealed, wallet_index, tail, confirmed_at)
       SELECT id, owner_id, sha256(reference::bytea), sha256(reference::bytea), right(id::text, 4), completed_at
       FROM trade_in""",
    """INSERT INTO payout_attempt (payout_id, attempt_no, bank_number, wallet_id, amount_fen, state, sent_at, ask_at,
                                   finished_at)
       SELECT p.id, 1, 'B' || p.id, w.id, p.amount_fen, 'settled', p.owed_since, p.owed_since, p.owed_since
       FROM payout p JOIN wallet w ON w.trade_in_id = p.trade_in_id""",
    "UPDATE payout SET state = 'settled', settled_at = owed_since",
    """INSERT INTO ledger_posting (programme_id, position, payout_id, at, kind, debit, credit, amount_fen)
       SELECT programme_id, position, id, settled_at, 'settled', 'committed:1', 'paid:1', amount_fen FROM payout""",
    "UPDATE account_balance SET balance_fen = 0 WHERE account = 'committed:1'",
    """INSERT INTO account_balance (programme_id, account, balance_fen)
       SELECT programme_id, 'paid:1', sum(amount_fen) FROM payout GROUP BY programme_id""",
)


def run(*, progress: Progress, claims: int = CLAIMS, runs: int = RUNS) -> dict[str, Any]:
    """Return the benchmark's JSON line; ``ours`` and ``reference`` are claims a second, errors are differences."""
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_database(stack.enter_context(own_server())))
        progress(f"verify: {claims:,} claims, each paid")
        with owner_connection(settings) as owner:
            make_past(settings, owner, claims=claims, places=claims)
        with psycopg.connect(psycopg_conninfo(settings, application="mapai-bench")) as connection:
            for statement in PAY_ALL:
                connection.execute(statement)
        measured = []
        for number in range(1, runs + 1):
            reference_s, (ours_s, errors) = drain(settings), replay(settings)
            measured.append(Run(ours=claims / ours_s, reference=claims / reference_s, errors=errors))
            progress(
                f"verify {number}/{runs}: {ours_s:.2f} s ÷ {reference_s:.2f} s of COPY = {ours_s / reference_s:.2f}"
            )
    return summary(name="verify", goal=GOAL, runs=measured)


def replay(settings: Settings) -> tuple[float, int]:
    """Return how long the verification took, in seconds, and how many differences it found."""
    with psycopg.connect(psycopg_conninfo(settings, application="mapai-bench")) as connection:
        started = time.perf_counter()
        found = sum(1 for _ in find_differences(connection))
        return time.perf_counter() - started, found


def drain(settings: Settings) -> float:
    """Return how long it took, in seconds, to take every row out by COPY."""
    with (
        psycopg.connect(psycopg_conninfo(settings, application="mapai-bench")) as connection,
        connection.cursor() as cursor,
    ):
        started = time.perf_counter()
        for table in TABLES:
            with cursor.copy(f"COPY {table} TO STDOUT") as copy:
                for _ in copy:
                    pass
        return time.perf_counter() - started
