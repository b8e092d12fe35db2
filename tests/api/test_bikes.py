"""Bikes over the API: catalogue, standards, batteries, timelines, ends, transfers and owners' reports."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.api.documents import LOCAL
from registry.audit import AuditEntry
from registry.bikes import Bike
from registry.trade_ins import TradeIn
from tests.api.conftest import Api, Place, faults, walk
from tests.registry.line import Owner, id_number, picture

MODEL = {
    "maker_code": "1199",
    "name": "TDT-99",
    "ccc_no": "2025011119990001",
    "standard": "GB 17761-2024",
    "valid_from": "2025-09-01",
    "valid_until": "2030-08-31",
    "battery_kind": "lithium",
    "weight_g": 54_000,
    "top_speed_m_h": 25_000,
    "motor_w": 400,
    "voltage_mv": 48_000,
}
PAPER = {"part": "bike", "firm": "杭州再生资源有限公司", "document_no": "CJ-2026-0001"}


@pytest.fixture
def clerk(place: Place) -> Api:
    return place.as_role("operator")


def kinds(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [event["kind"] for event in answer.json["events"]]


def test_staff_keep_the_catalogue_and_the_standards_and_dealers_read_them(place: Place, point: Api, clerk: Api) -> None:
    added = clerk.post("/api/bike-models", MODEL)
    assert (added.status_code, added.json["withdrawn_on"]) == (201, None), added.text
    assert {name: added.json[name] for name in MODEL} == MODEL
    assert faults(clerk.post("/api/bike-models", {**MODEL, "weight_g": 60_000})) == {"standard": "model_not_compliant"}
    listed = point.get("/api/bike-models", maker_code="1199").json
    assert (listed["models"], listed["next_after"]) == ([added.json], None)
    gone = clerk.post(
        f"/api/bike-models/{added.json['id']}/withdrawal", {"withdrawn_on": "2026-07-01", "reason": "证书撤销"}
    )
    assert (gone.status_code, gone.json["withdrawn_on"]) == (200, "2026-07-01")
    for nowhere in ("x", "0", "9" * 30):
        answer = clerk.post(
            f"/api/bike-models/{nowhere}/withdrawal", {"withdrawn_on": "2026-07-01", "reason": "证书撤销"}
        )
        assert (answer.status_code, faults(answer)) == (404, {None: "model_not_found"})
    standards = point.get("/api/standards").json["standards"]
    assert [each["standard"] for each in standards] == ["GB 17761-2018", "GB 17761-2024"]
    coming = {**standards[1], "standard": "GB 17761-2027", "made_from": "2027-01-01"}
    assert clerk.post("/api/standards", coming).status_code == 201
    wrong = {**coming, "made_until": "2026-12-31"}
    assert faults(clerk.post("/api/standards", wrong)) == {"made_until": "edition_days_wrong"}
    assert len(point.get("/api/standards").json["standards"]) == 3
    auditor = place.as_role("auditor")
    for path, body in (("/api/bike-models", MODEL), ("/api/standards", coming)):
        for other in (point, auditor):
            assert other.post(path, body).status_code == 403


def test_a_battery_is_swapped_and_the_bikes_life_is_told_to_those_entitled(
    place: Place, point: Api, owner: Owner, programme: None
) -> None:
    reference = walk(point, place, owner, until="applied")
    trade_in = point.get(f"/api/trade-ins/{reference}").json
    bike = trade_in["bike"]
    assert trade_in["new_plate_code"] == f"/api/plates/{trade_in['new_plate_no']}/code"
    at = f"/api/bikes/{bike['registration_code']}"
    body = {
        "old_battery_code": bike["battery_code"],
        "new_battery_code": "BATNEW01",
        "battery_kind": "lithium",
        "reason": "worn",
        "proof_no": "WX-0001",
    }
    swapped = point.post(f"{at}/battery-swaps", body)
    assert swapped.status_code == 201, swapped.text
    assert (swapped.json["vehicle_code"], swapped.json["battery_code"]) == (bike["vehicle_code"], "BATNEW01")
    assert len(swapped.json["battery_registration_code"]) == 10
    assert faults(point.post(f"{at}/battery-swaps", body)) == {"old_battery_code": "old_battery_differs"}
    mine = place.as_role("owner", person_id=owner.person_id)
    for reader in (point, mine, place.as_role("auditor")):
        told = reader.get(f"{at}/timeline")
        assert kinds(told) == ["made", "stocked", "sold", "plated", "battery_swapped"]
        assert "陈" not in told.text
    assert [event["who"] for event in told.json["events"]] == [None, "dealer", "dealer", "police", "dealer"]
    assert kinds(point.get(f"/api/bikes/{bike['vehicle_code']}/timeline"))
    strangers = (
        place.as_role("owner", person_id=place.district.owner().person_id),
        place.as_role("dealer", dealer_id=place.district.dealer().id),
    )
    for stranger in strangers:
        assert stranger.get(f"{at}/timeline").status_code == 404
        assert stranger.get(f"/api/filings/{owner.plate_no}/timeline").status_code == 404
    assert place.visitor().get(f"{at}/timeline").status_code == 401


def test_a_filed_bikes_life_ends_with_two_papers(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="cancelled")
    at = f"/api/trade-ins/{reference}/destructions"
    for part, number, by in (("bike", "CJ-2026-0001", point), ("battery", "DC-2026-0001", place.as_role("operator"))):
        image = base64.b64encode(picture()).decode()
        body = {**PAPER, "part": part, "document_no": number, "done_on": shanghai_day(place), "image": image}
        done = by.post(at, body)
        assert done.status_code == 201, done.text
    assert done.json["old_bike_state"] == "destroyed"
    told = place.as_role("owner", person_id=owner.person_id).get(f"/api/filings/{owner.plate_no}/timeline")
    assert kinds(told)[-1] == "destroyed"
    assert set(kinds(told)) == {
        "filed",
        "imported",
        "trade_in_opened",
        "received",
        "plate_cancelled",
        "bike_confirmed",
        "battery_confirmed",
        "destroyed",
    }
    who = {event["kind"]: event["who"] for event in told.json["events"]}
    assert (who["bike_confirmed"], who["battery_confirmed"], who["plate_cancelled"]) == ("dealer", "staff", "police")
    assert place.as_role("auditor").post(at, {}).status_code == 403


def shanghai_day(place: Place) -> str:
    """The business day on which the old bike was received."""
    place.district.session.rollback()
    return place.district.session.scalars(select(TradeIn.received_at)).one().astimezone(LOCAL).date().isoformat()


def test_overdue_papers_are_listed_and_stop_the_point(place: Place, point: Api, owner: Owner) -> None:
    session = place.district.session
    reference = walk(point, place, owner, until="received")
    assert point.get("/api/destructions/overdue").json == {"overdue": [], "most_allowed": 50}
    session.execute(update(TradeIn).values(received_at=place.district.now - timedelta(days=16)))
    session.commit()
    (late,) = point.get("/api/destructions/overdue").json["overdue"]
    assert (late["reference"], late["missing"]) == (reference, ["bike", "battery"])
    staff = place.as_role("auditor")
    assert staff.get("/api/destructions/overdue", dealer_id=place.dealer.id).json["overdue"] == [late]
    assert staff.get("/api/destructions/overdue", dealer_id=place.dealer.id + 1).json["overdue"] == []
    other = place.as_role("dealer", dealer_id=place.district.dealer().id)
    assert other.get("/api/destructions/overdue", dealer_id=place.dealer.id).json["overdue"] == []


def test_a_filed_bike_changes_hands_before_the_point(place: Place, point: Api, owner: Owner) -> None:
    body = {
        "plate_no": owner.plate_no,
        "seller_name": owner.name,
        "seller_id_no": owner.id_no,
        "seller_phone": owner.phone,
        "buyer_name": "王小明",
        "buyer_id_no": id_number(880_101),
        "buyer_phone": "13911110101",
    }
    opened = point.post("/api/transfers", body)
    assert opened.status_code == 201, opened.text
    assert (opened.json["seller"], opened.json["buyer"], opened.json["state"]) == ("陈*英", "王*明", "opened")
    at = f"/api/transfers/{opened.json['transfer_no']}"
    assert faults(point.post("/api/transfers", body)) == {"plate_no": "transfer_open"}
    stranger = place.as_role("dealer", dealer_id=place.district.dealer().id)
    assert stranger.get(at).status_code == 404
    seller = place.as_role("owner", person_id=owner.person_id)
    confirmed = seller.post(f"{at}/confirmations", {"party": "seller", "code": code_for(place, seller, at, "seller")})
    assert confirmed.status_code == 201, confirmed.text
    assert faults(seller.post(f"{at}/codes", {"party": "buyer"})) == {"party": "not_a_party"}
    wrong = point.post(f"{at}/confirmations", {"party": "buyer", "code": "no"})
    assert faults(wrong) == {"code": "code_wrong"}
    done = point.post(f"{at}/confirmations", {"party": "buyer", "code": code_for(place, point, at, "buyer")})
    assert (done.status_code, done.json["state"]) == (201, "completed"), done.text
    assert faults(point.post(f"{at}/withdrawal")) == {None: "step_not_allowed"}
    told = place.as_role("operator").get(f"/api/filings/{owner.plate_no}/timeline")
    assert kinds(told)[-4:] == ["transfer_opened", "transfer_confirmed", "transfer_confirmed", "transfer_completed"]
    assert seller.get(f"/api/filings/{owner.plate_no}/timeline").status_code == 404, "not his any more"


def code_for(place: Place, api: Api, at: str, party: str) -> str:
    """Have a code sent and read it off the phone."""
    assert api.post(f"{at}/codes", {"party": party}).status_code == 201
    found = re.search(r"\d{6}", place.app.extensions["mapai.partners"].sms.messages[-1].text)
    assert found
    return found[0]


def test_owners_report_their_own_plate_and_nobody_elses(
    place: Place, point: Api, owner: Owner, programme: None
) -> None:
    reference = walk(point, place, owner, until="applied")
    plate_no = point.get(f"/api/trade-ins/{reference}").json["new_plate_no"]
    mine = place.as_role("owner", person_id=owner.person_id)
    at = f"/api/my/plates/{plate_no}/reports"
    stolen = mine.post(at, {"step": "report_stolen"})
    assert (stolen.status_code, stolen.json["state"], stolen.json["png"]) == (201, "stolen", None), stolen.text
    scanned = place.visitor().get(f"/api/plate-codes/{stolen.json['payload']}").json
    assert (scanned["verdict"], scanned["good"]) == ("stolen", False)
    assert faults(mine.post(at, {"step": "report_stolen"})) == {None: "step_not_allowed"}
    assert faults(mine.post(at, {"step": "cancel"})) == {"step": "not_a_choice"}
    stranger = place.as_role("owner", person_id=place.district.owner().person_id)
    assert faults(stranger.post(at, {"step": "report_found"})) == {"plate_no": "plate_not_found"}
    found = mine.post(at, {"step": "report_found"}).json
    assert (found["state"], found["png"]) == ("valid", f"/api/plates/{plate_no}/code.png")
    assert mine.get(found["png"]).content_type == "image/png"
    assert mine.get(found["svg"]).status_code == 200
    place.district.session.rollback()
    actions = place.district.session.scalars(
        select(AuditEntry.action).where(AuditEntry.subject == f"plate:{plate_no}").order_by(AuditEntry.id)
    ).all()
    assert actions == ["plate_code.issued", "plate_code.report_stolen", "plate_code.report_found"]
    assert place.district.session.scalars(select(Bike.state)).one() == "plated"
