"""The point's line through its pages: every step, every «no» with what was typed kept, nothing done twice."""

from __future__ import annotations

import threading
from io import BytesIO

from sqlalchemy import func, select

from registry.bikes import Bike, Sale
from registry.trade_ins import TradeIn, TradeInPhoto
from subsidy.claims import Claim
from tests.registry.line import picture
from tests.web.markup import check_page
from tests.web.scene import PASSWORD, Browser, Scene


def how_many(scene: Scene, table: type) -> int:
    scene.session.rollback()
    return scene.session.scalar(select(func.count()).select_from(table)) or 0


class TestTheLine:
    def test_from_the_first_screen_to_the_place_in_the_queue(self, running, point):
        owner = running.owner()
        bike = running.district.stock(running.dealer)
        reference = point.open_trade_in(owner)
        assert "核对通过，可以收旧车了" in point.text
        for step, words in (
            (point.send_photos, "存好了 3 张"),
            (lambda: point.receive(owner), "旧车收下了"),
            (lambda: point.send(action="/cancellation"), "旧号牌已注销"),
            (lambda: point.sell(bike.vehicle_code, owner), "新车卖出了"),
            (lambda: point.send(action="/application"), "序号 1，补贴 300 元"),
        ):
            check_page(point.page)
            step()
            assert words in point.text, (words, point.text)
        check_page(point.page)
        assert running.district.trade_in(reference).state == "completed"
        claim = running.session.scalars(select(Claim)).one()
        assert (claim.position, claim.state, claim.amount_fen) == (1, "awarded", 30_000)
        sale = running.session.scalars(select(Sale)).one()
        assert (sale.list_price_fen, sale.discount_fen, sale.deduction_fen, sale.paid_fen) == (
            299_900,
            20_000,
            10_000,
            269_900,
        )
        point.open("/point?waiting_for=owner")
        assert owner.plate_no in point.text

    def test_only_the_step_that_is_due_has_a_form(self, running, point):
        point.open_trade_in(running.owner())
        assert "/photos" in point.form(action="/photos")[0]
        assert 'action="/point/trade-ins/' in point.page.text
        for step in ("receipt", "cancellation", "sale", "application"):
            assert f'/{step}"' not in point.page.text


