"""A proxy acts on an authority the point recorded; the owner sees it and ends it."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from registry.audit import AuditEntry
from registry.people import Person, open_phone
from registry.proxies import Proxy
from tests.api.conftest import Api, Place, faults, walk
from tests.registry.line import Owner, id_number

DAUGHTER = {
    "name": "王小英",
    "id_no": id_number(777_001),
    "phone": "13911112222",
    "relation": "child",
    "authority_no": "WT-2026-0001",
}


@pytest.fixture
def opened(place: Place, point: Api, owner: Owner) -> str:
    """The address of a trade-in of the owner's."""
    return "/api/trade-ins/" + walk(point, place, owner, until="opened")


def person_of(place: Place, id_no: str) -> Person:
    session = place.district.session
    session.rollback()
    index = place.district.keyring.index(id_no, field="id_no")
    return session.scalars(select(Person).where(Person.id_index == index)).one()


def test_a_proxy_is_recorded_followed_and_ended(place: Place, point: Api, owner: Owner, opened: str) -> None:
    told = point.post(f"{opened}/proxy", DAUGHTER)
    assert told.status_code == 201, told.text
    reference = opened.rpartition("/")[2]
    assert (told.json["reference"], told.json["name"], told.json["ended_at"]) == (reference, "王*英", None)
    assert point.post(f"{opened}/proxy", DAUGHTER).json == told.json
    daughter = place.as_role("owner", person_id=person_of(place, DAUGHTER["id_no"]).id)
    (row,) = daughter.get("/api/my/entrusted").json["trade_ins"]
    assert (row["reference"], row["owner"]) == (reference, "陈*英")
    assert daughter.get(opened).status_code == 404
    assert faults(daughter.post(f"{opened}/proxy-ending")) == {"reference": "trade_in_not_found"}
    me = place.as_role("owner", person_id=owner.person_id)
    assert me.get("/api/my/proxies").json["proxies"] == [told.json]
    assert me.get("/api/my/entrusted").json["trade_ins"] == []
    ended = me.post(f"{opened}/proxy-ending")
    assert ended.status_code == 200
    assert ended.json["ended_at"]
    assert faults(me.post(f"{opened}/proxy-ending")) == {None: "proxy_not_found"}
    assert daughter.get("/api/my/entrusted").json["trade_ins"] == []
    session = place.district.session
    session.rollback()
    entries = session.scalars(
        select(AuditEntry).where(AuditEntry.action.startswith("proxy_")).order_by(AuditEntry.id)
    ).all()
    assert [entry.action for entry in entries] == ["proxy_recorded", "proxy_ended"]


def test_a_later_proxy_ends_the_one_before(place: Place, point: Api, opened: str) -> None:
    son = DAUGHTER | {"name": "王小明", "id_no": id_number(777_002), "authority_no": "WT-2026-0002"}
    assert point.post(f"{opened}/proxy", DAUGHTER).status_code == 201
    assert point.post(f"{opened}/proxy", son).status_code == 201
    rows = place.district.session.scalars(select(Proxy).order_by(Proxy.id)).all()
    assert [row.ended_at is None for row in rows] == [False, True]
    assert rows[0].ended_by == rows[1].recorded_by


def test_a_known_persons_phone_is_not_changed(place: Place, point: Api, opened: str) -> None:
    assert point.post(f"{opened}/proxy", DAUGHTER).status_code == 201
    again = DAUGHTER | {"phone": "13933334444", "authority_no": "WT-2026-0003"}
    assert point.post(f"{opened}/proxy", again).status_code == 201
    person = person_of(place, DAUGHTER["id_no"])
    assert open_phone(person=person, keyring=place.district.keyring) == DAUGHTER["phone"]


def test_who_and_what_is_refused(place: Place, point: Api, owner: Owner, opened: str) -> None:
    path = f"{opened}/proxy"
    himself = DAUGHTER | {"name": owner.name, "id_no": owner.id_no}
    assert faults(point.post(path, himself)) == {"id_no": "proxy_is_owner"}
    assert faults(point.post(path, himself | {"name": "王小英"})) == {"name": "proxy_name_differs"}
    wrong: dict[str, Any] = {"name": "1", "id_no": "1", "phone": "1", "authority_no": "委"}
    assert set(faults(point.post(path, DAUGHTER | wrong))) == set(wrong)
    assert faults(point.post(path, DAUGHTER | {"relation": "friend"})) == {"relation": "not_a_choice"}
    elsewhere = place.as_role("dealer", dealer_id=place.district.dealer().id)
    assert faults(elsewhere.post(path, DAUGHTER)) == {"reference": "trade_in_not_found"}
    me = place.as_role("owner", person_id=owner.person_id)
    assert faults(me.post(path, DAUGHTER)) == {None: "wrong_role"}
    assert me.post(f"{opened}/withdrawal").status_code == 200
    assert faults(point.post(path, DAUGHTER)) == {None: "proxy_too_late"}
    assert place.district.session.scalars(select(Proxy)).all() == []
