"""The point's whole trade-in while the line drops and fingers tap twice: one trade-in, and each of its steps once."""

from __future__ import annotations

import json
import re
from io import BytesIO

import pytest
import qrcode
from PIL import ImageFilter
from playwright.sync_api import Dialog, Page, Route, expect
from sqlalchemy import func, select

from app.demo import DEALER_LOGIN, DemoOwner
from registry.audit import AuditEntry
from registry.bikes import Bike
from registry.filings import FiledBike
from registry.trade_ins import TradeIn, TradeInPhoto
from subsidy.claims import Claim
from tests.journeys.ground import STEP_MS, Ground, Visitor
from tests.journeys.test_scanning import as_file, plate_of_letters

pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVERYTHING_KEPT = """() => new Promise((done) => {
  const opened = indexedDB.open("mapai-outbox");
  opened.onsuccess = () => {
    const database = opened.result;
    if (!database.objectStoreNames.contains("sendings")) { database.close(); done("[]"); return; }
    const asked = database.transaction("sendings").objectStore("sendings").getAll();
    asked.onsuccess = () => { database.close(); done(JSON.stringify(asked.result)); };
  };
})"""
OFFLINE = "先存在这台设备上了"


def kept_on(page: Page) -> list[dict[str, object]]:
    """What the device's outbox holds, oldest first."""
    rows: list[dict[str, object]] = json.loads(page.evaluate(EVERYTHING_KEPT))
    return sorted(rows, key=lambda row: str(row["at"]))


def fill_opening(page: Page, owner: DemoOwner) -> None:
    page.get_by_label("旧车的号牌号码").fill(owner.plate_no)
    page.get_by_label("车主姓名").fill(owner.name)
    page.get_by_label("车主身份证号码").fill(owner.id_no)
    page.get_by_label("车主手机号码").fill(owner.phone)


def tap_twice(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).dblclick()


def forget_the_line(visitor: Visitor) -> None:
    """A browser complains of every request that found no line, and of every refusal; here both came on purpose."""
    meant = re.compile(r"net::ERR_|status of 422|^htmx:(afterRequest|sendError),")
    visitor.complaints[:] = [said for said in visitor.complaints if not meant.search(said)]


def open_while_offline(visitor: Visitor, owner: DemoOwner) -> str:
    """The opening is typed without a line; it goes by itself once there is one. Return the reference."""
    page = visitor.open("/point/open")
    fill_opening(page, owner)
    visitor.context.set_offline(True)
    tap_twice(page, "登记，和交警核对")
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    expect(page.locator(".outbox-bar")).to_contain_text("没有网络")
    kept = json.dumps(kept_on(page))
    assert owner.plate_no in kept
    assert owner.id_no not in kept
    visitor.context.set_offline(False)
    page.wait_for_url("**/point/trade-ins/GS-*", timeout=STEP_MS)
    expect(visitor.main).to_contain_text("核对通过，可以收旧车了")
    return page.url.rpartition("/")[2]


def photograph(visitor: Visitor, owner: DemoOwner) -> None:
    """Three photos; a blurred one is pointed out, may be taken again, and may go all the same."""
    page, clear = visitor.page, plate_of_letters(owner.plate_no)
    first, warning = page.locator("#f-frame_no"), page.get_by_text("这张照片好像糊了")
    first.set_input_files(as_file(clear))  # type: ignore[arg-type]
    expect(first).not_to_have_attribute("data-looking", "")
    expect(warning).to_have_count(0)
    first.set_input_files(as_file(clear.filter(ImageFilter.GaussianBlur(16))))  # type: ignore[arg-type]
    expect(warning).to_be_visible()
    with page.expect_file_chooser():
        page.get_by_role("button", name="重拍").click()
    expect(warning).to_have_count(0)
    assert first.evaluate("input => input.files.length") == 0
    first.set_input_files(as_file(clear.filter(ImageFilter.GaussianBlur(18))))  # type: ignore[arg-type]
    page.get_by_role("button", name="就用这张").click()
    expect(warning).to_have_count(0)
    for kind in ("plate", "whole"):
        page.locator(f"#f-{kind}").set_input_files(visitor.picture(f"{kind}.jpg", 320, 240)[0])  # type: ignore[arg-type]
    tap_twice(page, "存照片")
    expect(visitor.main).to_contain_text("存好了 3 张")


def receive_and_close_the_tab(visitor: Visitor, owner: DemoOwner, reference: str) -> None:
    """Pressed without a line, the tab closed: the next one sends it, and says what came of it."""
    page = visitor.page
    page.get_by_label("车架号", exact=True).fill(owner.frame_no)
    page.get_by_role("button", name="收下旧车").click()
    expect(page.locator(".errors")).to_be_focused()
    expect(page.locator(".errors")).to_contain_text("还没有填回收证明编号")
    expect(page.get_by_label("车架号", exact=True)).to_have_value(owner.frame_no)
    page.get_by_label("报废电动自行车回收证明编号").fill(f"HS-{reference[3:7]}-01")
    page.get_by_label("车架、电机、电池都在").check()
    visitor.context.set_offline(True)
    page.get_by_role("button", name="收下旧车").click()
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    assert [row["state"] for row in kept_on(page)][-1] == "waiting"
    page.close()
    visitor.context.set_offline(False)
    visitor.page = visitor.context.new_page()
    page = visitor.open("/point")
    expect(page.locator("#outbox")).to_contain_text("旧车收下了", timeout=STEP_MS)
    visitor.open(f"/point/trade-ins/{reference}")


