"""Owners and points are told early that there will be no money, and at once that it has to go back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import sessionmaker

from app.web.progress import steps_of, who_acts
from app.web.trade_in_record import Record, read_record
from registry.audit import AuditEntry
from registry.filings import FiledBike
from registry.messages import Message
from registry.trade_ins import EVERYBODYS, TradeIn, get_trade_in
from subsidy.appeals import file_appeal
from subsidy.dispatch import pay_next
from subsidy.returns import approve_return, open_return
from tests.registry.line import Owner
from tests.subsidy.payout_rows import release
from tests.web.markup import check_page
from tests.web.scene import NOW, Browser, Scene, local, starting_at
from tests.web.test_owner_claims import declined

NOTHING = "这辆车领不了补贴"
PAYEE = "区市场监管局，账号 1202 0000 1，示范银行拱墅支行"


@pytest.fixture
def too_young(running: Scene) -> Owner:
    """An owner whose old bike was filed after the cut-off."""
    owner = running.owner("owner")
    running.session.execute(
        update(FiledBike).where(FiledBike.id == owner.filed_bike_id).values(filed_on=date(2026, 2, 1))
    )
    running.session.commit()
    return owner


def paid(running: Scene, point: Browser) -> tuple[Browser, str]:
    """An owner whose subsidy has arrived, signed in, and the trade-in's reference."""
    reference = point.complete(running, running.owner("owner"))
    browser = Browser(running.app())
    browser.sign_in("owner")
    browser.give_wallet("W10001")
    sessions = sessionmaker(running.session.get_bind())
    release(sessions, running.bank)
    keyring = running.settings.keyring
    assert pay_next(sessions=sessions, operator=running.bank, keyring=keyring, now=lambda: NOW) == "settled"
    return browser, reference


def demand(running: Scene, reference: str, *, repay_to: str | None) -> str:
    """The number of a return whose money is demanded back."""
    session = running.session
    session.rollback()
    case = open_return(
        session=session,
        reference=reference,
        kind="bike_returned",
        reason="车有毛病，退了",
        proof_no="TP0001",
        actor="account:1",
        now=NOW,
    )
    session.flush()
    approve_return(
        session=session,
        reference=case.reference,
        repayment_days=30,
        clock=starting_at(NOW),
        actor="account:2",
        repay_to=repay_to,
    )
    session.commit()
    return case.reference


def texts(running: Scene) -> list[str]:
    running.session.rollback()
    return list(running.session.scalars(select(Message.body).order_by(Message.id)))


def record_of(running: Scene, reference: str) -> Record:
    trade_in = get_trade_in(session=running.session, reference=reference, reach=EVERYBODYS)
    return read_record(session=running.session, keyring=running.settings.keyring, trade_in=trade_in)


def test_a_bike_that_gets_nothing_is_taken_only_once_the_owner_knows(
    running: Scene, point: Browser, too_young: Owner
) -> None:
    reference = point.open_trade_in(too_young)
    check_page(point.page)
    assert "但是这辆车领不了补贴" in point.text
    assert "旧车备案日期晚于本次活动规定的日期" in point.text
    assert "可以收旧车了" not in point.text
    assert "到账" not in point.text, "no money is ahead"
    [told] = texts(running)
    assert NOTHING in told
    assert "请把旧车交给代办点" not in told
    owner = Browser(running.app())
    owner.sign_in("owner")
    check_page(owner.open(f"/my/{reference}"))
    assert NOTHING in owner.text
    assert "要不回来" in owner.text
    point.open(f"/point/trade-ins/{reference}")
    point.send_photos()
    point.receive(too_young)
    assert point.page.status_code == 422
    check_page(point.page)
    assert 'href="#f-owner_knows"' in point.page.text
    number = f"HS{too_young.filed_bike_id:06d}"
    sent = {"frame_no": too_young.frame_no, "recycling_certificate_no": number, "complete": "yes"}
    point.send(action="/receipt", **sent, owner_knows="yes")
    assert "旧车收下了" in point.text
    assert "手续可以照常办完，没有补贴" in point.text
    kept = running.session.scalars(select(AuditEntry).where(AuditEntry.action == "trade_in.received")).one()
    assert (kept.detail["no_subsidy"], kept.detail["owner_knows"]) == ("filed_after_cut_off", True)


