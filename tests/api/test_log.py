"""The published log over HTTP: anybody fetches, proves and recomputes it; an owner proves his claim."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from app.config import Settings
from app.db import psycopg_conninfo
from app.log_keys import log_keys, public_bytes, signing_log_keys
from registry.audit import AuditEntry
from registry.base import Refusal
from subsidy.events import EventKind
from subsidy.log_heads import Head
from subsidy.log_publishing import publish
from subsidy.merkle import proves_consistency, proves_inclusion
from subsidy.queue import append_event
from subsidy.receipt_checks import check_receipt, check_since, later_leaves, read_receipt, say_outcome
from tests.api.conftest import Api, Place, walk
from tests.registry.line import Owner

LOG = "/api/log/GS-2026"


def publish_now(settings: Settings, *, crowd: int = 1) -> None:
    signer = signing_log_keys(settings).must_sign()
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        publish(connection=connection, signer=signer, now=datetime.now(UTC), crowd=crowd)


@pytest.fixture
def completed(place: Place, point: Api, owner: Owner, programme: None) -> str:
    """One owner's finished trade-in."""
    return walk(point, place, owner, until="applied")


def test_anybody_fetches_proves_and_recomputes_the_log(
    place: Place, completed: str, settings: Settings, tmp_path: Path
) -> None:
    visitor = place.visitor()
    assert visitor.get(f"{LOG}/head").status_code == 404
    publish_now(settings)
    older = visitor.get(f"{LOG}/head").json
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        (programme_id,) = connection.execute("SELECT id FROM programme").fetchone()  # type: ignore[misc]
        append_event(
            connection=connection,
            programme_id=programme_id,
            kind=EventKind.RETURN,
            position=1,
            actor="staff:1",
            clock=settings.clock,
        )
    publish_now(settings)
    answer = visitor.get(f"{LOG}/head")
    head = answer.json
    assert answer.headers["Cache-Control"] == "public, max-age=5"
    published = {key["key_id"]: bytes.fromhex(key["public_key"]) for key in visitor.get("/api/log-keys").json["keys"]}
    assert published == public_bytes(log_keys(settings))
    assert Head.from_json(head).is_signed(published)
    assert [each["size"] for each in visitor.get(f"{LOG}/heads").json["heads"]] == [5, 3]
    page = visitor.get(f"{LOG}/heads", limit=1).json
    assert visitor.get(f"{LOG}/heads", limit=1, before=page["next_before"]).json["heads"] == [older]
    page = visitor.get(f"{LOG}/entries", start=0, end=2)
    assert (page.json["next_start"], page.headers["Cache-Control"]) == (2, "public, max-age=31536000, immutable")
    rest = visitor.get(f"{LOG}/entries", start=2, end=99).json
    assert rest["next_start"] is None
    for number, entry in enumerate((*page.json["entries"], *rest["entries"])):
        proof = visitor.get(f"{LOG}/proof", leaf=number, size=5).json
        known = {"leaf": number, "size": 5, "root": bytes.fromhex(head["root"])}
        path = [bytes.fromhex(each) for each in proof["proof"]]
        assert proves_inclusion(leaf_sha256=bytes.fromhex(proof["sha256"]), proof=path, **known), entry
    told = visitor.get(f"{LOG}/consistency", first=3, second=5).json["proof"]
    roots = {"first_root": bytes.fromhex(older["root"]), "second_root": bytes.fromhex(head["root"])}
    assert proves_consistency(first=3, second=5, proof=[bytes.fromhex(each) for each in told], **roots)
    rules = visitor.get(f"{LOG}/rules").json["versions"]
    assert rules[0]["rules"] == page.json["entries"][0]["rules"]
    assert rules[0]["rules_sha256"] == page.json["entries"][0]["rules_sha256"]
    for name, document in (("1", page.json), ("2", rest), ("head", head)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    script = tmp_path / "recompute.py"
    script.write_bytes(visitor.get("/api/log/recompute.py").data)
    ran = subprocess.run([sys.executable, "-I", script, tmp_path], capture_output=True, text=True, timeout=30)
    assert (ran.returncode, ran.stdout) == (0, "5 leaves, every claim decided again: all agree\n")


def test_what_is_not_public_is_not_given(place: Place, completed: str, settings: Settings) -> None:
    publish_now(settings, crowd=2)
    visitor = place.visitor()
    assert visitor.get(f"{LOG}/head").status_code == 404, "one claim alone hides nobody"
    for path, query in (
        ("entries", {"start": 0, "end": 3}),
        ("proof", {"leaf": 0, "size": 3}),
        ("consistency", {"first": 1, "second": 3}),
    ):
        assert visitor.get(f"{LOG}/{path}", **query).status_code == 404
    assert visitor.get("/api/log/nothing/head").status_code == 404
    publish_now(settings)
    assert visitor.get(f"{LOG}/proof", leaf=3, size=3).status_code in (404, 422)
    assert visitor.get(f"{LOG}/openings", start=0, end=9).status_code == 401
    assert place.as_role("operator").get(f"{LOG}/openings", start=0, end=9).status_code == 403


def test_an_auditor_opens_leaves_and_it_is_written_down(place: Place, completed: str, settings: Settings) -> None:
    publish_now(settings, crowd=2)
    opened = place.as_role("auditor").get(f"{LOG}/openings", start=0, end=9).json["openings"]
    assert [(each["leaf"], each["rest"]["trade_in"]) for each in opened] == [(2, completed)]
    place.district.session.rollback()
    looks = select(AuditEntry.detail).where(AuditEntry.action == "log.opened")
    assert place.district.session.scalars(looks).all() == [{"start": 0, "end": 9, "leaves": 1}]


def test_an_owner_proves_his_claim(place: Place, point: Api, owner: Owner, completed: str, settings: Settings) -> None:
    mine = place.as_role("owner", person_id=owner.person_id)
    path = f"/api/my/trade-ins/{completed}/receipt"
    assert mine.get(path).status_code == 404, "nothing is published yet"
    publish_now(settings, crowd=2)
    document = mine.get(path).json
    keys = public_bytes(log_keys(settings))
    receipt = read_receipt(json.loads(json.dumps(document)))
    assert [(step.code, step.ok) for step in check_receipt(receipt, keys=keys)] == [
        ("signature", True),
        ("claim_included", True),
        ("decision_included", True),
        ("commitments", True),
        ("same_claim", True),
    ]
    assert say_outcome(receipt.decision.entry) == ("给予补贴 300.00 元", "awarded 300.00 yuan")
    assert receipt.claim.rest["trade_in"] == completed
    assert document["link"].startswith("http://127.0.0.1:8000/proof?p=GS-2026&l=2&h=")
    place.district.session.rollback()
    seen = select(AuditEntry.actor).where(AuditEntry.action == "receipt.seen")
    assert place.district.session.scalars(seen).all() == []
    assert point.get(path).status_code == 200
    assert place.as_role("auditor").get(path).status_code == 200
    assert place.as_role("owner", person_id=place.district.owner().person_id).get(path).status_code == 404
    assert place.visitor().get(path).status_code == 401
    assert len(place.district.session.scalars(seen).all()) == 2


CHANGES: dict[str, Any] = {
    "signature": lambda it: it["head"].update(size=it["head"]["size"] + 1),
    "claim_included": lambda it: it["claim"]["entry"].update(amount_fen=40_000),
    "decision_included": lambda it: it["decision"].update(leaf=1),
    "commitments": lambda it: it["claim"]["rest"].update(recorded_at="2026-01-01T00:00:00+00:00"),
    "same_claim": lambda it: it.update(position=2),
}


def test_a_changed_receipt_is_found_out_and_a_later_return_is_told(
    place: Place, owner: Owner, completed: str, settings: Settings
) -> None:
    publish_now(settings)
    mine = place.as_role("owner", person_id=owner.person_id)
    document = mine.get(f"/api/my/trade-ins/{completed}/receipt").json
    keys = public_bytes(log_keys(settings))
    for code, change in CHANGES.items():
        forged = json.loads(json.dumps(document))
        change(forged)
        steps = {step.code: step.ok for step in check_receipt(read_receipt(forged), keys=keys)}
        assert steps[code] is False, code
    for broken in (None, [], {}, {**document, "head": {}}, {**document, "claim": 3}, {**document, "peaks": ["x"]}):
        with pytest.raises(Refusal):
            read_receipt(broken)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        (programme_id,) = connection.execute("SELECT id FROM programme").fetchone()  # type: ignore[misc]
        append_event(
            connection=connection,
            programme_id=programme_id,
            kind=EventKind.RETURN,
            position=1,
            actor="staff:1",
            clock=settings.clock,
        )
    publish_now(settings)
    visitor, receipt = place.visitor(), read_receipt(document)
    newest = Head.from_json(visitor.get(f"{LOG}/head").json)
    since = visitor.get(f"{LOG}/entries", start=receipt.head.size, end=newest.size).json["entries"]
    assert check_since(receipt, newest=newest, since=since, keys=keys).ok is True
    assert [entry["kind"] for entry in later_leaves(receipt, since)] == ["return", "decision"]
    assert check_since(receipt, newest=newest, since=since[:-1], keys=keys).ok is False
    assert check_since(receipt, newest=newest, since=[{**since[0], "position": 9}, *since[1:]], keys=keys).ok is False
    assert check_since(read_receipt({**document, "peaks": []}), newest=newest, since=since, keys=keys).ok is False
    shorter = read_receipt(mine.get(f"/api/my/trade-ins/{completed}/receipt").json)
    assert shorter.decision.entry["outcome"] == "decline"
    assert check_since(shorter, newest=receipt.head, since=[], keys=keys).ok is None
