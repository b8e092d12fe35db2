"""Staff behind their pages: two factors at the sign-in, recovery codes, accounts, and a reset by two."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.auth import COOKIE
from app.clock import real
from registry.accounts import Account
from registry.second_factor import SecondFactor, has_second_factor
from tests.web.markup import check_page
from tests.web.scene import PASSWORD, STAFF, Browser, Scene, words_of

HALF_A_MINUTE = timedelta(seconds=30)


@pytest.fixture
def office(scene: Scene) -> Scene:
    """The district with two administrators, a reviewer, and a finance officer beside its operator."""
    for login, role in (("qian", "administrator"), ("lu", "administrator"), ("hai", "reviewer"), ("shen", "finance")):
        scene.account(login, role=role)
    scene.programme()
    return scene


def secret_on(browser: Browser) -> str:
    """The key as it stands on the page for those who cannot scan."""
    assert browser.page is not None
    found = re.search(r'<dd class="mono">([A-Z2-7 ]{32,})</dd>', browser.page.text)
    assert found is not None, browser.text
    return found[1].replace(" ", "")


def codes_on(browser: Browser) -> list[str]:
    assert browser.page is not None
    return re.findall(r'<li class="mono">(\w{5}-\w{5})</li>', browser.page.text)


def set_up(browser: Browser) -> tuple[pyotp.TOTP, list[str]]:
    """Set an authenticator up with the code of half a minute ago, so that the present one is still good."""
    check_page(browser.open("/account/authenticator"))
    totp = pyotp.TOTP(secret_on(browser))
    check_page(browser.send(action="/account/authenticator", totp=totp.at(real() - HALF_A_MINUTE)))
    return totp, codes_on(browser)


def test_setting_up_signing_in_and_a_code_used_once(office: Scene) -> None:
    app = office.app()
    shen = Browser(app)
    shen.sign_in("shen")
    check_page(shen.open("/account"))
    totp, codes = set_up(shen)
    assert len(codes) == 10
    check_page(shen.open("/account"))
    assert "恢复码还剩 10 个没有用" in shen.text
    assert shen.open("/account/authenticator").request.path == "/account"

    code = totp.now()
    again = Browser(app)
    check_page(again.sign_in("shen", to="/desk/batches"))
    assert "填写动态口令" in again.text
    assert again.client.get_cookie(COOKIE) is None, "the password alone opens nothing"
    wrong = again.send(action="next=/desk/batches", totp="000000")
    assert wrong.status_code == 403
    check_page(wrong)
    again.send(action="next=/desk/batches", totp=code)
    assert again.at == "/desk/batches"

    thief = Browser(app)
    thief.sign_in("shen")
    refused = thief.send(totp=code)
    assert refused.status_code == 409
    assert "已经用过了" in thief.text
    assert thief.client.get_cookie(COOKIE) is None
    thief.send(totp=codes[3].lower())
    assert thief.at == "/board"


def test_where_it_is_required_the_sign_in_sets_it_up(office: Scene) -> None:
    office.settings = replace(office.settings, staff_totp_required=True)
    app = office.app()
    shen, point = Browser(app), Browser(app)
    check_page(shen.sign_in("shen", to="/desk/batches"))
    assert shen.client.get_cookie(COOKIE) is None
    assert shen.page is not None
    assert shen.page.headers["Cache-Control"] == "private, no-store"
    secret = secret_on(shen)
    check_page(shen.send(totp="123"))
    assert secret_on(shen) == secret, "a slip does not change what was scanned"
    check_page(shen.send(totp=pyotp.TOTP(secret).now()))
    assert len(codes_on(shen)) == 10
    assert 'href="/desk/batches"' in shen.page.text
    assert shen.open("/desk/batches").status_code == 200
    point.sign_in("point")
    assert point.at == "/point", "dealers and owners sign in as before"


def test_the_note_between_the_pages_dies_with_the_password(office: Scene) -> None:
    app = office.app()
    shen, admin = Browser(app), Browser(app)
    shen.sign_in("shen")
    totp, _ = set_up(shen)
    waiting = Browser(app)
    waiting.sign_in("shen")
    admin.sign_in("qian")
    number = office.session.scalars(select(Account.id).where(Account.login == "shen")).one()
    check_page(admin.open(f"/desk/staff/{number}"))
    check_page(admin.send(action="/change", change="password", reason="忘了密码"))
    assert "密码的前一半" in admin.text
    check_page(approved(app, "lu"))
    waiting.send(totp=totp.now())
    assert waiting.at == "/sign-in"
    assert waiting.client.get_cookie(COOKIE) is None
    assert shen.client.get("/account").status_code == 303, "the reset ended every sign-in"


def test_changing_ones_own_password_keeps_this_sign_in_only(office: Scene) -> None:
    app = office.app()
    here, elsewhere = Browser(app), Browser(app)
    here.sign_in("shen")
    elsewhere.sign_in("shen")
    here.open("/account")
    page = here.send(action="/password", old_password="wrong one", new_password="short")
    assert page.status_code == 422
    check_page(page)
    page = here.send(action="/password", old_password="wrong one", new_password="a longer password of mine")
    assert page.status_code == 401
    assert "账号或密码不对" in here.text
    check_page(here.send(action="/password", old_password=PASSWORD, new_password="a longer password of mine"))
    assert "密码换好了" in here.text
    assert elsewhere.client.get("/account").status_code == 303


def half_on(browser: Browser) -> str:
    assert browser.page is not None
    assert browser.page.headers["Cache-Control"] == "private, no-store"
    return re.findall(r'<dd class="mono">([\w-]{12})</dd>', browser.page.text)[0]


def approved(app: Flask, login: str) -> TestResponse:
    """Somebody approves the request that stands first on the list; the page that follows."""
    browser = Browser(app)
    browser.sign_in(login)
    check_page(browser.open("/desk/staff"))
    assert browser.page is not None
    check_page(browser.open(re.findall(r'href="(/desk/staff/requests/\d+)"', browser.page.text)[0]))
    return browser.send(action="/decision", approved="yes")


def test_an_account_is_asked_for_by_one_and_approved_by_another(office: Scene) -> None:
    app = office.app()
    admin, other, reviewer, sun = (Browser(app) for _ in range(4))
    admin.sign_in("qian")
    check_page(admin.open("/desk/staff/new"))
    page = admin.send(action="/desk/staff/new", login="Sun Li", display_name="", role="", reason="新来的同事")
    assert page.status_code == 422
    check_page(page)
    typed = {"login": "sun.li", "display_name": "孙丽", "role": "operator", "reason": "新来的同事"}
    check_page(admin.send(action="/desk/staff/new", **typed))
    first = half_on(admin)
    assert office.session.scalar(select(Account).where(Account.login == "sun.li")) is None
    admin.open("/desk/staff")
    check_page(admin.open(re.findall(r'href="(/desk/staff/requests/\d+)"', admin.page.text)[0]))
    path = admin.at
    assert "可以决定的人：lu的账号" in admin.text
    assert "/decision" not in admin.page.text
    reviewer.sign_in("hai")
    check_page(reviewer.open(path))
    assert "/decision" not in reviewer.page.text, "another administrator is there"
    other.sign_in("lu")
    check_page(other.open(path))
    assert "新来的同事" in other.text
    check_page(other.send(action="/decision", approved="yes"))
    second = half_on(other)
    for password, at in ((first, "/sign-in"), (second, "/sign-in"), (first + second, "/board")):
        sun.open("/sign-in")
        sun.send(login="sun.li", password=password)
        assert sun.at == at
    assert sun.open("/desk/staff").status_code == 403
    check_page(admin.open(path))
    assert "批准了" in admin.text


def test_one_administrator_alone_withdraws_and_disables_and_no_more(office: Scene) -> None:
    app = office.app()
    admin, shen = Browser(app), Browser(app)
    admin.sign_in("qian")
    shen.sign_in("shen")
    number = office.session.scalars(select(Account.id).where(Account.login == "shen")).one()
    path = f"/desk/staff/{number}"
    admin.open(path)
    nothing = admin.send(action="/change", change="", reason="")
    assert nothing.status_code == 422
    check_page(nothing)
    check_page(admin.send(action="/change", change="role:auditor", reason="调去审计"))
    assert "提出了，等另一个人决定" in admin.text
    assert admin.send(action="/withdrawal").status_code == 200
    assert "撤回了" in admin.text
    assert shen.client.get("/account").status_code == 200, "nothing changed"
    admin.open(path)
    check_page(admin.send(action="/change", change="role:auditor", reason="调去审计"))
    check_page(approved(app, "lu"))
    assert shen.client.get("/account").status_code == 303, "another role takes another sign-in"
    admin.open(path)
    check_page(admin.send(action="/disabling"))
    again = Browser(app)
    again.open("/sign-in")
    assert again.send(login="shen", password=PASSWORD).status_code == 401
    own = office.session.scalars(select(Account.id).where(Account.login == "qian")).one()
    check_page(admin.open(f"/desk/staff/{own}"))
    assert "这是您自己的账号" in admin.text


def test_an_authenticator_is_taken_away_by_two(office: Scene) -> None:
    app = office.app()
    shen, admin = Browser(app), Browser(app)
    shen.sign_in("shen")
    set_up(shen)
    admin.sign_in("qian")
    number = office.session.scalars(select(Account.id).where(Account.login == "shen")).one()
    admin.open(f"/desk/staff/{number}")
    admin.send(action="/change", change="authenticator", reason="手机丢在出租车上了。")
    check_page(admin.open(f"/desk/staff/{number}"))
    assert "重置动态口令，等另一个人决定" in admin.text
    assert has_second_factor(session=office.session, account_id=number)
    page = approved(app, "lu")
    check_page(page)
    assert "批准了，马上生效" in words_of(page.text)
    office.session.rollback()
    assert office.session.scalars(select(SecondFactor)).all() == []
    assert shen.client.get("/account").status_code == 303


def test_staff_pages_speak_english(office: Scene) -> None:
    app = office.app()
    admin = Browser(app)
    admin.sign_in("qian")
    admin.open("/look?lang=en&back=/account")
    number = office.session.scalars(select(Account.id).where(Account.login == STAFF)).one()
    for path in ("/account", "/account/authenticator", "/desk/staff", "/desk/staff/new", f"/desk/staff/{number}"):
        check_page(admin.open(path), english=True)
    check_page(admin.send(action="/change", change="password", reason="forgot it"), english=True)
    check_page(admin.open("/desk/staff"), english=True)
    check_page(admin.open(re.findall(r'href="(/desk/staff/requests/\d+)"', admin.page.text)[0]), english=True)
