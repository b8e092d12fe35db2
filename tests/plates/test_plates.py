"""A plate's code from its first asking to its end: issued once, printed, scanned, replaced, stolen, cancelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select, update

from app.api.documents import LOCAL
from app.commands_plates import issue
from app.plate_keys import plate_keys, rotate, signing_file
from registry.audit import AuditEntry
from registry.base import StepNotAllowed
from registry.bikes import Bike
from registry.plates import PLATE_CODE, Plate, PlateCode
from tests.api.conftest import Api, Place, faults, walk
from tests.plates.degraded import read
from tests.web.markup import check_page

EDGES = {
    ("valid", "report_stolen"): "stolen",
    ("valid", "replace"): "replaced",
    ("valid", "cancel"): "cancelled",
    ("stolen", "report_found"): "valid",
    ("stolen", "replace"): "replaced",
    ("stolen", "cancel"): "cancelled",
}


@pytest.fixture
def plate_no(place: Place, point: Api, owner: Any, programme: None) -> str:
    """A plate that the police have issued for a bike of the point."""
    reference = walk(point, place, owner, until="applied")
    number: str = point.get(f"/api/trade-ins/{reference}").json["new_plate_no"]
    assert number
    return number


@pytest.fixture
def clerk(place: Place) -> Api:
    return place.as_role("operator")


def check(place: Place, payload: str) -> dict[str, Any]:
    answer = place.visitor().get(f"/api/plate-codes/{payload}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json
    return document


@pytest.mark.parametrize("state", PLATE_CODE.words)
@pytest.mark.parametrize("step", ["report_stolen", "report_found", "replace", "cancel"])
def test_every_edge_of_a_codes_life(state: str, step: str) -> None:
    if (state, step) in EDGES:
        assert PLATE_CODE.after(state=state, step=step) == EDGES[state, step]
    else:
        with pytest.raises(StepNotAllowed):
            PLATE_CODE.after(state=state, step=step)


def test_the_first_asking_issues_and_every_other_reads_the_same(place: Place, point: Api, plate_no: str) -> None:
    session = place.district.session
    assert session.scalar(select(func.count()).select_from(PlateCode)) == 0
    paths = [f"/api/plates/{plate_no}/code"] * 4
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda path: Api(client=place.app.test_client(), token=point.token).get(path), paths))
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    assert len({answer.json["payload"] for answer in answers}) == 1
    assert session.scalar(select(func.count()).select_from(PlateCode)) == 1
    issued = select(func.count()).where(AuditEntry.action == "plate_code.issued")
    assert session.scalar(issued) == 1


def test_the_picture_leads_to_the_check(place: Place, point: Api, plate_no: str) -> None:
    png = point.get(f"/api/plates/{plate_no}/code.png")
    assert (png.status_code, png.content_type) == (200, "image/png"), png.text
    link = read(Image.open(BytesIO(png.data)).convert("L"))
    assert link == point.get(f"/api/plates/{plate_no}/code").json["link"]
    svg = point.get(f"/api/plates/{plate_no}/code.svg")
    assert (svg.status_code, svg.content_type.partition(";")[0]) == (200, "image/svg+xml")
    path = link.removeprefix(place.app.extensions["mapai.settings"].public_url.upper())
    assert path.startswith("/P/")
    page = place.app.test_client().get(path)
    assert page.status_code == 200
    check_page(page)
    bike = place.district.session.scalars(select(Bike).where(Bike.state == "plated")).one()
    for shown in ("这块号牌有效", plate_no, bike.vehicle_code, bike.battery_code):
        assert shown in page.text
    assert "陈" not in page.text


def test_a_good_code_tells_anybody_the_bike_and_nobody_the_owner(place: Place, point: Api, plate_no: str) -> None:
    code = point.get(f"/api/plates/{plate_no}/code").json
    told = check(place, code["payload"])
    assert (told["verdict"], told["good"], told["plate_no"], told["owner"]) == ("valid", True, plate_no, None)
    assert set(told["bike"]) == {
        "vehicle_code",
        "registration_code",
        "model",
        "standard",
        "battery_kind",
        "battery_code",
    }
    assert check(place, code["payload"].lower())["verdict"] == "valid"
    published = place.visitor().get("/api/plate-keys").json["keys"]
    assert [key["key_id"] for key in published] == [code["key_id"]]
    assert "private" not in str(published)


def test_the_owner_is_told_to_those_entitled_and_each_look_is_recorded(
    place: Place, point: Api, owner: Any, plate_no: str
) -> None:
    payload = point.get(f"/api/plates/{plate_no}/code").json["payload"]
    path = f"/api/plate-codes/{payload}"
    stranger = place.as_role("owner", person_id=place.district.owner().person_id)
    for other in (place.visitor(), point, stranger):
        assert other.get(path).json["owner"] is None
    session = place.district.session
    seen = select(AuditEntry).where(AuditEntry.action == "plate.owner_seen").order_by(AuditEntry.id)
    assert session.scalars(seen).all() == []
    for entitled in (
        place.as_role("auditor"),
        place.as_role("operator"),
        place.as_role("owner", person_id=owner.person_id),
    ):
        assert entitled.get(path).json["owner"] == "陈*英"
    session.rollback()
    looks = session.scalars(seen).all()
    assert len({entry.actor for entry in looks}) == 3
    assert {entry.subject for entry in looks} == {f"plate:{plate_no}"}


def test_others_do_not_reach_a_plate(place: Place, plate_no: str, owner: Any) -> None:
    others = (
        place.as_role("dealer", dealer_id=place.district.dealer().id),
        place.as_role("owner", person_id=place.district.owner().person_id),
    )
    for other in others:
        for ending in ("code", "code.png", "code.svg"):
            answer = other.get(f"/api/plates/{plate_no}/{ending}")
            assert (answer.status_code, faults(answer)) == (404, {"plate_no": "plate_not_found"})
        body = {"step": "report_stolen"}
        assert other.post(f"/api/plates/{plate_no}/reports", body).status_code == 403
    mine = place.as_role("owner", person_id=owner.person_id)
    assert mine.get(f"/api/plates/{plate_no}/code.png").status_code == 200


def test_a_replacement_revokes_the_last(place: Place, clerk: Api, plate_no: str) -> None:
    path = f"/api/plates/{plate_no}/code-replacements"
    early = clerk.post(path, {"reason": "damaged"})
    assert (early.status_code, list(faults(early).values())) == (409, ["plate_code_not_issued"])
    first = clerk.get(f"/api/plates/{plate_no}/code").json
    answer = clerk.post(path, {"reason": "damaged", "valid_until": "2020-01-01"}, key="replace-it")
    assert answer.status_code == 201, answer.text
    second = answer.json
    assert (second["edition"], second["state"]) == (2, "valid")
    assert clerk.post(path, {"reason": "damaged", "valid_until": "2020-01-01"}, key="replace-it").json == second
    assert check(place, first["payload"])["verdict"] == "replaced"
    assert check(place, second["payload"])["verdict"] == "expired"
    third = clerk.post(path, {"reason": "misprinted"}).json
    assert check(place, third["payload"])["verdict"] == "valid"
    entry = place.district.session.scalars(
        select(AuditEntry).where(AuditEntry.action == "plate_code.replace").order_by(AuditEntry.id)
    ).first()
    assert entry is not None
    assert entry.detail == {"edition": 1, "state": ["valid", "replaced"], "reason": "damaged"}
    assert faults(clerk.post(path, {"reason": "because"})) == {"reason": "not_a_choice"}
    assert faults(clerk.post("/api/plates/D999999/code-replacements", {"reason": "lost"})) == {
        "plate_no": "plate_not_found"
    }


def test_stolen_found_and_cancelled_each_say_so(place: Place, clerk: Api, plate_no: str) -> None:
    payload = clerk.get(f"/api/plates/{plate_no}/code").json["payload"]
    path = f"/api/plates/{plate_no}/reports"
    visitor = place.app.test_client()
    for step, verdict, words in (
        ("report_stolen", "stolen", "已经报失"),
        ("report_found", "valid", "有效"),
        ("cancel", "cancelled", "已经注销"),
    ):
        answer = clerk.post(path, {"step": step})
        assert answer.status_code == 201, answer.text
        assert check(place, payload)["verdict"] == verdict
        page = visitor.get(f"/p/{payload}")
        check_page(page)
        assert words in page.text
        picture = clerk.get(f"/api/plates/{plate_no}/code.png")
        assert picture.status_code == (200 if verdict == "valid" else 409)
    for step in ("report_stolen", "report_found", "cancel"):
        assert list(faults(clerk.post(path, {"step": step})).values()) == ["step_not_allowed"]
    again = clerk.post(f"/api/plates/{plate_no}/code-replacements", {"reason": "lost"})
    assert list(faults(again).values()) == ["step_not_allowed"]


def test_forged_unknown_and_unreadable(place: Place, clerk: Api, plate_no: str) -> None:
    payload = clerk.get(f"/api/plates/{plate_no}/code").json["payload"]
    forged = payload[:40] + ("B" if payload[40] == "A" else "A") + payload[41:]
    told = check(place, forged)
    assert (told["verdict"], told["good"], told["plate_no"], told["bike"]) == ("forged", False, None, None)
    session = place.district.session
    session.execute(update(PlateCode).values(payload="taken out of the register"))
    session.commit()
    told = check(place, payload)
    assert (told["verdict"], told["plate_no"], told["bike"]) == ("unknown", plate_no, None)
    visitor = place.app.test_client()
    for text, words in ((forged, "不是我们签发的"), (payload, "登记里没有这枚二维码")):
        page = visitor.get(f"/p/{text}")
        check_page(page)
        assert words in page.text
    answer = place.visitor().get("/api/plate-codes/" + payload[:-1])
    assert (answer.status_code, faults(answer)) == (404, {None: "plate_code_unreadable"})
    page = visitor.get("/p/nothing")
    assert page.status_code == 404
    check_page(page)
    assert "这不是一个完整的号牌二维码" in page.text


def test_a_new_key_signs_and_old_plates_stay_good(place: Place, clerk: Api, plate_no: str) -> None:
    first = clerk.get(f"/api/plates/{plate_no}/code").json
    settings = place.app.extensions["mapai.settings"]
    path = signing_file(settings)
    assert path is not None
    kept = path.read_bytes()
    try:
        fresh = rotate(path, today=settings.clock.now().astimezone(LOCAL).date())
        assert check(place, first["payload"])["verdict"] == "valid"
        second = clerk.post(f"/api/plates/{plate_no}/code-replacements", {"reason": "key_replaced"}).json
        assert (first["key_id"], second["key_id"]) == (fresh - 1, fresh)
        assert check(place, second["payload"])["verdict"] == "valid"
        assert check(place, first["payload"])["verdict"] == "replaced"
    finally:
        path.write_bytes(kept)


def test_the_command_issues_what_is_missing(place: Place, plate_no: str, capsys: pytest.CaptureFixture[str]) -> None:
    settings = place.app.extensions["mapai.settings"]
    assert issue(settings) == 0
    assert issue(settings) == 0
    told = capsys.readouterr().out.splitlines()
    assert [" 1 issued" in told[0], " 0 issued" in told[1]] == [True, True]
    session = place.district.session
    rows = session.execute(select(Plate.plate_no, PlateCode.edition).join(PlateCode)).all()
    assert [tuple(row) for row in rows] == [(plate_no, 1)]
    assert plate_keys(settings).signer is not None
    assert plate_keys(replace(settings, mode="demo")).public
