"""The owner's own page in each state of the money, and the wallet."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.orm import sessionmaker

from subsidy.dispatch import pay_next
from tests.subsidy.payout_rows import release
from tests.web.markup import check_page
from tests.web.scene import NOW, Browser, Scene, three_stages


@pytest.fixture
def owning(running: Scene, point: Browser) -> tuple[Browser, str]:
    """An owner whose trade-in has completed, signed in, and its reference."""
    reference = point.complete(running, running.owner("owner"))
    browser = Browser(running.app())
    browser.sign_in("owner")
    return browser, reference


@pytest.fixture
def pay(running: Scene) -> Callable[[], str | None]:
    """Sends the next payout that is owed."""
    sessions = sessionmaker(running.session.get_bind())

    def send() -> str | None:
        release(sessions, running.bank)
        return pay_next(sessions=sessions, operator=running.bank, keyring=running.settings.keyring, now=lambda: NOW)

    return send


def test_the_money_waits_for_the_wallet(owning):
    browser, reference = owning
    page = browser.open("/my")
    assert browser.at == f"/my/{reference}"
    check_page(page)
    for words in ("您的序号", "300 元已经给您定下来了", "第一阶段的名额归您，序号不会变。", "等您", "300.00 元"):
        assert words in page.text
    assert page.text.index('name="wallet_id"') < page.text.index("办到哪一步了")


@pytest.mark.parametrize(
    ("wallet_id", "words"),
    [
        ("", "还没有填钱包编号"),
        ("a b", "钱包编号不对"),
        ("W1.unknown", "银行查不到这个钱包"),
        ("W1.mismatch", "不是车主本人"),
        ("W1.frozen", "被银行冻结了"),
    ],
)
def test_a_wallet_the_bank_refuses_is_told_in_words_and_kept(owning, wallet_id, words):
    browser, _ = owning
    browser.open("/my")
    page = browser.send(action="/wallet", wallet_id=wallet_id)
    assert page.status_code == 422
    check_page(page)
    assert words in page.text
    assert f'value="{wallet_id}"' in page.text
    assert browser.open(browser.at).status_code == 200, "the address the refused form left in the browser"


def test_settled(owning, pay):
    browser, _ = owning
    browser.open("/my")
    browser.send(action="/wallet", wallet_id="W10001")
    assert "补贴会发到尾号 0001 的钱包" in browser.text
    assert pay() == "settled"
    page = browser.open("/my")
    check_page(page)
    assert "已到账" in page.text
    assert "补贴已到账" in page.text
    assert 'name="wallet_id"' not in page.text


def test_while_the_bank_is_silent_no_change_of_wallet_is_offered(owning, pay):
    browser, reference = owning
    browser.open("/my")
    target, hidden = browser.form(action="/wallet")
    browser.send(action="/wallet", wallet_id="W1.silent")
    assert pay() == "unknown"
    page = browser.open("/my")
    check_page(page)
    for words in ("正在等银行答复", "您现在不用做什么", "我们不会再付第二次", "等银行"):
        assert words in page.text
    assert 'name="wallet_id"' not in page.text
    late = browser.client.post(target, data={**hidden, "wallet_id": "W20002"})
    assert late.status_code == 409
    check_page(late)
    assert "现在不能更换钱包" in late.text
    live = browser.open(f"/my/{reference}/live")
    assert "正在等银行答复" in live.text
    assert "<html" not in live.text


def test_a_rejected_payment_asks_for_another_wallet(owning, pay):
    browser, _ = owning
    browser.open("/my")
    browser.send(action="/wallet", wallet_id="W1.full")
    assert pay() == "rejected"
    page = browser.open("/my")
    check_page(page)
    assert "换一个收款钱包" in page.text
    assert "钱包余额已满" in page.text
    browser.send(action="/wallet", wallet_id="W30003")
    assert pay() == "settled"
    assert "已到账" in browser.open("/my").text


def test_a_claim_that_waits_knows_how_many_stand_before_it(scene):
    scene.programme(three_stages(places=(1, 1, 1)))
    app = scene.app()
    point = Browser(app)
    point.sign_in("point")
    for number in range(3):
        point.complete(scene, scene.owner(f"owner{number}"))
    browser = Browser(app)
    browser.sign_in("owner2")
    check_page(browser.page)
    for words in ("已排上队，等名额", "前面还有 1 人", "等名额"):
        assert words in browser.text
    assert "300" not in browser.text
    assert "名额满了，您按序号排着" in browser.text


def test_an_owner_who_has_not_begun_is_shown_the_way(running):
    owner = running.owner("owner")
    browser = Browser(running.app())
    browser.sign_in("owner")
    check_page(browser.page)
    assert "您还没有开始换新" in browser.text
    assert owner.plate_no in browser.text


def test_the_owner_reads_whose_turn_it_is(running, point):
    owner = running.owner("owner")
    point.open_trade_in(owner)
    browser = Browser(running.app())
    browser.sign_in("owner")
    check_page(browser.page)
    assert "核对通过，交旧车和旧号牌" in browser.text
    assert f"轮到{running.dealer.name}办" in browser.text
    assert "发给您的消息" in browser.text
