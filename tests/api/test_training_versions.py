"""The training material over the API: the next version, its correction until it counts, and who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from registry.audit import AuditEntry
from registry.dealers import local_day
from tests.api.conftest import Api, Place, faults

QUESTIONS = 10


@pytest.fixture
def operator(place: Place) -> Api:
    return place.as_role("operator")


def typed(**changed: object) -> dict[str, Any]:
    return {
        "title": "第二版培训材料",
        "paragraphs": ["收车以前先和交警核对。", "新车照合格证入库，不改装，不加价。" * 10],
        "effective_on": (local_day(datetime.now(UTC)) + timedelta(days=10)).isoformat(),
        "questions": [
            {"question": f"第 {number} 问？", "options": ["甲", "乙", "丙"], "answer": number % 3}
            for number in range(QUESTIONS)
        ],
        **changed,
    }


def test_the_next_version_is_announced_and_counts_from_its_day(place: Place, operator: Api, point: Api) -> None:
    added = operator.post("/api/training-versions", typed())
    assert (added.status_code, added.json["version"]) == (201, 2)
    rows = place.as_role("auditor").get("/api/training-versions").json["versions"]
    assert [row["version"] for row in rows] == [2, 1]
    shown = place.as_role("reviewer").get("/api/training-versions/2").json
    assert shown["questions"][2] == {"question": "第 2 问？", "options": ["甲", "乙", "丙"], "answer": 2}
    assert point.get("/api/dealer/training").json["version"] == 1, "not before its day"
    assert operator.get("/api/training-versions/99").status_code == 404


def test_a_version_that_does_not_count_yet_is_corrected_and_the_audit_keeps_both(place: Place, operator: Api) -> None:
    operator.post("/api/training-versions", typed())
    changed = operator.post("/api/training-versions/2/correction", typed(title="第二版，改过"))
    assert (changed.status_code, changed.json["title"]) == (200, "第二版，改过")
    assert len(changed.json["questions"]) == QUESTIONS, "the bank is replaced, not added to"
    session = place.district.session
    entries = session.scalars(
        select(AuditEntry).where(AuditEntry.subject == "training_version:2").order_by(AuditEntry.id)
    ).all()
    assert [entry.action for entry in entries] == ["training.version_added", "training.version_changed"]
    assert (entries[1].detail["old"]["title"], entries[1].detail["new"]["title"]) == ("第二版培训材料", "第二版，改过")
    assert "answer" not in str([entry.detail for entry in entries]), "which answers are right is in no audit"
    assert faults(operator.post("/api/training-versions/1/correction", typed())) == {"version": "training_in_force"}
    assert faults(operator.post("/api/training-versions/9/correction", typed())) == {"version": "training_not_found"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("paragraphs", ["太短。"]),
        ("effective_on", local_day(datetime.now(UTC)).isoformat()),
        ("questions", typed()["questions"][:3]),
        ("questions", [*typed()["questions"], {"question": "重复？", "options": ["甲", "甲"], "answer": 0}]),
        ("questions", [*typed()["questions"], {"question": "没有对的？", "options": ["甲", "乙"], "answer": 2}]),
    ],
)
def test_what_cannot_count_is_told_by_field(operator: Api, field: str, value: object) -> None:
    assert faults(operator.post("/api/training-versions", typed(**{field: value}))) == {field: "training_draft_invalid"}
    assert len(operator.get("/api/training-versions").json["versions"]) == 1


def test_only_operators_write_it_and_no_dealer_sees_the_answers(place: Place, point: Api) -> None:
    assert place.as_role("reviewer").post("/api/training-versions", typed()).status_code == 403
    assert point.get("/api/training-versions/1").status_code == 403