class TestNo:
    def test_every_wrong_field_of_the_opening_is_named_and_kept(self, running, point):
        point.open("/point/open")
        page = point.send(plate_no="B38", owner_name="陈建英", owner_id_no="123", owner_phone="12")
        assert page.status_code == 422
        check_page(page)
        for field in ("plate_no", "owner_id_no", "owner_phone"):
            assert f'href="#f-{field}"' in page.text
        assert page.text.count('aria-invalid="true"') == 3
        assert 'value="陈建英"' in page.text
        assert 'value="B38"' in page.text
        assert how_many(running, TradeIn) == 0

    def test_an_empty_opening_says_what_is_missing(self, running, point):
        point.open("/point/open")
        page = point.send(plate_no="", owner_name="", owner_id_no="", owner_phone="")
        assert page.status_code == 422
        check_page(page)
        for label in ("号牌号码", "车主姓名", "车主身份证号码", "车主手机号码"):
            assert f"还没有填{label}。" in page.text
        assert "「」" not in page.text
        assert "不能用的字符" not in page.text

    def test_an_opening_typed_with_city_and_wide_digits(self, running, point):
        owner = running.owner()
        wide = {ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"}
        point.open("/point/open")
        point.send(
            plate_no=f"杭州{owner.plate_no}",
            owner_name=owner.name,
            owner_id_no=owner.id_no.translate(wide),
            owner_phone=owner.phone.translate(wide),
        )
        assert "核对通过" in point.text

    def test_faults_stand_in_the_order_of_the_form(self, running, point):
        owner = running.owner()
        point.open_trade_in(owner)
        point.send_photos()
        page = point.send(action="/receipt", frame_no="", recycling_certificate_no="")
        places = [page.text.index(f'href="#f-{name}"') for name in ("frame_no", "recycling_certificate_no", "complete")]
        assert places == sorted(places)
        assert "还没有填车架号。" in page.text
        assert "还没有填回收证明编号。" in page.text
        assert "还没有确认旧车是完整的" in page.text

    def test_the_address_a_refused_form_leaves_leads_back(self, running, point):
        owner = running.owner()
        reference = point.open_trade_in(owner)
        for step in ("photos", "receipt", "sale", "withdrawal"):
            point.open(f"/point/trade-ins/{reference}/{step}")
            assert (point.at, point.page.status_code) == (f"/point/trade-ins/{reference}", 200)
        assert point.open(f"/point/trade-ins/{reference}/nonsense").status_code == 404
        assert point.open("/point/trade-ins/GS-0000-00/receipt").status_code == 404

    def test_another_persons_bike(self, running, point):
        owner, other = running.owner(), running.owner()
        point.open("/point/open")
        point.send(plate_no=owner.plate_no, owner_name=other.name, owner_id_no=other.id_no, owner_phone=other.phone)
        assert point.page.status_code == 422
        assert "对不上" in point.text
        assert owner.id_no not in point.page.text

    def test_a_stolen_plate_stands_with_the_reason_and_can_be_withdrawn(self, running, point):
        reference = point.open_trade_in(running.owner(plate_no="B999002"))
        assert point.page.status_code == 200
        check_page(point.page)
        assert "已登记被盗抢" in point.text
        no_good_news = '<div class="notice notice-you" role="status">'
        assert no_good_news in point.page.text
        point.send(action="/verification")
        assert point.page.status_code == 422
        check_page(point.page)
        point.send(action="/withdrawal")
        assert "已撤回" in point.text
        assert no_good_news not in point.page.text
        assert running.district.trade_in(reference).state == "withdrawn"

    def test_silent_police_keep_what_was_typed(self, running, point):
        reference = point.open_trade_in(running.owner(plate_no="B999032"))
        assert "交警系统现在没有回话" in point.text
        assert running.district.trade_in(reference).state == "opened"
        page = point.send(action="/verification")
        assert page.status_code == 503
        check_page(page)
        assert "再和交警核对一次" in page.text

    def test_a_pending_cancellation_waits_without_a_button(self, running, point):
        owner = running.owner(plate_no="B999014")
        point.open_trade_in(owner)
        point.send_photos()
        point.receive(owner)
        point.send(action="/cancellation")
        assert "正在等交警注销旧号牌" in point.text
        assert 'class="btn"' not in point.page.text
        assert "data-live" in point.page.text
        point.open("/point?waiting_for=police")
        assert owner.plate_no in point.text

    def test_a_wrong_frame_number_keeps_the_certificate(self, running, point):
        owner = running.owner()
        point.open_trade_in(owner)
        point.send_photos()
        page = point.send(action="/receipt", frame_no="WRONG-1", recycling_certificate_no="HS778899", complete="yes")
        assert page.status_code == 422
        check_page(page)
        assert "车架号和备案的不一样" in page.text
        assert 'value="HS778899"' in page.text
        assert 'value="yes" checked' in page.text

    def test_a_bike_that_is_not_complete(self, running, point):
        owner = running.owner()
        point.open_trade_in(owner)
        point.send_photos()
        page = point.send(action="/receipt", frame_no=owner.frame_no, recycling_certificate_no="HS778899")
        assert page.status_code == 422
        check_page(page)
        assert "还没有确认旧车是完整的" in page.text
        assert 'href="#f-complete"' in page.text

    def test_a_price_that_does_not_add_up(self, running, point):
        owner = running.owner()
        bike = running.district.stock(running.dealer)
        point.open_trade_in(owner)
        point.send_photos()
        point.receive(owner)
        point.send(action="/cancellation")
        typed = {"vehicle_code": bike.vehicle_code, "invoice_no": "2433200012345678", "deduction": "0", "discount": "x"}
        page = point.send(action="/sale", **typed, list_price="2999", paid="2999")
        assert page.status_code == 422
        assert "车企让利「x」不对" in page.text
        page = point.send(action="/sale", **{**typed, "discount": "100"}, list_price="2999", paid="2999")
        assert page.status_code == 422
        check_page(page)
        assert 'href="#f-paid"' in page.text
        assert f'value="{bike.vehicle_code}" selected' in page.text
        assert how_many(running, Sale) == 0

    def test_a_picture_used_before_does_not_lose_the_others(self, running, point):
        used = picture()
        point.open_trade_in(running.owner())
        point.send(action="/photos", plate=(BytesIO(used), "a.jpg"))
        point.open_trade_in(running.owner())
        page = point.send(
            action="/photos",
            plate=(BytesIO(used), "a.jpg"),
            whole=(BytesIO(picture()), "b.jpg"),
            frame_no=(BytesIO(b"no"), "c"),
        )
        assert page.status_code == 422
        check_page(page)
        assert "这张照片以前用过" in page.text
        assert "这不是照片文件" in page.text
        assert how_many(running, TradeInPhoto) == 2
        picture_of_it = point.client.get(f"{point.at.removesuffix('/photos')}/photos/whole")
        assert picture_of_it.mimetype == "image/png"

    def test_a_suspended_point_opens_nothing_new(self, running, point):
        running.dealer.state = "suspended"
        running.session.commit()
        page = point.open("/point")
        check_page(page)
        assert "现在不能登记新的置换" in page.text
        assert 'href="/point/open"' not in page.text

    def test_a_step_out_of_order_says_what_is_due(self, running, point):
        reference = point.open_trade_in(running.owner())
        _, hidden = point.form(action="/photos")
        page = point.client.post(f"/point/trade-ins/{reference}/application", data=hidden)
        assert page.status_code == 409
        check_page(page)
        assert "已核对，待收旧车" in page.text


class TestTwice:
    def test_the_same_opening_sent_again_leads_to_the_same_trade_in(self, running, point):
        owner = running.owner()
        point.open("/point/open")
        target, hidden = point.form()
        typed = {
            **hidden,
            "plate_no": owner.plate_no,
            "owner_name": owner.name,
            "owner_id_no": owner.id_no,
            "owner_phone": owner.phone,
        }
        first = point.client.post(target, data=typed)
        again = point.client.post(target, data=typed)
        assert (first.status_code, again.status_code) == (303, 303)
        assert first.location == again.location
        assert how_many(running, TradeIn) == 1

    def test_two_clicks_at_once_have_one_effect(self, running, point):
        app = point.app
        point.open("/point/stock")
        target, hidden = point.form()
        typed = {**hidden, **STOCK}
        cookies = {name: point.client.get_cookie(name).value for name in ("mapai_sign_in", "session")}
        answers, together = [], threading.Barrier(3)

        def click() -> None:
            client = app.test_client()
            for name, value in cookies.items():
                client.set_cookie(name, value)
            together.wait()
            answers.append(client.post(target, data=typed))

        clicks = [threading.Thread(target=click) for _ in range(3)]
        for thread in clicks:
            thread.start()
        for thread in clicks:
            thread.join()
        assert [answer.status_code for answer in answers] == [303] * 3
        assert how_many(running, Bike) == 1

    def test_a_corrected_form_is_a_new_sending(self, running, point):
        point.open("/point/stock")
        page = point.send(**{**STOCK, "battery_code": ""})
        assert page.status_code == 422
        check_page(page)
        point.send(**STOCK)
        assert "入库了，赋码" in point.text
        point.open("/point/stock")
        page = point.send(**STOCK)
        assert page.status_code in (409, 422)
        assert how_many(running, Bike) == 1

    def test_going_back_after_a_step_cannot_repeat_it(self, running, point):
        owner = running.owner()
        point.open_trade_in(owner)
        point.send_photos()
        target, hidden = point.form(action="/receipt")
        typed = {**hidden, "frame_no": owner.frame_no, "recycling_certificate_no": "HS0011", "complete": "yes"}
        assert point.client.post(target, data=typed).status_code == 303
        assert point.client.post(target, data=typed).status_code == 303
        changed = point.client.post(target, data={**typed, "recycling_certificate_no": "HS0012"})
        assert changed.status_code == 409
        scene_trade_in = running.district.trade_in(target.split("/")[-2])
        assert scene_trade_in.recycling_certificate_no == "HS0011"


STOCK = {
    "certificate": "https://certificate.example/q?vinCode=118222600099001",
    "vehicle_code": "",
    "battery_code": "BAT-0099001",
    "model": "TDT-26",
    "standard": "GB 17761-2024",
    "made_on": "2026-01-15",
    "battery_kind": "lead_acid",
    "weight": "62.5",
    "top_speed": "25",
    "motor": "400",
    "voltage": "48",
}


def test_the_stock_form_turns_units_into_the_domains(running, point):
    point.open("/point/stock")
    point.send(**STOCK)
    bike = running.session.scalars(select(Bike)).one()
    assert (bike.vehicle_code, bike.weight_g, bike.top_speed_m_h, bike.motor_w, bike.voltage_mv) == (
        "118222600099001",
        62_500,
        25_000,
        400,
        48_000,
    )
    page = point.send(**{**STOCK, "weight": "ein paar", "made_on": "2026-02-30", "motor": "99999", "model": "x" * 65})
    assert page.status_code == 422
    markup = check_page(page)
    assert markup.tags["h1"] == 1
    for field in ("weight", "made_on", "motor", "model"):
        assert f'href="#f-{field}"' in page.text


def test_signing_in_by_hand_works_with_every_password_character(scene):
    browser = Browser(scene.app())
    assert browser.sign_in("point").status_code == 200
    assert PASSWORD not in browser.page.text
