"""The line through the JSON API: from the old bike to the place in the queue, with the police as they come."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.audit import AuditEntry
from registry.base import PartnerUnavailable
from registry.bikes import Bike
from registry.cases import Case
from registry.filings import FiledBike
from registry.messages import Message
from registry.people import mask_name
from subsidy.claims import Claim
from tests.api.conftest import Api, Place, faults, opening, sale, walk
from tests.registry.line import Owner

pytestmark = pytest.mark.usefixtures("programme")


def test_the_whole_line_ends_with_a_place_in_the_queue(
    place: Place, point: Api, owner: Owner, session: Session
) -> None:
    reference = walk(point, place, owner, until="applied")
    told = point.get(f"/api/trade-ins/{reference}").json
    assert told["state"] == "completed"
    assert told["place"]["position"] == 1
    assert (told["place"]["state"], told["place"]["stage_no"], told["place"]["amount_fen"]) == ("awarded", 1, 30_000)
    assert told["payout"]["state"] == "awaiting_wallet"
    assert told["owner"] == mask_name(owner.name)
    assert owner.id_no not in str(told)
    assert all(told["steps"].values())
    assert told["new_plate_no"]
    assert session.scalar(select(FiledBike.state).where(FiledBike.id == owner.filed_bike_id)) == "plate_cancelled"
    assert session.scalar(select(Bike.state)) == "plated"
    deeds = set(session.scalars(select(AuditEntry.action).where(AuditEntry.subject == f"trade_in:{reference}")))
    assert {"trade_in.opened", "trade_in.verified", "trade_in.received", "trade_in.sold"} <= deeds
    keys = set(session.scalars(select(Message.dedupe_key).where(Message.person_id == owner.person_id)))
    assert {f"verified:{reference}", f"received:{reference}", f"cancelled:{reference}"} <= keys


def test_the_owner_confirms_a_wallet_and_the_payout_is_owed(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="applied")
    api = place.as_role("owner", person_id=owner.person_id)
    answer = api.post(f"/api/trade-ins/{reference}/wallet", {"wallet_id": "0021000012345678"})
    assert answer.status_code == 200, answer.text
    assert answer.json["tail"] == "5678"
    told = api.get(f"/api/trade-ins/{reference}").json
    assert told["wallet_tail"] == "5678"
    assert told["payout"]["state"] == "owed"
    assert "0021000012345678" not in str(told)


@pytest.fixture
def police_away(place: Place) -> None:
    """The police cannot be reached until the fixture is told otherwise."""

    def away(**_: object) -> None:
        raise PartnerUnavailable(partner="云申领", partner_en="the plate system")

    place.police.look_up = away  # type: ignore[method-assign,assignment]


def test_police_out_of_reach_leave_it_opened_and_are_asked_again(
    place: Place, point: Api, owner: Owner, police_away: None
) -> None:
    answer = point.post("/api/trade-ins", opening(owner))
    assert answer.status_code == 201
    assert (answer.json["state"], answer.json["waiting_for"]) == ("opened", "police")
    del place.police.look_up  # type: ignore[method-assign]
    again = point.post(f"/api/trade-ins/{answer.json['reference']}/verification")
    assert again.status_code == 200, again.text
    assert again.json["state"] == "old_bike_verified"


def test_opening_again_at_the_same_point_continues_what_waits_for_the_police(
    place: Place, point: Api, owner: Owner, police_away: None
) -> None:
    first = point.post("/api/trade-ins", opening(owner)).json
    del place.police.look_up  # type: ignore[method-assign]
    second = point.post("/api/trade-ins", opening(owner))
    assert second.status_code == 201
    assert second.json["reference"] == first["reference"]
    assert second.json["state"] == "old_bike_verified"


def test_police_that_stay_away_answer_503_and_keep_nothing_under_the_key(place: Place, point: Api) -> None:
    owner = place.district.owner(plate_no="D999032")
    reference = point.post("/api/trade-ins", opening(owner)).json["reference"]
    for _ in range(2):
        answer = point.post(f"/api/trade-ins/{reference}/verification", key="the-same-key")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert list(faults(answer).values()) == ["partner_unavailable"]


@pytest.mark.parametrize(
    ("plate_no", "code"),
    [
        ("D999001", "plate_unknown_to_police"),
        ("D999002", "plate_stolen"),
        ("D999003", "plate_disputed"),
        ("D999004", "plate_already_cancelled"),
        ("D999005", "plate_of_other_owner"),
        ("D999006", "plate_of_other_district"),
    ],
)
def test_what_the_police_object_to_is_told_and_kept(place: Place, point: Api, plate_no: str, code: str) -> None:
    owner = place.district.owner(plate_no=plate_no)
    answer = point.post("/api/trade-ins", opening(owner))
    assert answer.status_code == 422
    assert faults(answer) == {"plate_no": code}
    told = point.get(f"/api/trade-ins/{answer.json['reference']}").json
    assert (told["state"], told["waiting_for"]) == ("opened", "point")
    assert plate_no in told["refusal"]
    withdrawn = point.post(f"/api/trade-ins/{answer.json['reference']}/withdrawal")
    assert withdrawn.json["state"] == "withdrawn"
    assert point.post("/api/trade-ins", opening(owner)).status_code == 422


def test_a_withdrawn_trade_in_frees_the_bike(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="opened")
    api = place.as_role("owner", person_id=owner.person_id)
    assert api.post(f"/api/trade-ins/{reference}/withdrawal").status_code == 200
    assert walk(point, place, owner, until="received") != reference


def test_a_pending_cancellation_is_answered_by_callback(place: Place, point: Api) -> None:
    owner = place.district.owner(plate_no="D999014")
    reference = walk(point, place, owner, until="received")
    answer = point.post(f"/api/trade-ins/{reference}/old-plate-cancellation")
    assert answer.status_code == 202
    assert (answer.json["state"], answer.json["waiting_for"]) == ("cancel_requested", "police")
    document = {
        "kind": "cancellation",
        "message_no": place.district.trade_in(reference).cancellation_no,
        "plate_no": owner.plate_no,
        "state": "done",
        "cancelled_at": datetime.now(UTC).isoformat(),
    }
    for _ in range(2):
        said = place.police_say(document)
        assert said.status_code == 200, said.text
        assert said.json["state"] == "old_plate_cancelled"
    refused = place.police_say({**document, "state": "refused", "cancelled_at": None, "reason": "错了"})
    assert refused.status_code == 409
    assert faults(refused) == {"message_no": "cancellation_differs"}


def test_a_refused_cancellation_goes_back_and_may_be_asked_anew(place: Place, point: Api) -> None:
    owner = place.district.owner(plate_no="D999011")
    reference = walk(point, place, owner, until="received")
    answer = point.post(f"/api/trade-ins/{reference}/old-plate-cancellation")
    assert answer.status_code == 200
    assert answer.json["state"] == "old_bike_received"
    assert answer.json["refusal"]
    assert point.post(f"/api/trade-ins/{reference}/old-plate-cancellation").json["state"] == "old_bike_received"


def plate_issued(place: Place, owner: Owner, reference: str, **changed: object) -> dict[str, object]:
    trade_in = place.district.trade_in(reference)
    bike = place.district.session.get_one(Bike, trade_in.bike_id)
    document = {
        "kind": "application",
        "application_no": trade_in.application_no,
        "state": "done",
        "plate_no": "E123456",
        "issued_at": datetime.now(UTC).isoformat(),
        "holder_id_no": owner.id_no,
        "vehicle_code": bike.vehicle_code,
    }
    return {**document, **changed}


def test_a_pending_plate_is_completed_by_callback_and_only_once(
    place: Place, point: Api, owner: Owner, session: Session
) -> None:
    reference = walk(point, place, owner, until="applied", vehicle_code="118222699900014")
    assert point.get(f"/api/trade-ins/{reference}").json["state"] == "plate_applied"
    document = plate_issued(place, owner, reference)
    first, second = place.police_say(document), place.police_say(document)
    assert first.status_code == second.status_code == 200
    expected = {"reference": reference, "position": 1, "state": "awarded", "stage": 1, "amount_fen": 30_000}
    assert first.json == second.json == expected
    assert len(session.scalars(select(Claim)).all()) == 1
    other = place.police_say({**document, "plate_no": "E654321"})
    assert other.status_code == 409
    assert "completion_differs" in faults(other).values()
    session.rollback()
    assert session.scalars(select(Case)).all()
    refused = place.police_say({**document, "state": "refused", "plate_no": None, "issued_at": None, "reason": "错"})
    assert refused.status_code == 409


def test_a_refused_plate_goes_back_to_the_sale_and_is_applied_for_anew(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="applied", vehicle_code="118222699900014")
    before = place.district.trade_in(reference).application_no
    document = {"kind": "application", "application_no": before, "state": "refused", "reason": "合格证不符"}
    assert place.police_say(document).json["state"] == "new_bike_sold"
    told = point.get(f"/api/trade-ins/{reference}").json
    assert "合格证不符" in told["refusal"]
    assert point.post(f"/api/trade-ins/{reference}/plate-application").status_code == 202
    assert place.district.trade_in(reference).application_no != before
    late = place.police_say(document)
    assert late.status_code == 404
    assert faults(late) == {"application_no": "plate_application_unknown"}


def test_a_pending_word_changes_nothing(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="applied", vehicle_code="118222699900014")
    said = place.police_say({**plate_issued(place, owner, reference), "state": "pending"})
    assert said.json["state"] == "pending"
    assert point.get(f"/api/trade-ins/{reference}").json["state"] == "plate_applied"


@pytest.mark.parametrize(
    "spoilt",
    [
        {"kind": "something"},
        {"issued_at": "yesterday"},
        {"issued_at": "2026-06-20T10:00:00"},
        {"holder_id_no": None},
        {"application_no": 7},
        {"state": "perhaps"},
    ],
)
def test_a_callback_nobody_can_read_is_refused(place: Place, spoilt: dict[str, object]) -> None:
    document = {
        "kind": "application",
        "application_no": "A1",
        "state": "done",
        "plate_no": "E123456",
        "issued_at": datetime.now(UTC).isoformat(),
        "holder_id_no": "1",
        "vehicle_code": "2",
    }
    answer = place.police_say({**document, **spoilt})
    assert answer.status_code == 422
    assert list(faults(answer).values()) == ["malformed_plate_document"]


def test_an_unsigned_callback_is_refused_before_it_is_read(place: Place) -> None:
    answer = place.app.test_client().post("/api/partners/plates/callbacks", data=b"{", content_type="application/json")
    assert answer.status_code == 403
    assert list(faults(answer).values()) == ["bad_signature"]


def test_an_unknown_application_is_not_found(place: Place) -> None:
    document = {
        "kind": "application",
        "application_no": "A1",
        "state": "done",
        "plate_no": "E123456",
        "issued_at": datetime.now(UTC).isoformat(),
        "holder_id_no": "330105197001010011",
        "vehicle_code": "118222612345678",
    }
    assert faults(place.police_say(document)) == {"application_no": "application_unknown"}
    unknown = {"kind": "cancellation", "message_no": "C1", "plate_no": "B000001", "state": "pending"}
    assert faults(place.police_say(unknown)) == {"message_no": "cancellation_unknown"}


def test_a_plate_issued_to_another_person_becomes_a_case(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="sold", vehicle_code="118222699900012")
    answer = point.post(f"/api/trade-ins/{reference}/plate-application")
    assert answer.status_code == 409, answer.text
    assert "completion_differs" in faults(answer).values()
    assert point.get(f"/api/trade-ins/{reference}").json["state"] == "plate_applied"


def test_the_fourth_waits_when_three_places_are_gone(place: Place, point: Api) -> None:
    amounts = []
    for _ in range(4):
        reference = walk(point, place, place.district.owner(), until="applied")
        told = point.get(f"/api/trade-ins/{reference}").json["place"]
        amounts.append((told["position"], told["state"], told["amount_fen"]))
    assert amounts == [(1, "awarded", 30_000), (2, "awarded", 30_000), (3, "awarded", 30_000), (4, "waiting", 0)]
    state = place.visitor().get("/api/programmes/current").json
    assert state["waiting"] == 1
    assert state["stages"][0]["places_left"] == 0
    assert "budget_fen" not in state["stages"][0]


def test_the_board_adds_up(place: Place, point: Api, owner: Owner) -> None:
    walk(point, place, owner, until="applied")
    board = place.as_role("auditor").get("/api/board").json
    (stage,) = board["stages"]
    parts = ("paid_fen", "committed_fen", "held_fen", "free_fen")
    assert stage["total_fen"] == sum(stage[part] for part in parts) == 90_000
    assert stage["committed_fen"] == 30_000
    assert board["trade_ins"] == {"completed": 1}


def test_a_bike_is_sold_once(place: Place, point: Api) -> None:
    first = walk(point, place, place.district.owner(), until="cancelled")
    second = walk(point, place, place.district.owner(), until="cancelled")
    bike = place.district.stock(place.dealer)
    assert point.post(f"/api/trade-ins/{first}/sale", sale(bike)).status_code == 200
    again = point.post(f"/api/trade-ins/{second}/sale", {**sale(bike), "invoice_no": "25330000000001"})
    assert faults(again) == {"vehicle_code": "bike_not_in_stock"}
