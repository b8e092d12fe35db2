"""What a page says when too many people are here: in words, trying again by itself, and keeping what was typed."""

from __future__ import annotations

import re

from app.crowd import BUSY
from tests.web.markup import check_page
from tests.web.scene import Browser, Scene, words_of

CROWD = {BUSY: True}


def test_a_page_that_cannot_be_shown_says_so_and_opens_itself_again(running: Scene) -> None:
    client = running.app().test_client()
    page = client.get("/points?open_now=yes", environ_overrides=CROWD)
    assert page.status_code == 503
    assert int(page.headers["Retry-After"]) > 0
    check_page(page)
    assert "现在来看的人太多" in page.text
    (seconds,) = re.findall(r'<meta http-equiv="refresh" content="(\d+)">', page.text)
    assert int(page.headers["Retry-After"]) <= int(seconds) <= 15
    assert '<a class="btn" href="">' in page.text, "the way on is the page that was asked for"
    client.set_cookie("mapai_look", "lang:en")
    page = client.get("/", environ_overrides=CROWD)
    check_page(page, english=True)
    assert "Too many people are looking just now" in page.text
    assert "Try again" in page.text


def test_a_crowd_does_not_all_come_back_in_the_same_second(running: Scene) -> None:
    client = running.app().test_client()
    pages = [client.get("/check", environ_overrides=CROWD).text for _ in range(30)]
    waits = {re.search(r'http-equiv="refresh" content="(\d+)"', page)[1] for page in pages}
    assert len(waits) > 1


def test_what_was_typed_is_kept_and_sent_again_by_one_press(running: Scene, point: Browser) -> None:
    owner = running.owner()
    point.open("/point/open")
    target, hidden = point.form(action="/point/open")
    typed = {
        "plate_no": owner.plate_no,
        "owner_name": owner.name,
        "owner_id_no": owner.id_no,
        "owner_phone": owner.phone,
    }
    page = point.client.post(target, data={**hidden, **typed}, environ_overrides=CROWD)
    assert page.status_code == 503
    check_page(page)
    assert 'http-equiv="refresh"' not in page.text, "a form is not sent again by itself"
    assert "您填的内容都在" in words_of(page.text)
    point.page, point.at = page, target
    again = point.send(action="/point/open")
    assert again.status_code == 200
    assert point.at.startswith("/point/trade-ins/")


def test_no_password_goes_back_into_a_page(running: Scene) -> None:
    client = running.app().test_client()
    page = client.post("/sign-in", data={"login": "li", "password": "not to be shown"}, environ_overrides=CROWD)
    assert page.status_code == 503
    assert "not to be shown" not in page.text
