"""What an open page of an owner is shown again after whatever can happen to a trade-in: the same as one made afresh."""

from __future__ import annotations

from sqlalchemy import select, text, update

from registry.dealers import Dealer
from registry.messages import Message
from registry.people import Person
from registry.trade_ins import EVERYBODYS, TradeIn
from subsidy.correction_fields import Given
from subsidy.corrections import correct_claim, mark_fault, replace_photo
from subsidy.payouts import Payout
from tests.registry.line import picture
from tests.subsidy import claim_deeds
from tests.web.own_place import Watched, bike_of, deeds_of, pay
from tests.web.scene import NOW, Browser, Scene, three_stages
from tests.web.test_owner_claims import RIGHT, SLIPPED


def test_every_step_of_the_counter_is_seen_at_once(running: Scene, point: Browser) -> None:
    owner, deeds = running.owner("owner"), deeds_of(running)
    code = bike_of(running)
    reference = point.open_trade_in(owner)
    mine = TradeIn.reference == reference
    page = Watched(point.app, "owner", reference)
    page.look("核对通过，交旧车和旧号牌", running.dealer.name, "填收款钱包")
    page.look(changed=False)
    deeds.write(update(TradeIn).where(mine).values(state="opened", refusal="号牌已报失"))
    page.look("正在核对本人和旧车", "号牌已报失")
    deeds.write(update(TradeIn).where(mine).values(state="old_bike_verified", refusal=None))
    page.look("核对通过，交旧车和旧号牌")
    page.browsers[0].give_wallet("W10001")
    page.look("现在的尾号 0001")
    page.browsers[0].give_wallet("W20002")
    page.look("现在的尾号 0002")
    deeds.write(update(Dealer).where(Dealer.id == running.dealer.id).values(name="运河边的店"))
    page.look("轮到运河边的店办")
    deeds.do(
        lambda session: mark_fault(
            session=session, reference=reference, field="photo:plate", note="看不清", actor="account:2", now=NOW
        )
    )
    page.look(changed=False)
    point.open(f"/point/trade-ins/{reference}")
    point.send_photos()
    point.receive(owner)
    page.look("旧车已收下", f"HS{owner.filed_bike_id:06d}")
    deeds.write(update(TradeIn).where(mine).values(refusal="证件号码不一致"))
    page.look("证件号码不一致")
    point.send(action="/cancellation")
    page.look("旧号牌已注销")
    point.sell(code, owner)
    page.look("新车已买好", "陈*英")
    point.send(action="/application")
    page.look("有一处要更正", "您的序号")
    deeds.do(
        lambda session: replace_photo(
            session=session,
            reference=reference,
            reach=EVERYBODYS,
            kind="plate",
            image=picture(),
            clock=deeds.clock,
            actor="account:2",
        )
    )
    page.look("正在发放", "补贴")


def test_the_money_and_all_that_can_become_of_it(running: Scene, point: Browser) -> None:
    deeds = deeds_of(running)
    reference = point.complete(running, running.owner("owner"))
    page = Watched(point.app, "owner", reference)
    page.look("300 元已经给您定下来了")
    page.browsers[1].give_wallet("W1.full")
    page.look("正在发放")
    assert pay(running) == "rejected"
    page.look("钱包余额已满")
    page.browsers[0].give_wallet("W1.silent")
    page.look("正在发放")
    assert pay(running) == "unknown"
    page.look("正在等银行答复")
    deeds.write(text("UPDATE payout SET state = 'frozen'"))
    page.look("正在由人核对")
    deeds.write(
        text("UPDATE payout_attempt SET state = 'settled', finished_at = sent_at WHERE state <> 'rejected'"),
        update(Payout).values(state="settled", settled_at=NOW),
    )
    page.look("已到账")
    newest = select(Message.id).order_by(Message.id.desc()).limit(1).scalar_subquery()
    deeds.write(update(Message).where(Message.id == newest).values(body="您的补贴到了。"))
    page.look("您的补贴到了。")
    deeds.write(update(Message).where(Message.id == newest).values(state="sent", sent_at=NOW))
    page.look(changed=False)
    sealed = running.settings.keyring.seal("周小玉", field="name")
    deeds.write(
        update(Person).where(Person.id == select(Payout.person_id).scalar_subquery()).values(name_sealed=sealed)
    )
    page.look("周*玉")
    case = claim_deeds.begin_return(deeds, reference)
    page.look("正在办")
    claim_deeds.decide_return(deeds, case.reference)
    page.look("请退回补贴 300", case.reference)
    claim_deeds.repay(deeds, case.reference, amount_fen=30_000, on=NOW.date())
    page.look("补贴已经退回")


