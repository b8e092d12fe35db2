"""An owner corrects, asks why, and objects, on pages that work without scripts."""

from __future__ import annotations

import re
from io import BytesIO

from sqlalchemy import select

from registry.owner_drafts import OwnerDraftPhoto
from registry.trade_ins import TradeIn
from subsidy.appeals import Appeal, photos_of
from subsidy.claims import Claim
from subsidy.holds import hold_claim
from tests.registry.line import id_number, picture
from tests.web.markup import check_page
from tests.web.scene import NOW, Browser, Scene, starting_at

SLIPPED = "118222699900020"  # a magic code: the police have two digits of it the other way round
RIGHT = "118222699900002"


def held(running: Scene, login: str = "owner") -> tuple[Browser, Browser, str]:
    """A claim held because of a mistyped vehicle code; the owner's browser, the point's, and the reference."""
    app = running.app()
    owner = running.owner(login)
    point = Browser(app)
    point.sign_in("point")
    bike = running.district.stock(running.dealer, vehicle_code=SLIPPED)
    reference = point.open_trade_in(owner)
    point.send_photos()
    point.receive(owner)
    point.send(action="/cancellation")
    point.sell(bike.vehicle_code, owner)
    point.send(action="/application")
    browser = Browser(app)
    browser.sign_in(login)
    return browser, point, reference


def declined(running: Scene) -> tuple[Browser, str]:
    """A claim that a condition refuses: the point was not licensed when it opened the trade-in."""
    app = running.app()
    owner = running.owner("owner")
    point = Browser(app)
    point.sign_in("point")
    bike = running.district.stock(running.dealer)
    reference = point.open_trade_in(owner)
    point.send_photos()
    point.receive(owner)
    point.send(action="/cancellation")
    point.sell(bike.vehicle_code, owner)
    trade_in = running.session.scalars(select(TradeIn).where(TradeIn.reference == reference)).one()
    trade_in.opening = trade_in.opening | {"point_licensed": False}
    running.session.commit()
    point.send(action="/application")
    browser = Browser(app)
    browser.sign_in("owner")
    return browser, reference


def claim_of(running: Scene) -> Claim:
    running.session.rollback()
    return running.session.scalars(select(Claim).execution_options(populate_existing=True)).one()


def test_a_mistyped_code_is_corrected_by_the_owner_who_keeps_the_place(running: Scene) -> None:
    browser, _, reference = held(running)
    check_page(browser.open(f"/my/{reference}"))
    assert "有一处要更正" in browser.text
    assert "以前更正好" in browser.text
    check_page(browser.open(f"/my/{reference}/correction"))
    assert f"原来填的是 {SLIPPED}" in browser.text
    page = browser.open(f"/my/{reference}/correction/vehicle_code")
    check_page(page)
    assert f'value="{SLIPPED}"' in page.text
    empty = browser.send(action="/vehicle_code", vehicle_code=" ")
    check_page(empty)
    assert (empty.status_code, "还没有填整车编码" in browser.text) == (422, True)
    check_page(browser.send(action="/vehicle_code", vehicle_code="118222699900021"))
    assert browser.at == f"/my/{reference}/correction/check"
    still = browser.send(action="/correction")
    check_page(still)
    assert still.status_code == 422
    assert "还是不一样" in browser.text
    assert 'value="118222699900021"' in still.text
    assert 'href="#f-vehicle_code"' in still.text
    browser.send(action="/vehicle_code", vehicle_code=RIGHT)
    target, hidden = browser.form(action="/correction")
    for _ in range(2):  # a double tap
        answer = browser.client.post(target, data=hidden)
        assert (answer.status_code, answer.location) == (303, f"/my/{reference}")
    check_page(browser.open(f"/my/{reference}"))
    assert "更正好了" in browser.text
    claim = claim_of(running)
    assert (claim.state, claim.position, claim.amount_fen) == ("awarded", 1, 30_000)
    assert browser.open(f"/my/{reference}/correction").status_code == 200
    assert browser.at == f"/my/{reference}"


def test_a_correction_and_a_decision_are_the_owners_alone(running: Scene) -> None:
    _, _, reference = held(running)
    running.owner("stranger")
    stranger = Browser(running.app())
    stranger.sign_in("stranger")
    for page in ("correction", "decision", "appeal", "receipt", "receipt.json", "receipt.pdf"):
        assert stranger.open(f"/my/{reference}/{page}").status_code == 404, page
    assert SLIPPED not in stranger.text


