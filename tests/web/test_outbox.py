"""What the server tells the outbox on a device: a fresh token, where a sending led, and nothing across accounts."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

from sqlalchemy import func, select

from registry.trade_ins import TradeIn, TradeInPhoto
from tests.registry.line import picture
from tests.web.scene import Browser, Scene

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


def test_the_counters_forms_go_through_the_outbox_and_photos_stand_once(running: Scene, point: Browser) -> None:
    """Each form carries its key; the panel is there for the device to fill."""
    reference = point.open_trade_in(running.owner("owner"))
    for path in ("/point/open", "/point/stock", f"/point/trade-ins/{reference}"):
        page = point.open(path).text
        posting = [form for form in re.findall(r"<form\b.*?</form>", page, re.S) if 'name="submission"' in form]
        assert posting, path
        assert [form for form in posting if "data-outbox" not in form[: form.index(">")]] == [], path
        assert "data-outbox-panel" in page
        assert "outbox.js" in page
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


def test_the_scripts_of_devices_run_in_old_web_views() -> None:
    """No arrow functions, no template literals, no classes: an old WeChat reads these files too."""
    newer = re.compile(r"=>|`|^\s*(?:const|let|class|import|export)\b|\?\.|\?\?|\basync\b|\bawait\b", re.M)
    for name in ("scan.js", "photo.js", "outbox.js", "outbox_store.js", "pages.js"):
        text = re.sub(r"//.*", "", (STATIC / name).read_text("utf-8"))
        assert newer.findall(text) == [], name
