"""Returns: freed where nothing was paid, demanded back where it was, and the books balance either way."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.base import StepNotAllowed
from registry.bikes import Bike
from registry.codes import CodeInvalid
from registry.filings import FiledBike
from registry.inputs import SeveralRefused
from registry.trade_ins import TradeIn
from subsidy.overrules import CannotBeOverruled
from subsidy.payouts import Payout
from subsidy.queue import MoneyAtTheBank
from subsidy.repayments import ReceivedOnWrong, RepaymentDiffers, RepaymentDocumentUsed
from subsidy.returns import (
    NothingToReturn,
    ReturnNotFound,
    ReturnStands,
    list_returns,
    open_return,
    refuse_return,
)
from subsidy.standing import AnotherPersonNeeded
from tests.subsidy.claim_deeds import appeal, begin_return, decide_return, propose, record_of, repay
from tests.subsidy.claim_scene import AMOUNT_FEN, OPERATOR, REVIEWER, Scene


def bike_states(scene: Scene) -> list[str]:
    return scene.do(lambda session: list(session.scalars(select(Bike.state).order_by(Bike.id))))


def test_money_that_was_not_paid_goes_to_the_next_in_line(scene: Scene) -> None:
    scene.open(places=1)
    (done,) = scene.complete()
    (next_one,) = scene.complete()
    case = begin_return(scene, done.reference)
    with pytest.raises(AnotherPersonNeeded):
        decide_return(scene, case.reference, actor=OPERATOR)
    assert decide_return(scene, case.reference).state == "returned"
    assert (scene.claim(done.reference).state, scene.claim(next_one.reference).state) == ("returned", "awarded")
    assert scene.payout_state(done.reference) == "withdrawn"
    assert bike_states(scene) == ["in_stock", "plated"]
    old = scene.do(lambda session: session.scalars(select(FiledBike.state).order_by(FiledBike.id)).first())
    assert old == "plate_cancelled"
    assert "补贴已退回" in scene.notices(done.reference)[-1]
    for again in (ReturnStands, CannotBeOverruled):
        with pytest.raises(again):
            begin_return(scene, done.reference) if again is ReturnStands else propose(scene, done.reference)
    with pytest.raises(CannotBeOverruled):
        appeal(scene, done.reference)
    assert scene.differences() == []


def test_money_that_was_paid_is_demanded_and_freed_once_it_is_back(scene: Scene) -> None:
    scene.open(places=1)
    (done,) = scene.complete()
    (next_one,) = scene.complete()
    scene.confirm_wallet(done.reference)
    assert scene.pay() == "settled"
    case = decide_return(scene, begin_return(scene, done.reference, kind="fraud").reference)
    assert (case.state, case.amount_fen, case.due_on) == ("demanded", AMOUNT_FEN, date(2026, 7, 10))
    assert "2026年7月10日以前退回补贴 300 元" in scene.notices(done.reference)[-1]
    assert (scene.claim(done.reference).state, scene.claim(next_one.reference).state) == ("awarded", "waiting")
    assert bike_states(scene) == ["plated", "plated"]
    with pytest.raises(RepaymentDiffers):
        repay(scene, case.reference, amount_fen=10_000)
    with pytest.raises(SeveralRefused) as refused:
        repay(scene, case.reference, amount_fen=AMOUNT_FEN + 1, document_no="?", on=date(2026, 6, 11))
    assert {type(one) for one in refused.value.each} == {RepaymentDiffers, CodeInvalid, ReceivedOnWrong}
    assert scene.balances()["paid:1"] == AMOUNT_FEN
    assert scene.differences() == []
    assert repay(scene, case.reference, amount_fen=AMOUNT_FEN).state == "repaid"
    assert (scene.claim(done.reference).state, scene.claim(next_one.reference).state) == ("returned", "awarded")
    assert scene.balances() == {"appropriation": -30_000, "committed:1": 30_000}
    assert scene.payout_state(done.reference) == "settled"
    with pytest.raises(StepNotAllowed):
        repay(scene, case.reference, amount_fen=AMOUNT_FEN, document_no="BANK0002")
    assert scene.differences() == []


def test_a_bank_document_stands_for_one_repayment(scene: Scene) -> None:
    scene.open(places=2)
    cases = []
    for done in scene.complete(2):
        scene.confirm_wallet(done.reference)
        assert scene.pay() == "settled"
        cases.append(decide_return(scene, begin_return(scene, done.reference).reference).reference)
    repay(scene, cases[0], amount_fen=AMOUNT_FEN)
    with pytest.raises(RepaymentDocumentUsed):
        repay(scene, cases[1], amount_fen=AMOUNT_FEN, document_no="bank 0001")

    def overdue(on: date) -> list[str]:
        found = scene.do(lambda session: list_returns(session=session, overdue_on=on))
        return [case.reference for case, _, _ in found]

    assert overdue(date(2026, 7, 10)) == []
    assert overdue(date(2026, 7, 11)) == [cases[1]]
    assert scene.claim("T2").state == "awarded"
    assert scene.differences() == []


@pytest.mark.parametrize("payout_state", ["in_flight", "frozen"])
def test_while_the_bank_has_the_money_nothing_is_returned(scene: Scene, payout_state: str) -> None:
    scene.open(places=1)
    (done,) = scene.complete()
    case = begin_return(scene, done.reference)

    def send(session: Session) -> None:
        session.scalars(select(Payout)).one().state = payout_state

    scene.do(send)
    with pytest.raises(MoneyAtTheBank):
        decide_return(scene, case.reference)
    assert scene.claim(done.reference).state == "awarded"


def test_a_decline_that_is_returned_moves_no_money(scene: Scene) -> None:
    scene.open(places=1)

    def unlicensed(session: Session, trade_in: TradeIn) -> None:
        trade_in.opening = trade_in.opening | {"point_licensed": False}

    (declined,) = scene.complete(prepare=unlicensed)
    assert decide_return(scene, begin_return(scene, declined.reference).reference).state == "returned"
    assert scene.claim(declined.reference).state == "declined"
    assert bike_states(scene) == ["in_stock"]
    with pytest.raises(CannotBeOverruled):
        propose(scene, declined.reference)
    assert not record_of(scene, declined.reference).may_be_appealed
    assert scene.differences() == []


def test_a_refused_return_may_be_opened_again(scene: Scene) -> None:
    scene.open(places=1)
    (done,) = scene.complete()
    case = begin_return(scene, done.reference)
    refused = scene.do(
        lambda session: refuse_return(
            session=session, reference=case.reference, reason="材料不符", actor=REVIEWER, now=scene.clock.now()
        )
    )
    assert (refused.state, refused.decision_reason) == ("refused", "材料不符")
    assert scene.claim(done.reference).state == "awarded"
    assert (
        decide_return(scene, begin_return(scene, done.reference, kind="plate_annulled").reference).state == "returned"
    )
    assert bike_states(scene) == ["plated"]
    with pytest.raises(ReturnNotFound):
        decide_return(scene, "TH-2222-22")
    assert scene.differences() == []


def test_what_is_not_complete_is_not_returned(scene: Scene) -> None:
    scene.open(places=1)
    scene.complete()

    def undone(session: Session) -> None:
        session.scalars(select(TradeIn)).one().state = "plate_applied"

    scene.do(undone)
    with pytest.raises(NothingToReturn):
        scene.do(
            lambda session: open_return(
                session=session,
                reference="T1",
                kind="fraud",
                reason="冒领",
                proof_no="A-001",
                actor=OPERATOR,
                now=scene.clock.now(),
            )
        )
