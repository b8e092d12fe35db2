"""The staff's accounts over the API: asked for by one, decided by another, disabled by one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from app.tables import FirstAnswer
from registry.accounts import ROLES, Account
from tests.api.conftest import PASSWORD, Api, Place, faults

NEW = {"login": "sun.li", "display_name": "孙丽", "role": "finance", "reason": "新来的同事"}
FIRST, SECOND = {"password_half": "a first half "}, {"password_half": "and a second"}


@pytest.fixture
def admin(place: Place) -> Api:
    return place.as_role("administrator")


@pytest.fixture
def reviewer(place: Place) -> Api:
    return place.as_role("reviewer")


def number_of(place: Place, login: str) -> int:
    place.district.session.rollback()
    return place.district.session.scalars(select(Account.id).where(Account.login == login)).one()


def sign_in(place: Place, login: str, password: str) -> int:
    return place.visitor().client.post("/api/sign-ins", json={"login": login, "password": password}).status_code


def test_an_account_takes_two_and_its_password_comes_from_both(place: Place, admin: Api, reviewer: Api) -> None:
    assert faults(admin.post("/api/staff-requests", NEW)) == {"password_half": "password_half_short"}
    asked = admin.post("/api/staff-requests", NEW | FIRST)
    assert (asked.status_code, asked.json["account_id"], asked.json["gives_password"]) == (201, None, True)
    assert asked.json["deciders"] == ["reviewer-0"], "there is no other administrator"
    decision = f"/api/staff-requests/{asked.json['id']}/decision"
    assert faults(admin.post(decision, {"approve": True} | SECOND)) == {None: "staff_request_needs_another"}
    assert faults(reviewer.post(decision, {"approve": True})) == {"password_half": "password_half_short"}
    decided = reviewer.post(decision, {"approve": True} | SECOND, key="decided-once")
    assert (decided.json["outcome"], decided.json["decided_by"]) == ("approved", "reviewer-0")
    assert reviewer.post(decision, {"approve": True} | SECOND, key="decided-once").json == decided.json
    assert sign_in(place, "sun.li", "a first half ") == 401
    whole = FIRST["password_half"].strip() + SECOND["password_half"]
    assert 201 in {sign_in(place, "sun.li", text) for text in (whole, "a first half and a second")}
    kept = place.district.session.scalars(select(FirstAnswer.body).where(FirstAnswer.body.is_not(None))).all()
    assert not any(b"half" in body and b"a first" in body for body in kept)
    assert faults(reviewer.post(decision, {"approve": False})) == {None: "staff_request_not_open"}


def test_a_change_is_asked_for_listed_refused_and_withdrawn(place: Place, admin: Api, reviewer: Api) -> None:
    place.as_role("finance")
    at = f"/api/staff/{number_of(place, 'finance-0')}/requests"
    change = {"kind": "role", "role": "operator", "reason": "调到窗口"}
    asked = admin.post(at, change).json
    assert (asked["old_role"], asked["role"], asked["login"]) == ("finance", "operator", "finance-0")
    assert faults(admin.post(at, change)) == {None: "staff_request_asked"}
    [listed] = reviewer.get("/api/staff-requests", open="yes").json["requests"]
    assert listed["deciders"] == ["reviewer-0"]
    refused = reviewer.post(f"/api/staff-requests/{listed['id']}/decision", {"approve": False}).json
    assert (refused["outcome"], refused["deciders"]) == ("refused", [])
    again = admin.post(at, change).json
    assert admin.post(f"/api/staff-requests/{again['id']}/withdrawal").json["outcome"] == "withdrawn"
    assert admin.get("/api/staff-requests", open="yes").json["requests"] == []
    assert len(admin.get("/api/staff-requests").json["requests"]) == 2
    rows = {one["login"]: one for one in reviewer.get("/api/staff").json["accounts"]}
    assert (rows["finance-0"]["role"], rows["finance-0"]["has_authenticator"]) == ("finance", False)


def test_disabling_takes_one_and_what_is_not_there_is_said(place: Place, admin: Api, reviewer: Api) -> None:
    finance = place.as_role("finance")
    number = number_of(place, "finance-0")
    assert admin.post(f"/api/staff/{number}/disabling").json["disabled_at"] is not None
    assert finance.get("/api/payouts").status_code == 401
    assert sign_in(place, "finance-0", PASSWORD) == 401
    own = number_of(place, "administrator-0")
    assert faults(admin.post(f"/api/staff/{own}/disabling")) == {None: "not_yourself"}
    for path, body in (
        (f"/api/staff/{2**70}/disabling", None),
        (f"/api/staff/{2**70}/requests", {"kind": "password", "reason": "忘了密码"} | FIRST),
        (f"/api/staff-requests/{2**70}/withdrawal", None),
    ):
        assert admin.post(path, body).status_code == 404
    assert reviewer.post(f"/api/staff-requests/{2**70}/decision", {"approve": False}).status_code == 404


@pytest.mark.parametrize("role", [role for role in ROLES if role not in ("administrator", "owner", "dealer")])
def test_other_roles_neither_ask_nor_decide(place: Place, role: str) -> None:
    api: Any = place.as_role(role)
    assert faults(api.post("/api/staff-requests", NEW | FIRST)) == {None: "wrong_role"}
    assert faults(api.post("/api/staff/1/disabling")) == {None: "wrong_role"}
    decision = api.post("/api/staff-requests/1/decision", {"approve": True} | SECOND)
    assert faults(decision) == {None: "staff_request_not_found" if role == "reviewer" else "wrong_role"}