def sell_while_the_answer_is_lost(visitor: Visitor, ground: Ground) -> None:
    """The server takes the sale and its answer never arrives: the same sending again finds it taken."""
    page = visitor.page
    with ground.session() as session:
        listed = page.locator("#f-vehicle_code option").evaluate_all("all => all.map(o => o.value)")
        label = session.scalar(
            select(Bike.registration_code).where(Bike.vehicle_code == listed[1], Bike.registration_code.is_not(None))
        )
    picture = BytesIO()
    qrcode.make(label).save(picture)
    photo = {"name": "label.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    page.locator("[data-scan-photo]").set_input_files(photo)  # type: ignore[arg-type]
    expect(page.locator("#f-vehicle_code")).to_have_value(listed[1])
    page.get_by_label("发票号码").fill(f"2433{listed[1]}9")
    for name, typed in (("标价", "3,299"), ("车企让利", "200"), ("旧车回收抵扣", "100"), ("车主实付", "2,999.00")):
        page.get_by_label(name).fill(typed)

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/sale", lose)
    page.get_by_role("button", name="卖出，记下发票").click()
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    page.unroute("**/sale")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(visitor.main).to_contain_text("新车卖出了", timeout=STEP_MS)


def test_a_dropped_line_and_double_taps_make_one_trade_in(ground: Ground) -> None:
    owner = ground.owner(account=False)
    with ground.visitor() as visitor:
        visitor.sign_in(DEALER_LOGIN)
        reference = open_while_offline(visitor, owner)
        photograph(visitor, owner)
        receive_and_close_the_tab(visitor, owner, reference)
        tap_twice(visitor.page, "向交警申请注销旧号牌")
        expect(visitor.main).to_contain_text("旧号牌已注销")
        sell_while_the_answer_is_lost(visitor, ground)
        tap_twice(visitor.page, "向交警申请新号牌")
        expect(visitor.main).to_contain_text(re.compile(r"序号 [\d,]+"), timeout=STEP_MS)
        assert {row["state"] for row in kept_on(visitor.page)} == {"sent"}
        assert [row["fields"] for row in kept_on(visitor.page) if row["fields"]] == []
        forget_the_line(visitor)
    with ground.session() as session:
        query = select(TradeIn).join(FiledBike, FiledBike.id == TradeIn.filed_bike_id)
        trade_in = session.scalars(query.where(FiledBike.plate_no == owner.plate_no)).one()
        assert (trade_in.reference, trade_in.state) == (reference, "completed")
        photos = select(func.count()).where(TradeInPhoto.trade_in_id == trade_in.id)
        assert session.scalar(photos) == 3
        assert session.scalar(select(func.count()).where(Claim.trade_in_id == trade_in.id)) == 1
        steps = session.execute(
            select(AuditEntry.action, func.count())
            .where(AuditEntry.subject == f"trade_in:{reference}", AuditEntry.action != "trade_in.photo")
            .group_by(AuditEntry.action)
        ).all()
        assert steps
        assert [(action, times) for action, times in steps if times != 1] == []


def test_an_id_number_is_typed_again_and_nobody_else_sees_the_outbox(ground: Ground) -> None:
    owner = ground.owner(account=False)
    with ground.visitor() as visitor:
        visitor.sign_in(DEALER_LOGIN)
        page = visitor.open("/point/open")
        fill_opening(page, owner)
        visitor.context.set_offline(True)
        page.get_by_role("button", name="登记，和交警核对").click()
        expect(page.get_by_text("身份证号码不存")).to_be_visible()
        page.close()
        visitor.context.set_offline(False)
        page = visitor.page = visitor.context.new_page()
        visitor.open("/point")
        page.get_by_role("link", name="补填身份证号码").click()
        expect(page.get_by_label("旧车的号牌号码")).to_have_value(owner.plate_no)
        expect(page.get_by_label("车主身份证号码")).to_have_value("")
        asked: list[str] = []

        def leave(dialog: Dialog) -> None:
            asked.append(dialog.message)
            dialog.accept()

        page.once("dialog", leave)
        page.get_by_role("button", name="退出").click()
        page.wait_for_url(lambda url: "/point" not in url)
        assert asked == ["还有 1 件没有发出，退出会丢掉。确定退出吗？"]
        assert kept_on(page) == []
        forget_the_line(visitor)
    with ground.session() as session:
        query = select(func.count()).select_from(TradeIn).join(FiledBike, FiledBike.id == TradeIn.filed_bike_id)
        assert session.scalar(query.where(FiledBike.plate_no == owner.plate_no)) == 0
