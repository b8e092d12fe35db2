"""A shop's way to the licence on pages, from the application without an account to the passed test; and a transfer."""

from __future__ import annotations

import re

from flask import Flask
from sqlalchemy import select, text

from app.auth import hash_password
from registry.dealer_applications import DealerApplication, accept_application
from registry.dealer_training import TrainingAttempt, TrainingQuestion
from registry.dealers import Dealer
from registry.filings import FiledBike
from registry.people import find_person
from registry.transfers import Transfer
from tests.registry.line import NOW, id_number
from tests.web.markup import check_page
from tests.web.scene import PASSWORD, Browser, Scene

MOBILE = "13700137000"
SHOP = {
    "name": "新店车行",
    "credit_code": "91330105MA2AXXXX1X",
    "sub_district": "米市巷街道",
    "address": "莫干山路 888 号",
    "phone": "0571-88001122",
    "opening_hours": "每天 08:30-18:00",
    "representative": "吴国华",
    "mobile": MOBILE,
}


def code_sent(app: Flask, phone: str) -> str:
    sent = [message for message in app.extensions["mapai.partners"].sms.messages if message.phone == phone]
    found = re.search(r"验证码 (\d{6})", sent[-1].text)
    assert found
    return found[1]


def let_a_minute_pass(scene: Scene) -> None:
    """A phone is sent one code a minute: those sent so far were sent a minute earlier."""
    scene.session.execute(text("UPDATE one_time_code SET created_at = created_at - interval '1 minute'"))
    scene.session.commit()


def test_an_application_is_checked_proved_by_phone_and_taken_once(scene: Scene) -> None:
    shop = Browser(scene.app())
    check_page(shop.open("/dealers/apply"))
    empty = shop.send(action="/apply", do="code", **{**SHOP, "name": "", "opening_hours": "随便"})
    check_page(empty)
    assert empty.status_code == 422
    assert "还没有填店名" in shop.text
    assert "营业时间不对" in shop.text
    assert 'name="code"' not in empty.text
    asked = shop.send(action="/apply", do="code", **SHOP)
    check_page(asked)
    assert 'value="新店车行"' in asked.text
    wrong = shop.send(action="/apply", do="apply", code="no", **SHOP)
    check_page(wrong)
    assert "验证码不对" in shop.text
    target, hidden = shop.form(action="/apply")
    typed = {**hidden, **SHOP, "do": "apply", "code": code_sent(shop.app, MOBILE)}
    answers = [shop.client.post(target, data=typed) for _ in range(2)]  # a double tap
    assert [answer.status_code for answer in answers] == [303, 303]
    reference = scene.session.scalars(select(DealerApplication.reference)).one()
    assert {answer.location for answer in answers} == {f"/dealers/applications/{reference}"}
    check_page(shop.open(f"/dealers/applications/{reference}"))
    assert "等局里审核" in shop.text
    shop.open(f"/dealers/application?reference={reference.lower()}")
    assert shop.at == f"/dealers/applications/{reference}"
    check_page(shop.open("/dealers/application?reference=SQ-0000-0000"))


