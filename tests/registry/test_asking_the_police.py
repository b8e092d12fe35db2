"""What the poll does: it asks again under the same number, resends what never arrived, and records each answer once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from registry.base import PartnerSilent, StepNotAllowed
from registry.cancelling import (
    CancellationDiffers,
    ask_about_cancellation,
    pending_cancellations,
    record_cancellation,
)
from registry.opening import verify_old_bike, withdraw
from registry.plate_authority import CancelAnswer, PlateAnswer
from registry.plating import (
    apply_for_plate,
    ask_about_application,
    pending_applications,
    record_plate_refusal,
)
from registry.selling import sell_new_bike
from registry.trade_ins import Reach, TradeIn, TradeInNotFound
from tests.registry.line import ACTOR, DISTRICT, NOW, PRICE, REACH, District


def ask_cancellation(district: District, reference: str) -> TradeIn:
    trade_in = ask_about_cancellation(
        session=district.session,
        keyring=district.keyring,
        plates=district.police,
        reference=reference,
        now=NOW + timedelta(seconds=10),
    )
    district.session.commit()
    return trade_in


@pytest.mark.parametrize("magic", ["15", "24", "25", "27"])  # never called back, 500 after, silent, lost
def test_a_cancellation_without_an_answer_is_found_out_by_asking(district: District, magic: str) -> None:
    owner = district.owner(plate_no=f"D9990{magic}")
    reference = district.receive(owner, district.dealer())
    assert district.cancel(reference).state == "cancel_requested"
    number = district.trade_in(reference).cancellation_no
    session = district.session
    assert pending_cancellations(session=session, before=NOW + timedelta(seconds=1), limit=10) == [reference]
    assert pending_cancellations(session=session, before=NOW, limit=10) == []
    district.police.pass_time()
    states = [ask_cancellation(district, reference).state for _ in range(3)]
    expected = "cancel_requested" if magic == "27" else "old_plate_cancelled"
    assert states[-1] == expected
    assert district.trade_in(reference).cancellation_no == number
    if expected == "old_plate_cancelled":
        assert pending_cancellations(session=session, before=NOW + timedelta(days=1), limit=10) == []


def test_an_answer_to_a_cancellation_that_names_another_plate_changes_nothing(district: District) -> None:
    owner = district.owner(plate_no="D999014")
    reference = district.receive(owner, district.dealer())
    district.cancel(reference)
    number = district.trade_in(reference).cancellation_no
    assert number is not None
    answer = CancelAnswer(message_no=number, plate_no="B999999", state="done", cancelled_at=NOW)
    with pytest.raises(CancellationDiffers):
        record_cancellation(session=district.session, answer=answer, now=NOW)
    assert district.trade_in(reference).state == "cancel_requested"


def applied(district: District, vehicle_code: str | None) -> tuple[str, object]:
    """A trade-in whose new plate was applied for, and the answer that came."""
    dealer, session = district.dealer(), district.session
    reference = district.receive(district.owner(), dealer)
    district.cancel(reference)
    bike = district.stock(dealer, vehicle_code=vehicle_code)
    sell_new_bike(
        session=session,
        reference=reference,
        reach=REACH,
        vehicle_code=bike.vehicle_code,
        invoice_no=f"2533{bike.vehicle_code}",
        price=PRICE,
        actor=ACTOR,
        now=NOW,
    )
    session.commit()
    application = apply_for_plate(
        session=session,
        keyring=district.keyring,
        plates=district.police,
        reference=reference,
        reach=REACH,
        actor=ACTOR,
        now=NOW,
    )
    session.commit()
    return reference, application.answer


@pytest.mark.parametrize("magic", ["15", "24", "25"])
def test_an_application_without_an_answer_is_found_out_by_asking(district: District, magic: str) -> None:
    reference, answer = applied(district, f"1182226999000{magic}")
    assert answer is None or getattr(answer, "state", None) == "pending"
    session = district.session
    assert pending_applications(session=session, before=NOW + timedelta(seconds=1), limit=10) == [reference]
    district.police.pass_time()
    asked = ask_about_application(
        session=session, keyring=district.keyring, plates=district.police, reference=reference, now=NOW
    )
    session.commit()
    assert asked.answer is not None
    assert asked.answer.state == "done"
    assert asked.answer.application_no == district.trade_in(reference).application_no


def test_a_refused_application_goes_back_to_the_sale_at_once(district: District) -> None:
    reference, answer = applied(district, "118222699900011")
    assert isinstance(answer, PlateAnswer)
    assert answer.state == "refused"
    assert district.trade_in(reference).state == "new_bike_sold"
    nothing = ask_about_application(
        session=district.session, keyring=district.keyring, plates=district.police, reference=reference, now=NOW
    )
    assert nothing.answer is None


def test_a_lost_request_is_sent_again_under_its_number(district: District, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = district.receive(district.owner(), district.dealer())
    sent: list[str] = []
    cancel_at_police = district.police.cancel

    def lose_the_first(*, message_no: str, plate_no: str, owner_id_no: str) -> CancelAnswer:
        sent.append(message_no)
        if len(sent) == 1:
            raise PartnerSilent(partner="云申领", partner_en="the plate system")
        return cancel_at_police(message_no=message_no, plate_no=plate_no, owner_id_no=owner_id_no)

    monkeypatch.setattr(district.police, "cancel", lose_the_first)
    assert district.cancel(reference).state == "cancel_requested"
    assert ask_cancellation(district, reference).state == "old_plate_cancelled"
    assert len(sent) == 2
    assert len(set(sent)) == 1


def test_nothing_is_held_while_the_police_are_asked(
    district: District, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = district.receive(district.owner(), district.dealer())
    in_transaction: list[bool] = []
    cancel_at_police, look_up = district.police.cancel, district.police.look_up

    def watch_cancel(**asked: str) -> CancelAnswer:
        in_transaction.append(session.in_transaction())
        return cancel_at_police(**asked)

    def watch_look_up(**asked: str) -> object:
        in_transaction.append(session.in_transaction())
        return look_up(**asked)

    monkeypatch.setattr(district.police, "cancel", watch_cancel)
    monkeypatch.setattr(district.police, "look_up", watch_look_up)
    assert district.cancel(reference).state == "old_plate_cancelled"
    district.receive(district.owner(), district.dealer())
    assert in_transaction == [False, False]


def test_the_frozen_evidence_is_what_the_police_said(district: District) -> None:
    trade_in = district.trade_in(district.receive(district.owner(), district.dealer()))
    assert trade_in.opening == {
        "point_licensed": True,
        "plate_status": "normal",
        "plate_district": DISTRICT,
        "plate_owner_matches": True,
        "police_name": "same",
    }
    assert trade_in.verified_at == trade_in.received_at == NOW


def test_steps_are_refused_outside_their_state_and_reach(district: District) -> None:
    session = district.session
    reference = district.receive(district.owner(), district.dealer())
    with pytest.raises(StepNotAllowed):
        withdraw(session=session, reference=reference, reach=REACH, actor=ACTOR, now=NOW)
    session.rollback()
    with pytest.raises(StepNotAllowed):
        verify_old_bike(
            session=session,
            keyring=district.keyring,
            plates=district.police,
            district=DISTRICT,
            reference=reference,
            reach=REACH,
            actor=ACTOR,
            now=NOW,
        )
    session.rollback()
    with pytest.raises(TradeInNotFound):
        withdraw(session=session, reference=reference, reach=Reach(owner_id=-1), actor=ACTOR, now=NOW)
    session.rollback()
    with pytest.raises(StepNotAllowed):
        apply_for_plate(
            session=session,
            keyring=district.keyring,
            plates=district.police,
            reference=reference,
            reach=REACH,
            actor=ACTOR,
            now=NOW,
        )
    session.rollback()


def test_refusing_a_plate_twice_is_told_as_unknown(district: District) -> None:
    reference, _ = applied(district, "118222699900014")
    number = district.trade_in(reference).application_no
    assert number is not None
    answer = PlateAnswer(application_no=number, state="refused", reason="合格证不符")
    record_plate_refusal(session=district.session, answer=answer)
    district.session.commit()
    assert district.trade_in(reference).refusal == "交警没有核发号牌：合格证不符"
    assert district.trade_in(reference).application_no is None
