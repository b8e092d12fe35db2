"""Staff see a field in clear for a reason, and every look is written down."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from registry.accounts import ROLES, Account
from registry.audit import AuditEntry
from registry.cases import Case
from registry.people import Person, know_person
from registry.unmasking import MAY_UNMASK, UnmaskedByAuditorsOnly, Unmasking, note_looks
from tests.api.conftest import Api, Place, faults
from tests.registry.line import Owner

REASON = "核对补贴申领第 12 号的身份"


def wanted(field: str = "id_no", reason: str = REASON) -> dict[str, Any]:
    return {"field": field, "reason": reason}


def looks(place: Place) -> list[Unmasking]:
    session = place.district.session
    session.rollback()
    return list(session.scalars(select(Unmasking).order_by(Unmasking.id)))


@pytest.mark.parametrize("role", MAY_UNMASK)
def test_a_look_is_answered_and_written_down(place: Place, owner: Owner, role: str) -> None:
    staff = place.as_role(role)
    answer = staff.post(f"/api/people/{owner.person_id}/unmaskings", wanted())
    assert (answer.status_code, answer.json) == (
        201,
        {"person_id": owner.person_id, "field": "id_no", "value": owner.id_no},
    )
    assert answer.headers["Cache-Control"] == "no-store"
    (look,) = looks(place)
    assert (look.person_id, look.field, look.reason, look.address) == (
        owner.person_id,
        "id_no",
        REASON,
        "127.0.0.1",
    )
    entry = place.district.session.scalars(select(AuditEntry).where(AuditEntry.action == "unmasked")).one()
    assert (entry.actor, entry.subject) == (f"account:{look.account_id}", f"person:{owner.person_id}")
    assert entry.detail == {"field": "id_no", "unmasking": look.id}


def test_every_field_and_a_phone_not_given(place: Place, owner: Owner) -> None:
    staff = place.as_role("reviewer")
    path = f"/api/people/{owner.person_id}/unmaskings"
    assert staff.post(path, wanted("name")).json["value"] == owner.name
    assert faults(staff.post(path, wanted("phone"))) == {"field": "nothing_to_unmask"}
    session = place.district.session
    know_person(session=session, keyring=place.district.keyring, id_no=owner.id_no, name=owner.name, phone=owner.phone)
    session.commit()
    assert staff.post(path, wanted("phone")).json["value"] == owner.phone
    assert [look.field for look in looks(place)] == ["name", "phone"]


def test_other_roles_never(place: Place, owner: Owner, point: Any) -> None:
    path = f"/api/people/{owner.person_id}/unmaskings"
    others = [place.as_role(role) for role in ROLES if role not in (*MAY_UNMASK, "owner", "dealer", "auditor")]
    for api in (point, place.as_role("owner", person_id=owner.person_id), *others):
        assert faults(api.post(path, wanted())) == {None: "wrong_role"}
    # An auditor opens what is locked after an erasure, and nothing else.
    assert faults(place.as_role("auditor").post(path, wanted())) == {None: "unmasked_by_auditors_only"}
    assert looks(place) == []


@pytest.mark.parametrize("role", [role for role in ROLES if role not in (*MAY_UNMASK, "owner", "dealer")])
def test_a_list_of_looks_asks_for_the_same_role(place: Place, owner: Owner, role: str) -> None:
    session = place.district.session
    looking = session.scalars(select(Account.id).where(Account.login == place.account(role=role))).one()
    look = {"persons": [session.get_one(Person, owner.person_id)], "field": "name", "reason": REASON, "address": ""}
    with pytest.raises(UnmaskedByAuditorsOnly):
        note_looks(session=session, account_id=looking, **look)
    assert looks(place) == []


def test_what_is_refused_leaves_no_trace(place: Place, owner: Owner) -> None:
    staff = place.as_role("finance")
    path = f"/api/people/{owner.person_id}/unmaskings"
    assert faults(staff.post(path, {})) == {"field": "required", "reason": "required"}
    assert faults(staff.post(path, wanted(reason=" 查 "))) == {"reason": "too_short"}
    assert faults(staff.post(path, wanted("wallet"))) == {"field": "not_a_choice"}
    for nobody in (owner.person_id + 1000, 2**63, 10**30):
        answer = staff.post(f"/api/people/{nobody}/unmaskings", wanted())
        assert (answer.status_code, faults(answer)) == (404, {None: "person_not_found"})
    assert looks(place) == []


def test_looks_of_one_account_have_a_limit_an_hour_and_lists_do_not_count(place: Place, owner: Owner) -> None:
    most, session = 3, place.district.session
    place.app.extensions["mapai.settings"] = replace(place.app.extensions["mapai.settings"], unmaskings_per_hour=most)
    staff, other = place.as_role("reviewer"), place.as_role("finance")
    path = f"/api/people/{owner.person_id}/unmaskings"
    account = session.scalars(select(Account).where(Account.role == "reviewer")).one()
    person = session.get_one(Person, owner.person_id)
    note_looks(session=session, account_id=account.id, persons=[person] * 5, field="name", reason=REASON, address="")
    session.commit()
    apis = [Api(client=place.app.test_client(), token=staff.token) for _ in range(most + 3)]
    with ThreadPoolExecutor(len(apis)) as pool:
        answers = list(pool.map(lambda api: api.post(path, wanted()), apis))
    assert sorted(answer.status_code for answer in answers) == [201] * most + [429] * 3
    refused = staff.post(path, wanted())
    assert (refused.status_code, faults(refused)) == (429, {None: "unmasked_too_often"})
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert len(looks(place)) == 5 + most
    assert [(case.kind, case.subject) for case in session.scalars(select(Case))] == [
        ("unmasking_often", f"account:{account.id}")
    ]
    assert other.post(path, wanted()).status_code == 201


def test_a_look_cannot_be_undone(place: Place, owner: Owner) -> None:
    place.as_role("reviewer").post(f"/api/people/{owner.person_id}/unmaskings", wanted())
    session = place.district.session
    for change in (update(Unmasking).values(reason=""), delete(Unmasking), text("TRUNCATE unmasking")):
        with pytest.raises(DBAPIError):
            session.execute(change)
        session.rollback()
    assert len(looks(place)) == 1
