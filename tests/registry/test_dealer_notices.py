"""Dealers are told by text message what the bureau decided about them."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from app.config import Settings
from registry.cases import Case
from registry.dealer_applications import refuse_application
from registry.dealer_inputs import open_mobile
from registry.dealer_licences import restore, suspend
from registry.dealer_notices import NOTICES, dealer_notice
from registry.dealers import DEALER
from registry.messages import Message, owe_dealer, send_owed
from tests.registry.dealer_walk import OPERATOR, REVIEWER, Enrolment, form, make_enrolment
from tests.registry.line import NOW

LONGEST = Message.__table__.c.body.type.length


@pytest.fixture
def enrolment(session: Session, settings: Settings) -> Enrolment:
    return make_enrolment(session, settings.keyring)


def owed(session: Session, dealer_id: int) -> list[str]:
    query = select(Message.body).where(Message.dealer_id == dealer_id).order_by(Message.id)
    return list(session.scalars(query))


def test_every_decision_on_the_way_to_the_licence_reaches_the_registered_phone(
    enrolment: Enrolment, engine: Engine
) -> None:
    dealer = enrolment.dealer(until="licensed")
    session = enrolment.session
    suspend(session=session, dealer_id=dealer.id, reason="改装电池。", actor=OPERATOR, now=NOW)
    restore(session=session, dealer_id=dealer.id, reason="已整改", actor=REVIEWER, now=NOW)
    session.commit()
    accepted, enrolled, licensed, suspended, restored = owed(session, dealer.id)
    assert "审核通过了" in accepted
    assert "置换功能开通了" in enrolled
    assert f"代办点编号 {dealer.point_no}，有效到 2027 年" in licensed
    assert "暂停了：改装电池。已经" in suspended
    assert "恢复了" in restored
    sent = send_owed(
        session_factory=sessionmaker(engine), gateway=enrolment.gateway, keyring=enrolment.keyring, now=NOW
    )
    assert sent == 5
    mobile = open_mobile(dealer=dealer, keyring=enrolment.keyring)
    texts = [message.text for message in enrolment.gateway.gateway.messages(phone=mobile)]
    assert set(texts) >= {f"【码牌】{said}" for said in (accepted, enrolled, licensed, suspended, restored)}


def test_a_refused_application_is_told_with_its_reason(enrolment: Enrolment) -> None:
    application = enrolment.apply(form())
    refuse_application(
        session=enrolment.session,
        reference=application.reference,
        reason="执照地址和店址不符",
        actor=OPERATOR,
        now=enrolment.now,
    )
    assert ["没有通过：执照地址和店址不符。" in body for body in owed(enrolment.session, application.dealer_id)] == [
        True
    ]


def test_a_dealer_without_a_phone_owes_no_message_that_nobody_gets(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="licensed")
    session = enrolment.session
    dealer.mobile_sealed = dealer.mobile_index = None
    told = len(owed(session, dealer.id))
    suspend(session=session, dealer_id=dealer.id, reason="改装电池", actor=OPERATOR, now=NOW)
    session.commit()
    assert len(owed(session, dealer.id)) == told


def test_a_phone_taken_away_after_the_decision_leaves_a_case(enrolment: Enrolment, engine: Engine) -> None:
    dealer = enrolment.dealer(until="committed")
    session = enrolment.session
    session.execute(text("DELETE FROM message"))
    owe_dealer(session=session, dealer_id=dealer.id, dedupe_key="once", body="您好")
    owe_dealer(session=session, dealer_id=dealer.id, dedupe_key="once", body="您好")
    dealer.mobile_sealed = dealer.mobile_index = None
    session.commit()
    sessions = sessionmaker(engine)
    assert send_owed(session_factory=sessions, gateway=enrolment.gateway, keyring=enrolment.keyring, now=NOW) == 0
    case = session.scalars(select(Case).where(Case.kind == "message_undelivered")).one()
    assert case.detail == {"why": "no_phone", "tries": 1}


def test_every_step_of_the_bureau_has_words_that_fit_one_message() -> None:
    own = {"apply", "commit", "train"}
    assert set(NOTICES) == {step for steps in DEALER.edges.values() for step in steps} - own
    for step in NOTICES:
        words = dealer_notice(step=step, name="湖" * 80, reason="因" * 200, point_no="0001", until=date(2027, 3, 31))
        assert words is not None
        assert max(len(words.zh), len(words.en)) <= LONGEST
        assert "{" not in words.zh + words.en
    assert dealer_notice(step="train", name="某店") is None
