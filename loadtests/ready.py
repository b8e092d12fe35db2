"""Makes trade-ins that lack nothing but the police's word, in bulk: what a completion is measured and raced with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from psycopg import Connection

from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from registry.people import id_index
from registry.sealing import Keyring
from subsidy.completion import Completion
from subsidy.queue import create_programme
from subsidy.rules import Rules, StageRules

OPENING = '{"point_licensed": true, "plate_status": "normal", "plate_district": "330105", "plate_owner_matches": true}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """One trade-in waiting for its plate: what the police will name in their word."""

    application_no: str
    vehicle_code: str
    holder_index: bytes
    holder_id_no: str


def make_ready(
    *,
    connection: Connection[Any],
    keyring: Keyring,
    count: int,
    first: int = 1,
    now: datetime,
    owners: int | None = None,
) -> list[Ready]:
    """Insert ``count`` trade-ins in state plate_applied, numbered from ``first``, and commit.

    Each has an owner of its own, or they share ``owners`` of them in turn. Plates applied for an hour before ``now``.
    """
    dealer_id = _dealer(connection)
    owners = count if owners is None else owners
    people = {number: _id_number(first + number) for number in range(owners)}
    index = {number: id_index(keyring=keyring, id_no=id_no) for number, id_no in people.items()}
    with connection.cursor() as cursor:
        with cursor.copy("COPY person (id_index, id_sealed, name_sealed) FROM STDIN") as copy:
            for number, id_no in people.items():
                copy.write_row(
                    (index[number], keyring.seal(id_no, field="id_no"), keyring.seal("陈建英", field="name"))
                )
        cursor.execute("CREATE TEMPORARY TABLE ready (number int, id_index bytea, id_no text) ON COMMIT DROP")
        with cursor.copy("COPY ready FROM STDIN") as copy:
            for number in range(count):
                copy.write_row((first + number, index[number % owners], people[number % owners]))
        for statement in _STATEMENTS:
            cursor.execute(statement, {"dealer": dealer_id, "opening": OPENING, "at": now - timedelta(hours=1)})
        cursor.execute(
            "SELECT 'A' || number, code(number), id_index, id_no FROM ready ORDER BY number".replace(
                "code(number)", _CODE
            )
        )
        ready = [
            Ready(application_no=row[0], vehicle_code=row[1], holder_index=row[2], holder_id_no=row[3])
            for row in cursor.fetchall()
        ]
    connection.commit()
    return ready


_CODE = "'119322' || lpad(number::text, 9, '0')"
_STATEMENTS = (
    """INSERT INTO filed_bike (plate_no, owner_id, filed_on, brand, frame_no, sub_district, state)
       SELECT 'Z' || number, p.id, date '2024-05-01', '雅迪', 'F' || number, '祥符街道', 'plate_cancelled'
       FROM ready JOIN person p USING (id_index)""",
    f"""INSERT INTO bike (vehicle_code, registration_code, battery_code, certificate_no, model, standard, made_on,
                          battery_kind, weight_g, top_speed_m_h, motor_w, voltage_mv, dealer_id, state)
       SELECT {_CODE}, 'R' || number, 'B' || number, '2024011119', 'TDT', 'GB 17761-2024', date '2026-01-01',
              'lithium', 50000, 25000, 400, 48000, %(dealer)s, 'sold' FROM ready""",
    f"""INSERT INTO sale (bike_id, buyer_id, invoice_no, list_price_fen, discount_fen, deduction_fen, paid_fen, sold_at)
       SELECT b.id, p.id, 'I' || number, 299900, 20000, 10000, 269900, %(at)s
       FROM ready JOIN person p USING (id_index) JOIN bike b ON b.vehicle_code = {_CODE}""",
    f"""INSERT INTO trade_in (reference, dealer_id, filed_bike_id, owner_id, state, opening, bike_id, sale_id,
                              compliance, application_no, opened_at, plate_applied_at)
       SELECT 'T' || number, %(dealer)s, f.id, p.id, 'plate_applied', %(opening)s::jsonb, b.id, s.id, 'compliant',
              'A' || number, %(at)s, %(at)s
       FROM ready JOIN person p USING (id_index) JOIN filed_bike f ON f.plate_no = 'Z' || number
       JOIN bike b ON b.vehicle_code = {_CODE} JOIN sale s ON s.bike_id = b.id""",
    "ANALYZE trade_in, bike, filed_bike, person, sale",
)


def _dealer(connection: Connection[Any]) -> int:
    connection.execute(
        "INSERT INTO dealer (name, credit_code, sub_district, address, phone, opening_hours, state, trade_in_on)"
        " VALUES ('压测车行', '91330105LOADTEST01', '祥符街道', '祥园路 1 号', '0571', '8:30—18:00', 'licensed', true)"
        " ON CONFLICT DO NOTHING"
    )
    row = connection.execute("SELECT id FROM dealer WHERE credit_code = '91330105LOADTEST01'").fetchone()
    assert row is not None
    return int(row[0])


def _id_number(number: int) -> str:
    """A number that only has to be unique: these people are never shown and never checked."""
    return f"330105{19500101 + number // 10000:08d}{number % 10000:04d}"


def plate_no(number: int) -> str:
    """Return the plate the police issue for the ``number``-th trade-in."""
    return f"{'ABCDEFGHJK'[number // 1_000_000]}{number % 1_000_000:06d}"


def issued(ready: Ready, *, number: int, at: datetime) -> Completion:
    """Return the completion that the police's word stands for: the ``number``-th plate, issued at ``at``."""
    return Completion(
        application_no=ready.application_no,
        plate_no=plate_no(number),
        issued_at=at,
        holder_index=ready.holder_index,
        vehicle_code=ready.vehicle_code,
    )


def open_programme(settings: Settings, *, places: int, now: datetime) -> None:
    """Open a programme of one stage with so many places."""
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        create_programme(
            connection=connection,
            code="BENCH",
            name_zh="压测",
            name_en="bench",
            rules=one_stage(now=now, places=places),
            clock=Clock(),
            drafted_by="bench",
            approved_by="bench",
        )


def one_stage(*, now: datetime, places: int, amount_fen: int = 30_000, per_person_limit: int = 1) -> Rules:
    """Return rules with one stage of ``places``, open since an hour before ``now``, with money for every place."""
    return Rules(
        stages=(
            StageRules(1, amount_fen, places, places * amount_fen, now - timedelta(hours=1), now + timedelta(days=30)),
        ),
        late_window=timedelta(hours=24),
        correction_window=timedelta(days=7),
        per_person_limit=per_person_limit,
        reserve_fen=0,
        filing_cut_off=date(2026, 12, 31),
    )


def instants(*, start: datetime | None = None) -> Iterator[datetime]:
    """Yield instants a millisecond apart, for issuing plates one after another."""
    instant = start or datetime(2026, 1, 1, tzinfo=UTC)
    while True:
        instant += timedelta(milliseconds=1)
        yield instant
