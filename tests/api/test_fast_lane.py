"""The fast lane answers what the ordinary route answers, and hands everything else on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from app.api.fast_lane import LARGEST_BODY_BYTES, PATH, REFUSED, FastLane
from app.clients.plates.callbacks import plate_answer_document
from app.clients.signing import HmacSm3, signed_headers
from app.config import Settings
from app.db import psycopg_conninfo
from app.headers import HEADERS
from loadtests.ready import Ready, make_ready
from registry.plate_authority import PlateAnswer

pytestmark = pytest.mark.usefixtures("programme")


@pytest.fixture
def ready(settings: Settings) -> list[Ready]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        return make_ready(connection=connection, keyring=settings.keyring, count=3, now=datetime.now(UTC))


def issued(item: Ready, plate_no: str) -> dict[str, Any]:
    return plate_answer_document(
        PlateAnswer(
            application_no=item.application_no,
            state="done",
            plate_no=plate_no,
            issued_at=datetime.now(UTC),
            holder_id_no=item.holder_id_no,
            vehicle_code=item.vehicle_code,
        )
    )


def went_through_flask(place, monkeypatch) -> list[bool]:
    """Note each request that reaches the framework behind the lane."""
    seen: list[bool] = []
    lane = place.app.wsgi_app
    assert isinstance(lane, FastLane)
    inner = lane._inner

    def noting(environ, start_response):
        seen.append(REFUSED in environ)
        return inner(environ, start_response)

    monkeypatch.setattr(lane, "_inner", noting)
    return seen


def test_an_issued_plate_never_reaches_the_framework(place, ready, monkeypatch):
    seen = went_through_flask(place, monkeypatch)
    answer = place.police_say(issued(ready[0], "B111111"))
    assert answer.status_code == 200
    assert answer.json == {"reference": "T1", "position": 1, "state": "awarded", "stage": 1, "amount_fen": 30_000}
    assert all(answer.headers[name] == value for name, value in HEADERS.items())
    assert seen == []


def test_the_ordinary_route_answers_the_same(place, ready, monkeypatch):
    word = issued(ready[0], "B111111")
    fast = place.police_say(word)
    monkeypatch.setattr(place.app, "wsgi_app", place.app.wsgi_app._inner)
    ordinary = place.police_say(word)
    assert (ordinary.status_code, ordinary.json) == (200, fast.json)
    assert {name: ordinary.headers[name] for name in HEADERS} == {name: fast.headers[name] for name in HEADERS}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"application_no": "A999999"}, 404, "application_unknown"),
        ({"holder_id_no": "330105199001010010"}, 409, "completion_differs"),
        ({"state": "done", "issued_at": None}, 422, "malformed_plate_document"),
        ({"kind": "nonsense"}, 422, "malformed_plate_document"),
    ],
)
def test_a_refusal_is_told_by_the_route_and_tried_once(place, ready, monkeypatch, change, status, code):
    seen = went_through_flask(place, monkeypatch)
    answer = place.police_say(issued(ready[0], "B111111") | change)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.mimetype == "application/problem+json"
    assert seen == [True]


@pytest.mark.parametrize(
    "change",
    [
        {"issued_at": "0001-01-01T00:00:00+14:00"},
        {"issued_at": "9999-12-31T23:59:59-14:00"},
        {"plate_no": "D1\x00"},
        {"application_no": "A\x00"},
        {"vehicle_code": "\x00"},
        {"plate_no": " "},
        {"plate_no": "\u202eD1"},
    ],
)
def test_a_signed_word_that_nobody_can_store_or_read_is_malformed(place, ready, change):
    answer = place.police_say(issued(ready[0], "B111111") | change)
    assert (answer.status_code, answer.json["code"]) == (422, "malformed_plate_document")


def test_a_forged_signature_changes_nothing(place, ready, settings):
    body = json.dumps(issued(ready[0], "B111111")).encode()
    headers = signed_headers(
        signer=HmacSm3(b"another key, long enough"), partner="plates", method="POST", path=PATH, body=body
    )
    answer = place.app.test_client().post(PATH, data=body, headers=headers, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (403, "bad_signature")
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        assert connection.execute("SELECT count(*) FROM claim").fetchone() == (0,)


def test_what_is_no_issued_plate_goes_on(place, ready, monkeypatch):
    seen = went_through_flask(place, monkeypatch)
    refused = issued(ready[0], "B111111") | {"state": "refused", "plate_no": None, "issued_at": None, "reason": "x"}
    assert place.police_say(refused).json["state"] == "new_bike_sold"
    large = issued(ready[1], "B222222") | {"reason": "长" * LARGEST_BODY_BYTES}
    place.police_say(large)
    assert place.app.test_client().get("/health").status_code == 200
    assert seen == [False, False, False]
