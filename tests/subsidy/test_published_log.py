"""The published log on a real database: what is written, what is public when, and every change that verify names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.rows import namedtuple_row
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from app.plate_keys import Ed25519Signer
from loadtests.ready import issued, make_ready, one_stage
from registry.base import Refusal
from subsidy.completion import Completed, admit
from subsidy.events import EventKind
from subsidy.ledger_verification import verify
from subsidy.log_publishing import LONGEST_UNSEEN, publish
from subsidy.log_reading import (
    entries,
    newest_head,
    programme_of,
    public_consistency,
    public_head,
    public_heads,
    public_inclusion,
)
from subsidy.log_verification import verify_log
from subsidy.merkle import proves_consistency, proves_inclusion
from subsidy.queue import append_event, create_programme
from subsidy.recompute import Queue

PRIVATE = Ed25519PrivateKey.generate()
SIGNER = Ed25519Signer(key_id=3, private_key=PRIVATE)
KEYS = {3: PRIVATE.public_key().public_bytes_raw()}
CLOCK = Clock()
PLACES = 5


@dataclass
class Book:
    """A programme of five places, and whoever completes in it."""

    settings: Settings
    connection: psycopg.Connection[Any]
    programme_id: int
    completed: int = 0

    def complete(self, count: int, *, owners: int | None = None) -> None:
        now = datetime.now(UTC)
        ready = make_ready(
            connection=self.connection,
            keyring=self.settings.keyring,
            count=count,
            first=self.completed + 1,
            now=now,
            owners=owners,
        )
        words = [issued(item, number=self.completed + number, at=now) for number, item in enumerate(ready, start=1)]
        self.completed += count
        done = admit(connection=self.connection, completions=words, clock=CLOCK, district=self.settings.district)
        assert all(isinstance(outcome, Completed) for outcome in done)

    def event(self, kind: EventKind, position: int | None = None) -> None:
        append_event(
            connection=self.connection,
            programme_id=self.programme_id,
            kind=kind,
            position=position,
            actor="staff:1",
            clock=CLOCK,
        )
        self.connection.commit()

    def publish(self, *, crowd: int = 1, now: datetime | None = None, limit: int = 2000) -> int:
        return publish(
            connection=self.connection, signer=SIGNER, now=now or datetime.now(UTC), crowd=crowd, limit=limit
        )

    def differences(self) -> list[str]:
        with psycopg.connect(psycopg_conninfo(self.settings)) as connection:
            told = verify(connection=connection, is_signed=lambda head: head.is_signed(KEYS))
            return [str(difference) for difference in told]


@pytest.fixture
def book(settings: Settings) -> Iterator[Book]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        programme_id = create_programme(
            connection=connection,
            code="GS",
            name_zh="补贴",
            name_en="subsidy",
            rules=one_stage(now=datetime.now(UTC), places=PLACES, per_person_limit=2),
            clock=CLOCK,
            drafted_by="a",
            approved_by="b",
        )
        connection.commit()
        yield Book(settings, connection, programme_id)


def read_all(session: Session) -> list[dict[str, Any]]:
    return entries(session=session, programme=programme_of(session=session, code="GS"), start=0, end=1000)


def test_the_log_tells_the_queue_and_the_script_agrees(book: Book, session: Session) -> None:
    book.complete(4, owners=2)
    book.complete(4)
    book.event(EventKind.RETURN, 2)
    assert book.publish(limit=3) > 0
    while book.publish(limit=3):
        pass
    assert book.publish() == 0
    told = read_all(session)
    kinds = [(leaf["kind"], leaf.get("position"), leaf.get("outcome"), leaf.get("amount_fen")) for leaf in told]
    assert kinds[:3] == [
        ("version", None, None, None),
        ("opening", None, None, None),
        ("claim", 1, "award", 30_000),
    ]
    assert kinds[-3:] == [
        ("return", 2, None, None),
        ("decision", 2, "decline", 0),
        ("decision", 6, "award", 30_000),
    ]
    tokens = [leaf["token"] for leaf in told if leaf["kind"] == "claim"]
    assert tokens[0] == tokens[2] != tokens[1]
    assert len(set(tokens)) == 6
    programme = programme_of(session=session, code="GS")
    heads = [head.to_json() for head in public_heads(session=session, programme=programme, before=None, limit=99)]
    assert [head["size"] for head in heads][-1] == 3
    assert Queue().difference(told, heads) is None
    assert book.differences() == []


def test_no_leaf_holds_an_instant_a_reason_or_a_person(book: Book, session: Session) -> None:
    book.complete(PLACES + 2, owners=2)
    book.publish()
    claims = [leaf for leaf in read_all(session) if leaf["kind"] == "claim"]
    assert {leaf["outcome"] for leaf in claims} == {"award", "decline"}
    numbers = {"event_no", "position", "stage_of_e", "after_stage", "late_windows_over", "amount_fen"}
    for leaf in claims:
        assert set(leaf) == numbers | {"kind", "eligible", "fault", "token", "outcome", "commitment"}
        assert all(isinstance(leaf[name], int) for name in numbers)
        assert {type(leaf["eligible"]), type(leaf["fault"])} == {bool}
        assert (len(leaf["token"]), len(leaf["commitment"])) == (32, 64)
        assert leaf["amount_fen"] in (0, 30_000)
    assert len({leaf["commitment"] for leaf in claims}) == len(claims)


def test_a_head_waits_for_its_crowd(book: Book, session: Session) -> None:
    programme = programme_of(session=session, code="GS")
    book.publish(crowd=4)
    assert public_head(session=session, programme=programme).size == 2, "what names nobody is public at once"
    book.complete(3)
    book.publish(crowd=4)
    assert public_head(session=session, programme=programme).size == 2
    assert newest_head(session=session, programme=programme).size == 5
    with pytest.raises(Refusal):
        entries(session=session, programme=programme, start=2, end=5)
    with pytest.raises(Refusal):
        public_inclusion(session=session, programme=programme, leaf=3, size=5)
    with pytest.raises(Refusal):
        public_consistency(session=session, programme=programme, first=2, second=5)
    book.complete(1)
    book.publish(crowd=4)
    session.expire_all()
    assert public_head(session=session, programme=programme).size == 6
    book.complete(1)
    book.publish(crowd=4)
    book.publish(crowd=4, now=datetime.now(UTC) + LONGEST_UNSEEN + timedelta(minutes=1))
    session.expire_all()
    sizes = [head.size for head in public_heads(session=session, programme=programme, before=None, limit=9)]
    assert sizes == [7, 6, 2]
    assert book.differences() == []


def test_proofs_from_the_stored_tree(book: Book, session: Session) -> None:
    book.complete(3)
    book.publish()
    book.complete(8)
    book.publish()
    programme = programme_of(session=session, code="GS")
    newer, older = public_heads(session=session, programme=programme, before=None, limit=2)
    assert newer.is_signed(KEYS)
    assert not newer.is_signed({3: bytes(32)})
    for leaf in range(newer.size):
        sha256, proof = public_inclusion(session=session, programme=programme, leaf=leaf, size=newer.size)
        known = {"leaf": leaf, "size": newer.size, "root": newer.root}
        assert proves_inclusion(leaf_sha256=sha256, proof=proof, **known)
    path = public_consistency(session=session, programme=programme, first=older.size, second=newer.size)
    assert proves_consistency(
        first=older.size, first_root=older.root, second=newer.size, second_root=newer.root, proof=path
    )


def test_two_publishers_at_once_write_every_leaf_once(book: Book, session: Session) -> None:
    book.complete(12)
    start = threading.Barrier(3)

    def run() -> None:
        with psycopg.connect(psycopg_conninfo(book.settings)) as connection:
            start.wait()
            for _ in range(20):
                publish(connection=connection, signer=SIGNER, now=datetime.now(UTC), limit=2)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [leaf["event_no"] for leaf in read_all(session)] == list(range(1, 15))
    assert book.differences() == []


FORGERIES = {
    "one fen more in a leaf": (
        """UPDATE log_leaf SET entry = replace(entry, '"amount_fen":30000', '"amount_fen":30001') WHERE leaf = 3""",
        "leaf 3",
    ),
    "a leaf's hash": ("UPDATE log_leaf SET sha256 = sha256('x') WHERE leaf = 3", "leaf 3"),
    "another event": ("UPDATE log_leaf SET event_no = 9 WHERE leaf = 3", "leaf 3"),
    "a leaf deleted": ("DELETE FROM log_leaf WHERE leaf = 4", "leaf 4"),
    "the last leaf deleted": ("DELETE FROM log_leaf WHERE leaf = 8", "event 8"),
    "a salt changed": ("UPDATE log_salt SET salt = sha256('x') WHERE leaf = 5", "leaf 5"),
    "a token changed": ("UPDATE log_token SET token = repeat('0', 31) || person_id % 10", "leaf 2"),
    "a node changed": ("UPDATE log_node SET sha256 = sha256('x') WHERE level = 2 AND number = 1", "node 2/1"),
    "a node invented": (
        "INSERT INTO log_node SELECT programme_id, 5, 0, sha256 FROM log_node LIMIT 1",
        "node 5/0",
    ),
    "a root changed": ("UPDATE log_head SET root = sha256('x')", "head 9"),
    "a signature changed": ("UPDATE log_head SET signature = sha512('x')", "head 9"),
    "the size changed": ("UPDATE published_log SET size = 8", "GS"),
    "a decision changed": ("UPDATE decision SET amount_fen = 1 WHERE position = 1", "leaf 2"),
    "an instant moved": (
        "UPDATE queue_event SET effective_at = effective_at - interval '1 second' WHERE position = 1",
        "leaf 2",
    ),
}


def test_verify_names_every_forgery(book: Book) -> None:
    book.complete(5)
    book.event(EventKind.RETURN, 2)
    book.publish()
    owner = book.settings.owner_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(owner, options=f"-c search_path={book.settings.schema}") as forger:
        for name, (statement, subject) in FORGERIES.items():
            forger.execute("SET LOCAL session_replication_role = replica")
            assert forger.execute(statement).rowcount > 0, name
            with forger.cursor(row_factory=namedtuple_row) as cursor:
                programme = cursor.execute("SELECT * FROM programme").fetchone()
            told = verify_log(connection=forger, programme=programme, is_signed=lambda head: head.is_signed(KEYS))
            found = [str(difference) for difference in told]
            assert any(line.startswith(subject) for line in found), (name, found)
            forger.rollback()
    assert book.differences() == []


def test_the_log_refuses_every_change(book: Book, session: Session) -> None:
    owner = book.settings.owner_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(owner, options=f"-c search_path={book.settings.schema}") as connection:
        for table in ("log_leaf", "log_node", "log_head"):
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(f"DELETE FROM {table}")
            connection.rollback()
            assert not session.scalar(text(f"SELECT has_table_privilege('mapai_app', '{table}', 'UPDATE')"))
