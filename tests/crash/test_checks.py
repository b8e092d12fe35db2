"""Each check of the books can fail: hand-made violations, one at a time, on witnesses that agree otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import sessionmaker

from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.checks import (
    Acknowledged,
    Owed,
    Standing,
    answered_otherwise,
    lost_or_changed,
    out_of_order,
    paid_otherwise,
    violations,
)
from loadtests.ready import issued, make_ready, open_programme
from registry.audit import Sealer
from subsidy.completion import Completed, admit
from subsidy.operator import StatementLine

DISTRICT, CLAIMS, PLACES = "330105", 4, 3
SAID = [["award", 1, 30_000]]


def told(number: int, **changes: Any) -> Acknowledged:
    """The ``number``-th completion, sent at that second and answered half a second later, at that position."""
    facts = {
        "application_no": f"A{number}",
        "position": number,
        "state": "awarded",
        "stage_no": 1,
        "amount_fen": 30_000,
    }
    return Acknowledged(**{**facts, "sent_s": float(number), "answered_s": number + 0.5, **changes})


def stands(number: int, **changes: Any) -> Standing:
    facts = {"application_no": f"A{number}", "trade_in_state": "completed", "position": number, "plates": 1}
    return Standing(**{**facts, "said": SAID, **changes})


def owed(number: int, **changes: Any) -> Owed:
    facts = {"position": number, "state": "settled", "amount_fen": 30_000, "posted_fen": 30_000}
    return Owed(**{**facts, "bank_numbers": [f"T{number}-01"], **changes})


def paid(number: int, amount_fen: int = 30_000, state: Any = "settled", attempt: int = 1) -> StatementLine:
    return StatementLine(bank_number=f"T{number}-{attempt:02d}", amount_fen=amount_fen, state=state)


BOTH = [told(1), told(2)]


def test_what_stands_as_acknowledged_is_no_violation() -> None:
    assert lost_or_changed(acknowledged=BOTH, standing=[stands(1), stands(2), stands(3)]) == []


def test_a_claim_paid_after_it_was_acknowledged_as_waiting_is_no_violation() -> None:
    waiting = told(1, state="waiting", stage_no=None, amount_fen=0)
    assert lost_or_changed(acknowledged=[waiting], standing=[stands(1, said=[["waiting", None, 0], *SAID])]) == []


def test_a_trade_in_completed_without_a_programme_is_no_violation() -> None:
    unclaimed = told(1, position=None, state="unclaimed", stage_no=None, amount_fen=0)
    assert lost_or_changed(acknowledged=[unclaimed], standing=[stands(1, position=None, said=[])]) == []


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        ([stands(1)], "A2: acknowledged, and stands 0 times"),
        ([stands(1), stands(2), stands(2, position=7)], "A2: acknowledged, and stands 2 times"),
        ([stands(1), stands(2, position=3)], "A2: acknowledged at 2, and stands at 3"),
        (
            [stands(1), stands(2, trade_in_state="plate_applied")],
            "A2: acknowledged, and is plate_applied with 1 plates",
        ),
        ([stands(1), stands(2, plates=2)], "A2: acknowledged, and is completed with 2 plates"),
        ([stands(1), stands(2, said=[["award", 1, 20_000]])], "A2: acknowledged as ('awarded', 1, 30000)"),
        ([stands(1), stands(2, said=[["waiting", None, 0]])], "A2: acknowledged as ('awarded', 1, 30000)"),
    ],
)
def test_a_completion_lost_or_changed_is_found(standing: list[Standing], words: str) -> None:
    (found,) = lost_or_changed(acknowledged=BOTH, standing=standing)
    assert found.startswith(words)


def test_a_position_acknowledged_twice_is_found() -> None:
    found = lost_or_changed(acknowledged=[told(1), told(2, position=1)], standing=[stands(1), stands(2, position=1)])
    assert found == ["position 1: acknowledged to A1, A2"]


def test_who_was_answered_before_another_was_sent_comes_first() -> None:
    assert out_of_order(acknowledged=[told(2), told(1)]) == []
    swapped = [told(1, position=2), told(2, position=1)]
    assert out_of_order(acknowledged=swapped) == ["A2: got 1, although A1 had 2 before"]


def test_who_were_under_way_at_once_may_come_in_any_order() -> None:
    assert out_of_order(acknowledged=[told(1, position=2, answered_s=2.1), told(2, position=1)]) == []


def test_one_late_comer_among_many_is_found() -> None:
    many = [told(number) for number in range(1, 200)]
    many[150] = replace(many[150], position=120)
    assert [words.split(":")[0] for words in out_of_order(acknowledged=many)] == ["A151"]


@pytest.mark.parametrize("again", [[told(1)], [told(1), told(2, position=3)], [told(1), told(2, amount_fen=20_000)]])
def test_another_answer_to_the_same_completion_is_found(again: list[Acknowledged]) -> None:
    assert answered_otherwise(acknowledged=BOTH, repeated=[told(2, sent_s=9.0, answered_s=9.5), told(1)]) == []
    (found,) = answered_otherwise(acknowledged=BOTH, repeated=again)
    assert found.startswith("A2: first answered (2, 'awarded', 1, 30000), then ")


def test_what_was_paid_as_booked_is_no_violation() -> None:
    books = [
        owed(1, bank_numbers=["T1-01", "T1-02"]),
        owed(2, state="awaiting_wallet", posted_fen=0, bank_numbers=[]),
        owed(3, state="frozen", posted_fen=0),
    ]
    lines = [paid(1, state="rejected"), paid(1, attempt=2)]
    assert paid_otherwise(owed=books, lines=lines, posted_fen=30_000) == []


@pytest.mark.parametrize(
    ("books", "lines", "posted_fen", "words"),
    [
        ([owed(1)], [paid(1), paid(1)], 30_000, "claim 1: paid 2 times, 60000 fen of 30000"),
        ([owed(1, bank_numbers=["T1-01", "T1-02"])], [paid(1), paid(1, attempt=2)], 30_000, "claim 1: paid 2 times"),
        ([owed(1, state="frozen")], [paid(1), paid(1)], 60_000, "claim 1: paid 2 times"),
        ([owed(1)], [paid(1, 29_999)], 30_000, "claim 1 (settled): 30000 fen are due, the bank paid 29999"),
        ([owed(1)], [], 30_000, "claim 1 (settled): 30000 fen are due, the bank paid 0"),
        ([owed(1, posted_fen=0)], [paid(1)], 30_000, "claim 1 (settled): 30000 fen are due, the bank paid 30000"),
        ([owed(1, state="in_flight", posted_fen=0)], [paid(1)], 30_000, "claim 1 (in_flight): 0 fen are due"),
        ([owed(1)], [paid(1), paid(9)], 60_000, "T9-01: the bank paid 30000 fen nobody here ordered"),
        ([owed(1)], [paid(1)], 60_000, "the bank paid 30000 fen in all, the ledger says 60000"),
    ],
)
def test_money_paid_otherwise_than_booked_is_found(
    books: list[Owed], lines: list[StatementLine], posted_fen: int, words: str
) -> None:
    found = paid_otherwise(owed=books, lines=lines, posted_fen=posted_fen)
    assert [each for each in found if each.startswith(words)]


@pytest.fixture
def acknowledged(settings: Settings, engine: Engine) -> list[Acknowledged]:
    """What the senders of four real completions were told; three were awarded, and every audit entry is sealed."""
    now = datetime.now(UTC)
    open_programme(settings, places=PLACES, now=now)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        ready = make_ready(connection=connection, keyring=settings.keyring, count=CLAIMS, now=now)
        completions = [issued(item, number=number, at=now) for number, item in enumerate(ready, start=1)]
        outcomes = admit(connection=connection, completions=completions, clock=Clock(), district=DISTRICT)
    Sealer(sessions=sessionmaker(engine)).run()
    return [as_told(outcome, number) for number, outcome in enumerate(outcomes, start=1)]


def as_told(outcome: Any, number: int) -> Acknowledged:
    assert isinstance(outcome, Completed)
    return told(
        number,
        position=outcome.position,
        state=outcome.state,
        stage_no=outcome.stage_no,
        amount_fen=outcome.amount_fen,
    )


@pytest.fixture
def found(settings: Settings, acknowledged: list[Acknowledged]) -> Callable[..., list[str]]:
    """Asks for the violations in the real database; what is not named is as it happened."""

    def ask(**changes: Any) -> list[str]:
        facts = {"acknowledged": acknowledged, "repeated": acknowledged, "bank_lines": [], **changes}
        with psycopg.connect(psycopg_conninfo(settings)) as connection:
            return violations(connection=connection, **facts)

    return ask


def spoil(settings: Settings, *statements: str) -> None:
    """Change the database as nobody may: as the owner of the tables, past every guard."""
    plain = make_url(settings.owner_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        connection.execute(f"SET search_path = {settings.schema}")
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            assert connection.execute(statement).rowcount != 0


def test_a_real_queue_has_no_violation(found: Callable[..., list[str]], acknowledged: list[Acknowledged]) -> None:
    assert [each.state for each in acknowledged] == ["awarded", "awarded", "awarded", "waiting"]
    assert found() == []


def test_an_acknowledgement_without_a_claim_is_found(found: Callable[..., list[str]], settings: Settings) -> None:
    spoil(settings, "DELETE FROM claim WHERE position = 2", "UPDATE trade_in SET state = 'plate_applied' WHERE id = 2")
    assert "A2: acknowledged, and stands 0 times" in found()


def test_a_claim_moved_to_another_position_is_found(found: Callable[..., list[str]], settings: Settings) -> None:
    spoil(settings, "UPDATE claim SET position = 9 WHERE position = 2")
    assert "A2: acknowledged at 2, and stands at 9" in found()


def test_a_claim_that_stands_twice_is_found(found: Callable[..., list[str]], settings: Settings) -> None:
    columns = "programme_id, filed_bike_id, bike_id, person_id, effective_at, recorded_at, state, stage_no, amount_fen"
    spoil(
        settings,
        "DO $$ DECLARE name text; BEGIN FOR name IN SELECT conname FROM pg_constraint"
        " WHERE conrelid = 'claim'::regclass AND contype = 'u' LOOP"
        " EXECUTE format('ALTER TABLE claim DROP CONSTRAINT %I', name); END LOOP; END $$",
        f"INSERT INTO claim (trade_in_id, position, evidence, {columns}) SELECT trade_in_id, 9, evidence, {columns}"
        " FROM claim WHERE position = 2",
    )
    assert "A2: acknowledged, and stands 2 times" in found()


def test_a_decision_changed_afterwards_is_found(found: Callable[..., list[str]], settings: Settings) -> None:
    spoil(settings, "UPDATE decision SET amount_fen = 29999 WHERE position = 2")
    assert "A2: acknowledged as ('awarded', 1, 30000), and was [('awarded', 1, 29999)]" in found()
    assert [each for each in found() if each.startswith("verify: ")]


def test_a_payment_is_compared_with_the_tables(found: Callable[..., list[str]], settings: Settings) -> None:
    line = StatementLine(bank_number="T1-01", amount_fen=30_000, state="settled")
    assert "T1-01: the bank paid 30000 fen nobody here ordered" in found(bank_lines=[line])
    spoil(settings, "UPDATE payout SET state = 'settled' WHERE position = 1")
    assert "claim 1 (settled): 30000 fen are due, the bank paid 0, the ledger says 0" in found()


def test_an_entry_nobody_sealed_is_found(found: Callable[..., list[str]], settings: Settings) -> None:
    spoil(settings, "INSERT INTO audit_entry (actor, action, subject) VALUES ('x', 'y', 'z')")
    assert found() == ["1 audit entries are not sealed"]


def test_a_seal_that_was_changed_is_found(found: Callable[..., list[str]], settings: Settings) -> None:
    spoil(settings, "UPDATE audit_entry SET actor = 'x' WHERE id = (SELECT min(id) FROM audit_entry)")
    (words,) = found()
    assert words.startswith("verify: audit entry")
