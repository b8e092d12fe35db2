"""Every page a role can reach from its first screen is sound, and no link or form leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from urllib.parse import urldefrag, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.engine import make_url

from app.access import rule_of
from app.auth import COOKIE
from app.web.blueprint import LOOK_COOKIE
from app.web.place import place_of
from registry.accounts import Account
from registry.dealers import Dealer
from tests.web.markup import check_page, check_strictly
from tests.web.scene import STAFF, Browser, Scene, words_of

MANY = 120
CHINESE = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
MASKED = re.compile(r"[\u3400-\u9fff]\*+[\u3400-\u9fff]?")


@pytest.fixture
def busy(running: Scene) -> Scene:
    """A district with trade-ins at every step and claims in several states."""
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    owners = [running.owner(f"owner{number}") for number in range(11)]
    for owner in owners[:6]:
        point.complete(running, owner)  # five places: the sixth waits
    for steps, owner in enumerate(owners[6:]):
        bike = running.district.stock(running.dealer)
        point.open_trade_in(owner)
        for step in (
            point.send_photos,
            lambda owner=owner: point.receive(owner),
            lambda: point.send(action="/cancellation"),
            lambda owner=owner, bike=bike: point.sell(bike.vehicle_code, owner),
        )[:steps]:
            step()
    wallets = Browser(app)
    wallets.sign_in("owner0")
    wallets.give_wallet("W10001")
    return running


def names_in(scene: Scene) -> set[str]:
    """What stays Chinese on an English page: names of points, sub-districts and people, and the city on a plate."""
    dealers = scene.session.execute(select(Dealer.name, Dealer.sub_district)).all()
    people = scene.session.scalars(select(Account.display_name)).all()
    city = place_of(scene.settings.district).city
    return {city, *people, *(name for dealer in dealers for name in dealer)} - {""}


def crawl(app: Flask, browser: Browser, start: str, *, names: Iterable[str] = ()) -> dict[str, int]:
    """Follow every link from ``start``; return each address with its status. Every page is checked on the way.

    The first page of each kind is parsed strictly and opened in English as well; ``names`` stay Chinese there.
    """
    adapter = app.url_map.bind("localhost")
    waiting, seen, kinds = [start], {}, set()
    while waiting and len(seen) < MANY:
        address = waiting.pop(0)
        if address in seen:
            continue
        page = browser.open(address)
        seen[address] = page.status_code
        if page.mimetype != "text/html":
            continue
        markup = check_page(page)
        kind, _ = adapter.match(urlsplit(address).path)
        if kind not in kinds:
            kinds.add(kind)
            check_strictly(page)
            check_english(browser, address, names)
        for link in markup.links:
            if link.startswith(("#", "tel:")):
                continue
            assert link.startswith("/"), f"{link} on {address} leads out of the site"
            plain = urldefrag(link).url
            if not plain.startswith("/look"):
                waiting.append(plain)
        for method, action in markup.actions:
            endpoint, _ = adapter.match(urlsplit(action).path or address, method=method)
            assert endpoint in app.view_functions
    return seen


def check_english(browser: Browser, address: str, names: Iterable[str]) -> None:
    """Assert that the page at ``address`` is sound in English and says in English what it is."""
    browser.client.set_cookie(LOOK_COOKIE, "lang:en")
    try:
        page = browser.open(address)
    finally:
        browser.client.delete_cookie(LOOK_COOKIE)
    markup = check_page(page, english=True)
    check_strictly(page)
    heads = [markup.title, *(words_of(head) for head in re.findall(r"<h1\b.*?</h1>", page.text, re.S))]
    for head in heads:
        unnamed = reduce(lambda text, name: text.replace(name, ""), sorted(names, key=len, reverse=True), head)
        left = MASKED.sub("", unnamed)
        assert not CHINESE.search(left), (address, head)


FIRST_SCREENS = (
    (None, "/", {"/points", "/sign-in"}),
    ("owner0", "/my", {"/"}),
    ("owner5", "/my", set()),
    ("owner8", "/my", set()),
    ("point", "/point", {"/point/open", "/point/stock", "/point?waiting_for=over"}),
    (STAFF, "/board", {"/board/claims", "/board/claims?state=waiting", "/board/claims/6"}),
)
NOT_THERE = (
    (None, "/nowhere"),
    (STAFF, "/board/claims/999"),
    (STAFF, "/board/claims/99999999999999999999"),
    ("point", "/point?waiting_for=nobody"),
    ("owner1", "/my/GS-0000-00"),
    ("owner1", "/my/%00"),
)


def test_every_page_from_a_first_screen_on_is_sound(busy):
    app = busy.app()
    names = names_in(busy)
    for login, start, reached in FIRST_SCREENS:
        browser = Browser(app)
        if login is not None:
            browser.sign_in(login)
        seen = crawl(app, browser, start, names=names)
        assert set(seen.values()) == {200}, {address: status for address, status in seen.items() if status != 200}
        assert reached <= set(seen), (login, sorted(seen))
    for login, path in NOT_THERE:
        browser = Browser(app)
        if login is not None:
            browser.sign_in(login)
        page = browser.open(path)
        assert page.status_code == 404, path
        check_page(page)
        assert "没有找到" in browser.text


def test_every_page_carries_an_access_rule(scene):
    app = scene.app()
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert [name for name in endpoints if rule_of(app.view_functions[name]) is None] == []


def test_a_broken_page_shows_no_traceback(running, monkeypatch):
    app = running.app()
    app.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr("app.web.front.sub_districts", lambda: 1 / 0)
    page = Browser(app).open("/")
    assert page.status_code == 500
    check_page(page)
    assert "ZeroDivisionError" not in page.text
    assert "我们这边出了错" in page.text


@pytest.mark.parametrize("signed_in", [False, True])
def test_a_database_that_is_away_is_told_in_plain_words(scene, signed_in):
    away = make_url(scene.settings.database_url).set(database="nowhere_at_all")
    scene.settings = replace(scene.settings, database_url=away.render_as_string(hide_password=False))
    browser = Browser(scene.app())
    if signed_in:
        browser.client.set_cookie(COOKIE, "a token that was good a minute ago")
    page = browser.open("/")
    assert page.status_code == 503
    assert page.headers["Retry-After"]
    check_page(page)
    assert "系统暂时忙不过来" in browser.text
    assert "不会重复办理" in browser.text
    assert "再试一次" in browser.text


def test_the_pages_of_a_district_without_programme_are_sound(scene):
    app = scene.app()
    scene.owner("owner")
    pages = ((None, "/"), (STAFF, "/board"), (STAFF, "/board/claims"), ("point", "/point"), ("owner", "/my"))
    for login, path in pages:
        browser = Browser(app)
        if login is not None:
            browser.sign_in(login)
        page = browser.open(path)
        assert page.status_code == 200, path
        check_page(page)