def test_a_fault_a_hold_and_a_correction(running: Scene, point: Browser) -> None:
    owner, deeds = running.owner("owner"), deeds_of(running)
    code = bike_of(running, SLIPPED)
    reference = point.open_trade_in(owner)
    point.send_photos()
    point.receive(owner)
    point.send(action="/cancellation")
    point.sell(code, owner)
    point.send(action="/application")
    page = Watched(point.app, "owner", reference)
    page.look("有一处要更正", "以前更正好", SLIPPED)
    keyring = running.settings.keyring
    deeds.do(
        lambda session: correct_claim(
            session=session,
            keyring=keyring,
            reference=reference,
            reach=EVERYBODYS,
            given=Given(vehicle_code=RIGHT),
            clock=deeds.clock,
            actor="account:2",
        )
    )
    page.look(RIGHT, "300 元已经给您定下来了")
    claim_deeds.hold(deeds, reference)
    page.look("局里正在核对")
    claim_deeds.release(deeds, reference)
    page.look("300 元已经给您定下来了")


def test_a_decline_an_appeal_and_what_it_brings(running: Scene, point: Browser) -> None:
    owner, deeds = running.owner("owner"), deeds_of(running)
    code = bike_of(running)
    reference = point.open_trade_in(owner)
    point.send_photos()
    point.receive(owner)
    point.send(action="/cancellation")
    point.sell(code, owner)
    trade_in = running.session.scalars(select(TradeIn).where(TradeIn.reference == reference)).one()
    deeds.write(update(TradeIn).values(opening=trade_in.opening | {"point_licensed": False}))
    page = Watched(point.app, "owner", reference)
    page.look("新车已买好")
    point.send(action="/application")
    page.look("这一笔没有补贴", "觉得不对，可以申诉")
    first = claim_deeds.appeal(deeds, reference)
    page.look(f"申诉 {first.reference} 收到了")
    deeds.write(text("UPDATE appeal SET state = 'rejected'"))
    page.look("原决定不变")
    deeds.write(text("UPDATE appeal SET state = 'filed'"))
    page.look(f"申诉 {first.reference} 收到了")
    proposal = claim_deeds.propose(deeds, reference)
    page.look(f"申诉 {first.reference} 收到了", changed=False)
    claim_deeds.approve(deeds, proposal.reference)
    page.look("300 元已经给您定下来了")


def test_what_others_do_moves_who_waits_and_what_is_foreseen(scene: Scene) -> None:
    scene.programme(three_stages(places=(1, 1, 1)))
    app, deeds = scene.app(), deeds_of(scene)
    point = Browser(app)
    point.sign_in("point")
    early = point.open_trade_in(scene.owner("early"))
    under_way = Watched(app, "early", early)
    under_way.look("核对通过，交旧车和旧号牌")
    assert "名额已满" not in under_way.seen[0]
    first, _, last = (point.complete(scene, scene.owner(f"owner{number}")) for number in range(3))
    under_way.look("名额已满")
    waiting = Watched(app, "owner2", last)
    waiting.look("前面还有 1 人")
    point.complete(scene, scene.owner())
    waiting.look(changed=False)
    case = claim_deeds.begin_return(deeds, first)
    claim_deeds.decide_return(deeds, case.reference)
    waiting.look("您排在最前面")
    point.open(f"/point/trade-ins/{early}")
    point.send(action="/withdrawal")
    under_way.look("已撤回")
