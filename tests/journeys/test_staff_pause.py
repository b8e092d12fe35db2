"""The bureau stops the programme and starts it again: one proposes, another approves, the public reads why."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.ground import DESK, Ground, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WHY = "系统停机核对台账，预计两小时。"
WHY_IN_ENGLISH = "The books are being checked, for about two hours."
GO_ON = "台账核对完了，没有差错。"


def propose(operator: Visitor, *, button: str, zh: str, en: str) -> str:
    """Fill in the reasons and propose; return the path of the change."""
    page = operator.page
    page.get_by_role("navigation", name="主导航").get_by_role("link", name="活动", exact=True).click()
    page.get_by_label("告诉公众的理由").fill(zh)
    page.get_by_label("同样的理由，英文").fill(en)
    page.get_by_label("给批准的人看的说明").fill("对账差异查清以前先停，查清了再开。")
    operator.press(button, "这是您自己起草的")
    expect(page.get_by_role("button", name="批准，马上生效")).to_have_count(0)
    return page.url


def approve(reviewer: Visitor, change: str) -> None:
    """Read what will change, row by row, and approve."""
    reviewer.page.goto(change)
    rows = reviewer.page.get_by_role("table")
    expect(rows).to_contain_text("已经决定的补贴")
    expect(rows).to_contain_text("不变")
    reviewer.press("批准，马上生效", "已批准")


def test_a_pause_takes_two_persons_and_the_front_page_says_why(ground: Ground) -> None:
    with ground.visitor(DESK) as operator, ground.visitor(DESK) as reviewer, ground.visitor() as anybody:
        operator.sign_in("operator")
        reviewer.sign_in("reviewer")
        change = propose(operator, button="提出暂停", zh=WHY, en=WHY_IN_ENGLISH)
        anybody.open("/")
        expect(anybody.main).not_to_contain_text(WHY)
        approve(reviewer, change)
        try:
            anybody.open("/")
            expect(anybody.main).to_contain_text(WHY)
            anybody.choose(lang="en")
            expect(anybody.main).to_contain_text(WHY_IN_ENGLISH)
            anybody.choose(lang="zh")
        finally:
            resumption = propose(operator, button="提出恢复", zh=GO_ON, en="The books are right.")
            approve(reviewer, resumption)
        anybody.open("/")
        expect(anybody.main).not_to_contain_text(WHY)
