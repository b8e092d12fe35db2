"""The bureau's board adds up to the fen, and a claim's page shows what decided it."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import sessionmaker

from registry.accounts import Account
from registry.audit import AuditEntry, record
from registry.cases import open_case
from subsidy.dispatch import pay_next
from tests.subsidy.payout_rows import release
from tests.web.markup import check_page
from tests.web.scene import NOW, STAFF, Browser, Scene


@pytest.fixture
def desk(running: Scene, point: Browser) -> Browser:
    """The board after six completions for five places, one of them paid."""
    owners = [running.owner(f"owner{number}") for number in range(6)]
    for owner in owners:
        point.complete(running, owner)
    wallet = Browser(running.app())
    wallet.sign_in("owner0")
    wallet.give_wallet("W10001")
    sessions = sessionmaker(running.session.get_bind())
    release(sessions, running.bank)
    paid = pay_next(sessions=sessions, operator=running.bank, keyring=running.settings.keyring, now=lambda: NOW)
    assert paid == "settled"
    browser = Browser(running.app())
    browser.sign_in(STAFF)
    return browser


def stage_row(page: str, name: str) -> str:
    return re.search(rf'<tr><th scope="row"><a[^>]*>{name}</a></th>.*?</tr>', page, re.S)[0]  # type: ignore[index]


def figures_in(row: str) -> list[str]:
    return re.findall(r'<td class="n">([^<]*)</td>', row)


def test_the_board(running, desk):
    page = desk.page
    assert desk.at == "/board"
    check_page(page)
    first, second = (stage_row(page.text, name) for name in ("第一阶段", "第二阶段"))
    #   yuan each, places, awarded, held, left, paid, committed, reserved, free, total, carried in, moved on
    assert figures_in(first) == ["300", "5", "5", "0", "0", "300", "1,200", "0", "0", "1,500", "0", "0"]
    assert figures_in(second) == ["200", "4", "0", "0", "4", "0", "0", "0", "800", "800", "0", "0"]
    for words in ("四项之和等于总额", "第一阶段名额已经用完", "排队等名额", "累计办完 6 =", "给予补贴 5", "等名额 1"):
        assert words in page.text, words
    assert "不等于总额" not in page.text
    assert 'href="/board/claims/6"' in page.text


def test_a_board_that_does_not_add_up_says_so(running, desk):
    running.session.execute(text("UPDATE account_balance SET balance_fen = balance_fen - 1 WHERE account = 'paid:1'"))
    running.session.commit()
    again = Browser(running.app())
    again.sign_in(STAFF)
    check_page(again.page)
    assert "四项之和不等于总额" in again.text
    assert "台账加不起来" in again.text


def test_what_needs_a_person_stands_on_the_board(running, desk):
    open_case(session=running.session, kind="wallet_shared", subject="wallet:7", detail={})
    running.session.commit()
    again = Browser(running.app())
    again.sign_in(STAFF)
    check_page(again.page)
    assert "几个人用同一个钱包" in again.text
    assert "1 件" in again.text


def test_claims_by_state_and_by_position(running, desk):
    desk.open("/board/claims?state=waiting")
    check_page(desk.page)
    assert 'href="/board/claims/6"' in desk.page.text
    assert 'href="/board/claims/1"' not in desk.page.text
    desk.open("/board/claims/find?position=1")
    assert desk.at == "/board/claims/1"
    desk.open("/board/claims/find?position=nine")
    assert desk.at == "/board/claims"
    assert "序号是一个数字" in desk.text
    desk.open("/board/claims/find?position=9,999")
    assert desk.at == "/board/claims"
    assert desk.page.status_code == 200
    assert "没有序号 9,999 的申领" in desk.text


def test_a_paid_claims_page(running, desk):
    page = desk.open("/board/claims/1")
    check_page(page)
    for words in (
        "9 条通过，0 条不通过",
        "第一阶段可用",
        "第一阶段已决定",
        "第一阶段已发放",
        "300.00",
        "给予补贴，第一阶段 300 元",
        "已到账",
        "记入队列，序号 1",
        "收旧车和号牌",
        "云申领",
    ):
        assert words in page.text, words
    amounts = re.findall(r'<td class="n">([\d.,]+)</td></tr></tfoot>', page.text)
    assert amounts == ["300.00"]


def test_a_claims_page_says_who_did_what(running, desk):
    """A wallet the owner typed is the owner's deed, one that staff typed is theirs; the steps are the point's."""
    session = running.session
    staff = session.scalars(select(Account).where(Account.login == STAFF)).one()
    subject = session.scalar(select(AuditEntry.subject).where(AuditEntry.action == "wallet_confirmed"))
    assert subject is not None
    record(session=session, actor=f"account:{staff.id}", action="wallet_confirmed", subject=subject)
    session.commit()
    page = desk.open("/board/claims/1")
    check_page(page)
    deeds = [words for words in re.findall(r"<li\b.*?</li>", page.text, re.S) if "<span>确认收款钱包</span>" in words]
    assert len(deeds) == 2
    assert sum("<span>车主</span>" in deed for deed in deeds) == 1
    assert sum(f"<span>{staff.display_name}</span>" in deed for deed in deeds) == 1
    assert "<span>代办点 " in page.text


def test_a_waiting_claims_page_shows_no_money(running, desk):
    page = desk.open("/board/claims/6")
    check_page(page)
    assert "没有动过钱" in page.text
    assert "排队等名额" in page.text


def test_the_live_part_is_a_part_only(running, desk):
    answer = desk.client.get("/board/live")
    assert "<html" not in answer.text
    assert answer.headers["Content-Security-Policy"]
    assert desk.client.get("/board/live", headers={"If-None-Match": answer.headers["ETag"]}).status_code in (200, 304)


def test_the_forecast_says_its_finding_and_shows_the_figures_behind_it(desk):
    """All five places of the first stage are taken: its row says when, the others what is expected."""
    page = desk.page.text
    chart = page[page.index('aria-labelledby="fc-h"') :]
    chart = chart[: chart.index("</details>")]
    assert re.search(r"第一阶段的名额 \d+ 月 \d+ 日 \d\d:\d\d 用完了", page)
    assert chart.count("<svg") == 2, "one for the desk, one for a phone"
    rows = re.findall(r'<tr><th scope="row">(第.阶段)</th><td class="n">([\d,]+)</td>', chart)
    assert rows == [("第一阶段", "0"), ("第二阶段", "4"), ("第三阶段", "3")]
