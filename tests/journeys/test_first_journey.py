"""The whole length in a real browser: from the point's first screen to the money in the owner's wallet.

Every process runs for real: embedded PostgreSQL, the partners' servers, web under granian, the scheduler.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from app.demo import DEALER_LOGIN, DemoOwner
from registry.receiving import LARGEST_PHOTO_BYTES
from tests.journeys.ground import DESK, SETTLED_MS, STEP_MS, Ground, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def wait_until_small(page: Page, selector: str) -> None:
    """Wait until the page has made the chosen picture small enough to be sent."""
    for _ in range(STEP_MS // 100):
        if page.locator(selector).evaluate("input => input.files[0].size") < LARGEST_PHOTO_BYTES:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the picture was not made smaller")


def at_the_point(visitor: Visitor, owner: DemoOwner) -> int:
    """Take the owner's bike through every step at the counter; return the position it got."""
    page = visitor.page
    visitor.sign_in(DEALER_LOGIN)
    expect(page.get_by_role("heading", name="谁在等谁")).to_be_visible()
    page.get_by_role("link", name="登记一辆旧车").click()
    page.get_by_label("旧车的号牌号码").fill(owner.plate_no.lower())
    page.get_by_label("车主姓名").fill(owner.name)
    page.get_by_label("车主身份证号码").fill(owner.id_no)
    page.get_by_label("车主手机号码").fill(owner.phone)
    visitor.press("登记，和交警核对", "核对通过，可以收旧车了")
    heavy, weight = visitor.picture("frame.jpg", 2_400, 1_800)
    assert weight > LARGEST_PHOTO_BYTES, "this picture would pass without being made smaller"
    page.locator("#f-frame_no").set_input_files(heavy)  # type: ignore[arg-type]
    wait_until_small(page, "#f-frame_no")
    for kind in ("plate", "whole"):
        page.locator(f"#f-{kind}").set_input_files(visitor.picture(f"{kind}.jpg", 320, 240)[0])  # type: ignore[arg-type]
    visitor.press("存照片", "存好了 3 张")
    page.get_by_label("车架号", exact=True).fill(owner.frame_no)
    page.get_by_label("报废电动自行车回收证明编号").fill("HS-2026-061173")
    page.get_by_label("车架、电机、电池都在").check()
    visitor.press("收下旧车", "旧车收下了")
    visitor.press("向交警申请注销旧号牌", "旧号牌已注销")
    page.get_by_label("卖哪一辆").select_option(index=1)
    page.get_by_label("发票号码").fill("24332000000061173")
    for label, typed in (("标价", "3,299"), ("车企让利", "200"), ("旧车回收抵扣", "100"), ("车主实付", "2,999.00")):
        page.get_by_label(label).fill(typed)
    visitor.press("卖出，记下发票", "新车卖出了")
    visitor.press("向交警申请新号牌", "补贴 300 元")
    return int(re.search(r"序号 ([\d,]+)", page.locator("main").inner_text())[1].replace(",", ""))  # type: ignore[index]


def at_home(visitor: Visitor, owner: DemoOwner, position: int) -> None:
    """The owner confirms a wallet and watches, without touching the page, until the money has arrived."""
    page = visitor.page
    visitor.sign_in(owner.login)
    expect(page.get_by_role("heading", name="我的换新")).to_be_visible()
    expect(page.locator(".stage")).to_contain_text(f"{position:,}号")
    page.get_by_role("link", name="填收款钱包").click()
    page.get_by_label("钱包编号").fill("0062000000000003306")
    visitor.press("继续", "请核对一遍再交")
    visitor.press("核对并用这个钱包", "尾号 3306")
    expect(page.locator(".stage")).to_contain_text("补贴已到账", timeout=SETTLED_MS)
    expect(page.get_by_role("heading", name="已到账", exact=True)).to_be_visible()
    expect(page.locator("main")).to_contain_text("300.00 元")


def at_the_bureau(visitor: Visitor, position: int) -> None:
    """The clerk sees it on the board, and the board adds up."""
    page = visitor.page
    visitor.sign_in("operator")
    expect(page.locator("main")).to_contain_text("四项之和等于总额")
    page.get_by_role("link", name=f"序号 {position:,}", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("已到账")
    expect(page.locator("main")).to_contain_text("9 条通过，0 条不通过")
    expect(page.locator("main")).to_contain_text("第一阶段已发放")


def test_an_old_bike_becomes_money_in_its_owners_wallet(ground: Ground):
    with ground.visitor() as point, ground.visitor() as owner, ground.visitor(DESK) as clerk:
        bikes_owner = ground.owner()
        position = at_the_point(point, bikes_owner)
        at_home(owner, bikes_owner, position)
        at_the_bureau(clerk, position)
    ground.verify()
