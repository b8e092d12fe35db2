"""The pages of the points: found by sub-district, by what is open, by words; one page for the QR on each plaque."""

from __future__ import annotations

from datetime import UTC, date, datetime

from tests.web.markup import check_page
from tests.web.scene import Browser, Scene

# Saturday, ten in the morning in Hangzhou: within «8:30–18:00».
MORNING = datetime(2026, 6, 20, 2, 0, tzinfo=UTC)
EVENING = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)


def look(scene: Scene | Browser, path: str, *, at: datetime = MORNING) -> tuple[Browser, str]:
    browser = scene if isinstance(scene, Browser) else Browser(scene.app(at=at))
    page = browser.open(path)
    assert page.status_code == 200, path
    check_page(page)
    return browser, page.text


def test_a_small_district_is_listed_at_once_with_what_is_open(running: Scene) -> None:
    browser, page = look(running, "/points")
    assert running.dealer.name in page
    assert "营业中，到 18:00" in page
    assert f'href="tel:{running.dealer.phone}"' in page
    assert f'href="/points/{running.dealer.point_no}"' in page
    assert "截至 6 月 20 日 10:00" in browser.text
    assert "现在没开门" in look(running, "/points", at=EVENING)[1]


def test_what_is_asked_narrows_the_list_and_stays_in_the_form(running: Scene) -> None:
    other = running.district.dealer(trade_in_on=False)
    other.sub_district, other.opening_hours = "祥符街道", "每天 20:00-24:00"
    running.session.commit()
    mine, browser = running.dealer.name, Browser(running.app(at=MORNING))
    for query, shown in (
        ("sub_district=祥符街道", {other.name}),
        ("open_now=yes", {mine}),
        ("trade_in_on=yes", {mine}),
        (f"q={other.point_no}", {other.name}),
        ("open_now=yes&sub_district=祥符街道", set()),
        ("open_now=no&all=yes", {mine, other.name}),
    ):
        _, page = look(browser, f"/points?{query}")
        assert {name for name in (mine, other.name) if name in page} == shown, query
    _, page = look(browser, "/points?sub_district=祥符街道&open_now=yes&q=祥<b>")
    assert '<option value="祥符街道" selected>' in page
    assert 'name="open_now" value="yes" checked' in page
    assert 'value="祥&lt;b&gt;"' in page
    assert "这里还没有代办点" in page
    assert "暂时不办置换" in look(browser, "/points?sub_district=祥符街道")[1]


def test_a_large_district_begins_with_its_sub_districts(running: Scene) -> None:
    for number in range(24):
        running.district.dealer().sub_district = "祥符街道" if number % 2 else "半山街道"
    running.session.commit()
    browser, page = look(running, "/points")
    assert running.dealer.name not in page
    assert "12 家，12 家开门" in browser.text
    assert "25 家开门" in browser.text
    assert running.dealer.name in look(browser, "/points?all=yes")[1]


def test_a_point_of_its_own(running: Scene) -> None:
    path = f"/points/{running.dealer.point_no}"
    browser, page = look(running, path)
    for words in (running.dealer.name, running.dealer.credit_code, "现在开门，能办置换", "今天在办 0 笔"):
        assert words in browser.text
    assert f'href="tel:{running.dealer.phone}"' in page
    assert 'href="/check"' in page
    assert "能办置换，现在没开门" in look(running, path, at=EVENING)[0].text


TAKES_NOTHING = (
    ({"state": "suspended"}, "授牌已暂停"),
    ({"state": "revoked"}, "授牌已撤销"),
    ({"state": "expired"}, "授牌已到期"),
    ({"licensed_until": date(2026, 6, 19)}, "授牌已到期"),
    ({"trade_in_on": False}, "现在不接置换"),
)


def test_the_plaque_of_a_point_that_takes_nothing_says_so(running: Scene) -> None:
    browser = Browser(running.app(at=MORNING))
    for changed, words in TAKES_NOTHING:
        point = running.district.dealer()
        for name, value in changed.items():
            setattr(point, name, value)
        running.session.commit()
        page = look(browser, f"/points/{point.point_no}")[1]
        assert words in browser.text, changed
        assert "能办置换，" not in browser.text
        assert 'class="notice notice-stop"' in page


def test_an_unknown_plaque_is_told_kindly(running: Scene) -> None:
    page = Browser(running.app()).open("/points/9999")
    assert page.status_code == 404
    check_page(page)
    assert "没有编号 9999 的代办点" in page.text


def test_hours_nobody_can_read_are_asked_by_telephone(running: Scene) -> None:
    running.dealer.opening_hours = "看情况"
    running.session.commit()
    browser, page = look(running, "/points")
    assert "营业时间请打电话问" in page
    assert "营业时间请先打电话问" in look(browser, f"/points/{running.dealer.point_no}")[0].text


def test_the_front_page_leads_there(running: Scene) -> None:
    assert 'href="/points"' in look(running, "/")[1]
