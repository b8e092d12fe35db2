"""Claims through the API: why a decision, corrections, holds, appeals, overrules and returns, each by whom it may."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import sessionmaker

from app.api.ecny_callbacks import PATH
from app.clients.signing import signed_headers
from registry.bikes import Bike
from registry.trade_ins import TradeIn
from subsidy.dispatch import pay_next
from subsidy.reclaiming import reclaim_next
from tests.api.conftest import Api, Place, faults, photo, sale, walk
from tests.registry.line import Owner, picture
from tests.subsidy.payout_rows import release

pytestmark = pytest.mark.usefixtures("programme")
SLIPPED = "118222699900020"  # a magic code: the police have two digits of it the other way round
REASON = {"reason": "核对清楚了"}


def by(place: Place, role: str) -> Api:
    return place.as_role(role)


def declined(place: Place, point: Api, owner: Owner) -> str:
    """A claim that a condition refuses: the point was not licensed when it opened the trade-in."""
    reference = walk(point, place, owner, until="sold")
    trade_in = place.district.session.scalars(select(TradeIn).where(TradeIn.reference == reference)).one()
    trade_in.opening = trade_in.opening | {"point_licensed": False}
    place.district.session.commit()
    assert point.post(f"/api/trade-ins/{reference}/plate-application").status_code == 200
    return reference


def decision(api: Api, reference: str) -> Any:
    answer = api.get(f"/api/trade-ins/{reference}/decision")
    assert answer.status_code == 200, answer.text
    return answer.json


def test_why_a_claim_was_refused_is_told_to_those_it_concerns(place: Place, point: Api, owner: Owner) -> None:
    reference = declined(place, point, owner)
    mine = place.as_role("owner", person_id=owner.person_id)
    for api in (mine, point, by(place, "auditor")):
        told = decision(api, reference)
        assert (told["state"], told["reason"]) == ("declined", "point_was_not_licensed")
        assert "不是授牌的代办点" in told["reason_zh"]
        failed, *passed = told["conditions"]
        assert (failed["code"], failed["passed"]) == ("point_was_not_licensed", False)
        assert failed["clause_zh"] == "资格条件第 7 条"
        assert failed["saw"] == {"point_licensed": False}
        assert all(rule["passed"] and rule["as_of"] and rule["saw_zh"] for rule in passed)
        assert len(passed) == 8
        assert told["may_be_appealed"] is True
    other = place.as_role("owner", person_id=place.district.owner().person_id)
    assert other.get(f"/api/trade-ins/{reference}/decision").status_code == 404
    elsewhere = place.as_role("dealer", dealer_id=place.district.dealer().id)
    assert elsewhere.get(f"/api/trade-ins/{reference}/decision").status_code == 404


def test_there_is_no_decision_before_the_completion(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="opened")
    answer = point.get(f"/api/trade-ins/{reference}/decision")
    assert (answer.status_code, faults(answer)) == (409, {"reference": "no_claim"})


def test_a_mistyped_code_is_told_listed_and_corrected(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="applied", vehicle_code=SLIPPED)
    told = decision(point, reference)
    assert (told["state"], told["waits_for"], told["position"]) == ("held", "correction", 1)
    assert told["faults"][0]["field"] == "vehicle_code"
    assert SLIPPED[:-2] + "02" not in str(told)
    (listed,) = point.get("/api/corrections").json["claims"]
    assert (listed["reference"], listed["correct_by"]) == (reference, told["correct_by"])
    at = f"/api/trade-ins/{reference}/correction"
    wrong = point.post(at, {"vehicle_code": "118222699900021", "battery_code": "BAT00000001"})
    assert wrong.status_code == 422
    assert faults(wrong) == {"vehicle_code": "vehicle_code_still_differs", "battery_code": "field_not_faulty"}
    right = point.post(at, {"vehicle_code": SLIPPED[:-2] + "02"})
    assert right.status_code == 200, right.text
    assert (right.json["state"], right.json["amount_fen"], right.json["position"]) == ("awarded", 30_000, 1)
    assert point.get("/api/corrections").json["claims"] == []
    again = point.post(at, {"vehicle_code": SLIPPED[:-2] + "02"})
    assert (again.status_code, list(faults(again).values())) == (409, ["nothing_to_correct"])
    assert [step["outcome"] for step in right.json["history"]] == ["held", "award"]


def test_a_photo_that_cannot_be_read_is_marked_replaced_or_waived(place: Place, point: Api, owner: Owner) -> None:
    operator, reviewer = by(place, "operator"), by(place, "reviewer")
    references = []
    for each in (owner, place.district.owner()):
        reference = walk(point, place, each, until="sold")
        marked = operator.post(f"/api/trade-ins/{reference}/faults", {"field": "photo:plate", "note": "反光看不清"})
        assert marked.status_code == 201, marked.text
        assert point.post(f"/api/trade-ins/{reference}/plate-application").status_code == 200
        assert decision(point, reference)["faults"][0]["field"] == "photo:plate"
        references.append(reference)
    sent = point.post(f"/api/trade-ins/{references[0]}/correction/photos", photo("plate"))
    assert sent.status_code == 201, sent.text
    assert [claim["reference"] for claim in sent.json["claims"]] == references[1:]
    assert decision(point, references[0])["state"] == "awarded"
    waived = reviewer.post(f"/api/trade-ins/{references[1]}/fault-waiver", REASON)
    assert (waived.status_code, waived.json["state"]) == (200, "awarded")


def test_a_hold_needs_another_person_to_end(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="applied")
    operator, reviewer = by(place, "operator"), by(place, "reviewer")
    body = {"reason_code": "sale", "reason": "发票和价签不一致"}
    held = operator.post(f"/api/trade-ins/{reference}/hold", body)
    assert (held.status_code, held.json["state"]) == (201, "held"), held.text
    assert decision(point, reference)["waits_for_zh"] == "局里正在核对"
    refused = operator.post(f"/api/trade-ins/{reference}/release", REASON)
    assert (refused.status_code, list(faults(refused).values())) == (403, ["another_person_needed"])
    assert reviewer.post(f"/api/trade-ins/{reference}/release", REASON).json["state"] == "awarded"
    for api in (point, by(place, "finance"), by(place, "auditor")):
        assert api.post(f"/api/trade-ins/{reference}/hold", body).status_code == 403


def test_an_appeal_from_the_owner_to_the_money(place: Place, point: Api, owner: Owner) -> None:
    reference = declined(place, point, owner)
    mine, operator = place.as_role("owner", person_id=owner.person_id), by(place, "operator")
    short = mine.post(f"/api/trade-ins/{reference}/appeals", {"body": "不"})
    assert faults(short) == {"body": "too_short"}
    filed = mine.post(f"/api/trade-ins/{reference}/appeals", {"body": "登记那天店里挂着牌子"})
    assert filed.status_code == 201, filed.text
    number = filed.json["reference"]
    image = base64.b64encode(picture()).decode()
    assert mine.post(f"/api/appeals/{number}/photos", {"image": image}).json["photos"] == 1
    assert operator.get("/api/appeals", overdue="yes").json["appeals"] == []
    assert [one["reference"] for one in operator.get("/api/appeals", state="filed").json["appeals"]] == [number]
    stranger = place.as_role("owner", person_id=place.district.owner().person_id)
    assert stranger.get(f"/api/appeals/{number}").status_code == 404
    assert stranger.get("/api/appeals").json["appeals"] == []
    answered = operator.post(f"/api/appeals/{number}/answer", {"upheld": True, "answer": "核查属实，当天已授牌"})
    assert (answered.json["state"], answered.json["answer"]) == ("upheld", None)
    (proposal,) = operator.get("/api/overrules", state="proposed").json["overrules"]
    at = f"/api/overrules/{proposal['reference']}/approval"
    assert operator.post(at).status_code == 403
    approved = by(place, "reviewer").post(at)
    assert (approved.status_code, approved.json["claim_state"]) == (200, "awarded"), approved.text
    told = mine.get(f"/api/appeals/{number}").json
    assert (told["state"], told["answer"]) == ("granted", "核查属实，当天已授牌")
    assert decision(mine, reference)["appeal_state"] == "granted"
    wrong = mine.get("/api/appeals/SS-2222-23")
    assert (wrong.status_code, faults(wrong)) == (422, {"reference": "case_number_invalid"})


def test_an_overrule_may_be_refused(place: Place, point: Api, owner: Owner) -> None:
    reference = declined(place, point, owner)
    operator, reviewer = by(place, "operator"), by(place, "reviewer")
    number = operator.post(f"/api/trade-ins/{reference}/overrules", REASON).json["reference"]
    refused = reviewer.post(f"/api/overrules/{number}/refusal", {"reason": "没有新的证据"})
    assert (refused.json["state"], refused.json["claim_state"]) == ("refused", "declined")
    late = reviewer.post(f"/api/overrules/{number}/approval")
    assert (late.status_code, list(faults(late).values())) == (409, ["step_not_allowed"])


def test_a_return_that_was_not_paid(place: Place, point: Api, owner: Owner) -> None:
    reference = walk(point, place, owner, until="applied")
    operator, reviewer = by(place, "operator"), by(place, "reviewer")
    body = {"kind": "bike_returned", "reason": "七天内退车", "proof_no": "TK2026-0611"}
    opened = operator.post(f"/api/trade-ins/{reference}/returns", body)
    assert (opened.status_code, opened.json["state"]) == (201, "proposed"), opened.text
    number = opened.json["reference"]
    approved = reviewer.post(f"/api/returns/{number}/approval")
    assert (approved.status_code, approved.json["state"]) == (200, "returned"), approved.text
    told = point.get(f"/api/trade-ins/{reference}").json
    assert (told["place"]["state"], told["place"]["state_zh"], told["bike"]["state"]) == (
        "returned",
        "已退",
        "in_stock",
    )
    assert decision(point, reference)["return_state"] == "returned"
    refused = by(place, "finance").post(
        f"/api/returns/{number}/repayment",
        {"document_no": "BANK0001", "amount_fen": 30_000, "received_on": datetime.now(UTC).date().isoformat()},
    )
    assert (refused.status_code, list(faults(refused).values())) == (409, ["step_not_allowed"])
    assert [one["reference"] for one in operator.get("/api/returns").json["returns"]] == [number]
    assert operator.get("/api/returns", overdue="yes").json["returns"] == []
    again = operator.post(f"/api/trade-ins/{reference}/returns", body)
    assert (again.status_code, list(faults(again).values())) == (409, ["return_stands"])
    other = walk(point, place, place.district.owner(), until="cancelled")
    bike = place.district.session.scalars(select(Bike).where(Bike.state == "in_stock")).one()
    sold = point.post(f"/api/trade-ins/{other}/sale", {**sale(bike), "invoice_no": "25330000000077"})
    assert faults(sold) == {"vehicle_code": "bike_sold_before"}


def paid_and_demanded(
    place: Place, point: Api, owner: Owner, engine: Engine, wallet_id: str
) -> tuple[str, str, dict[str, Api]]:
    """A claim that was paid and is to be given back; its reference, the return's number, and who had a part in it."""
    reference = walk(point, place, owner, until="applied")
    mine = place.as_role("owner", person_id=owner.person_id)
    roles = ("operator", "reviewer", "finance", "auditor")
    who = {"owner": mine} | {role: by(place, role) for role in roles}
    assert mine.post(f"/api/trade-ins/{reference}/wallet", {"wallet_id": wallet_id}).status_code == 200
    sessions, bank = sessionmaker(engine, expire_on_commit=False), place.app.extensions["mapai.partners"].operator
    release(sessions, bank)
    keyring = place.app.extensions["mapai.keyring"]
    assert pay_next(sessions=sessions, operator=bank, keyring=keyring, now=lambda: datetime.now(UTC)) == "settled"
    body = {"kind": "fraud", "reason": "冒用他人身份", "proof_no": "AN-2026-17"}
    number = who["operator"].post(f"/api/trade-ins/{reference}/returns", body).json["reference"]
    demanded = who["reviewer"].post(f"/api/returns/{number}/approval")
    assert (demanded.status_code, demanded.json["state"]) == (200, "demanded"), demanded.text
    assert (demanded.json["amount_fen"], demanded.json["overdue"]) == (30_000, False)
    return reference, number, who


