"""What the server tells the outbox on a device: a fresh token, where a sending led, and nothing across accounts."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

from sqlalchemy import func, select

from registry.audit import AuditEntry
from registry.destruction import Destruction
from registry.trade_ins import TradeIn, TradeInPhoto
from registry.transfers import Transfer
from subsidy.claims import Claim
from subsidy.corrections import mark_fault
from tests.registry.line import NOW, id_number, picture
from tests.web.scene import Browser, Scene
from tests.web.test_dealer_way import code_sent
from tests.web.test_owner_claims import RIGHT, held

OUTBOX = "Mapai-Outbox"
KEY = "a1b2c3d4e5f60718293a"
STATIC = Path(__file__).parents[2] / "app" / "web" / "static"


def account_of(browser: Browser) -> str:
    return str(browser.client.get("/csrf").json["account"])  # type: ignore[index]


def typed(owner) -> dict[str, str]:
    return {
        "plate_no": owner.plate_no,
        "owner_name": owner.name,
        "owner_id_no": owner.id_no,
        "owner_phone": owner.phone,
        "submission": KEY,
    }


def opened(running: Scene) -> int:
    running.session.rollback()
    return running.session.scalar(select(func.count()).select_from(TradeIn)) or 0


def test_a_token_is_for_who_is_signed_in_and_nothing_is_taken_under_another(running: Scene, point: Browser) -> None:
    visitor = Browser(running.app())
    answer = visitor.client.get("/csrf")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?next=/csrf")
    fresh = point.client.get("/csrf")
    assert fresh.headers["Cache-Control"] == "private, no-store"
    owner, mine = running.owner("owner"), account_of(point)
    running.account("colleague", role="dealer", dealer_id=running.dealer.id)
    colleague = Browser(running.app())
    colleague.sign_in("colleague")
    assert account_of(colleague) != mine
    for other in (visitor, colleague):
        answer = other.client.post("/point/open", data={**typed(owner), "csrf_token": "any"}, headers={OUTBOX: mine})
        assert (answer.status_code, answer.json) == (401, {"sign_in": True})
    assert opened(running) == 0
    point.open("/point/open")
    sent = {**typed(owner), "csrf_token": fresh.json["token"]}  # type: ignore[index]
    assert point.client.post("/point/open", data=sent).status_code == 303


def test_a_sending_of_the_outbox_is_told_where_it_led_and_never_taken_twice(running: Scene, point: Browser) -> None:
    owner = running.owner("owner")
    point.open("/point/open")
    _, hidden = point.form()
    sent = {**hidden, **typed(owner)}
    headers = {OUTBOX: account_of(point)}
    refused = point.client.post("/point/open", data={**sent, "owner_name": ""}, headers=headers)
    assert (refused.status_code, refused.mimetype) == (422, "text/html")
    assert "还没有填车主姓名" in refused.text
    first = point.client.post("/point/open", data=sent, headers=headers)
    again = point.client.post("/point/open", data=sent, headers=headers)
    assert first.status_code == 200
    assert first.json == again.json
    assert re.fullmatch(r"/point/trade-ins/GS-\w{4}-\w{2}", first.json["to"])  # type: ignore[index]
    assert opened(running) == 1
    assert "核对通过" in words(point, first.json["to"])  # type: ignore[index]


def words(browser: Browser, path: str) -> str:
    browser.open(path)
    return browser.text


def test_what_was_sent_while_nobody_looked_says_its_words_to_the_outbox(running: Scene, point: Browser) -> None:
    point.open("/point/open")
    _, hidden = point.form()
    sent = {**hidden, **typed(running.owner("owner"))}
    told = point.client.post("/point/open", data=sent, headers={OUTBOX: f"{account_of(point)} later"}).json
    assert told is not None
    assert "核对通过" in told["said"]
    assert "核对通过，可以收旧车了" not in words(point, told["to"])


def every_form_goes_through_it(browser: Browser, path: str) -> str:
    """Assert it of the forms of a page; return the page."""
    page = browser.open(path).text
    posting = [form for form in re.findall(r"<form\b.*?</form>", page, re.S) if 'name="submission"' in form]
    assert posting, path
    assert [form for form in posting if "data-outbox" not in form[: form.index(">")]] == [], path
    assert "data-outbox-panel" in page
    assert "outbox.js" in page
    return page


def twice(browser: Browser, *, action: str, image: bytes = b"", field: str = "image", **typed: str) -> dict[str, str]:
    """Send the page's form twice under one key, as a device does that never heard the answer; return the one answer."""
    target, hidden = browser.form(action=action)
    answers = []
    for _ in range(2):
        sent: dict[str, object] = {**hidden, **typed, "submission": f"{KEY}{target[-20:]}".replace("/", "-")}
        if image:
            sent[field] = (BytesIO(image), "photo.jpg")
        answer = browser.client.post(target, data=sent, headers={OUTBOX: account_of(browser)})
        assert answer.status_code == 200, answer.text
        answers.append(answer.json)
    assert answers[0] == answers[1]
    return answers[0]  # type: ignore[return-value]