def test_an_accepted_shop_sets_its_password_signs_and_passes_its_test(scene: Scene) -> None:
    app = scene.app()
    shop = Browser(app)
    shop.open("/dealers/apply")
    shop.send(action="/apply", do="code", **SHOP)
    shop.send(action="/apply", do="apply", code=code_sent(app, MOBILE), **SHOP)
    reference = shop.at.rpartition("/")[2]
    accept_application(
        session=scene.session,
        reference=reference,
        credit_code_confirmed=True,
        password_hash=hash_password("nobody knows this one"),
        actor="account:1",
        now=NOW,
    )
    scene.session.commit()
    check_page(shop.open(f"/dealers/applications/{reference}"))
    assert "轮到您了" in shop.text
    check_page(shop.open(f"/dealers/password?login={reference}"))
    check_page(shop.send(action="/password", do="code", login=reference, mobile=MOBILE))
    too_soon = shop.send(action="/password", do="code", login=reference, mobile=MOBILE)
    check_page(too_soon)
    assert too_soon.status_code == 429
    let_a_minute_pass(scene)
    check_page(shop.send(action="/password", do="code", login=reference, mobile=MOBILE))
    code = code_sent(app, MOBILE)
    check_page(shop.send(action="/password", do="set", login=reference, mobile=MOBILE, code=code, password=PASSWORD))
    assert "密码设好了" in shop.text
    shop.sign_in(reference)
    check_page(shop.open("/point/enrolment"))
    assert "请签第 1 版承诺书" in shop.text
    check_page(shop.open("/point/enrolment/commitment"))
    let_a_minute_pass(scene)
    check_page(shop.send(action="/codes"))
    refused = shop.send(action="/commitment", code="")
    check_page(refused)
    assert refused.status_code == 422
    check_page(shop.send(action="/commitment", code=code_sent(app, MOBILE)))
    assert "承诺书签好了" in shop.text
    assert scene.session.scalars(select(Dealer.state).where(Dealer.name == SHOP["name"])).one() == "committed"
    check_page(shop.open("/point/enrolment/training"))
    check_page(shop.send(action="/tests"))
    half = shop.send(action=shop.at, q1="0")
    check_page(half)
    assert half.status_code == 422
    assert "第 2 题还没有选" in shop.text
    attempt = scene.session.scalars(select(TrainingAttempt)).one()
    answers_by_id = dict(scene.session.execute(select(TrainingQuestion.id, TrainingQuestion.answer)).all())
    right = {f"q{place}": answers_by_id[each] for place, each in enumerate(attempt.question_ids, start=1)}
    check_page(shop.send(action=shop.at, **right))
    assert "通过了" in shop.text
    check_page(shop.open("/point/enrolment"))
    assert "等局里开通和授牌" in shop.text


def test_a_filed_bike_changes_hands_before_the_point(running: Scene) -> None:
    app = running.app()
    point = Browser(app)
    point.sign_in("point")
    seller = running.owner("seller")
    typed = {
        "plate_no": seller.plate_no,
        "seller_name": seller.name,
        "seller_id_no": seller.id_no,
        "seller_phone": "13800138111",
        "buyer_name": "李国强",
        "buyer_id_no": id_number(70_002),
        "buyer_phone": "13800138222",
    }
    check_page(point.open("/point/transfers/open"))
    bad = point.send(action="/open", **{**typed, "buyer_id_no": "1"})
    check_page(bad)
    assert (bad.status_code, 'value="李国强"' in bad.text) == (422, True)
    check_page(point.send(action="/open", **typed))
    number = running.session.scalars(select(Transfer.transfer_no)).one()
    assert point.at == f"/transfers/{number}"
    owner = Browser(app)
    owner.sign_in("seller")
    check_page(owner.open("/my/data"))
    check_page(owner.open(f"/transfers/{number}"))
    check_page(owner.send(action="/seller/codes"))
    wrong = owner.send(action="/seller", code="0")
    check_page(wrong)
    assert (wrong.status_code, "验证码不对" in owner.text) == (422, True)
    check_page(owner.send(action="/seller", code=code_sent(app, "13800138111")))
    assert "等另一方确认" in owner.text
    check_page(point.open(f"/transfers/{number}"))
    check_page(point.send(action="/buyer/codes"))
    check_page(point.send(action="/buyer", code=code_sent(app, "13800138222")))
    assert "过户办好了" in point.text
    check_page(point.open("/point/transfers"))
    running.session.rollback()
    keyring = running.settings.keyring
    buyer = find_person(session=running.session, keyring=keyring, id_no=id_number(70_002))
    assert buyer is not None
    bike = running.session.get_one(FiledBike, seller.filed_bike_id, populate_existing=True)
    assert bike.owner_id == buyer.id
    running.owner("stranger")
    stranger = Browser(app)
    stranger.sign_in("stranger")
    assert stranger.open(f"/transfers/{number}").status_code == 404
