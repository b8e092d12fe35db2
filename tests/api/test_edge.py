"""The edge: whose address counts behind a proxy, what cannot be read, and where a redirect leads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask, jsonify, request

from app.auth import COOKIE
from app.config import Settings
from app.db import db
from app.factory import close, create_app
from tests.api.conftest import Place, faults

CLIENT, PROXY, INNER = "203.0.113.7", "10.0.0.1", "10.0.0.2"


@contextmanager
def app_with(settings: Settings, place: Place, **changes: Any) -> Iterator[Flask]:
    """The platform with other settings, the same partners, and a way to hear where a request came from."""
    app = create_app(replace(settings, **changes), partners=place.app.extensions["mapai.partners"])
    app.extensions["mapai.crowd"].kept_s = 0.0
    app.add_url_rule("/told", view_func=lambda: jsonify(address=request.remote_addr, secure=request.is_secure))
    yield app
    close(app)
    with app.app_context():
        db.engine.dispose()


def told(app: Flask, forwarded: str | None, proto: str = "https") -> dict[str, Any]:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": proto}
    found: dict[str, Any] = (
        app.test_client().get("/told", headers=headers, environ_overrides={"REMOTE_ADDR": PROXY}).json
    )
    return found


def test_what_is_forwarded_counts_only_behind_proxies_of_ours(settings: Settings, place: Place) -> None:
    with app_with(settings, place) as bare:
        assert told(bare, CLIENT) == {"address": PROXY, "secure": False}
    with app_with(settings, place, trusted_proxies=1) as behind_one:
        assert told(behind_one, CLIENT) == {"address": CLIENT, "secure": True}
        assert told(behind_one, None) == {"address": PROXY, "secure": False}
        # What a client writes there himself stands before what the proxy wrote.
        assert told(behind_one, f"1.1.1.1, 2.2.2.2, {CLIENT}") == {"address": CLIENT, "secure": True}
        assert told(behind_one, CLIENT, proto="https, http") == {"address": CLIENT, "secure": False}
    with app_with(settings, place, trusted_proxies=2) as behind_two:
        assert told(behind_two, f"1.1.1.1, {CLIENT}, {INNER}", proto="https, http")["address"] == CLIENT
        assert told(behind_two, CLIENT)["address"] == PROXY


def test_limits_behind_a_proxy_are_each_client_s_own(settings: Settings, place: Place) -> None:
    with app_with(settings, place, trusted_proxies=1) as app:
        client = app.test_client()

        def tries(address: str) -> int:
            headers = {"X-Forwarded-For": f"9.9.9.9, {address}"}
            body = {"login": "nobody", "password": "wrong"}
            return client.post("/api/sign-ins", json=body, headers=headers).status_code

        assert [tries(CLIENT) for _ in range(11)] == [401] * 10 + [429]
        assert tries("203.0.113.8") == 401


def test_https_is_asked_for_where_the_public_address_is_one(settings: Settings, place: Place) -> None:
    assert "Strict-Transport-Security" not in place.app.test_client().get("/points").headers
    with app_with(settings, place, public_url="https://mapai.example") as app:
        answer = app.test_client().get("/points")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "; Secure" in app.test_client().get("/look?lang=en").headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/sign-ins", '{"login": %s, "password": "x"}'),
        ("/api/sign-ins/by-code", '{"phone": "13800138000", "code": %s}'),
        ("/api/one-time-codes", '{"phone": %s}'),
        ("/api/one-time-codes", "[1, %s]"),
    ],
)
def test_a_number_nobody_can_hold_is_an_unreadable_request(place: Place, path: str, body: str) -> None:
    answer = place.visitor().client.post(path, data=body % ("9" * 5000), content_type="application/json")
    assert (answer.status_code, faults(answer)) == (400, {None: "bad_request"})


def test_signed_in_the_same(place: Place) -> None:
    staff = place.as_role("reviewer")
    headers = {"Authorization": f"Bearer {staff.token}", "Idempotency-Key": "one-and-only"}
    for path in ("/api/people/1/unmaskings", "/api/people/1/phone", "/api/trade-ins"):
        answer = staff.client.post(path, data="9" * 5000, content_type="application/json", headers=headers)
        assert answer.status_code in (400, 403), path
        assert "internal_error" not in answer.text


@pytest.mark.parametrize("path", ["/api//trade-ins", "/api///refusals"])
def test_a_redirect_to_the_right_spelling_names_no_host(place: Place, path: str) -> None:
    answer = place.visitor().client.get("/", environ_overrides={"PATH_INFO": path}, headers={"Host": "evil.example"})
    assert answer.status_code in (307, 308, 301, 302, 303), answer.status_code
    assert answer.headers["Location"].startswith("/")
    assert not answer.headers["Location"].startswith("//")
    assert "evil" not in answer.headers["Location"]


def test_what_a_signed_in_reader_sees_is_kept_nowhere(place: Place) -> None:
    client = place.app.test_client()
    assert client.get("/").headers["Cache-Control"] == "private, no-cache"
    client.set_cookie(COOKIE, "whatever")
    for path in ("/", "/check"):
        assert client.get(path).headers["Cache-Control"] == "private, no-store"
    # The stage's figures say nothing of who reads them.
    assert client.get("/live/stage").headers["Cache-Control"] == "private, no-cache"