def test_the_counters_forms_go_through_the_outbox_and_photos_stand_once(running: Scene, point: Browser) -> None:
    """Each form carries its key; the panel is there for the device to fill."""
    reference = point.open_trade_in(running.owner("owner"))
    for path in ("/point/open", "/point/stock", f"/point/trade-ins/{reference}"):
        every_form_goes_through_it(point, path)
    target, hidden = point.form(action="/photos")
    image, headers = picture(), {OUTBOX: account_of(point)}
    answers = [
        point.client.post(
            target,
            data={**hidden, "submission": KEY, "frame_no": (BytesIO(image), "frame.jpg")},
            headers=headers,
        ).json
        for _ in range(2)
    ]
    assert answers[0] == answers[1] == {"to": f"/point/trade-ins/{reference}", "said": ""}
    running.session.rollback()
    assert running.session.scalar(select(func.count()).select_from(TradeInPhoto)) == 1


def test_a_transfer_goes_through_it_and_only_the_asking_for_a_code_never_waits(running: Scene, point: Browser) -> None:
    seller = running.owner("seller")
    every_form_goes_through_it(point, "/point/transfers/open")
    led = twice(
        point,
        action="/transfers/open",
        plate_no=seller.plate_no,
        seller_name=seller.name,
        seller_id_no=seller.id_no,
        seller_phone="13800138111",
        buyer_name="李国强",
        buyer_id_no=id_number(70_003),
        buyer_phone="13800138222",
    )["to"]
    running.session.rollback()
    assert f"/transfers/{running.session.scalars(select(Transfer.transfer_no)).one()}" == led
    page = every_form_goes_through_it(point, led)
    now_only = [form for form in re.findall(r"<form\b[^>]*>", page) if "data-outbox-now" in form]
    assert [re.findall(r'action="([^"]*)"', form) for form in now_only] == [[f"{led}/seller/codes"]]
    gateway = point.app.extensions["mapai.partners"].sms
    before = len(gateway.messages)
    assert twice(point, action="/seller/codes")["to"] == f"{led}?sent=seller"
    assert len(gateway.messages) == before + 1, "one text, however often it was asked for under one key"
    page = every_form_goes_through_it(point, f"{led}?sent=seller")
    assert f'data-outbox-page="{led}?sent=seller"' in page
    assert re.search(r'<input[^>]*name="code"[^>]*autocomplete="one-time-code"', page), "by which the device knows it"
    assert "data-outbox-done" not in page
    assert twice(point, action="/seller", code=code_sent(point.app, "13800138111"))["to"] == led
    page = every_form_goes_through_it(point, led)
    assert re.findall(r'data-outbox-done="([^"]*)"', page) == [f"{led}/seller"]
    running.session.rollback()
    confirmed = select(func.count()).where(AuditEntry.action == "filing.transfer_confirmed")
    assert running.session.scalar(confirmed) == 1
    at_home = Browser(point.app)
    at_home.sign_in("seller")
    own = at_home.open(led).text
    assert "data-outbox-panel" not in own
    assert 'data-outbox="' not in own
    point.open(led)
    assert twice(point, action="/withdrawal")["to"] == led
    page = point.open(led).text
    assert re.findall(r'data-outbox-done="([^"]*)"', page) == [f"{led}/seller", f"{led}/buyer"]


def test_a_paper_and_a_correction_go_through_it(running: Scene) -> None:
    _, point, reference = held(running)
    path = f"/point/trade-ins/{reference}"
    every_form_goes_through_it(point, f"{path}/correction")
    assert twice(point, action="/correction", vehicle_code=RIGHT)["to"] == path
    running.session.rollback()
    assert set(running.session.scalars(select(Claim.state))) == {"awarded"}
    for number, (part, led) in enumerate((("bike", f"{path}/destruction"), ("battery", "/point/destructions"))):
        every_form_goes_through_it(point, f"{path}/destruction")
        paper = {"part": part, "firm": "杭州某拆解厂", "document_no": f"CJ-{part}-02", "done_on": "2026-06-20"}
        image = picture()
        assert twice(point, action="/destruction", image=image, **paper)["to"] == led, number
    running.session.rollback()
    assert sorted(running.session.scalars(select(Destruction.part))) == ["battery", "bike"]


def test_a_photo_taken_again_goes_through_it(running: Scene, point: Browser) -> None:
    owner = running.owner()
    bike = running.district.stock(running.dealer)
    reference = point.open_trade_in(owner)
    point.send_photos()
    mark_fault(
        session=running.session, reference=reference, field="photo:plate", note="看不清", actor="account:9", now=NOW
    )
    running.session.commit()
    point.receive(owner)
    point.send(action="/cancellation")
    point.sell(bike.vehicle_code, owner)
    point.send(action="/application")
    every_form_goes_through_it(point, f"/point/trade-ins/{reference}/correction")
    told = twice(point, action="/photos/plate", image=picture(), field="plate")
    assert told["to"] == f"/point/trade-ins/{reference}/correction"
    running.session.rollback()
    of_the_plate = select(func.count()).where(TradeInPhoto.kind == "plate")
    assert running.session.scalar(of_the_plate) == 2, "the one that could not be read, and the new one"


def test_the_scripts_of_devices_run_in_old_web_views() -> None:
    """No arrow functions, no template literals, no classes: an old WeChat reads these files too."""
    newer = re.compile(r"=>|`|^\s*(?:const|let|class|import|export)\b|\?\.|\?\?|\basync\b|\bawait\b", re.M)
    for name in ("scan.js", "photo.js", "outbox.js", "outbox_store.js", "pages.js"):
        text = re.sub(r"//.*", "", (STATIC / name).read_text("utf-8"))
        assert newer.findall(text) == [], name
