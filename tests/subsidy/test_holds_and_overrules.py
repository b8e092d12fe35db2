"""Staff holds, overrules and appeals: two persons each, one event in the queue, the owner told, the books whole."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.documents import trade_in_document
from registry.base import StepNotAllowed
from registry.receiving import PhotoUnreadable
from registry.trade_ins import EVERYBODYS, Reach, TradeIn
from subsidy.appeals import (
    AppealAnswered,
    AppealNotFound,
    AppealStands,
    add_appeal_photo,
    get_appeal,
    list_appeals,
    photos_of,
    reject_appeal,
    uphold_appeal,
    working_day_after,
)
from subsidy.case_numbers import APPEAL, CaseNumberInvalid, clean_case_number
from subsidy.events import EventKind
from subsidy.holds import CannotBeHeld, NotHeldByStaff
from subsidy.overrules import CannotBeOverruled, OverruleNotFound, OverruleOpen
from subsidy.queue import MoneyAtTheBank
from subsidy.standing import AnotherPersonNeeded, append_to_queue, lock_claim
from tests.registry.line import picture
from tests.subsidy.claim_deeds import appeal, approve, hold, propose, record_of, refuse, release
from tests.subsidy.claim_scene import AMOUNT_FEN, OPERATOR, Scene


def unlicensed(session: Session, trade_in: TradeIn) -> None:
    """The point was not licensed when it opened the trade-in: declined."""
    trade_in.opening = trade_in.opening | {"point_licensed": False}


class TestHolds:
    def test_another_person_releases_what_one_held(self, scene: Scene) -> None:
        scene.open(places=2)
        (done,) = scene.complete()
        scene.confirm_wallet(done.reference)
        hold(scene, done.reference)
        assert (scene.claim(done.reference).state, scene.payout_state(done.reference)) == ("held", "withdrawn")
        assert scene.pay() is None
        assert "局里要再核对一下" in scene.notices(done.reference)[-1]
        assert record_of(scene, done.reference).waits_for == "staff_hold"
        with pytest.raises(CannotBeHeld):
            hold(scene, done.reference)
        with pytest.raises(AnotherPersonNeeded):
            release(scene, done.reference, actor=OPERATOR)
        release(scene, done.reference)
        assert (scene.claim(done.reference).state, scene.payout_state(done.reference)) == ("awarded", "owed")
        with pytest.raises(NotHeldByStaff):
            release(scene, done.reference)
        assert {"claim.held", "claim.released"} <= set(scene.deeds(done.reference))
        assert scene.differences() == []

    def test_a_claim_that_waits_is_held_when_its_turn_comes(self, scene: Scene) -> None:
        scene.open(places=1)
        scene.complete()
        (waiting,) = scene.complete()
        hold(scene, waiting.reference)
        assert scene.claim(waiting.reference).state == "waiting"
        release(scene, waiting.reference)
        assert scene.claim(waiting.reference).reason == "no_place"
        assert scene.differences() == []

    def test_a_hold_that_the_queue_overtook_stands_in_nobodys_way(self, scene: Scene) -> None:
        scene.open(places=1, reserve_fen=AMOUNT_FEN)
        (done,) = scene.complete()
        hold(scene, done.reference)

        def forfeit(session: Session) -> None:
            claim = lock_claim(session=session, reference=done.reference).claim
            append_to_queue(
                session=session, claim=claim, kind=EventKind.FORFEITURE, clock=scene.clock, actor="scheduler"
            )

        scene.do(forfeit)
        assert scene.claim(done.reference).state == "forfeited"
        assert record_of(scene, done.reference).may_be_appealed
        approve(scene, propose(scene, done.reference).reference)
        hold(scene, done.reference)
        release(scene, done.reference)
        assert scene.claim(done.reference).state == "awarded"
        assert scene.differences() == []

    def test_what_went_to_the_bank_is_not_held(self, scene: Scene) -> None:
        scene.open(places=1)
        (done,) = scene.complete()
        scene.confirm_wallet(done.reference)
        assert scene.pay() == "settled"
        with pytest.raises(MoneyAtTheBank):
            hold(scene, done.reference)
        assert scene.differences() == []


class TestOverrules:
    def test_a_second_person_overrules_and_the_reserve_pays(self, scene: Scene) -> None:
        scene.open(places=2, reserve_fen=AMOUNT_FEN)
        (declined,) = scene.complete(prepare=unlicensed)
        proposal = propose(scene, declined.reference)
        with pytest.raises(OverruleOpen):
            propose(scene, declined.reference)
        with pytest.raises(AnotherPersonNeeded):
            approve(scene, proposal.reference, actor=OPERATOR)
        approve(scene, proposal.reference)
        claim = scene.claim(declined.reference)
        assert (claim.state, claim.amount_fen) == ("awarded", AMOUNT_FEN)
        assert scene.balances() == {
            "appropriation": -90_000,
            "stage:1": 60_000,
            "committed:reserve": 30_000,
        }
        for again in (approve, refuse):
            with pytest.raises(StepNotAllowed):
                again(scene, proposal.reference)
        with pytest.raises(CannotBeOverruled):
            propose(scene, declined.reference)
        assert [step.outcome for step in record_of(scene, declined.reference).history] == ["decline", "award"]
        assert scene.differences() == []

    def test_a_refused_proposal_leaves_the_decline_and_may_be_made_anew(self, scene: Scene) -> None:
        scene.open(places=2)
        (declined,) = scene.complete(prepare=unlicensed)
        assert refuse(scene, propose(scene, declined.reference).reference).decision_reason == "材料不足"
        assert scene.claim(declined.reference).state == "declined"
        approve(scene, propose(scene, declined.reference).reference)
        assert scene.claim(declined.reference).state == "awarded"
        with pytest.raises(OverruleNotFound):
            approve(scene, "GP-2222-22")
        assert scene.differences() == []

    def test_an_award_is_not_overruled(self, scene: Scene) -> None:
        scene.open(places=2)
        (done,) = scene.complete()
        with pytest.raises(CannotBeOverruled):
            propose(scene, done.reference)


class TestAppeals:
    def test_an_upheld_appeal_is_paid_once_another_person_agrees(self, scene: Scene) -> None:
        scene.open(places=2, reserve_fen=AMOUNT_FEN)
        (declined,) = scene.complete(prepare=unlicensed)
        filed = appeal(scene, declined.reference)
        assert clean_case_number(filed.reference.lower().replace("-", " "), prefix=APPEAL) == filed.reference
        assert filed.due_on == date(2026, 7, 1)
        assert filed.reference in scene.notices(declined.reference)[-1]
        with pytest.raises(AppealStands):
            appeal(scene, declined.reference)
        proposal = scene.do(
            lambda session: uphold_appeal(
                session=session, reference=filed.reference, answer="核查属实", actor=OPERATOR, now=scene.clock.now()
            )
        )
        # The reviewer does not agree at first: the owner is owed another answer.
        refuse(scene, proposal.reference)
        assert self._state(scene, filed.reference) == "filed"
        again = scene.do(
            lambda session: uphold_appeal(
                session=session, reference=filed.reference, answer="补了材料", actor=OPERATOR, now=scene.clock.now()
            )
        )
        approve(scene, again.reference)
        assert self._state(scene, filed.reference) == "granted"
        assert scene.claim(declined.reference).state == "awarded"
        told = "".join(scene.notices(declined.reference))
        assert "得到支持" in told
        assert "补贴 300 元" in told
        assert scene.differences() == []

    def test_a_rejected_appeal_is_told_with_what_is_left_to_the_owner(self, scene: Scene) -> None:
        scene.open(places=2)
        (declined,) = scene.complete(prepare=unlicensed)
        filed = appeal(scene, declined.reference)
        self._photo(scene, filed.reference, image := picture())
        self._photo(scene, filed.reference, image)
        with pytest.raises(PhotoUnreadable):
            self._photo(scene, filed.reference, b"no picture")
        rejected = scene.do(
            lambda session: reject_appeal(
                session=session, reference=filed.reference, answer="登记时未授牌", actor=OPERATOR, now=scene.clock.now()
            )
        )
        assert (rejected.state, rejected.answer) == ("rejected", "登记时未授牌")
        assert scene.do(lambda session: len(photos_of(session=session, appeal=rejected))) == 1
        assert "行政复议" in scene.notices(declined.reference)[-1]
        with pytest.raises(AppealAnswered):
            self._photo(scene, filed.reference, picture())
        with pytest.raises(AppealStands):
            appeal(scene, declined.reference)
        assert scene.claim(declined.reference).state == "declined"

    def test_overdue_ones_are_listed_from_the_day_after(self, scene: Scene) -> None:
        scene.open(places=2)
        (declined,) = scene.complete(prepare=unlicensed)
        filed = appeal(scene, declined.reference)

        def overdue(on: date, reach: Reach = EVERYBODYS) -> list[str]:
            found = scene.do(lambda session: list_appeals(session=session, reach=reach, overdue_on=on))
            return [one.reference for one, _ in found]

        assert overdue(date(2026, 7, 1)) == []
        assert overdue(date(2026, 7, 2)) == [filed.reference]
        assert overdue(date(2026, 7, 2), Reach(dealer_id=1)) == []
        with pytest.raises(AppealNotFound):
            scene.do(lambda session: get_appeal(session=session, reference=filed.reference, reach=Reach(owner_id=0)))

    def _photo(self, scene: Scene, reference: str, image: bytes) -> Any:
        return scene.do(
            lambda session: add_appeal_photo(
                session=session,
                reference=reference,
                reach=EVERYBODYS,
                image=image,
                actor="account:8",
                now=scene.clock.now(),
            )
        )

    def _state(self, scene: Scene, reference: str) -> str:
        return scene.do(lambda session: get_appeal(session=session, reference=reference, reach=EVERYBODYS).state)


@pytest.mark.parametrize(
    ("filed_on", "days", "due_on"),
    [
        (date(2026, 6, 10), 15, date(2026, 7, 1)),
        (date(2026, 6, 12), 1, date(2026, 6, 15)),
        (date(2026, 6, 13), 1, date(2026, 6, 15)),
        (date(2026, 6, 12), 5, date(2026, 6, 19)),
    ],
)
def test_working_days_leave_out_the_weekends(filed_on: date, days: int, due_on: date) -> None:
    assert working_day_after(filed_on, days=days) == due_on


@pytest.mark.parametrize("typed", ["SS-2222-23", "SS-22222", "", "GP-0000-00", "SS-2222-22-2"])
def test_a_wrong_case_number_is_refused(typed: str) -> None:
    with pytest.raises(CaseNumberInvalid):
        clean_case_number(typed, prefix=APPEAL)


def test_what_was_refused_is_answered_by_the_record(scene: Scene) -> None:
    scene.open(places=2, limit=1)
    (refused,) = scene.complete(prepare=unlicensed)
    record = record_of(scene, refused.reference)
    failed, *passed = record.conditions
    assert (failed.code, failed.passed, failed.words.clause_zh) == ("point_was_not_licensed", False, "资格条件第 7 条")
    assert failed.saw_zh == "登记时有授牌：不是"
    assert failed.as_of is not None
    assert len(passed) == 8
    assert all(rule.passed and rule.why_zh is None for rule in passed)
    assert record.queue_rule is None
    assert record.reason_words is not None
    assert record.may_be_appealed


def test_a_reason_of_the_queue_names_its_own_evidence(scene: Scene) -> None:
    scene.open(places=3, limit=1)
    first, second = scene.complete(2, owners=1)
    assert (first.state, second.reason) == ("awarded", "limit_reached")
    rule = record_of(scene, second.reference).queue_rule
    assert rule is not None
    assert rule.saw == {"per_person_limit": 1, "counted_positions": "1"}
    assert rule.words.clause_zh == "排队规则第 11 条"
    assert "每人份数：1" in rule.saw_zh
    assert record_of(scene, first.reference).waits_for == "wallet"


def told_payout(scene: Scene, reference: str) -> Any:
    """The money as the owner and the point are told of it."""

    def tell(session: Session) -> Any:
        trade_in = session.scalars(select(TradeIn).where(TradeIn.reference == reference)).one()
        return trade_in_document(session=session, keyring=scene.settings.keyring, trade_in=trade_in)["payout"]

    return scene.do(tell)


def test_payment_that_waits_for_the_old_bike_says_so(scene: Scene) -> None:
    scene.open(places=3, payment_waits_for_destruction=True)
    (done,) = scene.complete()
    assert record_of(scene, done.reference).waits_for == "wallet"
    scene.confirm_wallet(done.reference)
    assert record_of(scene, done.reference).waits_for == "destruction"
    assert told_payout(scene, done.reference)["waits_for_zh"] == "等旧车拆解"
    assert scene.pay() is None
    scene.do(lambda session: session.connection().exec_driver_sql("UPDATE filed_bike SET state = 'destroyed'"))
    assert record_of(scene, done.reference).waits_for == "payment"
    assert told_payout(scene, done.reference)["waits_for"] is None
    assert scene.pay() == "settled"
    assert record_of(scene, done.reference).waits_for is None
