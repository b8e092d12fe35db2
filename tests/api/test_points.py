"""The public list of points by API, and what is printed for them: who may, what is refused, that it is a PDF."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from app.print import typesetting
from registry.dealers import LOCAL
from tests.api.conftest import Api, Place, faults, opening
from tests.print import pdf as read

ALWAYS = "每天 00:00-24:00"


def never_today() -> str:
    """Hours of the day before yesterday and none other, by the district's wall clock."""
    weekday = (datetime.now(UTC).astimezone(LOCAL) - timedelta(days=2)).weekday()
    return f"周{'一二三四五六日'[weekday]} 00:00-24:00"


def listed(api: Api, **query: str) -> list[str]:
    answer = api.get("/api/points", **query)
    assert answer.status_code == 200, answer.text
    return [point["point_no"] for point in answer.json["points"]]


def test_the_list_and_what_narrows_it(place: Place, point: Api) -> None:
    session, visitor = place.district.session, place.visitor()
    place.dealer.opening_hours = ALWAYS
    closed, off = place.district.dealer(), place.district.dealer(trade_in_on=False)
    closed.opening_hours, off.opening_hours = never_today(), "看情况"
    closed.sub_district = "半山街道"
    place.district.dealer(state="suspended")
    session.commit()
    first, second, third = place.dealer.point_no, closed.point_no, off.point_no
    assert listed(visitor) == [first, second, third]
    assert listed(visitor, open_now="true") == [first]
    assert listed(visitor, open_now="false") == [first, second, third]
    assert listed(visitor, trade_in_on="true") == [first, second]
    assert listed(visitor, sub_district="半山街道") == [second]
    assert listed(visitor, q=off.name) == [third]
    assert listed(visitor, q=off.name, trade_in_on="true") == []
    assert faults(visitor.get("/api/points", open_now="1", q="x" * 61)) == {
        "open_now": "not_yes_or_no",
        "q": "too_long",
    }
    assert point.post("/api/trade-ins", opening(place.district.owner())).status_code == 201
    answers = {each["point_no"]: each for each in visitor.get("/api/points").json["points"]}
    assert answers[first]["under_way_today"] == 1
    assert [answers[each]["open_now"] for each in (first, second, third)] == [True, False, None]
    assert answers[first]["open_until"] == "24:00"
    assert answers[third]["trade_in_on"] is False


def test_one_point_whatever_became_of_it(place: Place) -> None:
    visitor = place.visitor()
    answer = visitor.get(f"/api/points/{place.dealer.point_no}").json
    assert answer["credit_code"] == place.dealer.credit_code
    assert (answer["state"], answer["state_zh"], answer["trade_in_on"]) == ("licensed", "已授牌", True)
    assert answer["licensed_until"] is None
    place.dealer.state, place.dealer.licensed_until = "suspended", date(2027, 1, 31)
    place.district.session.commit()
    answer = visitor.get(f"/api/points/{place.dealer.point_no}").json
    assert (answer["state_zh"], answer["trade_in_on"], answer["licensed_until"]) == ("已暂停", False, "2027-01-31")
    for unknown in ("9999", "0001'--", "啊" * 40, "{x}"):
        gone = visitor.get(f"/api/points/{unknown}")
        assert (gone.status_code, faults(gone)) == (404, {"point_no": "point_not_found"})
    assert visitor.get("/api/points/%00").status_code == 404


