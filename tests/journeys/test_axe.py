"""No page breaks a rule of accessibility that a machine can check, in any of its looks.

A usual run opens each page in one of its looks, another for each page; ``--every-look`` opens each in all eight.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as Chromium
from sqlalchemy.orm import Session

from app.auth import COOKIE
from app.config import Settings
from app.web.blueprint import LOOK_COOKIE
from tests.journeys.furnished import Example, cookie_of, examples, furnish, served
from tests.journeys.ground import DESK, PHONE
from tests.web.desk_scene import Bureau
from tests.web.scene import make_scene

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LOOKS = list(itertools.product(("standard", "elder"), ("zh", "en"), ("light", "dark")))
LEAST_PAGES = 60
OPTIONS = {"resultTypes": ["violations"]}


@pytest.fixture
def bureau(settings: Settings, session: Session) -> Iterator[Bureau]:
    scene = make_scene(settings, session)
    bureau = Bureau(scene)
    furnish(bureau)
    yield bureau
    scene.close()


def test_no_page_breaks_a_rule_of_accessibility(
    bureau: Bureau, chromium: Chromium, request: pytest.FixtureRequest
) -> None:
    every = request.config.getoption("--every-look")
    found = examples(bureau.web)
    assert len(found) >= LEAST_PAGES, [example.endpoint for example in found]
    cookies = {login: cookie_of(bureau.web, login) for login in {one.login for one in found} if login is not None}
    faults: list[str] = []
    with served(bureau.web) as address:
        for number, look in enumerate(LOOKS):
            mine = found if every else found[number :: len(LOOKS)]
            faults += _look_at(chromium, address, mine, look, cookies)
    assert faults == []


def _look_at(
    chromium: Chromium, address: str, mine: list[Example], look: tuple[str, str, str], cookies: dict[str, str]
) -> list[str]:
    """Open the pages in one look, on the screen they are made for; return what axe finds."""
    mode, lang, theme = look
    chosen = {"name": LOOK_COOKIE, "value": f"mode:{mode}.lang:{lang}.theme:{theme}", "url": address}
    faults = []
    for login, group in itertools.groupby(sorted(mine, key=lambda one: one.login or ""), key=lambda one: one.login):
        desk = login is not None and login not in ("point", "begun", "owed0", "late1")
        context = chromium.new_context(viewport=DESK if desk else PHONE, base_url=address, locale="zh-CN")  # type: ignore[arg-type]
        context.add_cookies([chosen])  # type: ignore[list-item]
        if login is not None:
            context.add_cookies([{"name": COOKIE, "value": cookies[login], "url": address}])
        page = context.new_page()
        for example in group:
            page.goto(example.address, wait_until="load")
            for violation in Axe().run(page, options=OPTIONS).response["violations"]:
                where = "; ".join(node["html"][:160] for node in violation["nodes"][:3])
                faults.append(f"{example.address} {look}: {violation['id']} ({violation['impact']}): {where}")
        context.close()
    return faults
