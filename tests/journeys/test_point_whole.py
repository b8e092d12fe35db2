"""The point's whole trade-in while the line drops and fingers tap twice: one trade-in, and each of its steps once."""

from __future__ import annotations

import json
import re
from io import BytesIO

import pytest
import qrcode
from PIL import ImageFilter
from playwright.sync_api import Dialog, Error, Page, Route, expect
from sqlalchemy import func, select

from app.demo import DEALER_LOGIN, DemoOwner
from registry.audit import AuditEntry
from registry.bikes import Bike
from registry.dealers import local_day
from registry.destruction import Destruction
from registry.filings import FiledBike
from registry.trade_ins import TradeIn, TradeInPhoto
from registry.transfers import Transfer
from subsidy.claims import Claim
from tests.journeys.ground import LINE_MS, STEP_MS, Ground, Visitor
from tests.journeys.test_owner_stories import RIGHT_END, SLIPPED_END, code_for, opened, stocked, walked
from tests.journeys.test_scanning import as_file, plate_of_letters
from tests.registry.line import id_number

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
BUYER_NAME, BUYER_PHONE = "李国强", "13900139088"


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


class LosingLine:
    """Lets what is sent to an address arrive and loses every answer, until it is mended."""

    def __init__(self, page: Page, address: str) -> None:
        self.lost, self.down = 0, True
        self.page = page
        page.route(address, self._pass)

    def _pass(self, route: Route) -> None:
        try:
            if not self.down:
                route.continue_()
                return
            route.fetch()
            self.lost += 1
            route.abort()
        except Error:
            return  # the page has gone, and its request with it: nobody waits for this answer

    def mend(self) -> None:
        """Let everything through from now on; tell the page that the line is back."""
        assert self.lost, "no answer was lost"
        self.down = False
        self.page.evaluate("window.dispatchEvent(new Event('online'))")


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
    page.wait_for_url("**/point/trade-ins/GS-*", timeout=LINE_MS)
    visitor.arrived("核对通过，可以收旧车了")
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
    visitor.arrived("存好了 3 张")


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
    expect(page.locator("#outbox")).to_contain_text("旧车收下了", timeout=LINE_MS)
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

    line = LosingLine(page, "**/sale")
    page.get_by_role("button", name="卖出，记下发票").click()
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    line.mend()
    visitor.arrived("新车卖出了", LINE_MS)


def test_a_dropped_line_and_double_taps_make_one_trade_in(ground: Ground) -> None:
    owner = ground.owner(account=False)
    with ground.visitor() as visitor:
        visitor.sign_in(DEALER_LOGIN)
        reference = open_while_offline(visitor, owner)
        photograph(visitor, owner)
        receive_and_close_the_tab(visitor, owner, reference)
        tap_twice(visitor.page, "向交警申请注销旧号牌")
        visitor.arrived("旧号牌已注销")
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


def open_transfer_while_offline(visitor: Visitor, seller: DemoOwner, buyer_id_no: str) -> str:
    """Both cards are typed without a line; neither number stays on the device. Return the transfer's number."""
    page = visitor.open("/point/transfers/open")
    page.get_by_label("旧车的号牌号码").fill(seller.plate_no)
    page.get_by_label("卖方姓名").fill(seller.name)
    page.get_by_label("卖方身份证号码").fill(seller.id_no)
    page.get_by_label("卖方手机号码").fill(seller.phone)
    page.get_by_label("买方姓名").fill(BUYER_NAME)
    page.get_by_label("买方身份证号码").fill(buyer_id_no)
    page.get_by_label("买方手机号码").fill(BUYER_PHONE)
    visitor.context.set_offline(True)
    tap_twice(page, "登记，等双方确认")
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    kept = json.dumps(kept_on(page), ensure_ascii=False)
    assert seller.plate_no in kept
    assert (seller.id_no in kept, buyer_id_no in kept) == (False, False)
    visitor.context.set_offline(False)
    page.wait_for_url("**/transfers/T*", timeout=LINE_MS)
    visitor.arrived("过户登记了")
    return page.url.rpartition("/")[2]


def seller_confirms(visitor: Visitor, ground: Ground, seller: DemoOwner) -> None:
    """A code is asked for now or not at all; a wrong one comes back to its form, and a lost answer counts once."""
    page, ask = visitor.page, "给卖方发验证码"
    visitor.context.set_offline(True)
    page.get_by_role("button", name=ask).click()
    expect(page.get_by_text("没有发出去")).to_be_visible()
    visitor.context.set_offline(False)
    tap_twice(page, ask)
    visitor.arrived("验证码发到卖方登记的手机了")
    visitor.context.set_offline(True)
    page.get_by_label("卖方收到的验证码").fill("0")
    page.get_by_role("button", name="卖方确认过户").click()
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    visitor.context.set_offline(False)
    expect(page.locator(".errors")).to_contain_text("验证码不对", timeout=LINE_MS)
    code = code_for(ground, seller.phone)
    page.get_by_label("卖方收到的验证码").fill(code)
    line = LosingLine(page, "**/seller")
    page.get_by_role("button", name="卖方确认过户").click()
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    assert [value for row in kept_on(page) for _, value in row["fields"] if value == code] == []  # type: ignore[attr-defined]
    line.mend()
    visitor.arrived("卖方确认好了", LINE_MS)


