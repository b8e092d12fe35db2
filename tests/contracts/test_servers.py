"""The partners' servers at their entrance: what they let in, what they refuse, what is open in demonstrations only."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from app.clients.ecny import server as ecny
from app.clients.journal import Journal, JournalInUse
from app.clients.partner_server import SeenNumbers
from app.clients.plates import server as plates
from app.clients.signing import HmacSm3, ReplayedRequest, signed_headers
from app.clients.sms import server as sms

KEY = b"a key of thirty-two bytes, shared"
NOW = datetime(2026, 6, 15, 1, 0, tzinfo=UTC)
SERVERS = {"plates": plates, "ecny": ecny, "sms": sms}
ORDERS = {
    "plates": ("/cancellations", {"message_no": "C1", "plate_no": "D1", "owner_id_no": "3"}),
    "ecny": ("/transfers", {"bank_number": "B1", "wallet_id": "W1", "holder_name": "王", "amount_fen": 100}),
    "sms": ("/messages", {"message_no": "M1", "phone": "13800000001", "text": "好"}),
}


@pytest.fixture(params=list(SERVERS))
def name(request):
    return request.param


@pytest.fixture
def start():
    started = []

    def start(name, **options):
        app = SERVERS[name].create_stub(SERVERS[name].Options(key=KEY, now=lambda: NOW, **options))
        started.append(app)
        return app.test_client()

    yield start
    for app in started:
        for part in app.extensions.values():
            part.close()


def send(http, path, document, *, headers=None, **signing):
    body = json.dumps(document).encode()
    facts = {"signer": HmacSm3(KEY), "partner": "mapai", "method": "POST", "path": path, "body": body, **signing}
    return http.post(path, data=body, headers=headers or signed_headers(**facts))


def test_a_signed_order_is_taken(start, name):
    assert send(start(name), *ORDERS[name]).status_code == 200


def test_an_unsigned_or_tampered_order_is_refused(start, name):
    http, (path, document) = start(name), ORDERS[name]
    for answer in (
        http.post(path, json=document),
        send(http, path, document, body=b"{}"),
        send(http, path, document, signer=HmacSm3(b"another key, long enough")),
    ):
        assert (answer.status_code, answer.json["code"]) == (403, "bad_signature")


def test_a_stale_order_is_refused(start, name):
    answer = send(start(name), *ORDERS[name], real_time=lambda: time.time() - 301)
    assert (answer.status_code, answer.json["code"]) == (403, "stale_request")


def test_a_replayed_order_is_refused(start, name):
    http, (path, document) = start(name), ORDERS[name]
    headers = signed_headers(
        signer=HmacSm3(KEY), partner="mapai", method="POST", path=path, body=json.dumps(document).encode()
    )
    assert send(http, path, document, headers=headers).status_code == 200
    answer = send(http, path, document, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (409, "replayed_request")


def test_a_number_is_remembered_as_long_as_its_signature_lives():
    real = [0.0]
    seen = SeenNumbers(lambda: real[0])
    seen.take("m-1")
    for real[0] in (300.0, 600.0, 601.0, 1200.0):
        with pytest.raises(ReplayedRequest):
            seen.take("m-1")
    for real[0] in (1300.0, 2000.0):
        seen.take(f"later {real[0]}")
    seen.take("m-1")


def test_every_field_of_an_order_is_needed_and_has_its_kind(start, name):
    http, (path, document) = start(name), ORDERS[name]
    for field in document:
        for wrong in ({k: v for k, v in document.items() if k != field}, {**document, field: None}):
            answer = send(http, path, wrong)
            assert (answer.status_code, answer.json["code"], answer.json["field"]) == (422, "wrong_shape", field)
    assert send(http, path, [document]).status_code == 422


def test_an_amount_is_a_positive_number_of_fen(start):
    http, (path, document) = start("ecny"), ORDERS["ecny"]
    for fen in (0, -1, 1.5, True, "100"):
        assert send(http, path, {**document, "amount_fen": fen}).status_code == 422


def test_an_unknown_route_does_not_read_as_an_unknown_number(start, name):
    path = "/nothing/here"
    answer = send(start(name), path, {})
    assert (answer.status_code, answer.json["code"]) == (404, "http_404")


def test_health_is_open(start, name):
    answer = start(name, production=True).get("/health")
    assert answer.json["ok"] is True
    assert answer.json["partner"] == name


DEMO_DOORS = [
    ("plates", "POST", "/demo/plates"),
    ("plates", "POST", "/demo/hold"),
    ("plates", "POST", "/demo/release"),
    ("ecny", "POST", "/demo/wallets"),
    ("ecny", "POST", "/demo/statements"),
    ("ecny", "POST", "/demo/fund"),
    ("sms", "GET", "/messages"),
]


@pytest.mark.parametrize(("partner", "method", "path"), DEMO_DOORS)
def test_demonstration_doors_are_closed_in_production(start, partner, method, path):
    bodies = {"/demo/statements": {"day": "2026-06-15", "fault": "late"}, "/demo/fund": {"available_fen": 1}}
    body = json.dumps(bodies.get(path, []))
    assert start(partner).open(path, method=method, data=body).status_code == 200
    answer = start(partner, production=True).open(path, method=method, data=body)
    assert (answer.status_code, answer.json["code"]) == (403, "demo_only")


def test_no_other_route_is_open_unsigned(start, name):
    http = start(name)
    doors = {(method, path) for partner, method, path in DEMO_DOORS if partner == name} | {("GET", "/health")}
    for rule in http.application.url_map.iter_rules():
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            if (method, rule.rule) not in doors and rule.endpoint != "static":
                path = rule.rule.replace("<number>", "1").replace("<text>", "2026-06-15")
                assert http.open(path, method=method).status_code == 403, path


def test_production_allows_no_faults():
    with pytest.raises(ValueError, match="fault rate"):
        plates.Options(key=KEY, now=lambda: NOW, production=True, fault_rate=0.1)


def rows(count):
    return [
        {
            "plate_no": f"K{n:06d}",
            "status": "normal",
            "district_code": "330105",
            "owner_name": "王小明",
            "owner_id_no": f"{n:018d}",
        }
        for n in range(count)
    ]


def test_plates_are_loaded_as_a_list_or_line_by_line(start):
    http = start("plates")
    assert http.post("/demo/plates", json=rows(3)).json == {"loaded": 3}
    lines = "\n".join(json.dumps(row) for row in rows(5))
    assert http.post("/demo/plates", data=lines).json == {"loaded": 2}
    assert http.post("/demo/plates", data="{").status_code == 422
    assert http.post("/demo/plates", json=[{"plate_no": "K1"}]).status_code == 422


def test_the_whole_district_is_loaded_in_seconds(start, tmp_path):
    http = start("plates", state_file=tmp_path / "plates.jsonl")
    body = "\n".join(json.dumps(row) for row in rows(180_000)).encode()
    began = time.monotonic()
    assert http.post("/demo/plates", data=body).json == {"loaded": 180_000}
    assert time.monotonic() - began < 15


def test_messages_are_read_for_one_phone_or_all(start):
    http, (path, document) = start("sms"), ORDERS["sms"]
    send(http, path, document)
    send(http, path, {**document, "message_no": "M2", "phone": "13800000002"})
    assert [row["message_no"] for row in http.get("/messages").json["messages"]] == ["M1", "M2"]
    assert [row["message_no"] for row in http.get("/messages?phone=13800000002").json["messages"]] == ["M2"]


def test_statements_are_spoilt_and_mended_by_hand(start):
    http = start("ecny")
    http.post("/demo/statements", json={"day": "2026-06-15", "fault": "wrong_total"})
    bank = http.application.extensions["bank"]
    assert bank._statement_faults
    http.post("/demo/statements", json={"day": "2026-06-15", "fault": "none"})
    assert not bank._statement_faults
    assert http.post("/demo/statements", json={"day": "2026-06-15", "fault": "odd"}).status_code == 422


def test_two_servers_do_not_write_one_journal(tmp_path):
    first = Journal(tmp_path / "state.jsonl")
    with pytest.raises(JournalInUse, match="another server"):
        Journal(tmp_path / "state.jsonl")
    first.close()
    Journal(tmp_path / "state.jsonl").close()


def test_a_journal_gives_back_whole_lines_and_goes_on_after_them(tmp_path):
    path = tmp_path / "state.jsonl"
    path.write_bytes('{"a":"号"}\n{"b":'.encode())
    journal = Journal(path)
    assert list(journal.read()) == [{"a": "号"}]
    journal.write({"c": 3})
    journal.close()
    assert path.read_bytes() == '{"a":"号"}\n{"c":3}\n'.encode()
