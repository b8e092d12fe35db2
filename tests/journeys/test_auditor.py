"""An auditor reads from the board down to one event, takes the claims along for a reason, and can change nothing."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.demo import PASSWORD
from tests.journeys.ground import DESK, Ground, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REASON = "年度审计抽查"
# One write of each kind of the desk's; the roles of every route stand in tests/web/test_access.py.
WRITES = (
    "/board/claims/1/hold",
    "/board/claims/1/release",
    "/board/claims/1/fault-waiver",
    "/board/claims/1/overrule",
    "/board/claims/1/return",
    "/desk/batches",
    "/desk/batches/1/approval",
    "/desk/programme/draft",
    "/desk/programme/switch",
    "/desk/statement-lines/1/resolution",
    "/desk/staff/new",
)
API_WRITES = ("/api/payment-batches", "/api/payouts/1/resolution", "/api/trade-ins")


def follow(visitor: Visitor, where: str) -> str:
    """Click the first link in a table of the page; return its words."""
    link = visitor.main.locator("tbody th a").first
    words = link.inner_text()
    link.click()
    visitor.page.wait_for_url(re.compile(where))
    return words


def test_an_auditor_reads_it_all_and_changes_nothing(ground: Ground) -> None:
    with ground.visitor(DESK, accept_downloads=True) as auditor:
        auditor.sign_in("auditor")
        expect(auditor.main).to_contain_text("四项之和等于总额")
        stays_open(auditor)
        goes_down(auditor)
        rows = takes_along(auditor)
        is_written_down(auditor, rows)
        changes_nothing(auditor)


def stays_open(auditor: Visitor) -> None:
    """The board renews itself; a table the reader has opened stays open, and the focus where it was."""
    table = auditor.page.locator("#burn-table")
    table.locator("summary").click()
    link = auditor.page.locator("#to-breakdown")
    link.focus()
    head = auditor.main.locator("[data-live] time").first
    told = head.get_attribute("datetime") or ""
    expect(head).not_to_have_attribute("datetime", told)
    expect(table).to_have_attribute("open", "")
    expect(link).to_be_focused()


def goes_down(auditor: Visitor) -> None:
    """Programme, stage, sub-district, point, claim, event: each one click below the other."""
    auditor.page.locator("#to-breakdown").click()
    expect(auditor.main.get_by_role("heading", level=1)).to_have_text("按阶段看")
    stage = follow(auditor, r"breakdown\?stage=1")
    district = follow(auditor, r"sub_district=")
    point = follow(auditor, r"/board/claims\?.*point=").split()[0]
    claims = auditor.main.locator("tbody tr")
    assert claims.count() > 0
    follow(auditor, r"/board/claims/\d+$")
    crumbs = auditor.main.get_by_role("navigation", name="所在位置")
    for words in (stage, district, point):
        expect(crumbs).to_contain_text(words)
    auditor.main.get_by_role("link", name=re.compile(r"号事件：记入队列")).click()
    expect(auditor.main).to_contain_text("这个事件定下的")


def takes_along(auditor: Visitor) -> int:
    """Exports what the filter shows, with owners masked; return how many claims."""
    auditor.open("/board/claims?state=awarded")
    auditor.main.get_by_text("导出这里的全部申领").click()
    assert auditor.main.get_by_label("写出车主全名").count() == 0
    auditor.main.get_by_label("文件", exact=True).select_option("csv")
    auditor.main.get_by_label("导出做什么用", exact=True).fill(REASON)
    with auditor.page.expect_download() as download:
        auditor.page.get_by_role("button", name="导出", exact=True).click()
    header, *rows = csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig")))
    owner = header.index("车主")
    assert rows
    assert all("*" in row[owner] for row in rows)
    return len(rows)


def is_written_down(auditor: Visitor, rows: int) -> None:
    auditor.open("/desk/audit?action=claims.exported")
    row = auditor.main.locator("tbody tr").first
    for words in ("导出申领", REASON, "masked", str(rows)):
        expect(row).to_contain_text(words)


def changes_nothing(auditor: Visitor) -> None:
    """No page offers a deed, and whoever sends one all the same is refused."""
    auditor.open("/board/claims/1")
    assert auditor.main.locator("form[method=post]").count() == 0
    token = auditor.page.locator("input[name=csrf_token]").first.get_attribute("value") or ""
    for path in WRITES:
        answer = auditor.page.request.post(path, form={"csrf_token": token, "reason": REASON, "deed": "hold"})
        assert answer.status == 403, path
    signed = auditor.page.request.post("/api/sign-ins", data={"login": "auditor", "password": PASSWORD})
    assert signed.ok, signed.text()
    bearer = {"Authorization": f"Bearer {signed.json()['token']}", "Idempotency-Key": "an-auditor-tries-to-write"}
    for path in API_WRITES:
        assert auditor.page.request.post(path, headers=bearer, data={}).status == 403, path
