"""Dealers over the API: from an application to a licence, its end, the hand-over, and the accounts inside."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.district.numbers import credit_code
from registry.dealer_commitments import current_version, keep_signature
from registry.dealers import local_day
from registry.trade_ins import TradeIn
from tests.api.conftest import PASSWORD, Api, Place, faults, opening, photo, walk
from tests.registry.line import Owner, picture

MOBILE = "13700137000"
REASON = {"reason": "抽检不合格，限期整改"}


@dataclass(kw_only=True)
class Bureau:
    """The staff who take part."""

    place: Place
    operator: Api
    reviewer: Api


@pytest.fixture
def bureau(place: Place) -> Bureau:
    return Bureau(place=place, operator=place.as_role("operator"), reviewer=place.as_role("reviewer"))


def typed(**changed: object) -> dict[str, Any]:
    return {
        "name": "卖鱼桥车行",
        "credit_code": credit_code(60_000),
        "sub_district": "湖墅街道",
        "address": "湖墅北路 88 号",
        "phone": "0571-88001122",
        "opening_hours": [{"days": [1, 2, 3, 4, 5, 6, 7], "opens": "8:30", "closes": "18:00"}],
        "representative": "吴国华",
        "mobile": MOBILE,
        **changed,
    }


def code_sent(place: Place, phone: str = MOBILE) -> str:
    """The newest code that reached the phone; the limits are left behind."""
    session = place.district.session
    session.execute(text("UPDATE one_time_code SET created_at = created_at - interval '2 days'"))
    session.commit()
    found = re.search(
        r"验证码 (\d{6})，", place.app.extensions["mapai.partners"].sms.gateway.messages(phone=phone)[-1].text
    )
    assert found
    return found[1]


def ask_code(place: Place, purpose: str, phone: str = MOBILE) -> str:
    answer = place.visitor().client.post("/api/one-time-codes", json={"phone": phone, "purpose": purpose})
    assert answer.status_code == 201, answer.text
    return code_sent(place, phone)


def post_application(place: Place, **changed: object) -> TestResponse:
    code = ask_code(place, "dealer_application")
    return place.visitor().client.post("/api/dealer-applications", json=typed(code=code, **changed))


def manager_of(bureau: Bureau) -> tuple[Api, int]:
    """A dealer that was accepted, and its manager signed in."""
    reference = post_application(bureau.place).json["reference"]
    answer = bureau.operator.post(f"/api/dealer-applications/{reference}/acceptance", {})
    assert answer.status_code == 200, answer.text
    code = ask_code(bureau.place, "dealer_password")
    body = {"login": reference, "mobile": MOBILE, "code": code, "password": PASSWORD}
    visitor = bureau.place.visitor()
    assert visitor.client.post("/api/dealer-passwords", json=body).status_code == 201
    visitor.token = sign_in(visitor, reference)
    return visitor, answer.json["dealer_id"]


def sign_in(api: Api, login: str) -> str:
    answer = api.client.post("/api/sign-ins", json={"login": login, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return str(answer.json["token"])


def answers_to(place: Place, questions: list[dict[str, Any]]) -> list[int]:
    rows = place.district.session.execute(text("SELECT question, answer FROM training_question"))
    right = {row.question: row.answer for row in rows}
    return [right[each["question"]] for each in questions]


def test_from_the_application_to_the_licence_and_a_trade_in(bureau: Bureau, owner: Owner) -> None:
    place = bureau.place
    manager, dealer_id = manager_of(bureau)
    assert manager.get("/api/dealer").json["state"] == "accepted"
    [due] = manager.get("/api/dealer/commitments").json["commitments"]
    assert (due["version"], due["signed_at"]) == (1, None)
    assert manager.post("/api/dealer/commitment-codes").json == {"phone": "137****7000"}
    signed = manager.post("/api/dealer/commitments", {"version": 1, "code": code_sent(place)})
    assert (signed.status_code, signed.json["sha256"]) == (201, due["sha256"])
    [posted] = place.visitor().get("/api/commitments").json["signatures"]
    assert (posted["dealer"], posted["version"], posted["method"]) == ("卖鱼桥车行", 1, "code")
    assert place.visitor().get("/api/commitment-versions").json["versions"][0]["sha256"] == due["sha256"]

    assert manager.get("/api/dealer/training").json["attempts_left"] == 3
    drawn = manager.post("/api/dealer/tests").json
    assert {(each["chosen"], each["right"]) for each in drawn["questions"]} == {(None, None)}
    path = f"/api/dealer/tests/{drawn['test_id']}"
    assert manager.get(path).json == drawn
    answers = answers_to(place, drawn["questions"])
    passed = manager.post(f"{path}/answers", {"answers": answers})
    assert (passed.json["correct"], passed.json["passed"]) == (10, True)
    assert [each["right"] for each in passed.json["questions"]] == answers

    desk = f"/api/dealers/{dealer_id}"
    assert bureau.operator.post(f"{desk}/enrolment").json["state"] == "enrolled"
    assert faults(manager.post("/api/trade-ins", opening(owner))) == {None: "point_not_licensed"}
    licensed = bureau.reviewer.post(f"{desk}/licence").json
    assert (licensed["state"], licensed["commitment_signed"]) == ("licensed", True)
    assert licensed["licensed_until"] == (local_day(datetime.now(UTC)) + timedelta(days=364)).isoformat()
    assert manager.post("/api/trade-ins", opening(owner)).status_code == 201
    assert [step["actor"] for step in manager.get("/api/dealer").json["steps"]] == [None] * 5
    assert [row["name"] for row in bureau.reviewer.get("/api/dealers", state="licensed").json["dealers"]] == [
        place.dealer.name,
        "卖鱼桥车行",
    ]


def test_an_application_is_reviewed_and_followed(bureau: Bureau) -> None:
    place = bureau.place
    image = picture()
    sent = post_application(place, licence_photo=base64.b64encode(image).decode(), credit_code="92330105MA00000000")
    assert sent.status_code == 201, sent.text
    reference = sent.json["reference"]
    [review] = bureau.operator.get("/api/dealer-applications", state="waiting").json["applications"]
    assert (review["representative"], review["mobile"]) == ("吴*华", "137****7000")
    assert "校验码" in review["doubt"]
    shown = bureau.operator.get(f"/api/dealer-applications/{reference}/licence-photo")
    assert shown.data == image
    assert shown.content_type in ("image/png", "image/jpeg")
    path = f"/api/dealer-applications/{reference}"
    assert faults(bureau.operator.post(f"{path}/acceptance", {})) == {
        "credit_code_confirmed": "credit_code_unconfirmed"
    }
    assert bureau.operator.post(f"{path}/refusal", {"reason": "照片看不清"}).status_code == 200
    followed = place.visitor().get(path)
    assert (followed.json["state"], followed.json["reason"]) == ("refused", "照片看不清")
    assert "mobile" not in followed.json
    assert faults(place.visitor().get("/api/dealer-applications/SQ-2222-2222")) == {
        "reference": "application_not_found"
    }
    assert faults(bureau.operator.get("/api/dealer-applications/SQ-2222-2222/licence-photo")) == {
        "reference": "application_not_found"
    }


def test_what_is_typed_wrong_is_told_by_field(bureau: Bureau) -> None:
    visitor = bureau.place.visitor().client
    spans = [{"days": [1, 9], "opens": "8:30", "closes": "18:00"}]
    answer = visitor.post("/api/dealer-applications", json=typed(code="1", opening_hours=spans, name="x" * 300))
    assert faults(answer) == {"opening_hours.1.days.2": "out_of_range", "name": "too_long"}
    spans = [{"days": [1], "opens": "18:00", "closes": "8:30"}]
    answer = visitor.post("/api/dealer-applications", json=typed(code="1", opening_hours=spans, credit_code="9133"))
    assert faults(answer) == {"opening_hours": "opening_hours_invalid", "credit_code": "credit_code_invalid"}
    spans = [{"days": [1], "opens": "noon", "closes": "18:00"}]
    answer = visitor.post("/api/dealer-applications", json=typed(code="1", opening_hours=spans))
    assert faults(answer) == {"opening_hours": "opening_hours_invalid"}
    assert faults(visitor.post("/api/dealer-applications", json=typed(code="000000"))) == {"code": "code_wrong"}
    assert faults(visitor.post("/api/one-time-codes", json={"phone": MOBILE, "purpose": "commitment"})) == {
        "purpose": "not_a_choice"
    }


def test_who_may_do_what(bureau: Bureau, point: Api) -> None:
    desk = f"/api/dealers/{bureau.place.dealer.id}"
    auditor = bureau.place.as_role("auditor")
    assert auditor.get(desk).status_code == 200
    for api, path, body in (
        (auditor, f"{desk}/suspension", REASON),
        (bureau.operator, f"{desk}/licence", None),
        (bureau.operator, f"{desk}/revocation", {"approved": True}),
        (bureau.reviewer, f"{desk}/enrolment", None),
        (bureau.reviewer, "/api/commitment-versions", {}),
        (bureau.operator, "/api/commitment-versions/2/approval", None),
        (point, f"{desk}/suspension", REASON),
        (bureau.operator, "/api/dealer/tests", None),
    ):
        assert faults(api.post(path, body)) == {None: "wrong_role"}, path
    for number in ("999", str(2**70)):
        assert faults(bureau.operator.get(f"/api/dealers/{number}")) == {None: "dealer_not_found"}
        assert faults(bureau.operator.post(f"/api/dealers/{number}/suspension", REASON)) == {None: "dealer_not_found"}
        assert faults(point.get(f"/api/dealer/tests/{number}")) == {None: "test_not_found"}


def test_a_new_commitment_takes_two_people(bureau: Bureau) -> None:
    today = local_day(datetime.now(UTC))
    body = {
        "paragraphs": ["合规经营承诺书（第二版）", "本单位承诺依法合规经营，明码标价，不改装。" * 10],
        "effective_on": (today + timedelta(days=10)).isoformat(),
        "sign_by": (today + timedelta(days=40)).isoformat(),
    }
    drafted = bureau.operator.post("/api/commitment-versions", body)
    assert (drafted.status_code, drafted.json["version"], drafted.json["approved"]) == (201, 2, False)
    assert len(bureau.place.visitor().get("/api/commitment-versions").json["versions"]) == 1
    assert bureau.reviewer.post("/api/commitment-versions/2/approval").json["approved"] is True
    newest = bureau.place.visitor().get("/api/commitment-versions").json["versions"][0]
    assert newest["text_zh"].startswith("合规经营承诺书（第二版）\n\n本单位")
    assert faults(bureau.operator.post("/api/commitment-versions", {**body, "paragraphs": []})) == {
        "paragraphs": "required"
    }


def test_a_suspension_stops_new_trade_ins_and_what_is_open_goes_on(bureau: Bureau, point: Api, owner: Owner) -> None:
    place = bureau.place
    reference = walk(point, place, owner, until="opened")
    desk = f"/api/dealers/{place.dealer.id}"
    assert bureau.operator.post(f"{desk}/suspension", REASON).json["open_trade_ins"] == 1
    other = place.district.owner()
    assert faults(point.post("/api/trade-ins", opening(other))) == {None: "point_not_licensed"}
    assert point.post(f"/api/trade-ins/{reference}/photos", photo("plate")).status_code == 201
    twice = bureau.operator.post(f"{desk}/suspension", REASON)
    assert faults(twice) == {None: "step_not_allowed"}
    assert twice.json["title"] == "商户现在是「已暂停」，这一步现在办不了。"
    assert twice.json["detail_en"].startswith("The dealer is «suspended»; the step «suspend» is not possible")
    assert bureau.reviewer.post(f"{desk}/restoration", REASON).json["state"] == "licensed"
    assert point.post("/api/trade-ins", opening(other)).status_code == 201


def test_a_licence_that_ran_out_yesterday_opens_nothing(bureau: Bureau, point: Api, owner: Owner) -> None:
    place = bureau.place
    session, dealer = place.district.session, place.dealer
    dealer.licensed_until = local_day(datetime.now(UTC)) - timedelta(days=1)
    session.commit()
    assert faults(point.post("/api/trade-ins", opening(owner))) == {None: "point_not_licensed"}
    desk = f"/api/dealers/{dealer.id}"
    assert faults(bureau.reviewer.post(f"{desk}/renewal")) == {None: "commitment_unsigned"}
    now = datetime.now(UTC)
    version = current_version(session=session, now=now)
    keep_signature(
        session=session,
        dealer=dealer,
        version=version,
        method="paper",
        phone_masked=None,
        evidence="GS-2026-1",
        actor="account:1",
        now=now,
    )
    session.commit()
    assert bureau.reviewer.post(f"{desk}/renewal").status_code == 200
    assert point.post("/api/trade-ins", opening(owner)).status_code == 201


def test_a_revocation_takes_two_people(bureau: Bureau) -> None:
    desk = f"/api/dealers/{bureau.place.dealer.id}"
    assert faults(bureau.reviewer.post(f"{desk}/revocation", {"approved": True})) == {None: "revocation_not_found"}
    proposed = bureau.operator.post(f"{desk}/revocation-proposal", REASON)
    assert (proposed.json["state"], proposed.json["revocation_reason"]) == ("licensed", REASON["reason"])
    revoked = bureau.reviewer.post(f"{desk}/revocation", {"approved": True}).json
    assert (revoked["state"], revoked["revocation_reason"]) == ("revoked", None)


def test_open_trade_ins_are_handed_over(bureau: Bureau, point: Api, owner: Owner) -> None:
    place = bureau.place
    mine = walk(point, place, owner, until="received")
    second = walk(point, place, place.district.owner(), until="opened")
    gone = walk(point, place, place.district.owner(), until="opened")
    assert point.post(f"/api/trade-ins/{gone}/withdrawal").status_code == 200
    receiver = place.district.dealer()
    there = place.as_role("dealer", dealer_id=receiver.id)
    path = f"/api/dealers/{place.dealer.id}/handover"
    body = {"to_dealer_id": receiver.id, **REASON}
    for wrong, code in (
        ({"references": [mine, gone]}, {"references": "not_open_there"}),
        ({"to_dealer_id": place.dealer.id}, {"to_dealer_id": "same_point"}),
        ({"to_dealer_id": 999}, {None: "dealer_not_found"}),
        ({"to_dealer_id": place.district.dealer(state="suspended").id}, {None: "point_not_licensed"}),
    ):
        assert faults(bureau.operator.post(path, {**body, **wrong})) == code
    one = bureau.operator.post(path, {**body, "references": [mine.lower()]})
    assert one.json == {"references": [mine]}
    assert point.get(f"/api/trade-ins/{mine}").status_code == 404
    assert there.get(f"/api/trade-ins/{mine}").json["state"] == "old_bike_received"
    assert there.post(f"/api/trade-ins/{mine}/old-plate-cancellation").status_code in (200, 202)
    assert bureau.operator.post(path, body).json == {"references": [second]}
    assert bureau.operator.post(path, body).json == {"references": []}
    session = place.district.session
    rows = session.execute(text("SELECT from_dealer_id, to_dealer_id, reason FROM trade_in_handover"))
    assert [tuple(row) for row in rows] == [(place.dealer.id, receiver.id, REASON["reason"])] * 2
    told = session.scalars(text("SELECT body FROM message WHERE dedupe_key LIKE 'handed_over:%'")).all()
    assert len(told) == 2
    assert all(receiver.name in body for body in told)
    assert session.query(TradeIn).filter_by(reference=gone).one().dealer_id == place.dealer.id


def test_accounts_inside_a_dealer(bureau: Bureau, point: Api) -> None:
    manager, _ = manager_of(bureau)
    body = {"login": "xiaoli", "display_name": "小李", "password": PASSWORD, "manager": False}
    added = manager.post("/api/dealer/accounts", body)
    assert added.status_code == 201, added.text
    clerk = bureau.place.visitor()
    clerk.token = sign_in(clerk, "xiaoli")
    assert clerk.get("/api/dealer").status_code == 200
    assert faults(clerk.post("/api/dealer/accounts", {**body, "login": "other"})) == {None: "not_dealer_manager"}
    assert faults(manager.post("/api/dealer/accounts", body)) == {"login": "login_taken"}
    [first, second] = manager.get("/api/dealer/accounts").json["accounts"]
    assert (first["manager"], second["login"]) == (True, "xiaoli")
    path = f"/api/dealer/accounts/{second['account_id']}"
    assert manager.post(f"{path}/disabling").json["disabled_at"] is not None
    assert clerk.get("/api/dealer").status_code == 401
    assert faults(clerk.client.post("/api/sign-ins", json={"login": "xiaoli", "password": PASSWORD})) == {
        "password": "wrong_credentials"
    }
    assert manager.post(f"{path}/password", {"password": PASSWORD}).json["disabled_at"] is None
    clerk.token = sign_in(clerk, "xiaoli")
    assert manager.post(f"{path}/password", {"password": PASSWORD + "2"}).status_code == 200
    assert clerk.get("/api/dealer").status_code == 401, "another password ends the sign-ins"
    own = f"/api/dealer/accounts/{first['account_id']}"
    assert faults(manager.post(f"{own}/disabling")) == {None: "last_manager"}
    session = bureau.place.district.session
    elsewhere = session.scalar(text("SELECT id FROM account WHERE dealer_id = :id"), {"id": bureau.place.dealer.id})
    for number in (elsewhere, 2**70):
        answer = manager.post(f"/api/dealer/accounts/{number}/password", {"password": PASSWORD})
        assert faults(answer) == {None: "colleague_not_found"}
    assert point.get("/api/dealer").status_code == 200
    assert faults(point.post("/api/dealer/accounts", body)) == {None: "not_dealer_manager"}


def test_a_password_is_set_with_the_registered_phone_only(bureau: Bureau) -> None:
    manager, _ = manager_of(bureau)
    place = bureau.place
    login = manager.get("/api/dealer/accounts").json["accounts"][0]["login"]
    stranger = "13600136000"
    code = ask_code(place, "dealer_password", stranger)
    body = {"login": login, "mobile": stranger, "code": code, "password": PASSWORD}
    assert faults(place.visitor().client.post("/api/dealer-passwords", json=body)) == {"code": "code_wrong"}
    assert manager.get("/api/dealer").status_code == 200
    code = ask_code(place, "dealer_password")
    body = {"login": login, "mobile": MOBILE, "code": code, "password": PASSWORD + "3"}
    assert place.visitor().client.post("/api/dealer-passwords", json=body).status_code == 201
    assert manager.get("/api/dealer").status_code == 401, "all sign-ins of the account have ended"
    assert faults(place.visitor().client.post("/api/dealer-passwords", json=body)) == {"code": "code_wrong"}
