"""A long past in a short time: one trade-in is completed as always, and its rows are multiplied in the database.

What comes of it is what so many completions would have left, so that `mapai verify` finds no difference in it; only
instants, names and photos are the same everywhere.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import Connection, sql

from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.ready import issued, make_ready, open_programme
from subsidy.allocation import allocate
from subsidy.completion import admit
from subsidy.events import ClaimFacts, Event, EventKind
from subsidy.state import State

AT_ONCE = 20_000
# Bikes in stock are numbered from here, far from those of trade-ins.
STOCK_FROM = 500_000_000
CODE = "'119322' || lpad({n}::text, 9, '0')"
OLD_PLATE = "substr('QRSTUVWXY', n / 1000000 + 1, 1) || lpad((n % 1000000)::text, 6, '0')"
PLATE = "substr('ABCDEFGHJK', n / 1000000 + 1, 1) || lpad((n % 1000000)::text, 6, '0')"
ID = {"id": "t.id + n - 1"}
CLAIM = {"position": "n", "trade_in_id": "t.trade_in_id + n - 1", "person_id": "t.person_id + n - 1"}
EVENT = {"event_no": "t.event_no + n - 1", "position": "n"}
# Table → which of its rows is multiplied, and what differs in the n-th copy.
MULTIPLIED: dict[str, tuple[str, dict[str, str]]] = {
    "person": ("true", ID | {"id_index": "sha256(n::text::bytea)"}),
    "filed_bike": ("true", ID | {"plate_no": OLD_PLATE, "frame_no": "'F' || n", "owner_id": "t.owner_id + n - 1"}),
    "bike": (
        "true",
        ID | {"vehicle_code": CODE.format(n="n"), "registration_code": "'R' || n", "battery_code": "'B' || n"},
    ),
    "sale": (
        "true",
        ID | {"bike_id": "t.bike_id + n - 1", "buyer_id": "t.buyer_id + n - 1", "invoice_no": "'I' || n"},
    ),
    "trade_in": (
        "true",
        ID
        | {"reference": "'T' || n", "application_no": "'A' || n"}
        | {name: f"t.{name} + n - 1" for name in ("filed_bike_id", "owner_id", "bike_id", "sale_id")},
    ),
    "queue_event": (
        "t.kind = 'claim'",
        EVENT | {"person_id": CLAIM["person_id"], "trade_in_id": CLAIM["trade_in_id"]},
    ),
    "claim": ("true", CLAIM | {name: f"t.{name} + n - 1" for name in ("filed_bike_id", "bike_id")}),
    "decision": ("true", EVENT),
    "ledger_posting": ("t.position = 1", ID | EVENT),
    "payout": ("true", ID | CLAIM),
    "plate": (
        "true",
        ID
        | {"plate_no": PLATE, "application_no": "'A' || n"}
        | {name: f"t.{name} + n - 1" for name in ("bike_id", "holder_id")},
    ),
    "message": (
        "t.dedupe_key = 'completed:T1'",
        ID | {"person_id": CLAIM["person_id"], "dedupe_key": "'completed:T' || n"},
    ),
    "audit_entry": ("t.subject = 'trade_in:T1'", ID | {"subject": "'trade_in:T' || n"}),
}
BALANCES = """
UPDATE account_balance SET balance_fen = moved.fen FROM (
    SELECT programme_id, account, sum(fen) AS fen FROM (
        SELECT programme_id, debit AS account, -amount_fen AS fen FROM ledger_posting
        UNION ALL SELECT programme_id, credit, amount_fen FROM ledger_posting) each
    GROUP BY programme_id, account) moved
