"""Staff find filings by plate or owner: masked, one thing at a time, never without a trace."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest
from sqlalchemy import select

from app.config import Settings
from app.db import psycopg_conninfo
from registry.audit import AuditEntry
from registry.filing_import import import_filings
from registry.filing_rows import FilingRow
from tests.api.conftest import Api, Place, faults

CHEN = FilingRow(
    2, "B382617", "陈建英", "330105199003070018", "13800138000", "2021-03-18", "凌风", "LX0001", "祥符街道"
)
WANG = FilingRow(3, "B382618", "王伟", "330105195810270261", "13900139000", "2022-05-01", "云雀", "LX0002", "半山街道")
REASON = "车主来电查询"


def bring(settings: Settings, *rows: FilingRow) -> None:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        import_filings(connection=connection, keyring=settings.keyring, rows=rows, today=date(2026, 6, 1), actor="x")


@pytest.fixture
def staff(place: Place, settings: Settings) -> Api:
    bring(settings, CHEN, WANG)
    return place.as_role("operator")


@pytest.mark.parametrize(
    ("by", "typed"),
    [
        ("plate_no", " b382617"),
        ("owner_name", "陈建英"),
        ("owner_id_no", "330105199003070018"),
        ("owner_phone", "138 0013 8000"),
    ],
)
def test_a_filing_is_found_masked(staff: Api, place: Place, by: str, typed: str) -> None:
    answer = staff.post("/api/filings/search", {by: typed, "reason": REASON})

    assert answer.status_code == 200, answer.text
    [filing] = answer.json["filings"]
    assert answer.json["more"] is False
    assert filing == {
        "plate_no": "B382617",
        "owner_name": "陈*英",
        "owner_id_no": "330105********0018",
        "owner_phone": "138****8000",
        "filed_on": "2021-03-18",
        "transferred_on": None,
        "brand": "凌风",
        "frame_no": "LX0001",
        "sub_district": "祥符街道",
        "state": "filed",
        "changes": [],
    }
    entry = place.district.session.scalars(select(AuditEntry).where(AuditEntry.action == "filings.searched")).one()
    assert entry.actor.startswith("account:")
    assert entry.detail == {"by": by, "reason": REASON, "found": 1}


def test_nobody_found_is_an_empty_list(staff: Api) -> None:
    for query in ({"owner_name": "陈建"}, {"plate_no": "B000001"}, {"owner_phone": "13700137000"}):
        assert staff.post("/api/filings/search", {"reason": REASON, **query}).json == {"filings": [], "more": False}


def test_a_correction_shows_its_history(staff: Api, settings: Settings) -> None:
    bring(settings, CHEN._replace(brand="飞鸿"))
    [filing] = staff.post("/api/filings/search", {"plate_no": "B382617", "reason": REASON}).json["filings"]
    [change] = filing["changes"]
    assert filing["brand"] == "飞鸿"
    assert change.pop("at").endswith("+08:00")
    assert change == {"actor": "x", "field": "brand", "old": "凌风", "new": "飞鸿"}


def test_more_than_fifty_are_said(staff: Api, settings: Settings) -> None:
    bring(settings, *[CHEN._replace(plate_no=f"B4{number:05}", line=number + 2) for number in range(50)])
    answer = staff.post("/api/filings/search", {"owner_name": "陈建英", "reason": REASON})
    assert (len(answer.json["filings"]), answer.json["more"]) == (50, True)


def test_a_search_names_one_thing_and_its_reason(staff: Api, place: Place) -> None:
    cases = [
        ({"reason": REASON}, {None: "search_by_one_thing"}),
        ({"reason": REASON, "plate_no": "B382617", "owner_name": "陈建英"}, {None: "search_by_one_thing"}),
        ({"plate_no": "B382617"}, {"reason": "required"}),
        ({"reason": REASON, "owner_id_no": "330105199003070013"}, {"owner_id_no": "id_number_invalid"}),
        ({"reason": REASON, "owner_phone": "12"}, {"owner_phone": "mobile_invalid"}),
    ]
    for query, told in cases:
        answer = staff.post("/api/filings/search", query)
        assert (answer.status_code, faults(answer)) == (422, told), query
    searched = select(AuditEntry).where(AuditEntry.action == "filings.searched")
    assert place.district.session.scalars(searched).all() == []


def test_points_and_owners_cannot_search(place: Place, point: Api) -> None:
    owner = place.as_role("owner", person_id=place.district.owner().person_id)
    for api in (point, owner):
        assert api.post("/api/filings/search", {"plate_no": "B382617", "reason": REASON}).status_code == 403
    assert (
        place.as_role("auditor").post("/api/filings/search", {"plate_no": "B382617", "reason": REASON}).status_code
        == 200
    )
