"""From the commitment to the licence and its end: who signs, who is trained, who licenses, until which day."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from app.clock import Clock
from app.config import Settings
from app.jobs import jobs_for
from registry.base import StepNotAllowed
from registry.code_limits import Asker
from registry.dealer_commitments import (
    CommitmentDraftInvalid,
    CommitmentNotCurrent,
    CommitmentNotFound,
    CommitmentSignature,
    CommitmentUnsigned,
    MobileMissing,
    approve_version,
    current_version,
    draft_version,
    list_signatures,
    send_signing_code,
    sign_commitment,
    unsigned_dealers,
)
from registry.dealer_inputs import open_mobile
from registry.dealer_licences import (
    RenewedTooEarly,
    RevocationNotFound,
    RevocationProposed,
    decide_revocation,
    enrol,
    expire_licences,
    license_point,
    open_revocation,
    propose_revocation,
    renew_licence,
    restore,
    suspend,
)
from registry.dealer_steps import DealerStepOfTwo, steps_of
from registry.dealer_training import (
    AnswersIncomplete,
    AttemptNotFound,
    AttemptOver,
    AttemptsUsedUp,
    TrainingQuestion,
    draw_test,
    get_test,
    hand_in_test,
)
from registry.dealers import Dealer, PointNotLicensed, local_day, require_licensed
from registry.one_time_codes import CodeWrong
from tests.registry.dealer_walk import COUNTER, OPERATOR, REVIEWER, RULES, Enrolment, days, make_enrolment
from tests.registry.line import NOW, District, make_district

LONG_TEXT = "本单位承诺依法合规经营。" * 20


@pytest.fixture
def enrolment(session: Session, settings: Settings) -> Enrolment:
    return make_enrolment(session, settings.keyring)


@pytest.fixture
def district(session: Session, settings: Settings) -> District:
    return make_district(session, settings.keyring)


def publish(enrolment: Enrolment, *, in_days: int = 1, within_days: int = 30) -> int:
    at = enrolment.now + days(in_days)
    draft = draft_version(
        session=enrolment.session,
        text_zh=LONG_TEXT,
        effective_at=at,
        sign_by=local_day(at + days(within_days)),
        actor=OPERATOR,
        now=enrolment.now,
    )
    approve_version(session=enrolment.session, version=draft.version, actor=REVIEWER, now=enrolment.now)
    enrolment.session.commit()
    return draft.version


def test_the_whole_way_is_written_down(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="licensed")
    steps = [(row.step, row.state) for row in steps_of(session=enrolment.session, dealer_id=dealer.id)]
    assert steps == [
        ("accept", "accepted"),
        ("commit", "committed"),
        ("train", "trained"),
        ("enrol", "enrolled"),
        ("license", "licensed"),
    ]
    assert (dealer.point_no, dealer.licensed_at, dealer.trade_in_on) == ("0001", NOW, True)
    assert dealer.licensed_until == date(2027, 6, 19), "a year, its first day included"
    require_licensed(dealer=dealer, now=NOW)
    for table in ("dealer_step", "commitment_signature", "trade_in_handover"):
        with pytest.raises(DBAPIError) as refused:
            enrolment.session.execute(text(f"DELETE FROM {table}"))
        assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
        enrolment.session.rollback()


def test_a_signature_says_version_text_phone_and_code(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="committed")
    signature = enrolment.session.scalars(select(CommitmentSignature)).one()
    version = current_version(session=enrolment.session, now=NOW)
    assert (signature.version, signature.text_sha256, signature.method) == (1, version.sha256, "code")
    assert signature.phone_masked is not None
    assert "****" in signature.phone_masked
    assert len(signature.evidence) == 32
    mobile = enrolment.gateway.messages[-1].phone
    assert enrolment.sign(dealer, mobile=mobile).id == signature.id, "signing again keeps the first"


def test_a_wrong_code_signs_nothing(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="accepted")
    with pytest.raises(CodeWrong):
        sign_commitment(
            session=enrolment.session,
            keyring=enrolment.keyring,
            dealer_id=dealer.id,
            version=1,
            code="000000",
            actor=COUNTER,
            now=NOW,
            real_now=NOW,
        )
    enrolment.session.rollback()
    assert dealer.state == "accepted"


def test_nobody_signs_without_a_registered_phone(enrolment: Enrolment, district: District) -> None:
    with pytest.raises(MobileMissing):
        enrolment.sign(district.dealer(), mobile="13700000000")


def test_a_new_version_has_to_be_signed_before_a_renewal(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="licensed")
    mobile = enrolment.gateway.messages[-1].phone
    version = publish(enrolment)
    assert current_version(session=enrolment.session, now=NOW).version == 1, "announced, not in force"
    enrolment.now = NOW + days(340)
    assert [each.id for each in unsigned_dealers(session=enrolment.session, now=enrolment.now)] == [dealer.id]
    with pytest.raises(CommitmentUnsigned):
        renew_licence(session=enrolment.session, dealer_id=dealer.id, rules=RULES, actor=REVIEWER, now=enrolment.now)
    enrolment.session.rollback()
    with pytest.raises(CommitmentNotCurrent):
        enrolment.sign(dealer, version=1, mobile=mobile)
    enrolment.session.rollback()
    enrolment.sign(dealer, version=version, mobile=mobile)
    assert unsigned_dealers(session=enrolment.session, now=enrolment.now) == []
    assert [row.version for row, _ in list_signatures(session=enrolment.session)] == [2, 1]
    renew_licence(session=enrolment.session, dealer_id=dealer.id, rules=RULES, actor=REVIEWER, now=enrolment.now)
    assert dealer.licensed_until == date(2027, 6, 19) + days(365)


def test_a_version_is_drafted_by_one_and_approved_by_another(enrolment: Enrolment) -> None:
    session = enrolment.session
    for text_zh, effective, sign_by in (
        ("太短", NOW + days(1), date(2026, 8, 1)),
        (LONG_TEXT, NOW, date(2026, 8, 1)),
        (LONG_TEXT, NOW + days(9), date(2026, 6, 22)),
    ):
        with pytest.raises(CommitmentDraftInvalid):
            draft_version(
                session=session, text_zh=text_zh, effective_at=effective, sign_by=sign_by, actor=OPERATOR, now=NOW
            )
    facts = {"text_zh": LONG_TEXT, "effective_at": NOW + days(1), "sign_by": date(2026, 8, 1), "now": NOW}
    draft_version(session=session, actor=OPERATOR, **facts)  # type: ignore[arg-type]
    session.commit()
    with pytest.raises(CommitmentDraftInvalid):
        draft_version(session=session, actor=OPERATOR, **facts)  # type: ignore[arg-type]
    with pytest.raises(DealerStepOfTwo):
        approve_version(session=session, version=2, actor=OPERATOR, now=NOW)
    approve_version(session=session, version=2, actor=REVIEWER, now=NOW)
    session.commit()
    for over in (2, 2**31):
        with pytest.raises(CommitmentNotFound):
            approve_version(session=session, version=over, actor=REVIEWER, now=NOW)


def test_a_version_approved_after_its_day_binds_from_its_approval(enrolment: Enrolment) -> None:
    session = enrolment.session
    facts = {"text_zh": LONG_TEXT, "effective_at": NOW + days(1), "sign_by": date(2026, 8, 1), "now": NOW}
    draft_version(session=session, actor=OPERATOR, **facts)  # type: ignore[arg-type]
    approve_version(session=session, version=2, actor=REVIEWER, now=NOW + days(5))
    session.commit()
    assert current_version(session=session, now=NOW + days(4)).version == 1
    assert current_version(session=session, now=NOW + days(5)).version == 2


def test_a_code_sent_to_sign_for_one_dealer_signs_for_no_other_with_the_same_phone(enrolment: Enrolment) -> None:
    session = enrolment.session
    first, second = enrolment.dealer(until="accepted"), enrolment.dealer(until="accepted")
    second.mobile_sealed, second.mobile_index = first.mobile_sealed, first.mobile_index
    session.commit()
    mobile = open_mobile(dealer=first, keyring=enrolment.keyring)
    assert mobile is not None
    facts: dict[str, Any] = {"session": session, "keyring": enrolment.keyring}
    asker = Asker(address="10.0.0.1", device=None)
    send_signing_code(gateway=enrolment.gateway, dealer_id=first.id, asker=asker, real_now=enrolment.now, **facts)
    code = enrolment.code_for(mobile)
    with pytest.raises(CodeWrong):
        sign_commitment(
            dealer_id=second.id,
            version=1,
            code=code,
            actor=COUNTER,
            now=enrolment.now,
            real_now=enrolment.now,
            **facts,
        )


def test_a_test_is_drawn_judged_and_limited(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="committed")
    session = enrolment.session
    drawn = enrolment.draw(dealer)
    assert len({question.id for question in drawn.questions}) == 10
    assert enrolment.draw(dealer).attempt.id == drawn.attempt.id, "the one not handed in is shown again"
    for answers in ([0] * 9, [0] * 11, [0] * 9 + [4]):
        with pytest.raises(AnswersIncomplete):
            hand_in_test(
                session=session,
                dealer_id=dealer.id,
                attempt_id=drawn.attempt.id,
                answers=answers,
                actor=COUNTER,
                now=NOW,
            )
        session.rollback()
    failed = enrolment.hand_in(drawn, right=7)
    assert (failed.attempt.correct, failed.attempt.passed, dealer.state) == (7, False, "committed")
    assert enrolment.hand_in(drawn, right=7).attempt.correct == 7, "the same answers again get the same result"
    with pytest.raises(AttemptOver):
        enrolment.hand_in(drawn, right=8)
    session.rollback()
    for _ in range(2):
        enrolment.hand_in(enrolment.draw(dealer), right=0)
    with pytest.raises(AttemptsUsedUp):
        enrolment.draw(dealer)
    session.rollback()
    enrolment.now = NOW + days(1)
    stale = enrolment.draw(dealer)
    enrolment.now = NOW + days(2)
    with pytest.raises(AttemptOver):
        enrolment.hand_in(stale, right=10)
    session.rollback()
    passed = enrolment.hand_in(enrolment.draw(dealer), right=8)
    assert (passed.attempt.passed, dealer.state) == (True, "trained")


def test_tests_differ_and_belong_to_their_dealer(enrolment: Enrolment) -> None:
    one, other = enrolment.dealer(until="committed"), enrolment.dealer(until="committed")
    draws = [
        draw_test(session=enrolment.session, dealer_id=each.id, rules=RULES, actor=COUNTER, now=NOW, dice=Random(seed))
        for seed, each in enumerate((one, other))
    ]
    assert draws[0].attempt.question_ids != draws[1].attempt.question_ids
    with pytest.raises(AttemptNotFound):
        get_test(session=enrolment.session, dealer_id=one.id, attempt_id=draws[1].attempt.id)


def test_the_bank_holds(session: Session) -> None:
    bank = session.scalars(select(TrainingQuestion)).all()
    assert len(bank) >= 2 * RULES.questions
    assert len({each.question for each in bank}) == len(bank)
    assert all(0 <= each.answer < len(each.options) == len(set(each.options)) for each in bank)
    assert len({each.answer for each in bank}) > 1


def test_nobody_is_trained_before_the_commitment(enrolment: Enrolment) -> None:
    with pytest.raises(StepNotAllowed):
        enrolment.draw(enrolment.dealer(until="accepted"))


def test_who_switched_the_function_on_cannot_license(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="trained")
    session = enrolment.session
    with pytest.raises(StepNotAllowed):
        license_point(session=session, dealer_id=dealer.id, rules=RULES, actor=REVIEWER, now=NOW)
    enrol(session=session, dealer_id=dealer.id, actor=OPERATOR, now=NOW)
    session.commit()
    with pytest.raises(DealerStepOfTwo):
        license_point(session=session, dealer_id=dealer.id, rules=RULES, actor=OPERATOR, now=NOW)
    session.rollback()
    license_point(session=session, dealer_id=dealer.id, rules=RULES, actor=REVIEWER, now=NOW)


def test_plaque_numbers_have_no_gap_when_many_are_licensed_at_once(enrolment: Enrolment, engine: Engine) -> None:
    ids = [enrolment.dealer(until="enrolled").id for _ in range(6)]

    def give(place: int) -> str | None:
        with Session(engine) as session:
            dealer = license_point(session=session, dealer_id=ids[place], rules=RULES, actor=REVIEWER, now=NOW)
            number = dealer.point_no
            # Every second one breaks off: its number has to go to somebody else.
            session.rollback() if place % 2 else session.commit()
            return None if place % 2 else number

    with ThreadPoolExecutor(6) as pool:
        given = [number for number in pool.map(give, range(6)) if number]
    assert sorted(given) == ["0001", "0002", "0003"]


def test_a_licence_ends_by_day_marked_or_not(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="licensed")
    session = enrolment.session
    last_day = NOW + days(364)
    require_licensed(dealer=dealer, now=last_day)
    assert expire_licences(session=session, now=last_day) == []
    with pytest.raises(PointNotLicensed, match="ran out"):
        require_licensed(dealer=dealer, now=last_day + days(1))
    assert expire_licences(session=session, now=last_day + days(1)) == [dealer.id]
    session.commit()
    assert dealer.state == "expired"
    assert expire_licences(session=session, now=last_day + days(2)) == []
    renew_licence(session=session, dealer_id=dealer.id, rules=RULES, actor=REVIEWER, now=NOW + days(400))
    assert (dealer.state, dealer.point_no) == ("licensed", "0001")
    assert dealer.licensed_until == local_day(NOW + days(400 + 364)), "a gap is not made good"


def test_the_scheduler_marks_what_has_run_out(enrolment: Enrolment, engine: Engine) -> None:
    dealer = enrolment.dealer(until="licensed")
    dealer.licensed_until = local_day(Clock().now()) - days(1)
    enrolment.session.commit()
    [job] = [job for job in jobs_for(Clock()) if job.name == "licences"]
    assert job.every == timedelta(hours=1)
    equipment: Any = SimpleNamespace(sessions=sessionmaker(engine), clock=Clock())
    assert job.work(equipment) == "1 expired"
    assert job.work(equipment) is None
    enrolment.session.refresh(dealer)
    assert dealer.state == "expired"


def test_a_licence_is_renewed_in_its_last_weeks(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="licensed")
    session = enrolment.session
    assert dealer.licensed_until is not None
    early = NOW + days(364 - RULES.renew_from_days)
    with pytest.raises(RenewedTooEarly):
        renew_licence(session=session, dealer_id=dealer.id, rules=RULES, actor=REVIEWER, now=early - days(1))
    session.rollback()
    until = dealer.licensed_until
    renew_licence(session=session, dealer_id=dealer.id, rules=RULES, actor=REVIEWER, now=early)
    assert dealer.licensed_until == until + days(RULES.licence_days)


def test_suspension_restoration_and_a_revocation_by_two(enrolment: Enrolment) -> None:
    dealer = enrolment.dealer(until="licensed")
    session, facts = enrolment.session, {"dealer_id": dealer.id, "now": NOW}
    suspend(session=session, reason="改装电池", actor=OPERATOR, **facts)  # type: ignore[arg-type]
    session.commit()
    with pytest.raises(PointNotLicensed):
        require_licensed(dealer=dealer, now=NOW)
    restore(session=session, reason="已整改", actor=REVIEWER, **facts)  # type: ignore[arg-type]
    require_licensed(dealer=dealer, now=NOW)
    with pytest.raises(RevocationNotFound):
        decide_revocation(session=session, approved=True, actor=REVIEWER, **facts)  # type: ignore[arg-type]
    propose_revocation(session=session, reason="倒卖旧车", actor=OPERATOR, **facts)  # type: ignore[arg-type]
    session.commit()
    require_licensed(dealer=dealer, now=NOW)
    with pytest.raises(RevocationProposed):
        propose_revocation(session=session, reason="又一次", actor=REVIEWER, **facts)  # type: ignore[arg-type]
    with pytest.raises(DealerStepOfTwo):
        decide_revocation(session=session, approved=True, actor=OPERATOR, **facts)  # type: ignore[arg-type]
    decide_revocation(session=session, approved=False, actor=REVIEWER, **facts)  # type: ignore[arg-type]
    assert dealer.state == "licensed"
    propose_revocation(session=session, reason="倒卖旧车", actor=OPERATOR, **facts)  # type: ignore[arg-type]
    decide_revocation(session=session, approved=True, actor=REVIEWER, **facts)  # type: ignore[arg-type]
    session.commit()
    assert (dealer.state, dealer.trade_in_on, dealer.point_no) == ("revoked", False, "0001")
    assert open_revocation(session=session, dealer_id=dealer.id) is None
    last = steps_of(session=session, dealer_id=dealer.id)[-1]
    assert (last.step, last.reason, last.actor) == ("revoke", "倒卖旧车", REVIEWER)
    assert enrolment.dealer(until="licensed").point_no == "0002", "a revoked number is not given again"


def test_an_unknown_dealer_is_told(session: Session) -> None:
    assert session.scalars(select(Dealer)).all() == []
    with pytest.raises(Exception, match="dealer_not_found"):
        suspend(session=session, dealer_id=1, reason="x", actor=OPERATOR, now=NOW)