WHERE moved.programme_id = account_balance.programme_id AND moved.account = account_balance.account
"""


def old_plate(number: int) -> str:
    """Return the plate of the old bike of the ``number``-th claim, from 2 on."""
    return f"{'QRSTUVWXY'[number // 1_000_000]}{number % 1_000_000:06d}"


def make_past(settings: Settings, owner: Connection[Any], *, claims: int, places: int, stock: int = 0) -> None:
    """Leave ``claims`` awarded claims in an empty district, of ``places`` in one open stage; ``stock`` bikes besides.

    ``owner`` is a connection of the tables' owner, committing each statement.
    """
    _complete_one(settings, places=places)
    owner.execute("SET session_replication_role = replica")  # what is copied needs no looking up of what it refers to
    owner.execute("SET maintenance_work_mem = '512MB'")
    for table, (which, changed) in MULTIPLIED.items():
        _multiply(owner, table, which=which, changed=changed, numbers=(2, claims), more=stock if table == "bike" else 0)
    owner.execute(BALANCES)
    _fold(owner, claims=claims)
    owner.execute("RESET session_replication_role")
    # Over a long past it would have been done bit by bit; left over, it would begin on everything at once meanwhile.
    owner.execute("VACUUM (ANALYZE)")
    owner.execute("CHECKPOINT")


def _complete_one(settings: Settings, *, places: int) -> None:
    now, clock = datetime.now(UTC), Clock()
    open_programme(settings, places=places, now=now)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        (ready,) = make_ready(connection=connection, keyring=settings.keyring, count=1, now=now)
        word = issued(ready, number=1, at=now)
        admit(connection=connection, completions=[word], clock=clock, district=settings.district)


def _multiply(
    owner: Connection[Any], table: str, *, which: str, changed: dict[str, str], numbers: tuple[int, int], more: int
) -> None:
    """Copy one row so many times. Indexes are made anew at the end: that is quicker by far than one row at a time."""
    listed = owner.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attgenerated = '' ORDER BY attnum",
        (table,),
    ).fetchall()
    columns = [name for (name,) in listed]
    copies = sql.SQL(
        "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values}"
        " FROM (SELECT * FROM {table} t WHERE {which} ORDER BY 1 LIMIT 1) t"
        " CROSS JOIN generate_series({first}, {last}) n"
    )
    owner.execute("UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = %s::regclass", (table,))
    series = [(numbers, changed)]
    if more:
        in_stock = changed | {"id": f"t.id + n - {STOCK_FROM} + {numbers[1]}", "state": "'in_stock'"}
        series.append(((STOCK_FROM, STOCK_FROM + more - 1), in_stock))
    for (first, last), values in series:
        owner.execute(
            copies.format(
                table=sql.Identifier(table),
                columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
                values=sql.SQL(", ").join(
                    sql.SQL(values[name]) if name in values else sql.Identifier("t", name) for name in columns
                ),
                which=sql.SQL(which),
                first=first,
                last=last,
            )
        )
    owner.execute(sql.SQL("REINDEX TABLE {}").format(sql.Identifier(table)))
    if "id" in changed:
        owner.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), (SELECT max(id) FROM {}))").format(
                table, sql.Identifier(table)
            )
        )


def _fold(owner: Connection[Any], *, claims: int) -> None:
    """Let the law of the queue decide on the copies too, and write down the state it ends in."""
    row = owner.execute(
        "SELECT p.id, p.head, c.person_id, c.effective_at, c.recorded_at"
        " FROM programme p JOIN claim c ON c.programme_id = p.id AND c.position = 1"
    ).fetchone()
    assert row is not None
    programme_id, head, person_id, effective_at, recorded_at = row
    for first in range(2, claims + 1, AT_ONCE):
        state = State.from_core_json(head)
        facts = [
            ClaimFacts(position, person_id + position - 1, effective_at)
            for position in range(first, min(first + AT_ONCE, claims + 1))
        ]
        state.person_counts.update({claim.person_id: 0 for claim in facts})
        number = state.event_no + 1
        allocate(
            state,
            [
                Event(number + index, EventKind.CLAIM, recorded_at, position=claim.position, claim=claim)
                for index, claim in enumerate(facts)
            ],
        )
        head = state.core_to_json()
    owner.execute(
        "UPDATE programme SET event_no = event_no + %s, head = %s WHERE id = %s",
        (claims - 1, json.dumps(head), programme_id),
    )
