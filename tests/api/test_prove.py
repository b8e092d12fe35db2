"""``mapai prove`` and ``mapai log-consistency``: with files saved before, and against a platform that answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select
from werkzeug.serving import make_server

from app.cli import main
from app.config import Settings
from app.db import psycopg_conninfo
from app.log_keys import signing_log_keys
from registry.trade_ins import TradeIn
from subsidy.events import EventKind
from subsidy.log_publishing import publish
from subsidy.queue import append_event
from subsidy.receipts import receipt_of
from tests.api.conftest import Api, Place, walk
from tests.registry.line import Owner

LOG = "/api/log/GS-2026"


def publish_now(settings: Settings, *, back: bool = False) -> None:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        if back:
            append_event(
                connection=connection,
                programme_id=1,
                kind=EventKind.RETURN,
                position=1,
                actor="staff:1",
                clock=settings.clock,
            )
        signer = signing_log_keys(settings).must_sign()
        publish(connection=connection, signer=signer, now=datetime.now(UTC))


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def served(place: Place) -> Iterator[str]:
    """The platform's address."""
    server = make_server("127.0.0.1", 0, place.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(20)
    server.server_close()


@pytest.fixture
def saved(place: Place, point: Api, owner: Owner, programme: None, settings: Settings, tmp_path: Path) -> Path:
    """A folder with a receipt, the keys and the head of then; afterwards the claim was returned."""
    walk(point, place, owner, until="applied")
    publish_now(settings)
    session, visitor = place.district.session, place.visitor()
    session.rollback()
    receipt = receipt_of(session=session, trade_in=session.scalars(select(TradeIn)).one())
    keep = {"receipt": receipt, "keys": visitor.get("/api/log-keys").json, "older": visitor.get(f"{LOG}/head").json}
    publish_now(settings, back=True)
    head = visitor.get(f"{LOG}/head").json
    keep |= {"newer": head, "entries": visitor.get(f"{LOG}/entries", start=3, end=head["size"]).json}
    keep["proof"] = visitor.get(f"{LOG}/consistency", first=3, second=head["size"]).json
    for name, document in keep.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


def change(path: Path, **what: Any) -> Path:
    """A copy of a saved document with something changed."""
    changed = path.with_name(f"changed-{path.name}")
    changed.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | what), encoding="utf-8")
    return changed


def test_a_receipt_is_proved_from_files_and_what_is_missing_is_one_sentence(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAPAI_PORT", "1")
    receipt, keys = saved / "receipt.json", saved / "keys.json"
    told = run("prove", receipt, "--keys", keys)
    assert told.exit_code == 0, told.output
    assert "the receipt holds" in told.output
    assert "the newest head was not asked for" in told.output
    told = run("prove", receipt, "--keys", keys, "--head", saved / "newer.json", "--log", saved / "entries.json")
    assert told.exit_code == 0, told.output
    assert "later: returned" in told.output
    assert "later: decided declined" in told.output
    told = run("prove", receipt, "--keys", keys, "--head", saved / "older.json")
    assert told.exit_code == 0, told.output
    wrong = run("prove", change(receipt, position=2), "--keys", keys)
    assert (wrong.exit_code, "the receipt does not hold" in wrong.output) == (1, True)
    page = json.loads((saved / "entries.json").read_text(encoding="utf-8"))
    page["entries"][0]["position"] = 7
    hidden = change(saved / "entries.json", entries=page["entries"])
    told = run("prove", receipt, "--keys", keys, "--head", saved / "newer.json", "--log", hidden)
    assert (told.exit_code, "✗ 后来的日志一条没改" in told.output) == (1, True)
    for arguments, sentence in (
        ((receipt,), "--keys"),
        ((receipt, "--keys", keys, "--head", saved / "newer.json"), "--log"),
        ((receipt, "--keys", receipt), "no list of keys"),
        ((keys, "--keys", keys), "not a whole receipt"),
        ((receipt, "--url", "http://127.0.0.1:1"), "does not answer"),
    ):
        told = run("prove", *arguments)
        assert (told.exit_code, sentence in told.output) == (1, True), told.output
        assert "Traceback" not in told.output


def test_heads_are_compared_and_the_platform_is_asked(
    saved: Path, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer, keys = saved / "older.json", saved / "newer.json", saved / "keys.json"
    files = ("--keys", keys, "--proof", saved / "proof.json")
    assert run("log-consistency", older, newer, *files).exit_code == 0
    assert run("log-consistency", newer, older, *files).exit_code == 0
    assert run("log-consistency", change(older, root="00" * 32), newer, *files).exit_code == 1
    assert run("log-consistency", older, change(newer, size=6), *files).exit_code == 1
    assert run("log-consistency", older, newer, "--keys", keys).exit_code == 1
    told = run("prove", saved / "receipt.json", "--url", served)
    assert told.exit_code == 0, told.output
    assert "later: returned" in told.output
    told = run("log-consistency", saved / "older.json", "newest", "--url", served)
    assert told.exit_code == 0, told.output
    assert "the first 3 of 5 leaves are the same" in told.output
    monkeypatch.setenv("MAPAI_PORT", served.rpartition(":")[2])
    assert "later: returned" in run("prove", saved / "receipt.json").output
    assert "the first 3 of 5 leaves" in run("log-consistency", saved / "older.json", "newest").output
