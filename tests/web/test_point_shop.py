"""A point's own affairs: corrections, lists of bikes, papers of old bikes, money, prints, colleagues."""

from __future__ import annotations

from io import BytesIO

import pytest
from sqlalchemy import select

from registry.accounts import Account
from registry.bikes import Bike
from registry.destruction import Destruction
from registry.stock_import import COLUMNS
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.corrections import mark_fault
from tests.registry.line import NOW, new_bike, picture
from tests.web.markup import check_page
from tests.web.scene import PASSWORD, Browser, Scene
from tests.web.test_owner_claims import RIGHT, held


def test_the_point_corrects_what_it_mistyped_and_retakes_a_photo(running: Scene) -> None:
    _, point, reference = held(running)
    check_page(point.open("/point"))
    assert "有一处要更正" in point.text, "it waits for the point"
    check_page(point.open("/point/corrections"))
    assert reference in point.text
    check_page(point.open(f"/point/trade-ins/{reference}/correction"))
    check_page(point.send(action="/correction", vehicle_code=RIGHT))
    assert "更正好了" in point.text
    owner = running.owner()
    bike = running.district.stock(running.dealer)
    other = point.open_trade_in(owner)
    point.send_photos()
    mark_fault(session=running.session, reference=other, field="photo:plate", note="看不清", actor="account:9", now=NOW)
    running.session.commit()
    point.receive(owner)
    point.send(action="/cancellation")
    point.sell(bike.vehicle_code, owner)
    point.send(action="/application")
    check_page(point.open(f"/point/trade-ins/{other}/correction"))
    none = point.send(action="/photos/plate")
    check_page(none)
    assert (none.status_code, "还没有选照片" in point.text) == (422, True)
    check_page(point.send(action="/photos/plate", plate=(BytesIO(picture()), "plate.jpg")))
    assert point.at == f"/point/trade-ins/{other}", "nothing is left to correct"
    running.session.rollback()
    assert set(running.session.scalars(select(Claim.state))) == {"awarded"}
    check_page(point.open("/point/corrections"))
    assert "没有等更正的" in point.text


def test_a_list_of_bikes_is_tried_corrected_and_taken_in(scene: Scene) -> None:
    point = Browser(scene.app())
    point.sign_in("point")
    assert point.open("/point/stock/import/template.xlsx").mimetype.endswith("spreadsheetml.sheet")
    model = new_bike()
    right = [model.vehicle_code, str(model.certificate_no), model.battery_code, "锂", model.model, model.standard]
    right += [model.made_on.isoformat(), "54", "25", "400", "48"]
    wrong = ["12345", *right[1:3], "镍氢", *right[4:]]

    def listed(*rows: list[str]) -> BytesIO:
        lines = ([column.header for column in COLUMNS], *rows)
        return BytesIO("\n".join(",".join(row) for row in lines).encode())

    check_page(point.open("/point/stock/import"))
    empty = point.send(action="/import", dry_run="yes")
    check_page(empty)
    assert (empty.status_code, "还没有选文件" in point.text) == (422, True)
    check_page(point.send(action="/import", dry_run="yes", file=(listed(right, wrong), "list.csv")))
    assert "1 辆可以入库，1 行不对" in point.text
    assert "第 3 行" in point.text
    assert "没有「镍氢」这种电池" in point.text
    assert scene.session.scalars(select(Bike)).all() == [], "a dry run stored a bike"
    assert point.open(f"{point.at}/problems.xlsx").status_code == 200
    point.open("/point/stock/import")
    check_page(point.send(action="/import", dry_run="no", file=(listed(right, wrong), "list.csv")))
    assert "入库了 1 辆" in point.text
    mine = point.at
    scene.session.rollback()
    assert scene.session.scalars(select(Bike.vehicle_code)).one() == model.vehicle_code
    scene.account("elsewhere", role="dealer", dealer_id=scene.district.dealer().id)
    other = Browser(point.app)
    other.sign_in("elsewhere")
    assert other.open(mine).status_code == 404, "another dealer's list"


