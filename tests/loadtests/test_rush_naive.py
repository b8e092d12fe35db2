"""The rush's verdict can fail: allocators and payers as one writes them at first, and what it says of them.

They stand here only. Each goes wrong every time: barriers hold the threads where the lock is missing.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import sessionmaker

from app.clients.ecny.bank import Bank, Options
from app.clients.proceedings import ManualOutgoing
from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.checks import Acknowledged
from loadtests.ready import Ready, make_ready, open_programme, plate_no
from loadtests.rush_verdict import Told, bank_lines, read_told, violations_by_kind
from registry.audit import Sealer
from subsidy.completion import Completed, Completion, admit
from subsidy.ledger_verification import verify

RACERS, PLACES, AMOUNT_FEN = 8, 3, 30_000
WAIT_S = 30.0
READ = "SELECT count(*) FILTER (WHERE state = 'awarded'), coalesce(max(position), 0) FROM claim"
WRITE = """
WITH claimed AS (
    INSERT INTO claim (programme_id, position, trade_in_id, filed_bike_id, bike_id, person_id, effective_at,
                       recorded_at, state, stage_no, amount_fen, evidence)
    SELECT 1, %(position)s, id, filed_bike_id, bike_id, owner_id, now(), now(), %(state)s, %(stage_no)s, %(fen)s, '{}'
    FROM trade_in WHERE application_no = %(number)s
), decided AS (
    INSERT INTO decision (programme_id, event_no, position, outcome, stage_no, amount_fen)
    SELECT 1, 1000 + id, %(position)s, %(outcome)s, %(stage_no)s, %(fen)s
    FROM trade_in WHERE application_no = %(number)s
), posted AS (
    INSERT INTO ledger_posting (programme_id, event_no, position, at, kind, debit, credit, amount_fen)
    SELECT 1, 1000, %(position)s, now(), 'award', 'stage:1', 'committed:1', %(fen)s WHERE %(fen)s > 0
), plated AS (
    INSERT INTO plate (plate_no, bike_id, holder_id, application_no, issued_at)
    SELECT %(plate_no)s, bike_id, owner_id, application_no, now() FROM trade_in WHERE application_no = %(number)s
)
UPDATE trade_in SET state = 'completed' WHERE application_no = %(number)s
"""
# A schema that forbids nothing either.
FREE = """
DO $$ DECLARE name text; BEGIN FOR name IN SELECT conname FROM pg_constraint
WHERE conrelid = 'claim'::regclass AND contype IN ('p', 'u') LOOP
EXECUTE format('ALTER TABLE claim DROP CONSTRAINT %I CASCADE', name); END LOOP; END $$
"""
Handed = Callable[[psycopg.Connection], tuple[int, int]]


@pytest.fixture
def racers(settings: Settings) -> list[Ready]:
    """Trade-ins that wait for their plate, and a programme with places for some of them."""
    now = datetime.now(UTC)
    open_programme(settings, places=PLACES, now=now)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        return make_ready(connection=connection, keyring=settings.keyring, count=RACERS, now=now)


@pytest.fixture
def freed(settings: Settings) -> Iterator[psycopg.Connection]:
    """The owner of the tables, who has taken away what would stop a naive allocator."""
    plain = make_url(settings.owner_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as owner:
        owner.execute(f"SET search_path = {settings.schema}")
        owner.execute(FREE)
        owner.execute("DROP INDEX uq_payout_attempt_live")
        yield owner


def naive(settings: Settings, ready: Ready, hand_out: Handed, *, commits: bool = True) -> Acknowledged:
    """Complete one trade-in: ``hand_out`` says how many awards there are and the last position; no lock is held."""
    sent_s = time.monotonic()
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        awards, last = hand_out(connection)
        awarded = awards < PLACES
        values = {
            "position": last + 1,
            "state": "awarded" if awarded else "waiting",
            "stage_no": 1 if awarded else None,
            "fen": AMOUNT_FEN if awarded else 0,
        }
        outcome = {"outcome": "award" if awarded else "waiting", "plate_no": plate_no(int(ready.application_no[1:]))}
        connection.execute(WRITE, {**values, **outcome, "number": ready.application_no})
        if not commits:
            connection.rollback()
    return Acknowledged(
        application_no=ready.application_no,
        position=last + 1,
        state=str(values["state"]),
        stage_no=1 if awarded else None,
        amount_fen=AMOUNT_FEN if awarded else 0,
        sent_s=sent_s,
        answered_s=time.monotonic(),
    )


def read_sums(connection: psycopg.Connection) -> tuple[int, int]:
    row = connection.execute(READ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def verdict(settings: Settings, told: Told) -> dict[str, list[str]]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        verified = [str(difference) for difference in verify(connection=connection)]
        connection.rollback()
        return violations_by_kind(connection=connection, told=told, bank_lines=bank_lines(settings), verified=verified)


def broken(found: dict[str, list[str]]) -> set[str]:
    return {kind for kind, words in found.items() if words}


def race(settings: Settings, racers: Sequence[Ready], hand_out: Handed) -> list[Acknowledged]:
    with ThreadPoolExecutor(len(racers)) as threads:
        return list(threads.map(lambda ready: naive(settings, ready, hand_out), racers))


def test_summing_and_then_inserting_is_found_out(
    settings: Settings, freed: psycopg.Connection, racers: list[Ready], data_dir: Path
) -> None:
    everybody_has_read = threading.Barrier(RACERS, timeout=WAIT_S)

    def read_together(connection: psycopg.Connection) -> tuple[int, int]:
        sums = read_sums(connection)
        everybody_has_read.wait()
        return sums

    told = Told(acknowledged=race(settings, racers, read_together))
    found = verdict(replace(settings, data_dir=data_dir), told)
    assert {"overspent", "duplicates", "acknowledged_but_missing", "verify"} <= broken(found)
    assert f"stage 1: {RACERS} awards in {PLACES} places" in found["overspent"]
    assert f"stage 1: {RACERS * AMOUNT_FEN} fen awarded of {PLACES * AMOUNT_FEN}" in found["overspent"]
    assert f"stage:1: {(PLACES - RACERS) * AMOUNT_FEN} fen at one time" in found["overspent"]
    assert found["duplicates"] == [f"positions: {RACERS - 1} too many"]


def test_positions_handed_out_in_blocks_are_found_out(
    settings: Settings, freed: psycopg.Connection, racers: list[Ready], data_dir: Path
) -> None:
    """Two workers, a block of positions each: who comes second to the first worker stands before who came first."""
    early, late = racers[0], racers[1]
    told = Told(
        acknowledged=[
            naive(settings, early, lambda connection: (0, 100)),
            naive(settings, late, lambda connection: (1, 0)),
        ]
    )
    found = verdict(replace(settings, data_dir=data_dir), told)
    assert found["out_of_order"] == [f"{late.application_no}: got 1, although {early.application_no} had 101 before"]
    assert "positions left out: 99 too many" in found["duplicates"]


def test_an_answer_before_the_commit_is_found_out(
    settings: Settings, engine: Engine, racers: list[Ready], data_dir: Path
) -> None:
    Sealer(sessions=sessionmaker(engine)).run()
    told = Told(acknowledged=[naive(settings, racers[0], read_sums, commits=False)])
    found = verdict(replace(settings, data_dir=data_dir), told)
    assert broken(found) == {"acknowledged_but_missing"}


def test_looking_and_then_paying_is_found_out(
    settings: Settings, engine: Engine, freed: psycopg.Connection, racers: list[Ready], data_dir: Path
) -> None:
    """Two payers look whether the bank was asked, both see that it was not, and both ask."""
    told = Told(acknowledged=really_complete(settings, racers))
    Sealer(sessions=sessionmaker(engine)).run()
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        connection.execute(
            "INSERT INTO wallet (trade_in_id, person_id, wallet_sealed, wallet_index, tail, confirmed_at)"
            " SELECT trade_in_id, person_id, 'x', 'x', 'W001', now() FROM payout WHERE position = 1"
        )
    both_have_looked = threading.Barrier(2, timeout=WAIT_S)
    bank = Bank(
        Options(key=settings.ecny_key, now=lambda: datetime.now(UTC), state_file=data_dir / "ecny.journal"),
        ManualOutgoing(),
    )

    def pay(attempt: int) -> None:
        with psycopg.connect(psycopg_conninfo(settings)) as connection:
            row = connection.execute("SELECT count(*) FROM payout_attempt WHERE attempt_no = 1").fetchone()
            assert row == (0,)
            both_have_looked.wait()
            number = f"P1-{attempt:02d}"
            connection.execute(
                "INSERT INTO payout_attempt (payout_id, attempt_no, bank_number, wallet_id, amount_fen, state, sent_at,"
                " ask_at, finished_at) SELECT p.id, %s, %s, w.id, p.amount_fen, 'settled', now(), now(), now()"
                " FROM payout p JOIN wallet w USING (trade_in_id)",
                (attempt, number),
            )
            transfer = {"bank_number": number, "wallet_id": "W001", "holder_name": "陈建英", "amount_fen": AMOUNT_FEN}
            assert bank.transfer(**transfer, fault=None).state == "settled"

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(pay, [1, 2]))
    bank.close()
    found = verdict(replace(settings, data_dir=data_dir), told)
    assert f"claim 1: paid 2 times, {2 * AMOUNT_FEN} fen of {AMOUNT_FEN}" in found["paid_otherwise"]
    assert "settled attempts of one payout: 1 too many" in found["duplicates"]


def test_the_same_race_on_the_real_queue_has_no_violation(
    settings: Settings, engine: Engine, racers: list[Ready], data_dir: Path
) -> None:
    acknowledged = really_complete(settings, racers)
    Sealer(sessions=sessionmaker(engine)).run()
    assert sorted(told.state for told in acknowledged) == ["awarded"] * PLACES + ["waiting"] * (RACERS - PLACES)
    told = Told(acknowledged=acknowledged, repeated=acknowledged)
    assert broken(verdict(replace(settings, data_dir=data_dir), told)) == set()


def really_complete(settings: Settings, racers: Sequence[Ready]) -> list[Acknowledged]:
    """Complete them all at the same instant, each in a transaction of its own."""
    start = threading.Barrier(len(racers), timeout=WAIT_S)

    def complete(ready: Ready) -> Acknowledged:
        completion = Completion(
            application_no=ready.application_no,
            plate_no=plate_no(int(ready.application_no[1:])),
            issued_at=datetime.now(UTC),
            holder_index=ready.holder_index,
            vehicle_code=ready.vehicle_code,
        )
        with psycopg.connect(psycopg_conninfo(settings)) as connection:
            start.wait()
            sent_s = time.monotonic()
            (outcome,) = admit(
                connection=connection, completions=[completion], clock=Clock(), district=settings.district
            )
        assert isinstance(outcome, Completed)
        return Acknowledged(
            application_no=ready.application_no,
            position=outcome.position,
            state=outcome.state,
            stage_no=outcome.stage_no,
            amount_fen=outcome.amount_fen,
            sent_s=sent_s,
            answered_s=time.monotonic(),
        )

    with ThreadPoolExecutor(len(racers)) as threads:
        return list(threads.map(complete, racers))


def test_what_users_left_is_read_by_kind(settings: Settings, racers: list[Ready], data_dir: Path) -> None:
    """Counters tell references; one that nobody knows any more stays in, and is missing."""
    facts = {"position": 1, "state": "awarded", "stage_no": 1, "amount_fen": 30_000, "sent_s": 1.0, "answered_s": 2.0}
    lines = [
        {"kind": "acknowledged", "application_no": "A1", **facts},
        {"kind": "walked", "reference": "T2", **facts},
        {"kind": "walked", "reference": "GS-GONE-22", **facts},
        {"kind": "repeated", "application_no": "A1", **facts},
        {"kind": "breach", "what": "one key, two answers"},
    ]
    seen = data_dir / "seen.jsonl"
    seen.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        told = read_told(seen, connection=connection)
        nobody = read_told(data_dir / "none.jsonl", connection=connection)
    assert [each.application_no for each in told.acknowledged] == ["A1", "A2", "GS-GONE-22"]
    assert [asdict(each) for each in told.repeated] == [{"application_no": "A1", **facts}]
    assert told.breaches == ["one key, two answers"]
    assert nobody == Told()
    found = verdict(replace(settings, data_dir=data_dir), told)
    assert "GS-GONE-22: acknowledged, and stands 0 times" in found["acknowledged_but_missing"]
    assert found["breaches"] == ["one key, two answers"]
