"""The owner's own page in each state of the money, and the wallet, one question a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import sessionmaker

from registry.audit import AuditEntry
from registry.owner_drafts import OwnerDraft
from subsidy.dispatch import pay_next
from tests.registry.line import id_number
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
    assert page.text.index(f'href="/my/{reference}/wallet"') < page.text.index("办到哪一步了")


@pytest.mark.parametrize(
    ("wallet_id", "words"),
    [
        ("", "还没有填钱包编号"),
        ("a b", "钱包编号不对"),
        (id_number(70_001), "这是证件号码，不是钱包编号"),
        ("W1.unknown", "银行查不到这个钱包"),
        ("W1.mismatch", "不是车主本人"),
        ("W1.frozen", "被银行冻结了"),
    ],
)
def test_a_wallet_that_cannot_be_taken_is_told_at_its_question_and_kept(owning, wallet_id, words):
    browser, _ = owning
    page = browser.give_wallet(wallet_id)
    assert page.status_code == 422
    check_page(page)
    assert words in page.text
    assert f'value="{wallet_id}"' in page.text
    assert 'href="#f-wallet_id"' in page.text
    assert browser.open(browser.at).status_code == 200, "the address the refused form left in the browser"


def test_settled(owning, pay):
    browser, reference = owning
    browser.give_wallet("W10001")
    assert "补贴会发到尾号 0001 的钱包" in browser.text
    assert pay() == "settled"
    page = browser.open("/my")
    check_page(page)
    assert "已到账" in page.text
    assert "补贴已到账" in page.text
    assert f'href="/my/{reference}/wallet"' not in page.text
    assert browser.open(f"/my/{reference}/wallet").status_code == 200
    assert browser.at == f"/my/{reference}"


def test_an_answer_is_kept_looked_over_and_sent_once(owning, running):
    browser, reference = owning
    browser.open(f"/my/{reference}/wallet")
    assert browser.at == f"/my/{reference}/wallet/wallet_id"
    check_page(browser.page)
    check_page(browser.send(action="/wallet_id", wallet_id="W10001"))
    assert browser.at == f"/my/{reference}/wallet/check"
    assert "W10001" in browser.text
    another_phone = Browser(browser.app)
    another_phone.sign_in("owner")
    check_page(another_phone.page)
    assert "接着填收款钱包" in another_phone.text
    another_phone.open(f"/my/{reference}/wallet")
    assert "W10001" in another_phone.text, "what was typed on one phone is there on the other"
    target, hidden = browser.form(action="/wallet")
    another_phone.open(f"/my/{reference}/wallet/wallet_id")
    assert 'value="W10001"' in another_phone.page.text
    another_phone.send(action="/wallet_id", wallet_id="W20002")
    stale = browser.client.post(target, data=hidden)
    assert stale.status_code == 422
    assert "在别的地方改过" in stale.text
    target, hidden = another_phone.form(action="/wallet")
    for _ in range(2):  # a double tap
        answer = another_phone.client.post(target, data=hidden)
        assert (answer.status_code, answer.location) == (303, f"/my/{reference}")
    running.session.rollback()
    deeds = running.session.scalars(select(AuditEntry).where(AuditEntry.action == "wallet_confirmed")).all()
    assert len(deeds) == 1
    assert running.session.scalars(select(OwnerDraft)).all() == []
    page = another_phone.open(f"/my/{reference}")
    assert "尾号 0002" in page.text
    assert another_phone.open(f"/my/{reference}/wallet/check").status_code == 200, "the way back in the browser"
    assert another_phone.at == f"/my/{reference}/wallet/wallet_id"


def test_while_the_bank_is_silent_no_change_of_wallet_is_offered(owning, pay):
    browser, reference = owning
    browser.give_wallet("W1.silent")
    browser.open(f"/my/{reference}/wallet")
    browser.send(action="/wallet_id", wallet_id="W20002")
    target, hidden = browser.form(action="/wallet")
    assert pay() == "unknown"
    page = browser.open("/my")
    check_page(page)
    for words in ("正在等银行答复", "您现在不用做什么", "我们不会再付第二次", "等银行"):
        assert words in page.text
    assert f'href="/my/{reference}/wallet"' not in page.text
    late = browser.client.post(target, data=hidden)
    assert late.status_code == 303, "there is no form any more: nothing was sent"
    browser.open(f"/my/{reference}")
    assert "这张表已经不在了" in browser.text
    live = browser.open(f"/my/{reference}/live")
    assert "正在等银行答复" in live.text
    assert "<html" not in live.text


def test_a_rejected_payment_asks_for_another_wallet(owning, pay):
    browser, _ = owning
    browser.give_wallet("W1.full")
    assert pay() == "rejected"
    page = browser.open("/my")
    check_page(page)
    assert "换一个收款钱包" in page.text
    assert "钱包余额已满" in page.text
    browser.give_wallet("W30003")
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
    reference = point.open_trade_in(owner)
    browser = Browser(running.app())
    browser.sign_in("owner")
    check_page(browser.page)
    assert "核对通过，交旧车和旧号牌" in browser.text
    assert f"轮到{running.dealer.name}办" in browser.text
    assert "发给您的消息" in browser.text
    check_page(browser.open(f"/my/{reference}/messages"))
    assert "正在发" in browser.text
    check_page(browser.open("/my?all=1"))
    assert browser.text.index("正在办的") < browser.text.index(reference)
    point.open(f"/point/trade-ins/{reference}")
    point.send(action="/withdrawal")
    check_page(browser.open("/my?all=1"))
    assert "以前办的" in browser.text
    assert "正在办的" not in browser.text


def test_every_page_of_an_owner_speaks_english(owning):
    browser, reference = owning
    browser.client.get("/look?lang=en")
    for path in ("", "/wallet", "/messages", "/return", "/decision", "/appeal", "/receipt"):
        page = browser.open(f"/my/{reference}{path}")
        assert (page.status_code, '<html lang="en"' in page.text) == (200, True), path
    browser.open(f"/my/{reference}")
    for words in ("Your position", "300 yuan is reserved for you", "Enter your wallet", "Waits for you"):
        assert words in browser.text, words
