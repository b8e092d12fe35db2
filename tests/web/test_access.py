"""Who reaches what: roles on every route, nobody else's data."""

from __future__ import annotations

import re

import pytest

from app.access import rule_of
from tests.web.markup import check_page
from tests.web.scene import STAFF, Browser

# Public or a point's own, and nothing there before it is set up or asked for: not found, and not refused.
NOTHING_YET = {"/wechat/config", "/point/scan"}


def plain_pages(app):
    """The pages whose address holds no variable."""
    return [
        (rule.rule, rule_of(app.view_functions[rule.endpoint]))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("web.") and "GET" in rule.methods and not rule.arguments
    ]


def test_a_visitor_is_sent_to_sign_in_and_back(running):
    app = running.app()
    for path, rule in plain_pages(app):
        answer = app.test_client().get(path)
        if path in NOTHING_YET and rule.kind == "public":
            assert answer.status_code == 404
        elif rule.kind == "public":
            assert answer.status_code in (200, 303), path
        else:
            assert (answer.status_code, answer.location) == (303, f"/sign-in?next={path}")


def test_a_line_break_in_an_address_stays_in_the_address(running):
    """On the way to the sign-in page as everywhere: no header can be smuggled in, and nothing fails."""
    answer = running.app().test_client().get("/my/GS%0D%0ASet-Cookie:a=b&next=evil")
    assert answer.status_code == 303
    assert answer.location == "/sign-in?next=/my/GS%0D%0ASet-Cookie%3Aa%3Db%26next%3Devil"
    assert "Set-Cookie" not in answer.headers


def test_what_somebody_signed_in_sees_is_kept_nowhere(running, point):
    owner = running.owner("owner")
    reference = point.open_trade_in(owner)
    assert point.open(f"/point/trade-ins/{reference}").headers["Cache-Control"] == "private, no-store"
    asset = re.search(r'href="(/assets/[^"]+)"', point.page.text)[1]
    with point.client.get(asset) as file:
        assert "no-store" not in file.headers["Cache-Control"]
    assert "no-store" not in running.app().test_client().get("/").headers["Cache-Control"]


@pytest.mark.parametrize("before", ["9223372036854775808", "-99999999999999999999", "9" * 40, "٣", "1e3", "x", ""])
def test_a_lists_next_page_takes_no_number_the_database_cannot_hold(running, before):
    for login, path in (("point", "/point"), (STAFF, "/board/claims")):
        browser = Browser(running.app())
        browser.sign_in(login)
        assert browser.client.get(path, query_string={"before": before}).status_code == 200


@pytest.mark.parametrize("login", ["point", STAFF, "owner"])
def test_a_role_reaches_its_own_pages_only(running, login):
    running.owner("owner")
    app = running.app()
    role = {"point": "dealer", STAFF: "operator"}.get(login, "owner")
    browser = Browser(app)
    browser.sign_in(login)
    for path, rule in plain_pages(app):
        status = browser.client.get(path).status_code
        allowed = rule.kind == "public" or role in rule.roles
        reached = (
            status < 400 or status == 409 or (status == 404 and path in NOTHING_YET)
        )  # an empty shop reaches its printer and has nothing to print
        assert reached == allowed, path
        assert allowed or status == 403, path


def test_the_wrong_role_is_told_so(running):
    browser = Browser(running.app())
    browser.sign_in("point")
    page = browser.open("/board")
    assert page.status_code == 403
    check_page(page)
    assert "您的账号不能用这个功能" in browser.text
    assert 'href="/point"' in page.text


def test_signing_in_leads_to_where_one_was_going_but_never_to_another_site(running):
    browser = Browser(running.app())
    browser.sign_in(STAFF, to="/board/claims")
    assert browser.at == "/board/claims"
    for evil in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
        again = Browser(running.app())
        again.sign_in(STAFF, to=evil)
        assert again.at == "/board", evil


def test_wrong_passwords_keep_the_login_and_say_nothing_more(running):
    browser = Browser(running.app())
    browser.open("/sign-in")
    page = browser.send(login="point", password="wrong")
    assert page.status_code == 401
    check_page(page)
    assert 'value="point"' in page.text
    assert "wrong" not in page.text
    browser.send(login="nobody at all", password="wrong")
    assert "账号或密码不对" in browser.text


def test_signing_out_ends_it(running):
    browser = Browser(running.app())
    browser.sign_in("point")
    cookie = browser.client.get_cookie("mapai_sign_in").value
    assert browser.client.post("/sign-out", data=_leave(browser)).status_code == 303
    browser.client.set_cookie("mapai_sign_in", cookie)
    assert browser.client.get("/point").status_code == 303


def _leave(browser):
    """The token of the form that signs out, which stands on every page."""
    token = re.search(r'action="/sign-out">.*?name="csrf_token" value="([^"]+)"', browser.page.text, re.S)[1]
    return {"csrf_token": token}


def test_a_form_without_its_token_is_refused(running):
    app = running.app()
    browser = Browser(app)
    browser.sign_in("point")
    answer = browser.client.post("/point/open", data={"plate_no": "B000001"})
    assert answer.status_code == 400
    assert "这一页放得太久了" in answer.text
    assert app.test_client().post("/sign-in", data={"login": "point", "password": "x"}).status_code == 400


def test_a_sign_in_cookie_does_not_open_the_api(running):
    browser = Browser(running.app())
    browser.sign_in("point")
    assert browser.client.get("/api/trade-ins").status_code == 401


class TestOtherPeoplesData:
    def test_an_owner_sees_nobody_elses(self, running, point):
        owner = running.owner("owner")
        running.owner("stranger")
        reference = point.complete(running, owner)
        stranger = Browser(running.app())
        stranger.sign_in("stranger")
        for path in (f"/my/{reference}", f"/my/{reference}/live"):
            assert stranger.open(path).status_code == 404
        stranger.open("/my")
        assert reference not in stranger.page.text
        assert owner.plate_no not in stranger.page.text
        token = _leave(stranger)
        answer = stranger.client.post(f"/my/{reference}/wallet", data={**token, "wallet_id": "W1"})
        assert answer.status_code == 404

    def test_a_point_sees_no_other_points(self, running, point):
        owner = running.owner()
        reference = point.open_trade_in(owner)
        point.send_photos()
        other = running.district.dealer()
        running.account("other", role="dealer", dealer_id=other.id)
        browser = Browser(running.app())
        browser.sign_in("other")
        base = f"/point/trade-ins/{reference}"
        for path in (base, f"{base}/live", f"{base}/photos/plate"):
            assert browser.open(path).status_code == 404, path
        browser.open("/point")
        token = _leave(browser)
        for step in ("photos", "receipt", "withdrawal", "application"):
            assert browser.client.post(f"{base}/{step}", data=token).status_code == 404, step
        assert point.open(base).status_code == 200

    def test_nobody_reads_a_whole_name_id_or_phone(self, running, point):
        owner = running.owner("owner")
        reference = point.complete(running, owner)
        readers = {"point": f"/point/trade-ins/{reference}", STAFF: "/board/claims/1", "owner": f"/my/{reference}"}
        for login, path in readers.items():
            browser = Browser(running.app())
            browser.sign_in(login)
            page = browser.open(path)
            assert page.status_code == 200
            assert "陈*英" in page.text
            for secret in (owner.name, owner.id_no, owner.phone):
                assert secret not in page.text, (login, secret)
