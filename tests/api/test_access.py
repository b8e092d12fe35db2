"""Who may call what; signing in and out; and that no route was forgotten."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from app.access import RouteWithoutRule, public, require_rules, rule_of
from app.auth import ATTEMPTS, COOKIE, hash_password
from app.clock import real
from registry.accounts import Account, SignIn, SignInAttempt
from tests.api.conftest import PASSWORD, Api, Place, faults


def test_every_route_carries_an_access_rule(place: Place) -> None:
    for rule in place.app.url_map.iter_rules():
        assert rule_of(place.app.view_functions[rule.endpoint]) is not None, rule


def test_an_application_with_a_forgotten_route_does_not_start() -> None:
    app = Flask("bare", static_folder=None)
    app.add_url_rule("/open", view_func=public(lambda: "open"), endpoint="open")
    require_rules(app)
    app.add_url_rule("/forgotten", view_func=lambda: "everything", endpoint="forgotten")
    with pytest.raises(RouteWithoutRule, match="/forgotten"):
        require_rules(app)


def test_what_the_public_may_reach_is_this_and_no_more(place: Place) -> None:
    api = [rule for rule in place.app.url_map.iter_rules() if rule.rule.startswith("/api") or rule.rule == "/health"]
    reachable = {
        rule.rule
        for rule in api
        if (found := rule_of(place.app.view_functions[rule.endpoint])) and found.kind == "public"
    }
    assert reachable == {
        "/api/log-keys",
        "/api/log/recompute.py",
        "/api/log/<programme>/consistency",
        "/api/log/<programme>/entries",
        "/api/log/<programme>/head",
        "/api/log/<programme>/heads",
        "/api/log/<programme>/proof",
        "/api/log/<programme>/rules",
        "/api/sign-ins",
        "/api/sign-ins/by-code",
        "/api/one-time-codes",
        "/api/dealer-applications",
        "/api/dealer-applications/<reference>",
        "/api/dealer-passwords",
        "/api/commitments",
        "/api/commitment-versions",
        "/api/programmes/current",
        "/api/points",
        "/api/points/<point_no>",
        "/api/plate-keys",
        "/api/refusals",
        "/api/plate-codes/<payload>",
        "/api/openapi.json",
        "/health",
    }


def test_a_visitor_is_401_everywhere_else(place: Place) -> None:
    for rule in place.app.url_map.iter_rules():
        found = rule_of(place.app.view_functions[rule.endpoint])
        assert found is not None
        if not rule.rule.startswith("/api") or found.kind != "roles":
            continue
        path = re.sub(r"<int:\w+>", "1", rule.rule.replace("<reference>", "GS-7K2M-94"))
        for method in (rule.methods or set()) & {"GET", "POST", "DELETE"}:
            answer = place.app.test_client().open(path, method=method, headers={"Idempotency-Key": "12345678"})
            assert answer.status_code == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert faults(answer) == {None: "not_signed_in"}


def test_the_wrong_role_is_403(place: Place) -> None:
    owner = place.as_role("owner", person_id=place.district.owner().person_id)
    for path in ("/api/trade-ins", "/api/bikes", "/api/trade-ins/GS-7K2M-94/sale"):
        answer = owner.post(path, {})
        assert (answer.status_code, faults(answer)) == (403, {None: "wrong_role"})
    assert owner.get("/api/board").status_code == 403
    auditor = place.as_role("auditor")
    assert auditor.post("/api/trade-ins/GS-7K2M-94/wallet", {"wallet_id": "0021"}).status_code == 403


def test_signing_in_and_out(place: Place, point: Api) -> None:
    assert point.get("/api/trade-ins").status_code == 200
    session = place.district.session
    stored = session.scalars(select(SignIn.token_sha256)).one()
    assert point.token is not None
    assert point.token.encode() not in stored
    ended = point.client.delete("/api/sign-ins", headers={"Authorization": f"Bearer {point.token}"})
    assert ended.status_code == 204
    assert point.get("/api/trade-ins").status_code == 401
    assert point.client.delete("/api/sign-ins").status_code == 204


def test_a_sign_in_ends_after_twelve_hours(place: Place, point: Api) -> None:
    session = place.district.session
    expires_at = session.scalars(select(SignIn.expires_at)).one()
    assert abs(expires_at - real() - timedelta(hours=12)) < timedelta(minutes=1)
    session.execute(update(SignIn).values(expires_at=real()))
    session.commit()
    assert point.get("/api/trade-ins").status_code == 401


def test_a_disabled_account_is_out_at_once(place: Place, point: Api) -> None:
    place.district.session.execute(update(Account).values(disabled_at=real()))
    place.district.session.commit()
    assert point.get("/api/trade-ins").status_code == 401
    login = place.district.session.scalars(select(Account.login)).one()
    answer = point.client.post("/api/sign-ins", json={"login": login, "password": PASSWORD})
    assert answer.status_code == 401


def test_the_api_takes_no_cookie(place: Place, point: Api) -> None:
    client = place.app.test_client()
    client.set_cookie(COOKIE, point.token or "")
    assert client.get("/api/trade-ins").status_code == 401
    for header in ("", "Bearer", "Bearer ", "Basic abc", "Bearer x\u00e9", f"bearer x{point.token}"):
        assert client.get("/api/trade-ins", headers={"Authorization": header}).status_code == 401


def test_a_wrong_password_and_an_unknown_login_are_told_alike(place: Place) -> None:
    login = place.account(role="auditor")
    visitor = place.visitor().client
    wrong = visitor.post("/api/sign-ins", json={"login": login, "password": "x"})
    unknown = visitor.post("/api/sign-ins", json={"login": "nobody", "password": "x"})
    assert wrong.status_code == unknown.status_code == 401
    assert faults(wrong) == {"password": "wrong_credentials"}
    assert wrong.data == unknown.data


def test_too_many_wrong_passwords_wait_a_quarter_of_an_hour(place: Place) -> None:
    login, session = place.account(role="auditor"), place.district.session
    visitor = place.visitor().client
    for _ in range(ATTEMPTS):
        assert visitor.post("/api/sign-ins", json={"login": login, "password": "x"}).status_code == 401
    blocked = visitor.post("/api/sign-ins", json={"login": login, "password": PASSWORD})
    assert (blocked.status_code, faults(blocked)) == (429, {None: "too_many_attempts"})
    assert blocked.headers["Retry-After"] == "900"
    elsewhere = visitor.post(
        "/api/sign-ins", json={"login": login, "password": PASSWORD}, environ_overrides={"REMOTE_ADDR": "10.0.0.9"}
    )
    assert elsewhere.status_code == 201
    session.execute(update(SignInAttempt).values(at=real() - timedelta(minutes=16)))
    session.commit()
    assert visitor.post("/api/sign-ins", json={"login": login, "password": PASSWORD}).status_code == 201
    assert login not in session.scalars(select(SignInAttempt.login)).all()


def test_the_faults_of_a_sign_in(place: Place) -> None:
    body = b'{"login": "a\\ud800b", "extra": 1}'
    answer = place.visitor().client.post("/api/sign-ins", data=body, content_type="application/json")
    assert faults(answer) == {"login": "bad_characters", "password": "required", "extra": "unknown_field"}


def test_hashes_are_salted() -> None:
    assert hash_password("same") != hash_password("same")
    assert len(hash_password("same")) <= 200


def test_health_points_and_no_programme(place: Place) -> None:
    visitor = place.visitor()
    assert visitor.get("/health").json == {"status": "ok"}
    points = visitor.get("/api/points").json["points"]
    assert [point["name"] for point in points] == [place.dealer.name]
    assert visitor.get("/api/points", sub_district="别的街道").json["points"] == []
    assert faults(visitor.get("/api/points", colour="red")) == {"colour": "unknown_field"}
    answer = visitor.get("/api/programmes/current")
    assert (answer.status_code, list(faults(answer).values())) == (404, ["programme_not_found"])
