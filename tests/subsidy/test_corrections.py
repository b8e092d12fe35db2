"""Correctable faults keep the place (law 9): found, told, corrected field by field, or expired."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.bikes import Bike
from registry.inputs import SeveralRefused
from registry.people import Person, mask_name, open_name
from registry.trade_ins import EVERYBODYS, Reach, TradeIn, TradeInNotFound
from subsidy.completion import Completed, Completion, CompletionDiffers, admit
from subsidy.correction_fields import (
    CorrectionMissing,
    FieldNotFaulty,
    Given,
    NameOfAnother,
    NotASlip,
    PhotosNotReplaced,
    VehicleCodeStillDiffers,
)
from subsidy.corrections import (
    CannotBeMarked,
    CorrectionTooLate,
    NothingToCorrect,
    correct_claim,
    mark_fault,
    replace_photo,
    waiting_for_correction,
    waive_fault,
)
from subsidy.decision_record import decision_record
from subsidy.queue import append_due, publish_version
from subsidy.standing import AnotherPersonNeeded, queue_connection, rules_at
from tests.registry.line import picture
from tests.subsidy.claim_scene import AMOUNT_FEN, NOW, OPERATOR, REVIEWER, Scene

POINT = "account:9"


def slipped(code: str) -> str:
    """As the police have it: the first digit another one. (Neighbours in the box differ in the last.)"""
    return "2" + code[1:]


def correct(scene: Scene, reference: str, *, reach: Reach = EVERYBODYS, **given: str) -> Any:
    return scene.do(
        lambda session: correct_claim(
            session=session,
            keyring=scene.settings.keyring,
            reference=reference,
            reach=reach,
            given=Given(**given),
            clock=scene.clock,
            actor=POINT,
        )
    )


def mark(field: str, actor: str = OPERATOR) -> Any:
    return lambda session, trade_in: mark_fault(
        session=session, reference=trade_in.reference, field=field, note="看不清", actor=actor, now=NOW
    )


def variant_name(session: Session, trade_in: TradeIn) -> None:
    trade_in.opening = trade_in.opening | {"police_name": "variant"}


class TestFound:
    def test_a_mistyped_vehicle_code_is_held_with_its_place_and_money(self, scene: Scene) -> None:
        scene.open(places=2)
        (held,) = scene.complete(police_code=slipped)
        assert (held.state, held.reason, held.amount_fen) == ("held", "vehicle_code_mistyped", AMOUNT_FEN)
        (later,) = scene.complete()
        assert (later.position, later.state) == (2, "awarded")
        assert scene.payout_state(held.reference) is None
        assert scene.balances() == {"appropriation": -60_000, "held:1": 30_000, "committed:1": 30_000}
        assert scene.differences() == []

    def test_the_owner_is_told_what_and_by_when(self, scene: Scene) -> None:
        scene.open(places=2)
        (held,) = scene.complete(police_code=slipped)
        (notice,) = scene.notices(held.reference)
        assert "名额和 300 元给您留着" in notice
        assert "整车编码" in notice
        assert "6月17日 12:00以前" in notice

    def test_the_polices_word_again_is_the_same_answer(self, scene: Scene) -> None:
        scene.open(places=2)
        (held,) = scene.complete(police_code=slipped)
        with scene.sessions() as session:
            trade_in = session.scalars(select(TradeIn)).one()
            word = Completion(
                application_no=trade_in.application_no or "",
                plate_no="A000001",
                issued_at=NOW,
                holder_index=session.get_one(Person, trade_in.owner_id).id_index,
                vehicle_code=slipped(session.scalars(select(Bike.vehicle_code)).one()),
            )
            for corrected in (False, True):
                if corrected:
                    correct(scene, held.reference, vehicle_code=word.vehicle_code)
                (again,) = admit(
                    connection=queue_connection(session=session),
                    completions=[word],
                    clock=scene.clock,
                    district=scene.settings.district,
                )
                assert isinstance(again, Completed)
                assert (again.first, again.state) == (False, "awarded" if corrected else "held")

    def test_the_code_of_a_neighbour_from_the_same_box_is_no_slip(self, scene: Scene) -> None:
        scene.open(places=2)
        scene.complete(count=2)
        with pytest.raises(AssertionError) as refused:
            scene.complete(police_code=lambda code: code[:-1] + "1")
        assert CompletionDiffers.__name__ in str(refused.value)

    def test_what_a_condition_refuses_is_declined_whatever_was_mistyped(self, scene: Scene) -> None:
        scene.open(places=2)

        def unlicensed(session: Session, trade_in: TradeIn) -> None:
            trade_in.opening = trade_in.opening | {"point_licensed": False}

        (refused,) = scene.complete(prepare=unlicensed, police_code=slipped)
        assert (refused.state, refused.reason) == ("declined", "point_was_not_licensed")
        assert scene.differences() == []

    def test_a_mark_is_made_once_and_only_while_the_trade_in_runs(self, scene: Scene) -> None:
        scene.open(places=2)

        def twice(session: Session, trade_in: TradeIn) -> None:
            assert mark("photo:plate")(session, trade_in).id == mark("photo:plate")(session, trade_in).id

        (held,) = scene.complete(prepare=twice)
        assert held.reason == "unreadable_photo"
        with pytest.raises(CannotBeMarked):
            scene.do(
                lambda session: mark_fault(
                    session=session, reference=held.reference, field="photo:whole", note="糊", actor=OPERATOR, now=NOW
                )
            )


class TestCorrected:
    def test_the_right_code_makes_it_the_award_it_would_have_been(self, scene: Scene) -> None:
        scene.open(places=1)
        (held,) = scene.complete(police_code=slipped)
        (waiting,) = scene.complete()
        assert waiting.state == "waiting"
        (code,) = scene.do(lambda session: session.scalars(select(Bike.vehicle_code).limit(1)).all())
        correct(scene, held.reference, vehicle_code=f" {slipped(code)} ")
        assert scene.claim(held.reference).state == "awarded"
        assert scene.claim(waiting.reference).state == "waiting"
        assert scene.payout_state(held.reference) == "awaiting_wallet"
        assert "claim.corrected" in scene.deeds(held.reference)
        assert scene.notices(held.reference)[-1].startswith("您的序号是 1，补贴 300 元")
        assert scene.differences() == []

    def test_wrong_fields_are_refused_each_by_itself_and_nothing_moves(self, scene: Scene) -> None:
        scene.open(places=1)
        (held,) = scene.complete(police_code=slipped, prepare=variant_name)
        with pytest.raises(SeveralRefused) as refused:
            correct(scene, held.reference, vehicle_code="119322000000077", battery_code="B1234567", owner_name="王伟")
        assert {(type(one), one.field) for one in refused.value.each} == {
            (VehicleCodeStillDiffers, "vehicle_code"),
            (FieldNotFaulty, "battery_code"),
            (NameOfAnother, "owner_name"),
        }
        with pytest.raises(CorrectionMissing) as missing:
            correct(scene, held.reference, owner_name="陈建英")
        assert missing.value.field == "vehicle_code"
        claim = scene.claim(held.reference)
        assert (claim.state, claim.position, claim.amount_fen) == ("held", 1, AMOUNT_FEN)
        assert scene.differences() == []

    def test_a_name_is_written_as_on_the_card(self, scene: Scene) -> None:
        scene.open(places=1)
        keyring = scene.settings.keyring

        def written(session: Session, trade_in: TradeIn) -> None:
            variant_name(session, trade_in)
            session.get_one(Person, trade_in.owner_id).name_sealed = keyring.seal("张喆", field="name")

        (held,) = scene.complete(prepare=written)
        correct(scene, held.reference, owner_name="张哲")
        with scene.sessions() as session:
            owner = session.scalars(select(Person)).one()
            assert open_name(person=owner, keyring=keyring) == "张哲"
            detail = session.connection().exec_driver_sql(
                "SELECT detail::text FROM audit_entry WHERE action = 'claim.corrected'"
            )
            (kept,) = detail.one()
        assert "张哲" not in kept
        assert mask_name("张哲") in kept
        assert scene.claim(held.reference).state == "awarded"

    @pytest.mark.parametrize(("typed", "state"), [("2024011191", "awarded"), ("2099999999", "held")])
    def test_a_certificate_number_changes_by_a_slip_only(self, scene: Scene, typed: str, state: str) -> None:
        scene.open(places=1)
        (held,) = scene.complete(prepare=mark("certificate_no"))
        if state == "held":
            with pytest.raises(NotASlip):
                correct(scene, held.reference, certificate_no=typed)
        else:
            correct(scene, held.reference, certificate_no="2024011191")
        assert scene.claim(held.reference).state == state

    def test_a_new_photo_corrects_it(self, scene: Scene) -> None:
        scene.open(places=1)

        def both(session: Session, trade_in: TradeIn) -> None:
            mark("photo:plate")(session, trade_in)
            mark("photo:whole")(session, trade_in)

        (held,) = scene.complete(prepare=both)
        with pytest.raises(PhotosNotReplaced):
            correct(scene, held.reference)
        for kind, state in (("plate", "held"), ("whole", "awarded")):
            scene.do(
                lambda session, kind=kind: replace_photo(
                    session=session,
                    reference=held.reference,
                    reach=EVERYBODYS,
                    kind=kind,
                    image=picture(),
                    clock=scene.clock,
                    actor=POINT,
                )
            )
            assert scene.claim(held.reference).state == state
            listed = scene.do(lambda session: waiting_for_correction(session=session, reach=EVERYBODYS))
            assert [fault.field for item in listed for fault in item.faults] == ["photo:whole"] * (state == "held")
        assert scene.differences() == []

    def test_a_photo_replaced_before_the_completion_is_no_fault(self, scene: Scene) -> None:
        scene.open(places=1)

        def replaced(session: Session, trade_in: TradeIn) -> None:
            mark("photo:plate")(session, trade_in)
            told = replace_photo(
                session=session,
                reference=trade_in.reference,
                reach=EVERYBODYS,
                kind="plate",
                image=picture(),
                clock=scene.clock,
                actor=POINT,
            )
            assert told is None

        (done,) = scene.complete(prepare=replaced)
        assert done.state == "awarded"

    def test_the_limit_is_checked_again(self, scene: Scene) -> None:
        scene.open(places=3, limit=2)
        first, second = scene.complete(2, owners=1, police_code=slipped)
        assert (first.state, second.state) == ("held", "held")
        with scene.sessions() as session:
            codes = session.scalars(select(Bike.vehicle_code).order_by(Bike.id)).all()

        # The bureau lowers the limit: nobody loses a place, but a correction is judged by the rules of its day.
        def lower(session: Session) -> None:
            rules = rules_at(session=session, programme_id=scene.programme_id, event_no=10**9)
            publish_version(
                connection=queue_connection(session=session),
                programme_id=scene.programme_id,
                rules=replace(rules, per_person_limit=1),
                clock=scene.clock,
                drafted_by=OPERATOR,
                approved_by=REVIEWER,
            )

        scene.do(lower)
        correct(scene, first.reference, vehicle_code=slipped(codes[0]))
        assert (scene.claim(first.reference).state, scene.claim(first.reference).reason) == (
            "declined",
            "limit_reached",
        )
        correct(scene, second.reference, vehicle_code=slipped(codes[1]))
        assert scene.claim(second.reference).state == "awarded"
        assert scene.differences() == []

    def test_a_claim_may_be_corrected_while_it_waits(self, scene: Scene) -> None:
        scene.open(places=1)
        scene.complete()
        (waiting,) = scene.complete(prepare=mark("certificate_no"))
        assert waiting.state == "waiting"
        assert "序号不变" in scene.notices(waiting.reference)[-1]
        correct(scene, waiting.reference, certificate_no="2024011191")
        claim = scene.claim(waiting.reference)
        assert (claim.state, claim.reason) == ("waiting", "no_place")
        with pytest.raises(NothingToCorrect):
            correct(scene, waiting.reference, certificate_no="2024011191")
        assert scene.differences() == []


class TestEnds:
    def test_after_the_term_the_place_goes_to_the_next(self, scene: Scene) -> None:
        scene.open(places=1)
        (held,) = scene.complete(police_code=slipped)
        (next_one,) = scene.complete()
        scene.later(days=7)
        with pytest.raises(CorrectionTooLate):
            correct(scene, held.reference, vehicle_code="119322000000001")
        scene.do(lambda session: append_due(connection=queue_connection(session=session), clock=scene.clock))
        assert scene.claim(held.reference).reason == "correction_expired"
        assert scene.claim(next_one.reference).state == "awarded"
        assert "规定时间内没有更正" in scene.notices(held.reference)[-1]
        with pytest.raises(CorrectionTooLate):
            correct(scene, held.reference, vehicle_code="119322000000001")
        record = scene.do(lambda session: decision_record(session=session, reference=held.reference, reach=EVERYBODYS))
        assert record.queue_rule is not None
        assert record.queue_rule.saw == {"expires_at": "2026-06-17 12:00:00"}
        assert scene.differences() == []

    def test_a_second_person_may_waive_it(self, scene: Scene) -> None:
        scene.open(places=1)
        (held,) = scene.complete(prepare=mark("photo:plate", actor=REVIEWER))

        def waive(actor: str) -> Any:
            return scene.do(
                lambda session: waive_fault(
                    session=session, reference=held.reference, reason="放大后看得清", clock=scene.clock, actor=actor
                )
            )

        with pytest.raises(AnotherPersonNeeded):
            waive(REVIEWER)
        waive(OPERATOR)
        assert scene.claim(held.reference).state == "awarded"
        with pytest.raises(NothingToCorrect):
            waive(OPERATOR)
        assert scene.differences() == []

    def test_the_list_holds_what_is_within_reach_soonest_first(self, scene: Scene) -> None:
        scene.open(places=3)
        (first,) = scene.complete(police_code=slipped)
        scene.clock = type(scene.clock)(
            origin_business=NOW + timedelta(hours=1), origin_real=scene.clock.origin_real, factor=1e-6
        )
        (second,) = scene.complete(prepare=variant_name)
        scene.complete()

        def listed(reach: Reach) -> list[str]:
            found = scene.do(lambda session: waiting_for_correction(session=session, reach=reach))
            return [item.trade_in.reference for item in found]

        assert listed(EVERYBODYS) == [first.reference, second.reference]
        assert listed(Reach(owner_id=scene.claim(second.reference).person_id)) == [second.reference]
        assert listed(Reach(dealer_id=99)) == []
        with pytest.raises(TradeInNotFound):
            correct(scene, first.reference, reach=Reach(dealer_id=99), vehicle_code="1")

    def test_nothing_is_corrected_where_nothing_is_wrong(self, scene: Scene) -> None:
        scene.open(places=1)
        (done,) = scene.complete()
        with pytest.raises(Refusal) as refused:
            correct(scene, done.reference, owner_name="王伟")
        assert refused.value.code == "nothing_to_correct"
