"""Staff see a field in clear for a reason, and every look is written down."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from registry.accounts import ROLES
from registry.audit import AuditEntry
from registry.people import know_person
from registry.unmasking import MAY_UNMASK, Unmasking
from tests.api.conftest import Place, faults
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


def test_a_look_cannot_be_undone(place: Place, owner: Owner) -> None:
    place.as_role("reviewer").post(f"/api/people/{owner.person_id}/unmaskings", wanted())
    session = place.district.session
    for change in (update(Unmasking).values(reason=""), delete(Unmasking), text("TRUNCATE unmasking")):
        with pytest.raises(DBAPIError):
            session.execute(change)
        session.rollback()
    assert len(looks(place)) == 1
