"""A programme over the API: drafting and deciding on changes, pauses the public hears of, what-if and forecast."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from registry.audit import AuditEntry
from registry.messages import Message
from tests.api.conftest import Api, Place, faults, walk
from tests.registry.line import Owner

AT = "/api/programmes/GS-2026"
SWITCH = {"reason_zh": "正在核查申领资料", "reason_en": "claims are being checked", "note": "纪检要求核查"}

pytestmark = pytest.mark.usefixtures("programme")


@pytest.fixture
def operator(place: Place) -> Api:
    return place.as_role("operator")


@pytest.fixture
def reviewer(place: Place) -> Api:
    return place.as_role("reviewer")


def in_force(api: Api) -> dict[str, Any]:
    rules: dict[str, Any] = api.get(f"{AT}/versions").json["versions"][-1]["rules"]
    return rules


def drafted(api: Api, **said: Any) -> dict[str, Any]:
    answer = api.post(f"{AT}/changes", {"note": "增加预算", **said})
    assert answer.status_code == 201, answer.text
    change: dict[str, Any] = answer.json
    return change


def test_a_change_goes_from_draft_to_force(operator: Api, reviewer: Api, place: Place) -> None:
    rules = in_force(operator)
    rules["stages"][0] |= {"places": 5, "budget_fen": 150_000}
    change = drafted(operator, rules=rules)
    assert change["state"] == "drafted"
    assert change["differences"] == {"stages.1.budget_fen": [90_000, 150_000], "stages.1.places": [3, 5]}
    effect = change["effect"]
    assert (effect["since"], effect["budget_change_fen"], effect["claims"]) == ("now", 60_000, 0)
    assert datetime.fromisoformat(effect["as_of"]).utcoffset() == timedelta(hours=8)
    at = f"{AT}/changes/{change['change_no']}"

    auditor = place.as_role("auditor")
    assert auditor.get(at).json == change
    assert [row["change_no"] for row in auditor.get(f"{AT}/changes").json["changes"]] == [change["change_no"]]
    for api, status in ((operator, 403), (auditor, 403), (reviewer, 200)):
        assert api.post(f"{at}/approval").status_code == status
    again = reviewer.post(f"{at}/approval")
    assert (again.status_code, faults(again)) == (409, {None: "step_not_allowed"})

    done = operator.get(at).json
    assert (done["state"], done["state_zh"], done["event_no"]) == ("approved", "已批准", 3)
    versions = auditor.get("/api/programmes/current/versions").json["versions"]
    assert [version["version_no"] for version in versions] == [1, 2]
    assert versions[1]["rules"]["stages"][0]["places"] == 5
    assert (versions[1]["drafted_by"], versions[1]["approved_by"]) == (done["drafted_by"], done["decided_by"])
    place.district.session.rollback()
    actions = place.district.session.scalars(select(AuditEntry.action).where(AuditEntry.action.like("prog%"))).all()
    assert actions == ["programme_change.drafted", "programme_change.approved"]


def test_refusing_withdrawing_and_growing_outdated(operator: Api, reviewer: Api) -> None:
    rules = in_force(operator)
    changes = [drafted(operator, rules={**rules, "per_person_limit": limit})["change_no"] for limit in (2, 3, 4, 5)]
    first, second, third, fourth = (f"{AT}/changes/{number}" for number in changes)
    assert faults(reviewer.post(f"{first}/refusal", {})) == {"note": "required"}
    refused = reviewer.post(f"{first}/refusal", {"note": "没有依据"}).json
    assert (refused["state"], refused["decision_note"]) == ("refused", "没有依据")
    assert operator.post(f"{second}/withdrawal").json["state"] == "withdrawn"
    assert reviewer.post(f"{third}/approval").json["state"] == "approved"
    assert operator.get(fourth).json["outdated"] is True
    late = reviewer.post(f"{fourth}/approval")
    assert (late.status_code, faults(late)) == (409, {None: "draft_outdated"})


def test_the_same_draft_sent_again_is_one_draft(operator: Api) -> None:
    rules = in_force(operator) | {"per_person_limit": 2}
    body = {"rules": rules, "note": "每人两辆"}
    answers = [operator.post(f"{AT}/changes", body, key="the-same-key") for _ in range(2)]
    assert answers[0].data == answers[1].data
    assert len(operator.get(f"{AT}/changes").json["changes"]) == 1


def test_the_faults_of_a_draft(operator: Api) -> None:
    rules = in_force(operator)
    stage = rules["stages"][0]
    later = {**stage, "number": 2, "opens_at": "2199-01-01T00:00:00+08:00", "closes_at": "2199-02-01T00:00:00+08:00"}
    told = {
        "stages_apart": {**rules, "stages": [stage, later]},
        "nothing_changes": rules,
        "not_back_dated": {**rules, "stages": [{**stage, "amount_fen": 10_000}]},
        "no_stage": {**rules, "stages": []},
        "not_an_instant": {**rules, "stages": [{**stage, "opens_at": "2026-06-01T00:00:00"}]},
        "not_an_instant ": {**rules, "stages": [{**stage, "closes_at": "9999-12-31T23:59:59-23:00"}]},
        "not_a_list": {**rules, "stages": "three"},
        "out_of_range": {**rules, "reserve_fen": -1},
        "unknown_field": {**rules, "colour": "red"},
        "not_an_object": [],
    }
    for code, wrong in told.items():
        answer = operator.post(f"{AT}/changes", {"rules": wrong, "note": "先试一试"})
        assert answer.status_code == 422, answer.text
        assert list(faults(answer).values()) == [code.strip()], answer.text
    both = [{**stage, "places": 0}, {**later, "budget_fen": 1}]
    answer = operator.post(f"{AT}/changes", {"rules": {**rules, "stages": both}, "note": "先试一试"})
    assert faults(answer) == {"stages.1": "number_out_of_range", "stages.2": "amount_above_budget"}
    missing = operator.post("/api/programmes/GS-1999/changes", {"rules": rules, "note": "先试一试"})
    assert list(faults(missing).values()) == ["programme_not_found"]
    for number in ("99", "x", "9" * 30, "²"):
        assert list(faults(operator.get(f"{AT}/changes/{number}")).values()) == ["change_not_found"]


def test_closing_early_says_what_it_means_for_open_trade_ins(
    operator: Api, point: Api, place: Place, owner: Owner
) -> None:
    walk(point, place, owner, until="opened")
    rules = in_force(operator)
    rules["stages"][0]["closes_at"] = (
        datetime.fromisoformat(rules["stages"][0]["closes_at"]) - timedelta(days=20)
    ).isoformat()
    unsaid = operator.post(f"{AT}/changes", {"rules": rules, "note": "提前截止"})
    assert (unsaid.status_code, faults(unsaid)) == (422, {"grace_reserves": "grace_not_said"})
    covered = drafted(operator, rules=rules, grace_reserves=True)
    assert "够付给每一笔" in covered["grace_zh"]
    plain = drafted(operator, rules=rules, grace_reserves=False)
    assert "不给" in plain["grace_zh"]
    assert plain["grace_en"]


def test_a_pause_is_told_to_the_public_until_it_ends(operator: Api, reviewer: Api, place: Place) -> None:
    visitor = place.visitor()
    assert visitor.get("/api/programmes/current").json["paused_since"] is None
    assert faults(operator.post(f"{AT}/resumptions", SWITCH)) == {None: "nothing_to_resume"}
    assert set(faults(operator.post(f"{AT}/pauses", {"note": "x"}))) == {"reason_zh", "reason_en", "note"}
    change = operator.post(f"{AT}/pauses", SWITCH).json
    assert (change["kind"], change["rules"], change["effect"]) == ("pause", None, None)
    assert reviewer.post(f"{AT}/changes/{change['change_no']}/approval").status_code == 200
    place.app.extensions["mapai.live"]._fresh_s = 0.0
    shown = visitor.get("/api/programmes/current").json
    assert (shown["paused"], shown["pause_reason_zh"], shown["pause_reason_en"]) == (
        True,
        SWITCH["reason_zh"],
        SWITCH["reason_en"],
    )
    assert shown["paused_since"] is not None
    page = visitor.client.get("/").text
    assert "补贴活动暂停中" in page
    assert SWITCH["reason_zh"] in page
    resumption = operator.post(f"{AT}/resumptions", SWITCH).json
    assert reviewer.post(f"{AT}/changes/{resumption['change_no']}/approval").status_code == 200
    shown = visitor.get("/api/programmes/current").json
    assert (shown["paused"], shown["pause_reason_zh"], shown["paused_since"]) == (False, None, None)


def test_what_if_and_forecast(operator: Api, place: Place) -> None:
    rules = in_force(operator)
    cheaper = {**rules, "stages": [{**rules["stages"][0], "amount_fen": 20_000}]}
    told = operator.post(f"{AT}/what-if", {"rules": cheaper, "since": "start"}).json
    assert (told["since"], told["budget_change_fen"], told["spent_change_fen"]) == ("start", 0, 0)
    assert told["gaining"] == {"claims": 0, "fen": 0, "positions": [], "more": False}
    from_now = operator.post(f"{AT}/what-if", {"rules": cheaper, "since": "now"})
    assert (from_now.status_code, faults(from_now)) == (422, {"stages": "not_back_dated"})
    assert faults(operator.post(f"{AT}/what-if", {"rules": rules, "since": "yesterday"})) == {"since": "not_a_choice"}
    forecast = place.as_role("finance").get(f"{AT}/forecast").json
    assert (forecast["arrivals"], forecast["expected_next_day"]) == (0, 0)
    (stage,) = forecast["stages"]
    assert (stage["phase"], stage["places_left"], stage["likely"], stage["share"]) == ("open", 3, None, None)


def test_who_is_no_staff_sees_and_changes_nothing(point: Api, place: Place, owner: Owner) -> None:
    owning = place.as_role("owner", person_id=owner.person_id)
    for api in (point, owning):
        for path in ("versions", "forecast", "changes", "changes/1"):
            assert api.get(f"{AT}/{path}").status_code == 403
        for path in ("changes", "pauses", "resumptions", "what-if", "changes/1/approval", "changes/1/refusal"):
            assert api.post(f"{AT}/{path}", {}).status_code == 403


def test_opening_a_trade_in_says_that_no_place_is_kept(point: Api, place: Place, owner: Owner) -> None:
    reference = walk(point, place, owner, until="opened")
    told = point.get(f"/api/trade-ins/{reference}").json
    assert "名额不预留" in told["place_note_zh"]
    assert "No place is kept" in told["place_note_en"]
    place.district.session.rollback()
    bodies = place.district.session.scalars(select(Message.body).where(Message.dedupe_key == f"verified:{reference}"))
    assert "名额不预留" in bodies.one()
    assert point.post(f"/api/trade-ins/{reference}/withdrawal").json["place_note_zh"] is None