def test_papers_of_an_old_bike_are_recorded_and_the_money_is_told(running: Scene) -> None:
    point = Browser(running.app())
    point.sign_in("point")
    reference = point.complete(running, running.owner())
    check_page(point.open("/point/destructions"))
    assert "缺旧车拆解、电池回收" in point.text
    check_page(point.open(f"/point/trade-ins/{reference}/destruction"))
    bad = point.send(action="/destruction", part="bike", firm="某", document_no="CJ-1", done_on="昨天")
    check_page(bad)
    assert (bad.status_code, 'value="CJ-1"' in bad.text) == (422, True)
    day = running.session.scalars(select(TradeIn.received_at)).one()
    assert day is not None
    for part in ("bike", "battery"):
        point.open(f"/point/trade-ins/{reference}/destruction")
        target, hidden = point.form(action="/destruction")
        image = picture()
        for _ in range(2):  # a double tap
            paper = {"part": part, "firm": "杭州某拆解厂", "document_no": f"CJ-{part}-01", "done_on": "2026-06-20"}
            sent = {**hidden, **paper, "image": (BytesIO(image), "paper.jpg")}
            assert point.client.post(target, data=sent).status_code == 303
    running.session.rollback()
    assert sorted(running.session.scalars(select(Destruction.part))) == ["battery", "bike"]
    check_page(point.open("/point/destructions"))
    assert "没有缺证明的旧车" in point.text
    check_page(point.open("/point/money"))
    assert "车主还在等的补贴 300 元，1 人" in point.text
    assert reference in point.text
    assert point.open("/point/money/statement.xlsx?month=2026-06").mimetype.endswith("spreadsheetml.sheet")
    assert point.open("/point/money?month=2026-13").status_code == 404
    check_page(point.open("/point/print"))
    refused = point.open("/point/print/labels.pdf?of=bike&newest=0")
    check_page(refused)
    assert (refused.status_code, "要 1 到 500 之间的数" in point.text) == (422, True)
    unknown = point.open("/point/print/labels.pdf?of=bike&newest=5&codes=NOTMINE")
    check_page(unknown)
    assert "不在本店库存里" in point.text


@pytest.fixture
def manager(scene: Scene) -> Browser:
    """The point's manager, signed in."""
    account = scene.session.scalars(select(Account).where(Account.login == "point")).one()
    account.dealer_manager = True
    scene.session.commit()
    browser = Browser(scene.app())
    browser.sign_in("point")
    return browser


def test_a_manager_looks_after_the_shops_accounts(scene: Scene, manager: Browser) -> None:
    check_page(manager.open("/point/colleagues"))
    short = manager.send(action="/colleagues", display_name="小王", login="xiao wang", password="short")
    check_page(short)
    assert (short.status_code, "short" in short.text) == (422, False)
    taken = manager.send(action="/colleagues", display_name="小王", login="point", password=PASSWORD)
    check_page(taken)
    assert (taken.status_code, 'value="小王"' in taken.text) == (409, True)
    check_page(manager.send(action="/colleagues", display_name="小王", login="xiaowang", password=PASSWORD))
    colleague = Browser(manager.app)
    colleague.sign_in("xiaowang")
    page = colleague.open("/point/colleagues")
    check_page(page)
    assert "请找本店管理员" in colleague.text
    assert 'name="login"' not in page.text
    account = scene.session.scalars(select(Account).where(Account.login == "xiaowang")).one()
    check_page(manager.open(f"/point/colleagues/{account.id}/disabling"))
    check_page(manager.send(action="/disabling"))
    assert "已停用" in manager.text
    assert colleague.open("/point").status_code == 200
    assert colleague.at == "/sign-in"
    check_page(manager.open(f"/point/colleagues/{account.id}/password"))
    check_page(manager.send(action="/password", password="another password of his"))
    assert "密码换好了" in manager.text
    scene.account("elsewhere", role="dealer", dealer_id=scene.district.dealer().id)
    foreign = scene.session.scalars(select(Account).where(Account.login == "elsewhere")).one()
    assert manager.open(f"/point/colleagues/{foreign.id}/disabling").status_code == 404