def test_plaque_and_poster_for_the_point_itself_and_for_staff(place: Place, point: Api, programme: None) -> None:
    other = place.district.dealer()
    at, elsewhere = f"/api/points/{place.dealer.point_no}", f"/api/points/{other.point_no}"
    for sheet, size in (("plaque.pdf", (3, 3, 297, 210)), ("poster.pdf", (3, 3, 297, 420))):
        for reader in (point, place.as_role("auditor") if sheet == "plaque.pdf" else place.as_role("operator")):
            answer = reader.get(f"{at}/{sheet}")
            assert (answer.status_code, answer.content_type) == (200, "application/pdf"), answer.text
            assert answer.headers["Cache-Control"] == "private, no-store"
            assert read.boxes(answer.data, "TrimBox") == [size]
            assert place.dealer.name in read.text(answer.data)
        assert (point.get(f"{elsewhere}/{sheet}").status_code) == 404
        assert place.visitor().get(f"{at}/{sheet}").status_code == 401
    assert "300元" in read.text(point.get(f"{at}/poster.pdf").data)
    owner = place.as_role("owner", person_id=place.district.owner().person_id)
    assert faults(owner.get(f"{at}/plaque.pdf")) == {None: "wrong_role"}


def test_what_is_not_printed(place: Place, point: Api) -> None:
    at = f"/api/points/{place.dealer.point_no}"
    no_programme = point.get(f"{at}/poster.pdf")
    assert (no_programme.status_code, list(faults(no_programme).values())) == (404, ["programme_not_found"])
    place.dealer.licensed_until = date(2026, 1, 1)
    place.district.session.commit()
    ran_out = point.get(f"{at}/plaque.pdf")
    assert (ran_out.status_code, faults(ran_out)) == (409, {None: "plaque_not_due"})


def test_labels_for_the_dealers_own_stock(place: Place, point: Api) -> None:
    empty = point.get("/api/bikes/labels.pdf")
    assert (empty.status_code, faults(empty)) == (409, {None: "no_labels"})
    first, second = (place.district.stock(place.dealer) for _ in range(2))
    theirs = place.district.stock(place.district.dealer())
    newest = point.get("/api/bikes/labels.pdf", limit="1")
    assert (newest.status_code, newest.content_type) == (200, "application/pdf"), newest.text
    assert second.registration_code in read.text(newest.data)
    assert first.registration_code not in read.text(newest.data)
    chosen = point.get("/api/bikes/labels.pdf", codes=f"{first.registration_code},{second.registration_code}")
    words = read.text(chosen.data)
    assert re.search(f"{first.registration_code}.*{second.registration_code}", words, re.S)
    assert first.vehicle_code in words
    battery = point.get("/api/bikes/labels.pdf", of="battery", codes=first.registration_code)
    assert "装在车辆" in read.text(battery.data)
    assert first.battery_code in read.text(battery.data)
    refused = point.get("/api/bikes/labels.pdf", codes=theirs.registration_code)
    assert (refused.status_code, faults(refused)) == (422, {"codes": "labels_not_in_stock"})
    many = ",".join(f"CODE{number}" for number in range(501))
    assert faults(point.get("/api/bikes/labels.pdf", codes=many)) == {"codes": "too_many_labels"}
    assert faults(point.get("/api/bikes/labels.pdf", of="car")) == {"of": "not_a_choice"}
    assert faults(point.get("/api/bikes/labels.pdf", limit="501")) == {"limit": "out_of_range"}
    assert faults(place.as_role("operator").get("/api/bikes/labels.pdf")) == {None: "wrong_role"}


def test_a_machine_without_fonts_or_with_many_waiting_says_so(place: Place, point: Api, monkeypatch) -> None:
    path = f"/api/points/{place.dealer.point_no}/plaque.pdf"
    seats = 1 + typesetting.WAITING_AT_MOST
    for _ in range(seats):
        assert typesetting._seats.acquire(blocking=False)
    try:
        busy = point.get(path)
    finally:
        typesetting._seats.release(seats)
    assert (busy.status_code, faults(busy), busy.headers["Retry-After"]) == (503, {None: "printer_busy"}, "5")
    monkeypatch.setattr("app.print.typesetting.fonts_are_there", lambda: False)
    bare = point.get(path)
    assert (bare.status_code, faults(bare)) == (503, {None: "fonts_missing"})
    assert "mapai assets" in bare.json["errors"][0]["remedy_zh"]
    assert place.visitor().get("/api/points").status_code == 200
