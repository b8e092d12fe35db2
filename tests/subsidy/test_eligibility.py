"""Nine conditions: each fails by its own fact alone, on the right day, and says in words what it saw."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from loadtests.ready import one_stage
from subsidy.decision_record import findings_in
from subsidy.eligibility import RULES, WORDING, Facts, evidence_hash, judge
from subsidy.rule_words import QUEUE_RULES, SAW
from subsidy.rule_words import RULES as WORDS

OPENED = datetime(2026, 6, 10, 2, 0, tzinfo=UTC)
CUT_OFF = date(2024, 12, 31)
CODES = [
    "filed_after_cut_off",
    "filed_too_long_ago",
    "transferred_after_cut_off",
    "plate_of_other_district",
    "plate_not_clear",
    "plate_of_other_owner",
    "point_was_not_licensed",
    "bike_not_compliant",
    "persons_differ",
]
OPENING = {
    "point_licensed": True,
    "plate_status": "normal",
    "plate_district": "330105",
    "plate_owner_matches": True,
    "police_name": "same",
}
GOOD = Facts(
    filed_on=date(2022, 1, 1),
    transferred_on=None,
    opened_at=OPENED,
    opening=OPENING,
    filing_owner_id=1,
    owner_id=1,
    buyer_id=1,
    holder_is_owner=True,
    compliance="compliant",
    registration_code="K7M2345678",
    district="330105",
    old_plate_cancelled_at=OPENED + timedelta(hours=1),
    sold_at=OPENED + timedelta(hours=2),
)


def judged(**changed: Any) -> tuple[str | None, dict[str, Any]]:
    rules = replace(one_stage(now=OPENED, places=1), filing_cut_off=CUT_OFF, filing_max_age_years=5)
    return judge(facts=GOOD._replace(**changed), rules=rules)


def test_what_is_good_passes_every_condition() -> None:
    refusal, evidence = judged()
    assert refusal is None
    findings = findings_in(evidence)
    assert [finding.code for finding in findings] == CODES
    assert all(finding.passed and finding.why_zh is None for finding in findings)
    assert len(RULES) == len(CODES)


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("filed_after_cut_off", {"filed_on": date(2025, 1, 1)}),
        ("filed_too_long_ago", {"filed_on": date(2021, 6, 9)}),
        ("transferred_after_cut_off", {"transferred_on": date(2025, 1, 1)}),
        ("plate_of_other_district", {"opening": OPENING | {"plate_district": "330106"}}),
        ("plate_not_clear", {"opening": OPENING | {"plate_status": "stolen"}}),
        ("plate_of_other_owner", {"opening": OPENING | {"plate_owner_matches": False}}),
        ("plate_of_other_owner", {"filing_owner_id": 2}),
        ("point_was_not_licensed", {"opening": OPENING | {"point_licensed": False}}),
        ("bike_not_compliant", {"compliance": "too_fast"}),
        ("bike_not_compliant", {"registration_code": ""}),
        ("persons_differ", {"buyer_id": 2}),
        ("persons_differ", {"holder_is_owner": False}),
    ],
)
def test_each_condition_fails_by_its_own_fact_alone(code: str, changed: dict[str, Any]) -> None:
    refusal, evidence = judged(**changed)
    assert refusal == code
    failed, *passed = findings_in(evidence)
    assert (failed.code, failed.passed) == (code, False)
    assert all(finding.passed for finding in passed)
    assert failed.why_zh == WORDING[code].zh
    assert failed.saw_zh
    assert failed.words.clause_zh == f"资格条件第 {CODES.index(code) + 1} 条"


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"filed_on": CUT_OFF}, None),
        ({"filed_on": date(2021, 6, 10)}, None),
        ({"transferred_on": CUT_OFF}, None),
        # 00:30 in Hangzhou is the day before in Greenwich: the day that counts is Hangzhou's.
        ({"filed_on": date(2021, 6, 10), "opened_at": datetime(2026, 6, 10, 16, 30, tzinfo=UTC)}, "filed_too_long_ago"),
    ],
)
def test_the_last_good_day_is_good(changed: dict[str, Any], refusal: str | None) -> None:
    assert judged(**changed)[0] == refusal


def test_the_first_condition_that_failed_is_the_one_told() -> None:
    assert judged(filed_on=date(2025, 1, 1), buyer_id=2)[0] == "filed_after_cut_off"


def test_the_evidence_names_the_instants_it_was_judged_as_of() -> None:
    _, evidence = judged()
    as_of = {finding.code: finding.as_of for finding in findings_in(evidence)}
    assert as_of["filed_too_long_ago"] == OPENED
    assert as_of["plate_not_clear"] == GOOD.old_plate_cancelled_at
    assert as_of["bike_not_compliant"] == as_of["persons_differ"] == GOOD.sold_at
    assert evidence["policy"] == {"edition": "2026"}
    other = judged(sold_at=OPENED + timedelta(hours=3))[1]
    assert evidence_hash(evidence) != evidence_hash(other)


def test_every_rule_and_every_piece_of_evidence_has_words() -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    _, evidence = judged()
    for code, words in (WORDS | QUEUE_RULES).items():
        assert chinese.search(words.title_zh + words.clause_zh)
        assert words.title_en
        assert words.clause_en
        assert chinese.search(WORDING[code].zh)
        assert WORDING[code].en
    assert list(WORDS) == CODES
    assert set(WORDING) == set(WORDS) | set(QUEUE_RULES)
    seen = {name for code in CODES for name in evidence[code]} - {"passed"}
    assert seen <= set(SAW)
