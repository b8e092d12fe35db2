"""A hand-made corruption of one fen, one swapped position, one deleted claim: verify names each of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy.orm import sessionmaker

from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from app.verify import run
from loadtests.ready import issued, make_ready, one_stage
from registry.audit import Sealer
from subsidy.completion import Completed, admit
from subsidy.events import EventKind
from subsidy.ledger_verification import verify
from subsidy.queue import append_event, create_programme


@pytest.fixture
def book(settings: Settings, engine) -> Settings:
    """A district with eight claims, one of them returned, and a sealed audit trail."""
    clock, now = Clock(), datetime.now(UTC)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        programme_id = create_programme(
            connection=connection,
            code="GS",
            name_zh="补贴",
            name_en="subsidy",
            rules=one_stage(now=now, places=5),
            clock=clock,
            drafted_by="a",
            approved_by="b",
        )
        connection.commit()
        ready = make_ready(connection=connection, keyring=settings.keyring, count=8, now=now)
        words = [issued(item, number=number, at=now) for number, item in enumerate(ready, start=1)]
        outcomes = admit(connection=connection, completions=words, clock=clock, district=settings.district)
        assert all(isinstance(outcome, Completed) for outcome in outcomes)
        append_event(
            connection=connection,
            programme_id=programme_id,
            kind=EventKind.RETURN,
            position=2,
            actor="staff:1",
            clock=clock,
        )
        connection.commit()
    Sealer(sessions=sessionmaker(engine)).run()
    return settings


@pytest.fixture
def forger(book: Settings) -> Iterator[psycopg.Connection]:
    """Somebody with the owner's login who switches the guards off."""
    plain = book.owner_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, options=f"-c search_path={book.schema}") as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def differences(settings: Settings) -> list[str]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        return [str(difference) for difference in verify(connection=connection)]


def test_an_honest_book_has_no_difference(book, capsys):
    assert differences(book) == []
    assert run(book) == 0
    assert "分文不差" in capsys.readouterr().out


FORGERIES = {
    "one fen more in a posting": (
        "UPDATE ledger_posting SET amount_fen = amount_fen + 1 WHERE position = 4",
        "claim 4",
    ),
    "one fen more in a balance": (
        "UPDATE account_balance SET balance_fen = balance_fen + 1 WHERE account = 'committed:1'",
        "account committed:1",
    ),
    "one fen more in a claim": ("UPDATE claim SET amount_fen = amount_fen + 1 WHERE position = 3", "claim 3"),
    "one fen more in a decision": ("UPDATE decision SET amount_fen = amount_fen + 1 WHERE position = 3", "claim 3"),
    "one fen more in a payout": ("UPDATE payout SET amount_fen = amount_fen + 1 WHERE position = 5", "claim 5"),
    "two positions swapped in the claims": (
        (
            "UPDATE claim SET position = CASE position WHEN 5 THEN 600 ELSE 5 END WHERE position IN (5, 6);"
            " UPDATE claim SET position = 6 WHERE position = 600"
        ),
        "claim 5",
    ),
    "two positions swapped in the log": (
        (
            "UPDATE queue_event SET position = -position WHERE position IN (5, 6) AND kind = 'claim';"
            " UPDATE queue_event SET position = CASE position WHEN -5 THEN 6 ELSE 5 END WHERE position < 0"
        ),
        "event",
    ),
    "a claim that is said to have been due": (
        "UPDATE queue_event SET due_at = recorded_at WHERE position = 4 AND kind = 'claim'",
        "claim 4",
    ),
    "rules slipped into a claim's event": (
        "UPDATE queue_event SET detail = '{\"rules\": 1}' WHERE position = 4 AND kind = 'claim'",
        "claim 4",
    ),
    "a claim deleted": ("DELETE FROM claim WHERE position = 7", "claim 7"),
    "a claim deleted with its event": (
        (
            "DELETE FROM claim WHERE position = 7; DELETE FROM queue_event WHERE position = 7;"
            " DELETE FROM decision WHERE position = 7"
        ),
        "event",
    ),
    "a decision deleted": ("DELETE FROM decision WHERE position = 1", "claim 1"),
    "a decision invented": (
        (
            "INSERT INTO decision (programme_id, position, event_no, outcome, amount_fen)"
            " SELECT programme_id, 8, 9999, 'award', 30000 FROM decision LIMIT 1"
        ),
        "event 9999",
    ),
    "a payout invented": ("UPDATE payout SET state = 'owed' WHERE state = 'withdrawn'", "claim 2"),
    "a payout settled without the bank": ("UPDATE payout SET state = 'settled' WHERE position = 1", "claim 1"),
    "a waiting claim awarded": ("UPDATE claim SET state = 'awarded', amount_fen = 30000 WHERE position = 8", "claim 8"),
    "an instant moved": (
        "UPDATE claim SET effective_at = effective_at - interval '1 day' WHERE position = 1",
        "claim 1",
    ),
    "evidence changed": (
        "UPDATE claim SET evidence = jsonb_set(evidence, '{plate_not_clear,passed}', 'false') WHERE position = 1",
        "claim 1",
    ),
    "the rules changed": (
        "UPDATE programme_version SET rules = jsonb_set(rules, '{per_person_limit}', '2')",
        "version 1",
    ),
    "the head changed": ("UPDATE programme SET head = jsonb_set(head, '{waiting_count}', '0')", "GS"),
    "an audit entry changed": (
        "UPDATE audit_entry SET actor = 'nobody' WHERE id = (SELECT min(id) FROM audit_entry)",
        None,
    ),
    "an audit entry deleted": ("DELETE FROM audit_entry WHERE id = (SELECT max(id) FROM audit_entry)", "audit entry"),
    "a trade-in reopened": ("UPDATE trade_in SET state = 'plate_applied' WHERE reference = 'T3'", "trade-in T3"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_verify_names(name, book, forger, capsys):
    statements, subject = FORGERIES[name]
    for statement in statements.split(";"):
        forger.execute(statement)
    forger.commit()
    found = differences(book)
    assert found, name
    if subject is not None:
        assert any(line.startswith(subject) for line in found), found
    assert run(book) == 1
    assert "处不符" in capsys.readouterr().out


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decision SET amount_fen = 1",
        "DELETE FROM queue_event",
        "TRUNCATE ledger_posting",
        "UPDATE audit_entry SET actor = 'x'",
        "DELETE FROM programme_version",
    ],
)
def test_append_only_tables_refuse_even_their_owner(statement, book):
    plain = book.owner_url.replace("postgresql+psycopg", "postgresql")
    with (
        psycopg.connect(plain, options=f"-c search_path={book.schema}") as owner,
        pytest.raises(psycopg.errors.RestrictViolation),
    ):
        owner.execute(statement)


def test_the_application_may_not_even_try(book):
    with (
        psycopg.connect(psycopg_conninfo(book)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("UPDATE decision SET amount_fen = 1")