def test_a_return_that_was_paid_is_repaid_in_whole(place: Place, point: Api, owner: Owner, engine: Engine) -> None:
    reference, number, who = paid_and_demanded(place, point, owner, engine, "0021000012345678")
    mine, finance = who["owner"], who["finance"]
    assert decision(mine, reference)["repay_fen"] == 30_000
    [demanded] = who["auditor"].get("/api/returns").json["returns"]
    receipt = {"document_no": "BANK0001", "amount_fen": 10_000, "received_on": demanded["decided_at"][:10]}
    part = finance.post(f"/api/returns/{number}/repayment", receipt)
    assert (part.status_code, faults(part)) == (422, {"amount_fen": "repayment_differs"})
    whole = finance.post(f"/api/returns/{number}/repayment", {**receipt, "amount_fen": 30_000})
    assert (whole.status_code, whole.json["state"], whole.json["document_no"]) == (201, "repaid", "BANK0001")
    assert decision(mine, reference)["state"] == "returned"
    assert "补贴已退回" in decision(mine, reference)["reason_zh"]


def test_what_was_paid_is_claimed_back_through_the_bank(place: Place, point: Api, owner: Owner, engine: Engine) -> None:
    reference, number, who = paid_and_demanded(place, point, owner, engine, "0021000012345678.agrees_later")
    way = f"/api/returns/{number}/reclaims"
    for role in ("operator", "reviewer", "auditor"):
        assert who[role].post(way).status_code == 403
    finance = who["finance"]
    asked = finance.post(way)
    assert (asked.status_code, asked.json["state"], asked.json["amount_fen"]) == (201, "due", 30_000), asked.text
    assert finance.post(way).json["code"] == "reclaim_under_way"
    sessions, bank = sessionmaker(engine, expire_on_commit=False), place.app.extensions["mapai.partners"].operator
    clock = place.app.extensions["mapai.clock"]
    assert reclaim_next(sessions=sessions, operator=bank, clock=clock) == "sent"
    document = {"document_no": "BANK0001", "amount_fen": 30_000, "received_on": "2026-06-10"}
    assert finance.post(f"/api/returns/{number}/repayment", document).status_code in (409, 422)
    contested = finance.post(f"{way}/refusal", {"finding": "银行书面答复没有转出", "document_no": "HF-1"})
    assert (contested.status_code, contested.json["code"]) == (409, "reclaim_not_contested")
    word = {
        "kind": "reclaim",
        "bank_number": asked.json["bank_number"],
        "state": "settled",
        "amount_fen": 30_000,
        "final": True,
        "reason": None,
        "settled_at": datetime.now(UTC).isoformat(),
    }
    for _ in range(2):
        heard = call_back(place, word)
        assert (heard.status_code, heard.json["state"]) == (200, "reclaimed"), heard.text
    [told] = who["auditor"].get(way).json["reclaims"]
    assert (told["state"], told["state_zh"], bool(told["finished_at"])) == ("reclaimed", "已追回", True)
    assert decision(who["owner"], reference)["state"] == "returned"
    assert finance.get("/api/returns/TH-0000-00/reclaims").status_code in (404, 422)


def call_back(place: Place, word: dict[str, Any]) -> Any:
    """The bank's signed callback about one of our numbers."""
    body, signer = json.dumps(word).encode(), place.app.extensions["mapai.ecny_signer"]
    headers = signed_headers(signer=signer, partner="ecny", method="POST", path=PATH, body=body)
    return place.app.test_client().post(PATH, data=body, headers=headers, content_type="application/json")
