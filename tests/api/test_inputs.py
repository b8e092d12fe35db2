"""Every wrong field is named, in two languages, with its remedy; and the wrong order, the wrong person, no person."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest

from tests.api.conftest import Api, Place, faults, opening, photo, receipt, sale, walk
from tests.registry.line import Owner, id_number, new_bike, picture

WRITES = (
    "verification",
    "photos",
    "receipt",
    "old-plate-cancellation",
    "sale",
    "plate-application",
    "withdrawal",
)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"plate_no": "382617"}, {"plate_no": "plate_invalid"}),
        ({"plate_no": "Z999999"}, {"plate_no": "filing_not_found"}),
        ({"owner_name": "陈<b>"}, {"owner_name": "name_invalid"}),
        ({"owner_name": "王伟"}, {"owner_id_no": "not_this_owner"}),
        ({"owner_id_no": "330105197001010010"}, {"owner_id_no": "id_number_invalid"}),
        ({"owner_id_no": id_number(77_777)}, {"owner_id_no": "not_this_owner"}),
        ({"owner_phone": "12345"}, {"owner_phone": "mobile_invalid"}),
        ({"owner_phone": None}, {"owner_phone": "null"}),
        ({"owner_phone": 13800000000}, {"owner_phone": "not_text"}),
        ({"owner_name": ""}, {"owner_name": "required"}),
        ({"owner_name": "陈" * 65}, {"owner_name": "too_long"}),
        ({"owner_name": "陈\x00英"}, {"owner_name": "bad_characters"}),
        ({"owner_name": "陈\ud800英"}, {"owner_name": "bad_characters"}),
        ({"owner_name": "\u202e英陈"}, {"owner_name": "bad_characters"}),
        ({"plate_no": "B38\u200b2617"}, {"plate_no": "bad_characters"}),
        ({"colour": "red"}, {"colour": "unknown_field"}),
        (
            {"plate_no": "1", "owner_id_no": "1", "owner_phone": "1"},
            {"plate_no": "plate_invalid", "owner_id_no": "id_number_invalid", "owner_phone": "mobile_invalid"},
        ),
    ],
)
def test_opening_names_every_wrong_field(
    point: Api, owner: Owner, changed: dict[str, Any], told: dict[str, str]
) -> None:
    body = json.dumps({**opening(owner), **changed})
    answer = point.post("/api/trade-ins", data=body, content_type="application/json")
    assert answer.status_code == 422, answer.text
    assert faults(answer) == told


def test_opening_names_every_missing_field(point: Api) -> None:
    answer = point.post("/api/trade-ins", {})
    assert faults(answer) == dict.fromkeys(("plate_no", "owner_name", "owner_id_no", "owner_phone"), "required")


def test_another_persons_bike_is_refused_without_a_word_about_its_owner(place: Place, point: Api, owner: Owner) -> None:
    stranger = place.district.owner()
    answer = point.post("/api/trade-ins", {**opening(owner), "owner_id_no": stranger.id_no})
    assert faults(answer) == {"owner_id_no": "not_this_owner"}
    assert owner.name not in answer.text
    assert owner.id_no not in answer.text


@pytest.mark.parametrize(
    ("state", "on"), [("enrolled", True), ("suspended", True), ("revoked", True), ("licensed", False)]
)
def test_a_point_that_is_not_licensed_opens_nothing(place: Place, owner: Owner, state: str, on: bool) -> None:
    dealer = place.district.dealer(state=state, trade_in_on=on)
    answer = place.as_role("dealer", dealer_id=dealer.id).post("/api/trade-ins", opening(owner))
    assert answer.status_code == 409
    assert list(faults(answer).values()) == ["point_not_licensed"]


def test_one_old_bike_is_opened_once(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="opened")
    again = point.post("/api/trade-ins", opening(owner))
    assert again.status_code == 409
    assert reference in again.text
    other = place.as_role("dealer", dealer_id=place.district.dealer().id).post("/api/trade-ins", opening(owner))
    assert faults(other) == {"plate_no": "already_opened"}
    assert reference not in other.text


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, {"kind": "required", "image": "required"}),
        ({"kind": "selfie", "image": "AAAA"}, {"kind": "not_a_choice"}),
        ({"kind": "whole", "image": "not base64!"}, {"image": "not_base64"}),
        ({"kind": "whole", "image": 7}, {"image": "not_base64"}),
        ({"kind": "whole", "image": base64.b64encode(b"GIF89a").decode()}, {"image": "photo_unreadable"}),
        ({"kind": "whole", "image": base64.b64encode(b"\xff\xd8\xff").decode()}, {"image": "photo_unreadable"}),
        (
            {"kind": "whole", "image": base64.b64encode(b"\x89PNG\r\n\x1a\n<script>").decode()},
            {"image": "photo_unreadable"},
        ),
        (
            {"kind": "whole", "image": base64.b64encode(b"\xff\xd8\xff" + bytes(3 * 1024 * 1024)).decode()},
            {"image": "photo_too_large"},
        ),
    ],
)
def test_photos(place: Place, point: Api, owner: Owner, body: dict[str, Any], told: dict[str, str]) -> None:
    reference = walk(point, place, owner, until="opened")
    answer = point.post(f"/api/trade-ins/{reference}/photos", body)
    assert answer.status_code == 422, answer.text[:300]
    assert faults(answer) == told


def test_a_photo_as_a_form_and_the_same_picture_again(place: Place, point: Api, owner: Owner) -> None:
    first = f"/api/trade-ins/{walk(point, place, owner, until='opened')}/photos"
    second = f"/api/trade-ins/{walk(point, place, place.district.owner(), until='opened')}/photos"
    image = picture()

    def send(path: str, kind: str, **key: str) -> Any:
        data = {"kind": kind, "image": (io.BytesIO(image), "bike.jpg")}
        return point.post(path, data=data, content_type="multipart/form-data", **key)

    assert send(first, "whole", key="form-key-1").json["photos"] == ["whole"]
    # The boundary differs each time; the content is the same request.
    assert send(first, "whole", key="form-key-1").headers["Idempotency-Replayed"]
    assert send(first, "whole").status_code == 201
    assert faults(send(first, "plate")) == {"image": "photo_used_before"}
    assert faults(send(second, "whole")) == {"image": "photo_used_before"}
    empty = point.post(first, data={"extra": "1"}, content_type="multipart/form-data")
    assert faults(empty) == {"kind": "required", "image": "required", "extra": "unknown_field"}


def test_too_large_a_body_is_refused_before_it_is_read(point: Api) -> None:
    answer = point.post("/api/trade-ins", {"plate_no": "x" * 70_000})
    assert answer.status_code == 413
    assert faults(answer) == {None: "too_large"}
    huge = point.post("/api/trade-ins/GS-7K2M-94/photos", {"kind": "whole", "image": "A" * 5_000_000})
    assert huge.status_code == 413


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"recycling_certificate_no": "编号"}, {"recycling_certificate_no": "code_invalid"}),
        ({"frame_no": "OTHER"}, {"frame_no": "frame_no_differs"}),
        ({"complete": False}, {"complete": "bike_incomplete"}),
        ({"complete": "yes"}, {"complete": "not_yes_or_no"}),
        ({"frame_no": "OTHER", "complete": False}, {"frame_no": "frame_no_differs", "complete": "bike_incomplete"}),
    ],
)
def test_receipt(place: Place, point: Api, owner: Owner, changed: dict[str, Any], told: dict[str, str]) -> None:
    at = f"/api/trade-ins/{walk(point, place, owner, until='opened')}"
    assert faults(point.post(f"{at}/receipt", receipt(owner))) == {"photos": "photos_missing"}
    for kind in ("frame_no", "plate", "whole"):
        assert point.post(f"{at}/photos", photo(kind)).status_code == 201
    answer = point.post(f"{at}/receipt", {**receipt(owner), **changed})
    assert answer.status_code == 422
    assert faults(answer) == told
    typed = {**receipt(owner), "frame_no": owner.frame_no.lower().replace("-", " ")}
    assert point.post(f"{at}/receipt", typed).json["state"] == "old_bike_received"


def test_a_recycling_certificate_is_used_once(place: Place, point: Api, owner: Owner) -> None:
    walk(point, place, owner, until="received")
    other = place.district.owner()
    at = f"/api/trade-ins/{walk(point, place, other, until='opened')}"
    for kind in ("frame_no", "plate", "whole"):
        point.post(f"{at}/photos", photo(kind))
    used = {**receipt(other), "recycling_certificate_no": receipt(owner)["recycling_certificate_no"]}
    assert faults(point.post(f"{at}/receipt", used)) == {"recycling_certificate_no": "recycling_certificate_used"}
    assert point.post(f"{at}/receipt", receipt(other)).status_code == 200


def stocking(**changed: Any) -> dict[str, Any]:
    bike = new_bike()
    body = {name: getattr(bike, name) for name in bike.__slots__ if getattr(bike, name) is not None}
    return {**body, "made_on": bike.made_on.isoformat(), **changed}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"vehicle_code": "118232612345678"}, {"vehicle_code": "vehicle_code_invalid"}),
        ({"certificate_no": None}, {"certificate_no": "null"}),
        ({"certificate_url": "https://c.example/?vinCode=1"}, {"certificate_url": "certificate_unreadable"}),
        (
            {"certificate_url": "https://c.example/?vinCode=118222600000009"},
            {"certificate_url": "certificate_differs"},
        ),
        ({"battery_code": "电池"}, {"battery_code": "code_invalid"}),
        ({"battery_kind": "coal"}, {"battery_kind": "not_a_choice"}),
        ({"standard": "GB 1"}, {"standard": "standard_unknown"}),
        ({"made_on": "2026-02-30"}, {"made_on": "not_a_day"}),
        ({"made_on": "1/2/2026"}, {"made_on": "not_a_day"}),
        ({"weight_g": "54000"}, {"weight_g": "not_whole"}),
        ({"weight_g": 54_000.5}, {"weight_g": "not_whole"}),
        ({"weight_g": True}, {"weight_g": "not_whole"}),
        ({"motor_w": 0}, {"motor_w": "out_of_range"}),
        ({"voltage_mv": 10**30}, {"voltage_mv": "out_of_range"}),
    ],
)
def test_stock(point: Api, changed: dict[str, Any], told: dict[str, str]) -> None:
    answer = point.post("/api/bikes", stocking(**changed))
    assert answer.status_code == 422
    assert faults(answer) == told


def test_a_bike_and_a_battery_are_coded_once(point: Api) -> None:
    first = stocking()
    answer = point.post("/api/bikes", first)
    assert answer.status_code == 201
    assert len(answer.json["registration_code"]) == 10
    assert faults(point.post("/api/bikes", first)) == {"vehicle_code": "bike_already_coded"}
    again = stocking(battery_code=first["battery_code"])
    assert faults(point.post("/api/bikes", again)) == {"battery_code": "battery_already_coded"}
    bare = stocking()
    del bare["certificate_no"]
    assert faults(point.post("/api/bikes", bare)) == {"certificate_no": "certificate_missing"}
    scanned = {**bare, "certificate_url": f"https://c.example/?vinCode={bare['vehicle_code']}"}
    assert point.post("/api/bikes", scanned).json["certificate_no"] == bare["vehicle_code"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"vehicle_code": "1"}, {"vehicle_code": "vehicle_code_invalid"}),
        ({"vehicle_code": "118222600000000"}, {"vehicle_code": "bike_not_in_stock"}),
        ({"invoice_no": "发票一"}, {"invoice_no": "invoice_invalid"}),
        ({"paid_fen": 1}, {"paid_fen": "price_does_not_add_up"}),
        ({"discount_fen": -1, "paid_fen": 289_901}, {"discount_fen": "out_of_range"}),
        ({"paid_fen": 2699.0}, {"paid_fen": "not_whole"}),
        (
            {"list_price_fen": 0, "discount_fen": 0, "deduction_fen": 0, "paid_fen": 0},
            {"list_price_fen": "out_of_range"},
        ),
    ],
)
def test_sale(place: Place, point: Api, owner: Owner, changed: dict[str, Any], told: dict[str, str]) -> None:
    reference = walk(point, place, owner, until="cancelled")
    bike = place.district.stock(place.dealer)
    answer = point.post(f"/api/trade-ins/{reference}/sale", {**sale(bike), **changed})
    assert answer.status_code == 422
    assert faults(answer) == told


def test_a_bike_of_another_dealer_over_the_limits_or_on_a_used_invoice_is_not_sold(place: Place, point: Api) -> None:
    first = walk(point, place, place.district.owner(), until="cancelled")
    heavy = place.district.stock(place.dealer, weight_g=60_000)
    elsewhere = place.district.stock(place.district.dealer())
    at = f"/api/trade-ins/{first}/sale"
    assert faults(point.post(at, sale(heavy))) == {"vehicle_code": "bike_not_compliant"}
    assert faults(point.post(at, sale(elsewhere))) == {"vehicle_code": "bike_not_in_stock"}
    good = place.district.stock(place.dealer)
    assert point.post(at, sale(good)).status_code == 200
    second = walk(point, place, place.district.owner(), until="cancelled")
    other = place.district.stock(place.dealer)
    used = {**sale(other), "invoice_no": sale(good)["invoice_no"]}
    assert faults(point.post(f"/api/trade-ins/{second}/sale", used)) == {"invoice_no": "invoice_used"}


def bodies(place: Place, owner: Owner) -> dict[str, Any]:
    bike = place.district.stock(place.dealer)
    return {"photos": photo("whole"), "receipt": receipt(owner), "sale": sale(bike)}


@pytest.mark.parametrize(
    ("until", "allowed"),
    [
        ("opened", {"photos", "withdrawal"}),
        ("received", {"old-plate-cancellation"}),
        ("cancelled", {"sale"}),
        ("sold", {"plate-application"}),
        ("applied", set()),
    ],
)
def test_every_step_out_of_order_is_409(
    place: Place, point: Api, owner: Owner, until: str, allowed: set[str], programme: None
) -> None:
    reference = walk(point, place, owner, until=until)
    sent = bodies(place, owner)
    for step in WRITES:
        if step in allowed or (step, until) == ("receipt", "opened"):
            continue
        answer = point.post(f"/api/trade-ins/{reference}/{step}", sent.get(step))
        assert answer.status_code == 409, (step, answer.text)
        assert faults(answer) == {None: "step_not_allowed"}


def test_somebody_elses_trade_in_is_told_as_none(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="received")
    sent = bodies(place, owner)
    other_point = place.as_role("dealer", dealer_id=place.district.dealer().id)
    other_owner = place.as_role("owner", person_id=place.district.owner().person_id)
    for step in WRITES:
        answer = other_point.post(f"/api/trade-ins/{reference}/{step}", sent.get(step))
        assert (answer.status_code, faults(answer)) == (404, {"reference": "trade_in_not_found"})
    for api in (other_point, other_owner):
        assert api.get(f"/api/trade-ins/{reference}").status_code == 404
        assert api.get("/api/trade-ins").json["trade_ins"] == []
        assert api.get("/api/trade-ins", before=reference).status_code == 404
    wallet = other_owner.post(f"/api/trade-ins/{reference}/wallet", {"wallet_id": "0021000012345678"})
    assert wallet.status_code == 404
    for nonsense in ("GS-0000-00", "x", "%00", "GS-7K2M-94"):
        assert point.get(f"/api/trade-ins/{nonsense}").status_code == 404


def test_the_wallets_faults(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="opened")
    api = place.as_role("owner", person_id=owner.person_id)
    for wallet_id, code in (("钱包", "wallet_invalid"), ("a b c d e", "wallet_invalid"), ("", "required")):
        answer = api.post(f"/api/trade-ins/{reference}/wallet", {"wallet_id": wallet_id})
        assert faults(answer) == {"wallet_id": code}


def test_lists_by_state_and_by_who_acts_next(place: Place, point: Api) -> None:
    opened = [walk(point, place, place.district.owner(), until="opened") for _ in range(3)]
    sold = walk(point, place, place.district.owner(), until="sold")
    pending = walk(point, place, place.district.owner(plate_no="D999014"), until="cancelled")
    everything = point.get("/api/trade-ins").json
    assert [row["reference"] for row in everything["trade_ins"]] == [pending, sold, *reversed(opened)]
    assert everything["counts"] == {"old_bike_verified": 3, "new_bike_sold": 1, "cancel_requested": 1}
    page = point.get("/api/trade-ins", limit=2).json
    assert page["next_before"] == sold
    rest = point.get("/api/trade-ins", limit=3, before=sold.lower()).json
    assert [row["reference"] for row in rest["trade_ins"]] == list(reversed(opened))
    assert rest["next_before"] is None
    assert [row["reference"] for row in point.get("/api/trade-ins", state="new_bike_sold").json["trade_ins"]] == [sold]
    waiting = point.get("/api/trade-ins", waiting_for="police").json["trade_ins"]
    assert [row["reference"] for row in waiting] == [pending]
    assert point.get("/api/trade-ins", waiting_for="police", state="new_bike_sold").json["trade_ins"] == []
    assert len(place.as_role("operator").get("/api/trade-ins").json["trade_ins"]) == 5


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"state": "lost"}, {"state": "not_a_choice"}),
        ({"waiting_for": "godot"}, {"waiting_for": "not_a_choice"}),
        ({"limit": "0"}, {"limit": "out_of_range"}),
        ({"limit": "many"}, {"limit": "not_whole"}),
        ({"page": "2"}, {"page": "unknown_field"}),
    ],
)
def test_a_wrong_query_is_named(point: Api, query: dict[str, str], told: dict[str, str]) -> None:
    answer = point.get("/api/trade-ins", **query)
    assert answer.status_code == 422
    assert faults(answer) == told


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"", b"[" * 30_000, b'{"a":' * 5_000])
def test_what_is_no_json_is_400(point: Api, body: bytes) -> None:
    answer = point.post("/api/trade-ins", data=body, content_type="application/json")
    assert answer.status_code in ((400,) if body else (400, 422))
    faults(answer)


@pytest.mark.parametrize("body", ["[]", '"text"', "7", "null"])
def test_json_that_is_no_object_is_422(point: Api, body: str) -> None:
    answer = point.post("/api/trade-ins", data=body, content_type="application/json")
    assert answer.status_code == 422
    assert faults(answer)


def test_other_content_other_methods_other_addresses(point: Api) -> None:
    form = point.post("/api/trade-ins", data="plate_no=B1", content_type="application/x-www-form-urlencoded")
    assert (form.status_code, faults(form)) == (415, {None: "unsupported_media_type"})
    method = point.client.put("/api/trade-ins")
    assert (method.status_code, faults(method)) == (405, {None: "method_not_allowed"})
    assert "POST" in method.headers["Allow"]
    nowhere = point.get("/api/nothing")
    assert (nowhere.status_code, faults(nowhere)) == (404, {None: "not_found"})


@pytest.mark.parametrize(
    "address",
    ["dealer-applications/a%00b", "log/%00/head", "trade-ins/%00", f"payouts/{10**30}", f"payment-batches/{2**63}"],
)
def test_an_address_nothing_can_stand_under_is_404(place: Place, address: str) -> None:
    answer = place.as_role("finance").get(f"/api/{address}")
    assert answer.status_code == 404, answer.text


def test_a_number_no_row_can_have_is_404(place: Place) -> None:
    finance = place.as_role("finance")
    ended = {"resolution": "settle_by_document", "finding": "已向银行核对过", "document_no": "HD-0001"}
    for path, body in (
        (f"payment-batches/{2**63}/approval", {"total_fen": 1}),
        (f"payouts/{2**63}/resolution", ended),
        (f"statement-lines/{2**63}/resolution", ended),
    ):
        assert finance.post(f"/api/{path}", body).status_code == 404, path
