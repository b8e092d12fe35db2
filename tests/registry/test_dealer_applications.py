"""Applications of dealers: the phone is proved, a person decides, a doubtful credit code is looked at, not refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import Settings
from registry.accounts import Account
from registry.audit import AuditEntry
from registry.base import StepNotAllowed
from registry.cases import Case
from registry.dealer_applications import (
    AlreadyApplied,
    ApplicationNotFound,
    CreditCodeUnconfirmed,
    DealerKnown,
    DealerNameTaken,
    accept_application,
    apply_as_dealer,
    get_application,
    list_applications,
    refuse_application,
)
from registry.dealer_inputs import clean_credit_code, credit_code_doubt, masked_mobile, open_representative
from registry.dealers import Dealer
from registry.inputs import SeveralRefused
from registry.one_time_codes import CodeWrong
from tests.registry.dealer_walk import OPERATOR, Enrolment, form, make_enrolment
from tests.registry.line import picture


@pytest.fixture
def enrolment(session: Session, settings: Settings) -> Enrolment:
    return make_enrolment(session, settings.keyring)


def accept(enrolment: Enrolment, reference: str, *, confirmed: bool = False) -> None:
    accept_application(
        session=enrolment.session,
        reference=reference,
        credit_code_confirmed=confirmed,
        password_hash="none",
        actor=OPERATOR,
        now=enrolment.now,
    )
    enrolment.session.commit()


def test_an_application_is_kept_and_its_personal_fields_are_sealed(enrolment: Enrolment) -> None:
    applied = form(licence_photo=picture())
    application = enrolment.apply(applied)
    session = enrolment.session
    dealer = session.get_one(Dealer, application.dealer_id)
    assert (dealer.state, application.state, application.doubt) == ("applied", "waiting", None)
    assert dealer.opening_hours == "周一至周五 08:30-18:00；周六、周日 09:00-17:00"
    assert application.licence_photo == applied.licence_photo
    assert dealer.mobile_sealed is not None
    assert applied.mobile.encode() not in dealer.mobile_sealed
    assert masked_mobile(dealer=dealer, keyring=enrolment.keyring) == f"137****{applied.mobile[-4:]}"
    assert open_representative(dealer=dealer, keyring=enrolment.keyring) == "陈建英"
    told = session.scalars(select(AuditEntry).where(AuditEntry.action == "dealer.applied")).one()
    assert applied.mobile not in str(told.detail)
    assert get_application(session=session, reference=f" {application.reference.lower()} ").id == application.id
    with pytest.raises(ApplicationNotFound):
        get_application(session=session, reference="SQ-2222-2222")


def test_every_wrong_field_is_told_at_once_and_no_code_is_used(enrolment: Enrolment) -> None:
    wrong = form(
        name="店",
        credit_code="91330105ABC",
        phone="12345",
        opening_hours=(),
        representative="陈@英",
        mobile="2370000000",
        licence_photo=b"no picture",
    )
    with pytest.raises(SeveralRefused) as refused:
        apply_as_dealer(
            session=enrolment.session,
            keyring=enrolment.keyring,
            form=wrong,
            code="000000",
            now=enrolment.now,
            real_now=enrolment.now,
        )
    assert {(each.field, each.code) for each in refused.value.each} == {
        ("name", "dealer_text_invalid"),
        ("credit_code", "credit_code_invalid"),
        ("phone", "telephone_invalid"),
        ("opening_hours", "opening_hours_invalid"),
        ("representative", "name_invalid"),
        ("mobile", "mobile_invalid"),
        ("licence_photo", "photo_unreadable"),
    }


def test_a_code_for_something_else_proves_nothing(enrolment: Enrolment) -> None:
    applied = form()
    for purpose in ("sign_in", "commitment", "dealer_password"):
        code = enrolment.ask(applied.mobile, purpose)
        with pytest.raises(CodeWrong):
            apply_as_dealer(
                session=enrolment.session,
                keyring=enrolment.keyring,
                form=applied,
                code=code,
                now=enrolment.now,
                real_now=enrolment.now,
            )
    assert "申请成为销售商户" not in enrolment.gateway.messages[-1].text
    enrolment.ask(applied.mobile, "dealer_application")
    assert "申请成为销售商户" in enrolment.gateway.messages[-1].text
    assert enrolment.session.scalars(select(Dealer)).all() == []


def test_a_failing_check_digit_waits_for_a_person(enrolment: Enrolment) -> None:
    good = form()
    last = "0" if good.credit_code[-1] != "0" else "1"
    application = enrolment.apply(replace(good, credit_code=good.credit_code[:-1] + last))
    session = enrolment.session
    case = session.scalars(select(Case)).one()
    assert (case.kind, case.subject) == ("dealer_credit_code", f"dealer_application:{application.reference}")
    assert application.doubt is not None
    assert good.credit_code[-1] in application.doubt, "it says what the rule expects"
    with pytest.raises(CreditCodeUnconfirmed):
        accept(enrolment, application.reference)
    session.rollback()
    accept(enrolment, application.reference, confirmed=True)
    session.refresh(case)
    assert case.closed_by == OPERATOR
    assert session.get_one(Dealer, application.dealer_id).state == "accepted"


@pytest.mark.parametrize(
    ("code", "doubtful"),
    [("91110000600037341L", False), ("91110000600037341 m", True), ("Y1110000600037341L", True)],
)
def test_shape_and_doubt_of_credit_codes(code: str, doubtful: bool) -> None:
    assert (credit_code_doubt(clean_credit_code(code)) is not None) is doubtful


def test_acceptance_makes_the_first_account(enrolment: Enrolment) -> None:
    application = enrolment.apply(form())
    accept(enrolment, application.reference)
    account = enrolment.session.scalars(select(Account)).one()
    assert (account.login, account.dealer_id, account.dealer_manager) == (
        application.reference,
        application.dealer_id,
        True,
    )
    with pytest.raises(StepNotAllowed):
        accept(enrolment, application.reference)
    with pytest.raises(StepNotAllowed):
        refuse_application(
            session=enrolment.session, reference=application.reference, reason="x", actor=OPERATOR, now=enrolment.now
        )


def test_who_was_refused_applies_again(enrolment: Enrolment) -> None:
    applied = form()
    first = enrolment.apply(applied)
    session = enrolment.session
    refuse_application(
        session=session, reference=first.reference, reason="执照地址和店址不符", actor=OPERATOR, now=enrolment.now
    )
    session.commit()
    assert session.get_one(Dealer, first.dealer_id).state == "refused"
    second = enrolment.apply(replace(applied, address="登云路 9 号 1 幢"))
    dealer = session.get_one(Dealer, first.dealer_id)
    assert second.dealer_id == first.dealer_id
    assert (dealer.state, dealer.address) == ("applied", "登云路 9 号 1 幢")
    assert first.reason == "执照地址和店址不符"
    assert [each.reference for each in list_applications(session=session)] == [second.reference, first.reference]
    assert [each.id for each in list_applications(session=session, state="waiting")] == [second.id]


def test_a_waiting_application_is_told_to_its_own_phone_only(enrolment: Enrolment) -> None:
    applied = form()
    reference = enrolment.apply(applied).reference
    with pytest.raises(AlreadyApplied) as own:
        enrolment.apply(applied)
    assert reference in own.value.message_zh
    enrolment.session.rollback()
    with pytest.raises(AlreadyApplied) as stranger:
        enrolment.apply(replace(applied, mobile="13600000001"))
    assert reference not in stranger.value.message_zh + stranger.value.message_en
    enrolment.session.rollback()
    accept(enrolment, reference)
    with pytest.raises(DealerKnown):
        enrolment.apply(applied)
    enrolment.session.rollback()
    with pytest.raises(DealerNameTaken):
        enrolment.apply(form(name=applied.name))