def test_every_rule_is_told_with_its_clause(running: Scene) -> None:
    browser, reference = declined(running)
    check_page(browser.open(f"/my/{reference}"))
    assert "为什么没有补贴" in browser.text
    check_page(browser.open(f"/my/{reference}/decision"))
    assert "不是授牌的代办点" in browser.text
    assert "资格条件第 7 条" in browser.text
    assert "通过的 8 条" in browser.text
    assert browser.text.index("没有通过的") < browser.text.index("通过的 8 条")


def test_an_appeal_is_filed_once_with_its_pictures_and_followed(running: Scene) -> None:
    browser, reference = declined(running)
    check_page(browser.open(f"/my/{reference}/appeal"))
    assert "开始写申诉" in browser.text
    check_page(browser.open(f"/my/{reference}/appeal/body"))
    empty = browser.send(action="/body", body="  ")
    check_page(empty)
    assert (empty.status_code, "还没有填哪里不对" in browser.text) == (422, True)
    words = f"那天店里挂着牌子，\n有照片为证。我的身份证 {id_number(70_002)}"
    check_page(browser.send(action="/body", body=words))
    assert browser.at == f"/my/{reference}/appeal/photos"
    bad = browser.send(action="/photos", photos=(BytesIO(b"no picture"), "a.jpg"))
    check_page(bad)
    assert bad.status_code == 422
    running.session.rollback()
    assert running.session.scalars(select(OwnerDraftPhoto)).all() == []
    browser.send(action="/photos", photos=(BytesIO(picture()), "wrong.jpg"))
    assert "1 张照片" in browser.text
    browser.open(f"/my/{reference}/appeal/photos")
    kept = re.findall(r'src="(/my/[^"]+/pictures/\d+)"', browser.page.text if browser.page else "")
    assert [browser.client.get(address).status_code for address in kept] == [200]
    check_page(browser.send(action="/photos", remove="yes"))
    assert browser.client.get(kept[0]).status_code == 404
    check_page(browser.send(action="/photos", photos=(BytesIO(picture()), "a.jpg")))
    assert browser.at == f"/my/{reference}/appeal/check"
    assert running.session.scalars(select(Appeal)).all() == [], "nothing is sent before the last page"
    target, hidden = browser.form(action="/appeal")
    for _ in range(2):
        assert browser.client.post(target, data=hidden).status_code == 303
    page = browser.open(f"/my/{reference}/appeal")
    check_page(page)
    appeal = running.session.scalars(select(Appeal)).one()
    assert appeal.body.startswith("那天店里挂着牌子， 有照片为证。")
    assert id_number(70_002) not in appeal.body
    assert appeal.reference in browser.text
    assert "等局里答复" in browser.text
    assert "附 1 张照片" in browser.text
    check_page(browser.send(action="/more-photos", photos=(BytesIO(picture()), "b.jpg")))
    running.session.rollback()
    assert len(photos_of(session=running.session, appeal=appeal)) == 2
    appeal.state, appeal.answer, appeal.answered_at = "rejected", "当天没有授牌。", appeal.filed_at
    running.session.commit()
    check_page(browser.open(f"/my/{reference}/appeal"))
    assert "当天没有授牌。" in browser.text
    assert "行政复议" in browser.text


def test_nothing_can_be_objected_to_an_award(running: Scene) -> None:
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    reference = point.complete(running, running.owner("owner"))
    browser = Browser(app)
    browser.sign_in("owner")
    check_page(browser.open(f"/my/{reference}/appeal"))
    assert "没有可以申诉的决定" in browser.text
    check_page(browser.open(f"/my/{reference}/decision"))
    assert "通过的 9 条" in browser.text


def test_what_is_held_says_who_has_to_act(running: Scene) -> None:
    browser, _, reference = held(running)
    browser.open(f"/my/{reference}/decision")
    assert "等更正，名额留着" in browser.text
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    other = point.complete(running, running.owner("checked"))
    hold_claim(
        session=running.session,
        reference=other,
        reason_code="sale",
        reason="发票要看原件",
        clock=starting_at(NOW),
        actor="account:1",
    )
    running.session.commit()
    checked = Browser(app)
    checked.sign_in("checked")
    check_page(checked.page)
    assert "局里正在核对" in checked.text
    check_page(checked.open(f"/my/{other}/decision"))
    assert "局里正在核对，名额和金额留着" in checked.text
    assert "等更正" not in checked.text