def test_what_may_still_change_is_said_and_needs_no_tick(scene: Scene) -> None:
    early = local(2026, 5, 20, 9)
    scene.programme(at=early)
    point = Browser(scene.app(at=early))
    point.sign_in("point")
    owner = scene.owner()
    point.open_trade_in(owner)
    assert "补贴活动还没有开始" in point.text
    assert NOTHING not in point.text
    point.send_photos()
    assert "owner_knows" not in point.page.text
    point.receive(owner)
    assert "旧车收下了" in point.text


def test_an_ordinary_bike_is_warned_of_nothing(running: Scene, point: Browser) -> None:
    point.open_trade_in(running.owner())
    assert "核对通过，可以收旧车了" in point.text
    assert NOTHING not in point.text
    assert "到账" in point.text


@pytest.mark.parametrize("repay_to", [PAYEE, None])
def test_a_demand_stands_first_and_says_how_to_pay(running: Scene, point: Browser, repay_to: str | None) -> None:
    running.settings = replace(running.settings, repay_to=repay_to)
    browser, reference = paid(running, point)
    number = demand(running, reference, repay_to=repay_to)
    way = PAYEE if repay_to else "到区市场监管局窗口或者代办点办理"
    for path in (f"/my/{reference}", f"/my/{reference}/return"):
        check_page(browser.open(path))
        for words in ("请退回补贴 300", number, way):
            assert words in browser.text, (path, words)
    browser.open(f"/my/{reference}")
    assert "补贴已到账" not in browser.text
    assert "到了您的钱包" not in browser.text.split("办到哪一步了")[0]
    assert "正在办的" in browser.open("/my?all=1").text
    told = texts(running)[-1]
    assert number in told
    assert (PAYEE if repay_to else "区市场监管局窗口") in told
    point.open(f"/point/trade-ins/{reference}")
    assert "车主要退回补贴 300" in point.text


def test_an_appeal_that_was_made_is_shown_and_invited_no_more(running: Scene) -> None:
    browser, reference = declined(running)
    browser.open(f"/my/{reference}")
    assert "觉得不对，可以申诉" in browser.text
    appeal = file_appeal(
        session=running.session,
        reference=reference,
        reach=EVERYBODYS,
        body="那天挂着牌子，请再查。",
        working_days=15,
        actor="account:9",
        now=NOW,
    )
    running.session.commit()
    check_page(browser.open(f"/my/{reference}"))
    assert f"申诉 {appeal.reference} 收到了" in browser.text
    for gone in ("觉得不对，可以申诉", "对结果有意见，申诉"):
        assert gone not in browser.text
    assert record_of(running, reference).may_appeal is False


def test_a_decline_that_was_returned_invites_no_appeal(running: Scene) -> None:
    browser, reference = declined(running)
    demand(running, reference, repay_to=None)
    browser.open(f"/my/{reference}")
    assert "申诉" not in browser.text.split("办到哪一步了")[0]
    assert "对结果有意见，申诉" not in browser.text


def test_a_rejection_after_the_money_arrived_is_told_as_one_thing(running: Scene, point: Browser) -> None:
    _, reference = paid(running, point)
    record = record_of(running, reference)
    assert record.payout is not None
    for row in (record.payout, record.attempts[-1]):
        running.session.expunge(row)
    record.payout.state, record.attempts[-1].state = "frozen", "rejected"
    now = who_acts(record, "owner")
    assert (now.party, now.title) == ("bureau", "正在由人核对")
    due, arrival = steps_of(record)[-2:]
    assert (due.title, due.state, due.text) == ("发放补贴", "now", "正在由人核对")
    assert (arrival.title, arrival.state, arrival.at) == ("到账", "next", None)


def test_a_withdrawn_trade_in_shows_what_happened(running: Scene, point: Browser) -> None:
    reference = point.open_trade_in(running.owner("owner"))
    point.send(action="/withdrawal")
    titles = [step.title for step in steps_of(record_of(running, reference))]
    assert titles == ["登记", "核对本人和旧车", "已撤回"]
    owner = Browser(running.app())
    owner.sign_in("owner")
    check_page(owner.open(f"/my/{reference}"))
    assert "已撤回" in owner.text.split("办到哪一步了")[1]


def test_what_else_can_be_done_changes_with_the_live_part(running: Scene, point: Browser) -> None:
    browser, reference = paid(running, point)
    part = browser.open(f"/my/{reference}/live").text
    assert "已到账" in part
    assert "换一个收款钱包" not in part
    assert part.count("已经到") + part.count("到账") >= 2, "the message of the payment came with it"
    assert running.session.scalars(select(TradeIn)).one().state == "completed"
