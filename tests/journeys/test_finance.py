"""Finance works a difference in the bank's statement to its end, with a second person where money is written off."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from playwright.sync_api import expect

from subsidy.operator import Statement, StatementLine
from subsidy.reconciliation import compare
from tests.journeys.ground import DESK, Ground, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BANK_NUMBER = "EC-JOURNEY-000042"
FINDING = "银行书面答复：这一笔是它自己的测试，没有动我方的钱。"


def statement_of_the_bank(ground: Ground) -> date:
    """A day long over, in which the bank lists a payment nobody here ordered; returns the day."""
    now = datetime.now(UTC)
    day = (now - timedelta(days=40)).date()
    line = StatementLine(bank_number=BANK_NUMBER, state="settled", amount_fen=30_000)
    with ground.session() as session:
        compare(
            session=session, statement=Statement(day=day, settled_count=1, settled_fen=30_000, lines=(line,)), now=now
        )
        session.commit()
    return day


def open_line(visitor: Visitor, day: date) -> None:
    """Go by the tabs, as people do: statements, the day, the line."""
    page = visitor.page
    page.get_by_role("navigation", name="主导航").get_by_role("link", name="对账", exact=True).click()
    page.get_by_role("link", name=day.isoformat(), exact=True).last.click()
    page.get_by_role("link", name=BANK_NUMBER, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("银行有，我方没有")


def test_finance_works_a_difference_to_its_end(ground: Ground) -> None:
    day = statement_of_the_bank(ground)
    with ground.visitor(DESK) as finance, ground.visitor(DESK) as reviewer:
        finance.sign_in("finance")
        page = finance.page
        page.get_by_role("navigation", name="主导航").get_by_role("link", name="待办").click()
        expect(finance.main).to_contain_text("对账差异没有了结")
        open_line(finance, day)
        page.get_by_role("button", name="记下来").click()
        expect(finance.page.get_by_role("alert")).to_contain_text("还没有选怎么了结")
        finance.complaints.clear()  # the browser names the 422 it was answered with
        page.get_by_label("怎么了结").select_option("write_off")
        page.get_by_label("查明了什么").fill(FINDING)
        finance.press("记下来", "要由另一位财务或者复核员批准")
        expect(page.get_by_role("button", name="批准核销")).to_have_count(0)

        reviewer.sign_in("reviewer")
        open_line(reviewer, day)
        expect(reviewer.main).to_contain_text(FINDING)
        expect(reviewer.main).to_contain_text("-300.00 元")
        reviewer.page.get_by_label("意见").fill("看过银行的书面答复，同意。")
        reviewer.press("批准核销", "批准了，这条差异了结了")

        page.reload()
        expect(finance.main).to_contain_text("了结了")
        finance.open("/desk/statements")
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=day.isoformat(), exact=True))
        expect(row).to_contain_text("对平了")
