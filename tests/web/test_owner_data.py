"""An owner's own data: what is held, consents, who acts for him, his plate, his receipt, and erasing it all."""

from __future__ import annotations

import json

from sqlalchemy import select

from registry.erasure import Erasure
from registry.people import Person
from registry.plates import Plate, PlateCode
from registry.proxies import record_proxy
from registry.trade_ins import Reach
from tests.registry.line import NOW, id_number
from tests.web.markup import check_page
from tests.web.scene import Browser, Scene
from tests.web.test_proof import publish_now


def completed(running: Scene) -> tuple[Browser, str]:
    """An owner signed in, whose trade-in is complete."""
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    owner = running.owner("owner")
    reference = point.complete(running, owner)
    browser = Browser(app)
    browser.sign_in("owner")
    return browser, reference


def test_what_is_held_is_shown_masked_and_downloaded_in_clear(running: Scene) -> None:
    browser, reference = completed(running)
    held = browser.open("/my/data")
    check_page(held)
    assert "陈*英" in browser.text
    file = browser.open("/my/data.json")
    assert "attachment" in file.headers["Content-Disposition"]
    assert "no-store" in file.headers["Cache-Control"]
    told = json.loads(file.text)
    assert told["trade_ins"][0]["reference"] == reference
    assert told["id_no"] not in held.text
    assert told["phone"] not in held.text
    for answer, word in (("yes", "记下了：同意。"), ("no", "记下了：不同意。")):
        browser.open("/my/data")
        target, hidden = browser.form(action="/consents/survey")
        assert hidden["given"] == answer
        for _ in range(2):  # a double tap
            assert browser.client.post(target, data=hidden).status_code == 303
        check_page(browser.open("/my/data"))
        assert word in browser.text
    assert len(json.loads(browser.open("/my/data.json").text)["consents"]) == 2
    outdated = browser.client.post(target, data={**hidden, "version": "9", "given": "yes"})
    assert outdated.status_code == 409
    check_page(outdated)


def test_the_owner_ends_a_proxy_and_reports_his_plate(running: Scene) -> None:
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    other = point.open_trade_in(running.owner("other"))
    record_proxy(
        session=running.session,
        keyring=running.settings.keyring,
        reference=other,
        reach=Reach(),
        name="李小明",
        id_no=id_number(70_001),
        phone="13800138999",
        relation="child",
        authority_no="WT2026001",
        actor="account:1",
        now=NOW,
    )
    running.session.commit()
    browser = Browser(app)
    browser.sign_in("other")
    check_page(browser.open("/my/data"))
    assert "李*明，子女" in browser.text
    check_page(browser.send(action="/proxy-ending"))
    assert "代办结束了" in browser.text
    assert "已结束" in browser.text
    owner, _ = completed(running)
    plate_no = running.session.scalars(select(Plate.plate_no)).one()
    check_page(owner.open(f"/my/plates/{plate_no}"))
    assert "110" in owner.text
    check_page(owner.send(action=plate_no))
    assert "已报失" in owner.text
    running.session.rollback()
    assert running.session.scalars(select(PlateCode.state)).one() == "stolen"
    check_page(owner.send(action=plate_no))
    assert "恢复有效" in owner.text
    assert browser.open(f"/my/plates/{plate_no}").status_code == 404, "somebody else's plate"


def test_the_receipt_is_read_saved_and_proved(running: Scene) -> None:
    browser, reference = completed(running)
    check_page(browser.open(f"/my/{reference}/receipt"))
    assert "凭证还在准备" in browser.text
    publish_now(running)
    page = browser.open(f"/my/{reference}/receipt")
    markup = check_page(page)
    assert "给予补贴 300.00 元" in browser.text
    assert 'class="qr qr-large"' in page.text
    file = browser.open(f"/my/{reference}/receipt.json")
    assert json.loads(file.text)["trade_in"] == reference
    proof = next(link for link in markup.links if link.startswith("/proof?"))
    anybody = Browser(browser.app)
    check_page(anybody.open(proof))
    assert "凭证是真的" in anybody.text


def test_erasure_waits_for_open_money_and_is_asked_twice(running: Scene) -> None:
    browser, reference = completed(running)
    page = browser.open("/my/erasure")
    check_page(page)
    assert "现在不能删" in browser.text
    assert reference in browser.text
    assert "继续" not in browser.text
    browser.open("/my/erasure/check")
    assert browser.at == "/my/erasure"
    free = running.owner("free")
    other = Browser(browser.app)
    other.sign_in("free")
    check_page(other.open("/my/erasure"))
    check_page(other.open("/my/erasure/check"))
    unsure = other.send(action="/erasure")
    check_page(unsure)
    assert (unsure.status_code, "请先勾选" in other.text) == (422, True)
    check_page(other.send(action="/erasure", sure="yes"))
    assert "您的信息已经删除" in other.text
    running.session.rollback()
    assert running.session.scalars(select(Erasure.person_id)).one() == free.person_id
    assert running.session.get_one(Person, free.person_id, populate_existing=True).locked_at is not None
    assert other.open("/my").status_code == 200
    assert other.at == "/sign-in"
