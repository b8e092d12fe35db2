"""Staff behind their pages: two factors at the sign-in, recovery codes, accounts, and a reset by two."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select

from app.auth import COOKIE
from app.clock import real
from registry.accounts import Account
from registry.second_factor import SecondFactor, has_second_factor
from tests.web.markup import check_page
from tests.web.scene import PASSWORD, STAFF, Browser, Scene

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
    check_page(admin.send(action="/password"))
    assert "只显示这一次" in admin.text
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


def test_an_administrator_adds_changes_and_disables(office: Scene) -> None:
    app = office.app()
    admin = Browser(app)
    admin.sign_in("qian")
    check_page(admin.open("/desk/staff"))
    check_page(admin.open("/desk/staff/new"))
    page = admin.send(action="/desk/staff/new", login="Sun Li", display_name="", role="")
    assert page.status_code == 422
    check_page(page)
    check_page(admin.send(action="/desk/staff/new", login="sun.li", display_name="孙丽", role="operator"))
    password = re.findall(r'<dd class="mono">([\w-]{16})</dd>', admin.page.text)[0]
    sun = Browser(app)
    sun.open("/sign-in")
    sun.send(login="sun.li", password=password)
    assert sun.at == "/board"
    assert sun.open("/desk/staff").status_code == 403
    account = office.session.scalars(select(Account).where(Account.login == "sun.li")).one()
    check_page(admin.open(f"/desk/staff/{account.id}"))
    admin.send(action="/role", role="auditor")
    assert sun.client.get("/account").status_code == 303, "another role takes another sign-in"
    check_page(admin.send(action="/disabling"))
    again = Browser(app)
    again.open("/sign-in")
    assert again.send(login="sun.li", password=password).status_code == 401
    own = office.session.scalars(select(Account.id).where(Account.login == "qian")).one()
    check_page(admin.open(f"/desk/staff/{own}"))
    assert "这是您自己的账号" in admin.text


def test_an_authenticator_is_taken_away_by_two(office: Scene) -> None:
    app = office.app()
    shen, admin, reviewer = (Browser(app) for _ in range(3))
    shen.sign_in("shen")
    set_up(shen)
    admin.sign_in("qian")
    reviewer.sign_in("hai")
    number = office.session.scalars(select(Account.id).where(Account.login == "shen")).one()
    path = f"/desk/staff/{number}"
    admin.open(path)
    admin.send(action="/reset", reason="手机丢在出租车上了。")
    check_page(admin.open(path))
    assert "请另一位管理员或者复核员决定" in admin.text
    assert "/reset-decision" not in admin.page.text
    assert has_second_factor(session=office.session, account_id=number)
    check_page(reviewer.open("/desk/staff"))
    assert "手机丢在出租车上了" in reviewer.text
    check_page(reviewer.open(path))
    check_page(reviewer.send(action="/reset-decision", approved="yes"))
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
