"""Pages that stayed open while the world went on: another tab withdrew, the sign-in ended, the line is gone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from app.demo import DEALER_LOGIN
from tests.journeys.ground import PHONE, Ground, Visitor
from tests.journeys.test_point_whole import fill_opening, forget_the_line

pytestmark = [pytest.mark.browser, pytest.mark.slow]

THEN = re.compile(r"截至 .+\d\d:\d\d:\d\d。现在连不上，显示的是那时的情况")


def test_the_front_page_says_that_it_shows_what_was(ground: Ground) -> None:
    with ground.visitor(PHONE) as visitor:
        visitor.open("/")
        stage = visitor.page.locator(".stage")
        expect(stage).to_contain_text("，自动更新")
        visitor.context.set_offline(True)
        expect(stage).to_contain_text(THEN, use_inner_text=True)
        expect(stage.locator("[data-auto]")).to_be_hidden()
        visitor.context.set_offline(False)
        expect(stage.locator("[data-stale]")).to_be_hidden()
        expect(stage.locator("[data-auto]")).to_be_visible()
        forget_the_line(visitor)


def withdraw_in_another_tab(visitor: Visitor, address: str) -> None:
    other = visitor.context.new_page()
    other.goto(address)
    other.get_by_text("登记错了，或者车主不办了").click()
    other.get_by_role("button", name="撤回这笔登记").click()
    expect(other.locator("main")).to_contain_text("这笔登记已撤回")
    other.close()


def test_a_step_pressed_on_a_stale_page_is_answered_at_its_top(ground: Ground) -> None:
    owner = ground.owner(account=False)
    with ground.visitor() as visitor:
        visitor.sign_in(DEALER_LOGIN)
        page = visitor.open("/point/open")
        fill_opening(page, owner)
        visitor.press("登记，和交警核对", then="给旧车拍照")
        withdraw_in_another_tab(visitor, page.url)
        withdraw = page.get_by_role("button", name="撤回这笔登记")
        page.get_by_text("登记错了，或者车主不办了").click()
        withdraw.click()
        said = page.get_by_role("alert")
        expect(said).to_contain_text("已撤回")
        expect(said).to_be_in_viewport()
        expect(visitor.main.get_by_role("button", name=re.compile("存照片|撤回这笔登记"))).to_have_count(0)
        expect(page.locator("[data-outbox-panel] [data-list] li")).to_have_count(0)
        visitor.complaints = [words for words in visitor.complaints if "409" not in words]


def test_a_sign_in_that_ended_meanwhile_is_one_tap_away(ground: Ground) -> None:
    owner = ground.owner(account=False)
    with ground.visitor() as visitor:
        visitor.sign_in(DEALER_LOGIN)
        page = visitor.open("/point/open")
        fill_opening(page, owner)
        visitor.context.clear_cookies()
        page.get_by_role("button", name="登记，和交警核对").click()
        said = page.locator("[data-outbox-note]")
        expect(said).to_contain_text("登录过期了")
        expect(said.get_by_role("link", name="用这个账号登录")).to_be_visible()
        expect(page.locator("[data-stopped]")).to_be_visible()
        visitor.complaints = [words for words in visitor.complaints if "401" not in words]
