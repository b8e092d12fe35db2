"""An owner without password comes back by reference and code; one without a phone is served at the counter."""

from __future__ import annotations

import re
from dataclasses import replace
from threading import Event

from sqlalchemy import select

from registry.audit import AuditEntry
from registry.messages import Message
from registry.owner_drafts import OwnerDraft
from registry.proxies import Proxy
from registry.sms_gateway import SmsGateway
from subsidy.appeals import Appeal
from tests.registry.line import id_number
from tests.web.markup import check_page
from tests.web.scene import Browser, Scene
from tests.web.test_owner_claims import declined
from tests.web.test_proof import publish_now


def code_sent(browser: Browser) -> str:
    """The code in the last text the gateway was given."""
    texts = browser.app.extensions["mapai.partners"].sms.messages
    return re.search(r"验证码 (\d{6})", texts[-1].text)[1]  # type: ignore[index]


def test_a_half_filled_form_waits_for_whoever_has_the_reference_and_the_phone(running: Scene) -> None:
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    owner = running.owner("owner")
    reference = point.complete(running, owner)
    first = Browser(app)
    first.sign_in("owner")
    first.open(f"/my/{reference}/wallet")
    first.send(action="/wallet_id", wallet_id="W10001")
    second = Browser(app)
    check_page(second.open("/resume"))
    wrong = second.send(action="/resume", reference="GS-0000-00")
    check_page(wrong)
    assert wrong.status_code == 422
    check_page(second.send(action="/resume", reference=reference.lower()))
    assert owner.phone not in second.page.text if second.page else False
    no = second.send(action=f"/my/{reference}", code="000000")
    check_page(no)
    assert (no.status_code, "验证码不对" in second.text) == (422, True)
    second.send(action=f"/my/{reference}", code=code_sent(second))
    assert second.at == f"/my/{reference}"
    assert "接着填收款钱包" in second.text
    second.open(f"/my/{reference}/wallet")
    assert "W10001" in second.text
    second.send(action="/wallet")
    assert "尾号 0001" in second.text
    running.session.rollback()
    assert running.session.scalars(select(OwnerDraft)).all() == []


def test_a_code_for_one_trade_in_opens_no_other(running: Scene) -> None:
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    mine, theirs = (point.open_trade_in(running.owner()) for _ in range(2))
    stranger = Browser(app)
    stranger.open("/resume")
    stranger.send(action="/resume", reference=mine)
    target, hidden = stranger.form(action=f"/my/{mine}")
    answer = stranger.client.post(target, data={**hidden, "reference": theirs, "code": code_sent(stranger)})
    assert answer.status_code == 422


def test_asking_tells_nobody_whether_a_reference_exists(running: Scene) -> None:
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    answers = []
    for reference in (point.open_trade_in(running.owner()), "GS-2222-22"):
        stranger, told = Browser(app), []
        for _ in range(2):
            stranger.open("/resume")
            page = stranger.send(action="/resume", reference=reference)
            told.append((page.status_code, stranger.text.replace(reference, "")))
        answers.append(told)
    assert [status for status, _ in answers[0]] == [200, 429]
    assert answers[0] == answers[1]


def test_neither_the_time_nor_a_second_reference_tells_whether_one_exists(running: Scene) -> None:
    app = running.app()
    gateway = SlowGateway(app.extensions["mapai.partners"].sms)
    app.extensions["mapai.partners"] = replace(app.extensions["mapai.partners"], sms=gateway)
    point = Browser(app)
    point.sign_in("point")
    first, second = running.owner(), running.owner()
    mine = [point.open_trade_in(each) for each in (first, replace(second, phone=first.phone))]
    for references in (mine, ["GS-2222-22", "GS-3333-2D"]):
        stranger = Browser(app)
        for reference in references:
            stranger.open("/resume")
            assert stranger.send(action="/resume", reference=reference).status_code == 200
    # Both were answered before the gateway took a single message.
    assert gateway.sent == []
    gateway.go.set()
    assert gateway.done.wait(20)
    assert set(gateway.sent) == {first.phone}


