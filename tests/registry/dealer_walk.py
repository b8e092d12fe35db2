"""A dealer taken along its way, from the application to the licence, with codes read off the fake gateway."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.clients.sms.fake import FakeGateway
from app.clients.sms.server import Options as SmsOptions
from app.district.numbers import credit_code
from registry.code_limits import Asker
from registry.dealer_applications import ApplicationForm, DealerApplication, accept_application, apply_as_dealer
from registry.dealer_commitments import CommitmentSignature, send_signing_code, sign_commitment
from registry.dealer_hours import read_hours
from registry.dealer_licences import enrol, license_point
from registry.dealer_rules import EnrolmentRules
from registry.dealer_training import DrawnTest, draw_test, hand_in_test
from registry.dealers import Dealer
from registry.one_time_codes import send_code
from registry.sealing import Keyring
from tests.registry.line import KEY, NOW

OPERATOR, REVIEWER, COUNTER = "account:901", "account:902", "account:903"
RULES = EnrolmentRules()
STATES = ("accepted", "committed", "trained", "enrolled", "licensed")
_serials = count(1)


@dataclass(kw_only=True)
class Enrolment:
    """What the way of a dealer needs; every step commits."""

    session: Session
    keyring: Keyring
    gateway: FakeGateway
    now: datetime = NOW

    def code_for(self, phone: str) -> str:
        """The newest code that reached the phone; the limits are left behind."""
        self.session.execute(text("UPDATE one_time_code SET created_at = created_at - interval '2 days'"))
        self.session.commit()
        found = re.search(r"验证码 (\d{6})，", self.gateway.gateway.messages(phone=phone)[-1].text)
        assert found
        return found[1]

    def ask(self, phone: str, purpose: str) -> str:
        send_code(
            session=self.session,
            keyring=self.keyring,
            gateway=self.gateway,
            phone=phone,
            asker=Asker(address="10.0.0.1", device=None),
            now=self.now,
            purpose=purpose,
        )
        return self.code_for(phone)

    def apply(self, form: ApplicationForm) -> DealerApplication:
        application = apply_as_dealer(
            session=self.session,
            keyring=self.keyring,
            form=form,
            code=self.ask(form.mobile, "dealer_application"),
            now=self.now,
            real_now=self.now,
        )
        self.session.commit()
        return application

    def sign(self, dealer: Dealer, *, version: int = 1, mobile: str) -> CommitmentSignature:
        send_signing_code(
            session=self.session,
            keyring=self.keyring,
            gateway=self.gateway,
            dealer_id=dealer.id,
            asker=Asker(address="10.0.0.1", device=None),
            real_now=self.now,
        )
        signature = sign_commitment(
            session=self.session,
            keyring=self.keyring,
            dealer_id=dealer.id,
            version=version,
            code=self.code_for(mobile),
            actor=COUNTER,
            now=self.now,
            real_now=self.now,
        )
        self.session.commit()
        return signature

    def draw(self, dealer: Dealer) -> DrawnTest:
        drawn = draw_test(session=self.session, dealer_id=dealer.id, rules=RULES, actor=COUNTER, now=self.now)
        self.session.commit()
        return drawn

    def hand_in(self, drawn: DrawnTest, *, right: int) -> DrawnTest:
        answers = [
            question.answer if place < right else (question.answer + 1) % len(question.options)
            for place, question in enumerate(drawn.questions)
        ]
        judged = hand_in_test(
            session=self.session,
            dealer_id=drawn.attempt.dealer_id,
            attempt_id=drawn.attempt.id,
            answers=answers,
            actor=COUNTER,
            now=self.now,
        )
        self.session.commit()
        return judged

    def dealer(self, *, until: str) -> Dealer:
        """A dealer led as far as ``until``, one of STATES."""
        applied = form()
        application = self.apply(applied)
        accept_application(
            session=self.session,
            reference=application.reference,
            credit_code_confirmed=False,
            password_hash="none",
            actor=OPERATOR,
            now=self.now,
        )
        self.session.commit()
        dealer = self.session.get_one(Dealer, application.dealer_id)
        todo = STATES.index(until)
        if todo >= 1:
            self.sign(dealer, mobile=applied.mobile)
        if todo >= 2:
            self.hand_in(self.draw(dealer), right=10)
        if todo >= 3:
            enrol(session=self.session, dealer_id=dealer.id, actor=OPERATOR, now=self.now)
        if todo >= 4:
            license_point(session=self.session, dealer_id=dealer.id, rules=RULES, actor=REVIEWER, now=self.now)
        self.session.commit()
        assert dealer.state == until
        return dealer


def form(**changed: object) -> ApplicationForm:
    """An application of a shop never seen before."""
    serial = next(_serials)
    facts: dict[str, object] = {
        "name": f"运河第{serial}车行",
        "credit_code": credit_code(50_000 + serial),
        "sub_district": "米市巷街道",
        "address": f"莫干山路 {serial} 号",
        "phone": "0571-88000000",
        "opening_hours": read_hours("周一至周五 8:30-18:00；周六、周日 9:00-17:00"),
        "representative": "陈建英",
        "mobile": f"137{serial:08d}",
    }
    return ApplicationForm(**{**facts, **changed})  # type: ignore[arg-type]


def make_enrolment(session: Session, keyring: Keyring) -> Enrolment:
    gateway = FakeGateway(SmsOptions(key=KEY, now=lambda: NOW))
    return Enrolment(session=session, keyring=keyring, gateway=gateway)


def days(number: int) -> timedelta:
    return timedelta(days=number)