def buyer_confirms_after_the_tab_was_closed(visitor: Visitor, ground: Ground) -> None:
    """The code was not kept: the outbox asks for it again, on the page where it is typed."""
    page = visitor.page
    visitor.press("给买方发验证码", "验证码发到买方登记的手机了")
    code = code_for(ground, BUYER_PHONE)
    page.get_by_label("买方收到的验证码").fill(code)
    visitor.context.set_offline(True)
    page.get_by_role("button", name="买方确认过户").click()
    expect(page.get_by_text("验证码不存")).to_be_visible()
    page.close()
    visitor.context.set_offline(False)
    page = visitor.page = visitor.context.new_page()
    visitor.open("/point")
    page.get_by_role("link", name="再填一次验证码").click()
    expect(page.get_by_label("买方收到的验证码")).to_have_value("")
    page.get_by_label("买方收到的验证码").fill(code)
    tap_twice(page, "买方确认过户")
    visitor.arrived("过户办好了")


def correct_while_the_answer_is_lost(visitor: Visitor, reference: str, code: str) -> None:
    """Two digits were typed the wrong way round: put right once, however the line was."""
    page = visitor.open(f"/point/trade-ins/{reference}/correction")
    page.get_by_label("整车编码").fill(code.removesuffix(SLIPPED_END) + RIGHT_END)
    line = LosingLine(page, "**/correction")
    page.get_by_role("button", name="更正，照原来的序号算").click()
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    line.mend()
    visitor.arrived("更正好了", LINE_MS)


def record_the_paper_and_close_the_tab(visitor: Visitor, ground: Ground, owner: DemoOwner, reference: str) -> None:
    """The photo of the paper waits on the device with the rest of the form."""
    page = visitor.open(f"/point/trade-ins/{reference}/destruction")
    page.get_by_label("哪一样证明").select_option("bike")
    page.get_by_label("拆解或回收单位").fill("杭州某拆解厂")
    page.get_by_label("证明编号").fill(f"CJ-{reference[3:7]}-01")
    page.get_by_label("证明上的日期").fill(local_day(ground.platform.settings.clock.now()).isoformat())
    page.locator("#f-image").set_input_files(as_file(plate_of_letters(owner.plate_no[::-1])))  # type: ignore[arg-type]
    visitor.context.set_offline(True)
    tap_twice(page, "登记这张证明")
    expect(page.get_by_text(OFFLINE)).to_be_visible()
    page.close()
    visitor.context.set_offline(False)
    visitor.page = visitor.context.new_page()
    page = visitor.open("/point")
    expect(page.locator("#outbox")).to_contain_text("旧车拆解记下了", timeout=LINE_MS)


def test_a_transfer_a_correction_and_a_paper_are_made_once_whatever_the_line_does(ground: Ground) -> None:
    seller, owner = ground.owner(account=False), ground.owner(account=False)
    with ground.visitor() as visitor:
        visitor.sign_in(DEALER_LOGIN)
        transfer_no = open_transfer_while_offline(visitor, seller, id_number(77_002))
        seller_confirms(visitor, ground, seller)
        buyer_confirms_after_the_tab_was_closed(visitor, ground)
        code = stocked(ground, end=SLIPPED_END, serial=61203, middle="227")
        reference = opened(visitor, owner)
        walked(visitor, owner, reference, vehicle_code=code, serial=61203)
        correct_while_the_answer_is_lost(visitor, reference, code)
        record_the_paper_and_close_the_tab(visitor, ground, owner, reference)
        assert {row["state"] for row in kept_on(visitor.page)} == {"sent"}
        assert [row["fields"] for row in kept_on(visitor.page) if row["fields"]] == []
        forget_the_line(visitor)
    with ground.session() as session:
        transfer = session.scalars(
            select(Transfer)
            .join(FiledBike, FiledBike.id == Transfer.filed_bike_id)
            .where(FiledBike.plate_no == seller.plate_no)
        ).one()
        assert (transfer.transfer_no, transfer.state) == (transfer_no, "completed")
        noted = select(AuditEntry.action, func.count()).group_by(AuditEntry.action)
        of_bike = dict(session.execute(noted.where(AuditEntry.subject == f"filing:{seller.plate_no}")).all())
        assert of_bike == {
            "filing.transfer_opened": 1,
            "filing.transfer_confirmed": 2,
            "filing.transfer_completed": 1,
        }
        trade_in = session.scalars(select(TradeIn).where(TradeIn.reference == reference)).one()
        assert session.scalars(select(Claim.state).where(Claim.trade_in_id == trade_in.id)).one() == "awarded"
        assert session.scalars(select(Destruction.part).where(Destruction.trade_in_id == trade_in.id)).all() == ["bike"]