class SlowGateway:
    """Takes no message before it is told to go."""

    def __init__(self, inner: SmsGateway) -> None:
        self.inner, self.go, self.done, self.sent = inner, Event(), Event(), list[str]()

    def send(self, *, message_no: str, phone: str, text: str) -> None:
        assert self.go.wait(20)
        self.sent.append(phone)
        self.inner.send(message_no=message_no, phone=phone, text=text)
        if len(self.sent) == 2:
            self.done.set()


def test_the_counter_does_all_an_owner_without_a_phone_needs(running: Scene) -> None:
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    owner = running.owner()
    bike = running.district.stock(running.dealer)
    reference = point.open_trade_in(owner)
    base = f"/point/trade-ins/{reference}"
    check_page(point.open(f"{base}/owner"))
    check_page(point.open(f"{base}/owner-proxy"))
    empty = point.send(action="/owner-proxy", name="", id_no="1", phone="2", relation="", authority_no="")
    check_page(empty)
    assert (empty.status_code, "还没有选和车主的关系" in point.text) == (422, True)
    proxy = {"name": "李小明", "id_no": id_number(70_001), "phone": "13800138999", "relation": "child"}
    check_page(point.send(action="/owner-proxy", **proxy, authority_no="WT2026001"))
    assert "李*明，子女" in point.text
    point.open(base)
    point.send_photos()
    point.receive(owner)
    point.send(action="/cancellation")
    point.sell(bike.vehicle_code, owner)
    point.send(action="/application")
    check_page(point.open(f"{base}/owner-wallet"))
    empty = point.send(action="/owner-wallet", kind="", wallet_id="", authority_no="")
    check_page(empty)
    for words in ("还没有选是卡还是手机钱包", "还没有填钱包编号", "还没有填委托书或确认书编号"):
        assert words in point.text
    refused = point.send(action="/owner-wallet", kind="card", wallet_id="W1.mismatch", authority_no="QR2026001")
    check_page(refused)
    assert "不是车主本人" in point.text
    target, hidden = point.form(action="/owner-wallet")
    typed = {"kind": "card", "wallet_id": "W10001", "authority_no": "qr2026001"}
    for _ in range(2):  # a double tap
        assert point.client.post(target, data={**hidden, **typed}).status_code == 303
    check_page(point.open(f"{base}/owner"))
    assert "尾号 0001" in point.text
    publish_now(running)
    check_page(point.open(f"{base}/owner-receipt"))
    assert "300.00" in point.text
    session = running.session
    session.rollback()
    [deed] = session.scalars(select(AuditEntry).where(AuditEntry.action == "wallet_at_counter"))
    assert (deed.detail["authority_no"], deed.detail["kind"]) == ("QR2026001", "card")
    told = session.scalars(select(Message.body).where(Message.dedupe_key.startswith("wallet-at-counter"))).all()
    assert len(told) == 1
    assert "硬钱包卡，尾号 0001" in told[0]
    assert session.scalars(select(Proxy.authority_no)).all() == ["WT2026001"]
    other = running.district.dealer()
    running.account("other", role="dealer", dealer_id=other.id)
    stranger = Browser(app)
    stranger.sign_in("other")
    for path in ("owner", "owner-wallet", "owner-proxy", "owner-appeal", "owner-receipt", "owner-receipt.pdf"):
        assert stranger.open(f"{base}/{path}").status_code == 404, path


def test_an_appeal_is_dictated_at_the_counter(running: Scene) -> None:
    _, reference = declined(running)
    point = Browser(running.app())
    point.sign_in("point")
    base = f"/point/trade-ins/{reference}"
    check_page(point.open(f"{base}/owner"))
    assert "替车主写申诉" in point.text
    check_page(point.open(f"{base}/owner-appeal"))
    empty = point.send(action="/owner-appeal", body="那天挂着牌子。", authority_no=" ")
    check_page(empty)
    assert "那天挂着牌子。" in (empty.text)
    check_page(point.send(action="/owner-appeal", body="那天挂着牌子。", authority_no="SS2026001"))
    assert "申诉交上去了" in point.text
    running.session.rollback()
    appeal = running.session.scalars(select(Appeal)).one()
    assert appeal.body == "那天挂着牌子。"
    point.open(f"{base}/owner-appeal")
    assert point.at == f"{base}/owner", "one appeal for a decision"
