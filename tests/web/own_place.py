"""An owner's page left open, watched while things happen to his trade-in: what it is shown, kept or made afresh."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from flask import Flask, template_rendered
from sqlalchemy.orm import sessionmaker
from werkzeug.test import TestResponse

from app import clock
from app.web.wording import local
from subsidy.dispatch import pay_next
from tests.subsidy.claim_scene import stopped_at
from tests.subsidy.payout_rows import release
from tests.web.scene import NOW, Browser, Scene

ENGLISH = "mode:standard.text:1.theme:system.lang:en"
ELDER = "mode:elder.text:2.theme:dark.lang:zh"
CLOCK = re.compile(r'(<p class="hint">.*?<time datetime=").*?(</time>)', re.S)


@contextmanager
def nothing_kept(app: Flask) -> Iterator[None]:
    """Every answer is made by the framework."""
    places = app.extensions["mapai.own_places"]
    most, places.most = places.most, 0
    try:
        yield
    finally:
        places.most = most


@contextmanager
def late_in_the_day(app: Flask) -> Iterator[None]:
    """It is shortly before midnight in the district, of the same day."""
    now = app.extensions["mapai.settings"].clock.now()
    wait = local(now).replace(hour=23, minute=58) - now
    with patch.object(clock, "real", lambda: datetime.now(UTC) + wait):
        yield


@contextmanager
def templates_rendered(app: Flask) -> Iterator[list[str]]:
    """The templates rendered meanwhile."""
    rendered: list[str] = []

    def note(_: Flask, template: Any, **__: Any) -> None:
        rendered.append(template.name)

    with template_rendered.connected_to(note, app):
        yield rendered


def timeless(page: str) -> str:
    told, times = CLOCK.subn(r"\1\2", page, count=1)
    assert times == 1
    return told


def ask(browser: Browser, reference: str, **headers: str) -> TestResponse:
    return browser.client.get(f"/my/{reference}/live", headers=headers)


class Watched:
    """An owner's page open in three looks; whatever each is shown is compared with what is made afresh."""

    def __init__(self, app: Flask, login: str, reference: str) -> None:
        self.app = app
        self.reference = reference
        self.browsers = []
        for look in ("", ENGLISH, ELDER):
            browser = Browser(app)
            browser.sign_in(login)
            if look:
                browser.client.set_cookie("mapai_look", look)
            self.browsers.append(browser)
        self.seen: list[str] = []

    def look(self, *words: str, changed: bool = True) -> None:
        """Ask twice and once more afresh, in every look; ``words`` stand on the Chinese page."""
        pages = []
        for browser in self.browsers:
            first = ask(browser, self.reference)
            with templates_rendered(self.app) as rendered:
                again = ask(browser, self.reference)
            assert rendered == [], "nothing had changed"
            with nothing_kept(self.app):
                fresh = ask(browser, self.reference)
                with late_in_the_day(self.app):
                    late = ask(browser, self.reference)
            assert first.status_code == again.status_code == fresh.status_code == late.status_code == 200
            assert timeless(first.text) == timeless(again.text) == timeless(fresh.text)
            assert late.text != fresh.text, "it tells its time"
            assert timeless(late.text) == timeless(fresh.text), "what is kept is shown all day"
            pages.append(timeless(fresh.text))
        for word in words:
            assert word in pages[0], (word, pages[0])
        assert pages[0] != pages[1]
        assert (pages != self.seen) == changed
        self.seen = pages


class Deeds(SimpleNamespace):
    """What tests/subsidy/claim_deeds.py takes: transactions of their own, and a clock."""

    def __init__(self, scene: Scene) -> None:
        self.sessions = sessionmaker(scene.session.get_bind(), expire_on_commit=False)
        super().__init__(clock=stopped_at(NOW))

    def do(self, act: Callable[[Any], Any]) -> Any:
        with self.sessions.begin() as session:
            return act(session)

    def write(self, *statements: Any) -> None:
        self.do(lambda session: [session.execute(statement) for statement in statements])


def deeds_of(scene: Scene) -> Any:
    """The deeds done to the scene's trade-ins."""
    return Deeds(scene)


def pay(scene: Scene) -> str | None:
    sessions = sessionmaker(scene.session.get_bind())
    release(sessions, scene.bank)
    return pay_next(sessions=sessions, operator=scene.bank, keyring=scene.settings.keyring, now=lambda: NOW)


def bike_of(scene: Scene, vehicle_code: str | None = None) -> str:
    return scene.district.stock(scene.dealer, vehicle_code=vehicle_code).vehicle_code
