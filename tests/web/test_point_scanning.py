"""What a scan at the counter opens, and what was typed into a step before the page was closed."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from sqlalchemy import func, select, update

from registry.bikes import Bike
from registry.plates import Plate
from registry.point_drafts import LIVES, LONGEST, PointDraft
from registry.trade_ins import TradeIn
from tests.registry.line import NOW, Owner, new_bike
from tests.web.markup import check_page
from tests.web.scene import Browser, Scene


def scanned(point: Browser, text: str) -> str:
    """Where a scan leads, without following it."""
    answer = point.client.get("/point/scan", query_string={"text": text})
    assert answer.status_code == 303, (answer.status_code, answer.text)
    return str(answer.headers["Location"])


def told(point: Browser, text: str) -> str:
    """What the page says that answers a scan in words."""
    page = point.open(f"/point/scan?text={quote(text)}")
    assert page.status_code == (200 if "在库" in page.text else 404)
    check_page(page)
    return point.text


def until_plate_cancelled(point: Browser, owner: Owner) -> str:
    reference = point.open_trade_in(owner)
    point.send_photos()
    point.receive(owner)
    point.send(action="/cancellation")
    return reference


class TestScanning:
    def test_a_filed_plate_opens_its_form_and_then_its_trade_in(self, running: Scene, point: Browser) -> None:
        owner = running.owner()
        address = urlsplit(scanned(point, owner.plate_no))
        assert (address.path, parse_qs(address.query)) == ("/point/open", {"plate_no": [owner.plate_no]})
        check_page(point.open(f"{address.path}?{address.query}"))
        assert f'value="{owner.plate_no}"' in point.page.text
        reference = point.open_trade_in(owner)
        for text in (owner.plate_no, owner.plate_no.lower(), f"杭州 {owner.plate_no}", reference, reference.lower()):
            assert scanned(point, text) == f"/point/trade-ins/{reference}"

    def test_a_bike_in_stock_goes_to_the_one_who_waits_for_a_bike(self, running: Scene, point: Browser) -> None:
        bike = running.district.stock(running.dealer)
        assert "现在没有等买新车的置换" in told(point, bike.vehicle_code), "the page says so, and what to do"
        reference = until_plate_cancelled(point, running.owner())
        for text in (
            bike.vehicle_code,
            bike.registration_code,
            f"https://example.invalid/scan?vinCode={bike.vehicle_code}",
        ):
            assert scanned(point, text) == f"/point/trade-ins/{reference}?vehicle_code={bike.vehicle_code}"
        point.open(scanned(point, bike.vehicle_code))
        check_page(point.page)
        assert f'<option value="{bike.vehicle_code}" selected>' in point.page.text

    def test_among_several_who_wait_a_person_chooses(self, running: Scene, point: Browser) -> None:
        bike = running.district.stock(running.dealer)
        references = [until_plate_cancelled(point, running.owner()) for _ in range(2)]
        check_page(point.open(f"/point/scan?text={bike.vehicle_code}"))
        assert point.page.status_code == 200
        assert "卖给哪一位" in point.text
        for reference in references:
            assert f"/point/trade-ins/{reference}?vehicle_code={bike.vehicle_code}" in point.page.text

    def test_a_bike_that_is_not_in_stock_begins_the_form_of_the_stock(self, scene: Scene) -> None:
        point = Browser(scene.app())
        point.sign_in("point")
        code = new_bike().vehicle_code
        assert scanned(point, code) == f"/point/stock?vehicle_code={code}"
        check_page(point.open(scanned(point, f"https://example.invalid/c?cert_ins_id={code}&t=1")))
        assert f'value="{code}"' in point.page.text
        assert "https://example.invalid/c?cert_ins_id" in point.page.text, "the certificate's address is filled in"

    def test_a_sold_bike_and_its_new_plate_open_the_trade_in_they_belong_to(
        self, running: Scene, point: Browser
    ) -> None:
        reference = point.complete(running, running.owner())
        running.session.rollback()
        bike, plate = running.session.execute(select(Bike, Plate).join(Plate, Plate.bike_id == Bike.id)).one()
        for text in (bike.vehicle_code, bike.registration_code, plate.plate_no):
            assert scanned(point, text) == f"/point/trade-ins/{reference}"

    def test_what_belongs_to_another_point_or_to_nothing_is_said_in_words(self, running: Scene, point: Browser) -> None:
        other = running.district.dealer()
        running.account("other", role="dealer", dealer_id=other.id)
        bike = running.district.stock(other)
        neighbour = Browser(running.app())
        neighbour.sign_in("other")
        owner = running.owner()
        theirs = neighbour.open_trade_in(owner)
        assert "登记在别的店" in told(point, bike.vehicle_code)
        assert "不是本店登记的" in told(point, theirs)
        assert owner.name not in point.text
        assert "认不出这个码" in told(point, "hello")
        assert "没有扫到内容" in told(point, "")
        assert "第 5 位不是 2" in told(point, "118212345678901")
        assert "不是我们签发的" in told(point, "https://example.invalid/P/" + "A" * 130) or "完整" in point.text
        assert point.open("/point/scan?text=Z999999").status_code == 404

    def test_the_answer_comes_in_english_too(self, running: Scene, point: Browser) -> None:
        point.open("/look?lang=en&back=/point")
        assert "Who is waiting for whom" in point.text
        check_page(point.open("/point/scan?text=hello"), english=True)
        assert "This code is unknown" in point.text


class TestWhatWasTyped:
    TYPED = {"frame_no": "LX2105", "recycling_certificate_no": "HS0001", "complete": "yes"}

    def test_it_comes_back_on_another_device_and_goes_once_the_step_is_taken(
        self, running: Scene, point: Browser
    ) -> None:
        owner = running.owner()
        reference = point.open_trade_in(owner)
        point.send_photos()
        assert 'hx-post="/point/trade-ins/' in point.page.text
        self._keep(point, reference, "receipt")
        assert "填的已存好" in point.text
        tablet = Browser(running.app(at=NOW + timedelta(minutes=1)))
        tablet.sign_in("point")
        check_page(tablet.open(f"/point/trade-ins/{reference}"))
        assert 'value="LX2105"' in tablet.page.text
        assert "填的已存好" in tablet.text
        tablet.receive(owner)
        running.session.rollback()
        assert running.session.scalar(select(func.count()).select_from(PointDraft)) == 0

    def test_only_the_step_that_is_due_keeps_anything_and_never_who_somebody_is(
        self, running: Scene, point: Browser
    ) -> None:
        owner = running.owner()
        reference = point.open_trade_in(owner)
        point.send_photos()
        self._keep(point, reference, "sale", vehicle_code="1", paid="2")
        self._keep(point, reference, "opening", owner_id_no=owner.id_no)
        self._keep(point, reference, "receipt", owner_id_no=owner.id_no, frame_no="X" * 300)
        running.session.rollback()
        draft = running.session.scalars(select(PointDraft)).one()
        assert (draft.step, draft.typed) == ("receipt", {"frame_no": "X" * LONGEST})
        self._keep(point, reference, "receipt", frame_no="")
        running.session.rollback()
        assert running.session.scalar(select(func.count()).select_from(PointDraft)) == 0, "an emptied form leaves none"

    def test_a_refused_form_shows_what_was_sent_and_an_old_draft_is_forgotten(
        self, running: Scene, point: Browser
    ) -> None:
        owner = running.owner()
        reference = point.open_trade_in(owner)
        point.send_photos()
        self._keep(point, reference, "receipt")
        point.open(f"/point/trade-ins/{reference}")
        point.send(action="/receipt", frame_no="WRONG1", recycling_certificate_no="HS0001", complete="yes")
        assert 'value="WRONG1"' in point.page.text
        running.session.execute(update(PointDraft).values(saved_at=NOW - LIVES * 2))
        running.session.commit()
        point.open(f"/point/trade-ins/{reference}")
        assert "LX2105" not in point.page.text

    def test_nobody_keeps_anything_for_another_points_trade_in(self, running: Scene, point: Browser) -> None:
        reference = point.open_trade_in(running.owner())
        running.account("other", role="dealer", dealer_id=running.district.dealer().id)
        other = Browser(running.app())
        other.sign_in("other")
        other.open("/point/open")
        token = other.form()[1]["csrf_token"]
        answer = other.client.post(f"/point/trade-ins/{reference}/drafts/receipt", data={"csrf_token": token})
        assert answer.status_code == 404
        running.session.rollback()
        assert running.session.scalars(select(TradeIn.state)).all() == ["old_bike_verified"]

    def _keep(self, point: Browser, reference: str, step: str, **typed: str) -> None:
        point.open(f"/point/trade-ins/{reference}")
        token = point.form()[1]["csrf_token"]
        point.page = point.client.post(
            f"/point/trade-ins/{reference}/drafts/{step}", data={"csrf_token": token, **(typed or self.TYPED)}
        )
        assert point.page.status_code == 200


@pytest.mark.parametrize("state", ["suspended", "expired", "trained", "revoked"])
def test_a_point_that_may_not_open_is_told_why_and_finishes_what_is_begun(scene: Scene, state: str) -> None:
    scene.dealer.state = state
    scene.session.commit()
    point = Browser(scene.app())
    point.sign_in("point")
    check_page(point.open("/point"))
    assert "现在不能登记新的置换" in point.text
    assert "登记一辆旧车" not in point.text.replace("登记一辆旧车，就从这里开始", "")
    check_page(point.open("/point/enrolment"))
