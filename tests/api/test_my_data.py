"""Owners read what is held on them, and nobody else's; consent is kept by version, time and purpose."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from registry.audit import AuditEntry
from registry.consent import WORDINGS, Consent, Wording
from tests.api.conftest import Api, Place, faults, walk
from tests.registry.line import Owner

YES = {"purpose": "survey", "version": 1, "given": True}


@pytest.fixture
def me(place: Place, owner: Owner) -> Api:
    return place.as_role("owner", person_id=owner.person_id)


def test_an_owner_downloads_what_is_held(place: Place, point: Api, owner: Owner, me: Api) -> None:
    other = place.district.owner()
    walk(point, place, other, until="opened")
    reference = walk(point, place, owner, until="received")
    reason = {"field": "phone", "reason": "电话联系不上"}
    assert place.as_role("finance").post(f"/api/people/{owner.person_id}/unmaskings", reason).status_code == 201
    assert me.post("/api/my/consents", YES).status_code == 201
    answer = me.get("/api/my/data")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    held: dict[str, Any] = answer.json
    facts = ("name", "id_no", "document", "phone")
    assert tuple(held[name] for name in facts) == (owner.name, owner.id_no, "citizen", owner.phone)
    assert [bike["plate_no"] for bike in held["filed_bikes"]] == [owner.plate_no]
    assert [(row["reference"], row["state"], row["photos"]) for row in held["trade_ins"]] == [
        (reference, "old_bike_received", 3)
    ]
    assert held["trade_ins"][0]["position"] is None
    assert [(look["field"], look["role"]) for look in held["looks"]] == [("phone", "finance")]
    assert [(consent["purpose"], consent["given"]) for consent in held["consents"]] == [("survey", True)]
    assert not any(secret in answer.text for secret in (other.id_no, other.plate_no, "电话联系不上"))


def test_a_completed_trade_in_tells_its_place_and_money(
    place: Place, point: Api, owner: Owner, me: Api, programme: None
) -> None:
    walk(point, place, owner, until="applied")
    (row,) = me.get("/api/my/data").json["trade_ins"]
    assert (row["position"], row["decision"], row["amount_fen"]) == (1, "awarded", 30_000)
    assert row["payout"] == "awaiting_wallet"


def test_only_owners_have_data_of_their_own(place: Place, point: Api) -> None:
    for api in (point, place.as_role("administrator")):
        for path in ("/api/my/data", "/api/my/consents"):
            assert faults(api.get(path)) == {None: "wrong_role"}


def test_consent_is_given_withdrawn_and_kept(place: Place, me: Api, owner: Owner) -> None:
    assert {row["purpose"]: row["given"] for row in me.get("/api/my/consents").json["wordings"]} == {
        "progress_messages": False,
        "survey": False,
    }
    first = me.post("/api/my/consents", YES)
    assert me.post("/api/my/consents", YES).json == first.json
    assert me.get("/api/my/consents").json["wordings"][1]["given"] is True
    assert me.post("/api/my/consents", YES | {"given": False}).status_code == 201
    assert me.get("/api/my/consents").json["wordings"][1]["given"] is False
    session = place.district.session
    kept = session.scalars(select(Consent).order_by(Consent.id)).all()
    assert [(row.person_id, row.version, row.given) for row in kept] == [
        (owner.person_id, 1, True),
        (owner.person_id, 1, False),
    ]
    entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "consent_answered")).all()
    assert [(entry.detail["old"], entry.detail["new"]) for entry in entries] == [
        (None, {"version": 1, "given": True}),
        ({"version": 1, "given": True}, {"version": 1, "given": False}),
    ]
    for change in (update(Consent).values(given=True), delete(Consent), text("TRUNCATE consent")):
        with pytest.raises(DBAPIError):
            session.execute(change)
        session.rollback()


def test_consent_is_to_the_current_wording_only(me: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(me.post("/api/my/consents", YES | {"version": 2})) == {"version": "wording_outdated"}
    assert me.post("/api/my/consents", YES).status_code == 201
    newer = (*WORDINGS["survey"], Wording(version=2, zh="新", en="new"))
    monkeypatch.setitem(WORDINGS, "survey", newer)
    assert faults(me.post("/api/my/consents", YES)) == {"version": "wording_outdated"}
    assert me.post("/api/my/consents", YES | {"given": False}).status_code == 201
    assert me.post("/api/my/consents", YES | {"version": 2}).status_code == 201


def test_the_faults_of_a_consent(me: Api) -> None:
    assert faults(me.post("/api/my/consents", {})) == {
        "purpose": "required",
        "version": "required",
        "given": "required",
    }
    assert faults(me.post("/api/my/consents", YES | {"purpose": "adverts"})) == {"purpose": "not_a_choice"}
