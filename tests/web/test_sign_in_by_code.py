"""An owner signs in with a code, on pages that work without scripts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask import Flask

from app.factory import create_app
from registry.people import know_person
from tests.registry.line import id_number
from tests.web.markup import check_page
from tests.web.scene import Browser, Scene

PHONE = "13800138000"


@pytest.fixture
def app(scene: Scene) -> Flask:
    return scene.app()


def file_people(scene: Scene, *serials: int) -> None:
    for serial in serials:
        know_person(
            session=scene.session,
            keyring=scene.district.keyring,
            id_no=id_number(serial),
            name="陈建英",
            phone=PHONE,
        )
    scene.session.commit()


def code_sent(app: Flask) -> str:
    message = app.extensions["mapai.partners"].sms.messages[-1]
    assert message.phone == PHONE
    found = re.search(r"\d{6}", message.text)
    assert found
    return found[0]


def ask_for_code(browser: Browser, to: str = "") -> None:
    page = browser.open(f"/sign-in{to}")
    assert browser.text.index("我是车主") < browser.text.index("我是代办点或者局里的")
    check_page(page)
    page = browser.send(phone=" 138 0013 8000")
    assert page.status_code == 200
    check_page(page)


def test_an_owner_signs_in_and_goes_where_he_was_heading(scene: Scene, app: Flask) -> None:
    file_people(scene, 9001)
    browser = Browser(app)
    ask_for_code(browser, "?next=/points")
    assert "短信沙箱" in browser.text
    wrong = browser.send(action="/sign-in/code?next=/points", code="no")
    assert wrong.status_code == 422
    check_page(wrong)
    assert "验证码不对" in browser.text
    assert browser.send(code=code_sent(app)).status_code == 200
    assert browser.at == "/points"
    assert browser.open("/my").status_code == 200
    assert browser.at == "/my"


def test_two_owners_on_one_phone(scene: Scene, app: Flask) -> None:
    file_people(scene, 9001, 9002)
    browser = Browser(app)
    ask_for_code(browser)
    page = browser.send(code=code_sent(app))
    assert page.status_code == 422
    check_page(page)
    assert "不止一位车主" in browser.text
    assert "证件号码最后 4 位" in browser.text
    assert browser.send(code=code_sent(app), id_tail=id_number(9002)[-4:]).status_code == 200
    assert browser.at == "/my"


def test_what_is_missing_or_too_often_is_said_on_the_form(scene: Scene, app: Flask) -> None:
    browser = Browser(app)
    browser.open("/sign-in/phone")
    for typed, status, words in (
        ("", 422, "还没有填手机号码"),
        ("123", 422, "手机号码不对"),
        (PHONE, 200, "填写验证码"),
    ):
        page = browser.send(phone=typed)
        assert (page.status_code, words in browser.text) == (status, True)
        check_page(page)
    assert browser.send(code="").status_code == 422
    browser.open("/sign-in/phone")
    page = browser.send(phone=PHONE)
    assert page.status_code == 429
    assert "验证码要得太频繁了" in browser.text


def test_outside_a_demo_no_sandbox_is_named(scene: Scene) -> None:
    demo = scene.app()
    live = create_app(replace(scene.settings, mode="production"), partners=demo.extensions["mapai.partners"])
    scene.apps.append(live)
    browser = Browser(live)
    ask_for_code(browser)
    assert "沙箱" not in browser.text


@pytest.mark.parametrize(
    ("to", "accounts"), [("/my", False), ("/points", False), ("/point", True), ("/board?x=1", True)]
)
def test_the_door_one_is_heading_for_stands_first(scene: Scene, app: Flask, to: str, accounts: bool) -> None:
    browser = Browser(app)
    page = browser.open(f"/sign-in?next={to}")
    check_page(page)
    assert (browser.text.index("我是代办点或者局里的") < browser.text.index("我是车主")) is accounts
    first = page.text.index('class="btn"')
    assert page.text.count('class="btn"') == 1
    assert ("/sign-in/phone" in page.text[page.text.index("<main") : first]) is not accounts


def test_a_wrong_password_leaves_the_accounts_door_first(scene: Scene, app: Flask) -> None:
    browser = Browser(app)
    browser.open("/sign-in")
    page = browser.send(login="nobody", password="wrong")
    assert page.status_code == 401
    check_page(page)
    assert browser.text.index("我是代办点或者局里的") < browser.text.index("我是车主")
