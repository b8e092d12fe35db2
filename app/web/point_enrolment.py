"""A dealer on its way to the licence: where it stands, the commitment, the training and its test."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller
from app.client_address import counted_address
from app.clock import real
from app.context import business_now, keyring, partners, settings
from app.db import db
from app.web.answering import Answer, take_form
from app.web.blueprint import web
from app.web.dealer_words import DEALER_STATES, way_of
from app.web.forms import Form
from app.web.language import _
from app.web.point import own_dealer
from app.web.wording import moment_full
from registry.code_limits import Asker
from registry.dealer_commitments import (
    CommitmentSignature,
    current_version,
    send_signing_code,
    sign_commitment,
    signature_of,
)
from registry.dealer_inputs import masked_mobile
from registry.dealer_steps import steps_of
from registry.dealer_training import (
    AttemptNotFound,
    DrawnTest,
    attempts_left,
    current_training,
    draw_test,
    get_test,
    hand_in_test,
    list_tests,
)
from registry.dealers import local_day

NOT_TO_BE_TESTED = ("applied", "refused", "accepted", "revoked")


@web.get("/point/enrolment", endpoint="point_enrolment")
@requires("dealer")
def show_enrolment() -> str:
    """Where the dealer stands, what is due, and every step so far."""
    dealer, session = own_dealer(), db.session()
    version = current_version(session=session, now=business_now())
    steps = steps_of(session=session, dealer_id=dealer.id)
    return render_template(
        "point_enrolment.html",
        dealer=dealer,
        state_word=DEALER_STATES[dealer.state],
        way=way_of(dealer, steps),
        signed=signature_of(session=session, dealer_id=dealer.id, version=version.version),
        version=version,
        reason=next((step.reason for step in reversed(steps) if step.reason), None),
    )


@web.get("/point/enrolment/commitment", endpoint="point_commitment")
@requires("dealer")
def show_commitment() -> str:
    """The commitment in force, and the form that signs it."""
    return _commitment_page(Form(fields=("code",)))


@web.post("/point/enrolment/commitment/codes", endpoint="send_commitment_code")
@requires("dealer")
def take_code_request() -> Answer:
    """Send the code that signs."""
    form = Form.read()

    def work() -> str:
        phone = send_signing_code(
            session=db.session(),
            keyring=keyring(),
            gateway=partners().sms,
            dealer_id=own_dealer().id,
            asker=Asker(address=counted_address(), device=None),
            real_now=real(),
        )
        flash(_("验证码发到 %(phone)s 了，5 分钟内有效。", phone=phone))
        return url_for("web.point_commitment", sent="yes")

    return take_form(form=form, work=work, page=_commitment_page)


@web.get("/point/enrolment/commitment/codes", endpoint="commitment_code_address")
@requires("dealer")
def back_from_code() -> Response:
    """Lead from a form's own address to the commitment."""
    return redirect(url_for("web.point_commitment"), 303)


@web.post("/point/enrolment/commitment", endpoint="sign_commitment")
@requires("dealer")
def take_signature() -> Answer:
    """Sign the version that was shown."""
    form = Form.read("code", "version")

    def work() -> str:
        code = form.text("code", _("还没有填验证码。"), longest=12)
        form.check()
        typed = form.value("version")
        sign_commitment(
            session=db.session(),
            keyring=keyring(),
            dealer_id=own_dealer().id,
            version=int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 6 else 0,
            code=code,
            actor=caller().actor,
            now=business_now(),
            real_now=real(),
        )
        flash(_("承诺书签好了，公示给所有人看。"))
        return url_for("web.point_enrolment")

    return take_form(form=form, work=work, page=_commitment_page)


@web.get("/point/enrolment/training", endpoint="point_training")
@requires("dealer")
def show_training() -> str:
    """The material, and the dealer's tests."""
    return _training_page(Form(fields=()))


@web.post("/point/enrolment/tests", endpoint="draw_test")
@requires("dealer")
def take_draw() -> Answer:
    """Draw a test, or go on with the one drawn today."""
    form = Form.read()

    def work() -> str:
        drawn = draw_test(
            session=db.session(),
            dealer_id=own_dealer().id,
            rules=settings().enrolment,
            actor=caller().actor,
            now=business_now(),
        )
        return url_for("web.point_test", test_id=drawn.attempt.id)

    return take_form(form=form, work=work, page=_training_page)


@web.get("/point/enrolment/tests", endpoint="test_address")
@requires("dealer")
def back_from_tests() -> Response:
    """Lead from a form's own address to the training."""
    return redirect(url_for("web.point_training"), 303)


@web.get("/point/enrolment/tests/<test_id>", endpoint="point_test")
@requires("dealer")
def show_test(test_id: str) -> str:
    """One test: its questions, or what was right."""
    drawn = _test(test_id)
    return _test_page(drawn, Form(fields=_names(drawn)))


@web.post("/point/enrolment/tests/<test_id>", endpoint="hand_in_test")
@requires("dealer")
def take_test(test_id: str) -> Answer:
    """Hand a test in; the answers given so far are kept where one is missing."""
    drawn = _test(test_id)
    form = Form.read(*_names(drawn))

    def work() -> str:
        answers = []
        for place, (name, question) in enumerate(zip(form.fields, drawn.questions, strict=True), start=1):
            typed = form.value(name)
            if typed not in map(str, range(len(question.options))):
                form.blame(name, _("第 %(n)s 题还没有选。", n=place))
            else:
                answers.append(int(typed))
        form.check()
        judged = hand_in_test(
            session=db.session(),
            dealer_id=own_dealer().id,
            attempt_id=drawn.attempt.id,
            answers=answers,
            actor=caller().actor,
            now=business_now(),
        )
        flash(
            _("答对 %(n)s 题，通过了。", n=judged.attempt.correct) if judged.attempt.passed else _("这次没有通过。"),
            "message" if judged.attempt.passed else "stopped",
        )
        return url_for("web.point_test", test_id=drawn.attempt.id)

    return take_form(form=form, work=work, page=lambda form: _test_page(_test(test_id), form))


def _test(test_id: str) -> DrawnTest:
    if not (test_id.isascii() and test_id.isdecimal() and len(test_id) <= 18):
        raise AttemptNotFound
    return get_test(session=db.session(), dealer_id=own_dealer().id, attempt_id=int(test_id))


def _names(drawn: DrawnTest) -> tuple[str, ...]:
    return tuple(f"q{place}" for place in range(1, len(drawn.questions) + 1))


def _commitment_page(form: Form) -> str:
    dealer, session = own_dealer(), db.session()
    version = current_version(session=session, now=business_now())
    signed = signature_of(session=session, dealer_id=dealer.id, version=version.version)
    return render_template(
        "point_commitment.html",
        dealer=dealer,
        form=form,
        version=version,
        paragraphs=[line for line in version.text_zh.splitlines() if line.strip()],
        signed=signed,
        signed_line=_signed_line(signed) if signed else "",
        mobile=masked_mobile(dealer=dealer, keyring=keyring()),
        sent=request.args.get("sent") == "yes" or "code" in form.values,
        sandbox=f"{settings().sms_url}/messages" if settings().mode == "demo" else None,
    )


def _signed_line(signature: CommitmentSignature) -> str:
    when = moment_full(signature.signed_at)
    if signature.phone_masked:
        return _("%(when)s 签字，手机 %(phone)s。", when=when, phone=signature.phone_masked)
    return _("%(when)s 签字。", when=when)


def _training_page(form: Form) -> str:
    dealer, session, now, rules = own_dealer(), db.session(), business_now(), settings().enrolment
    material, tests = current_training(session=session, now=now), list_tests(session=session, dealer_id=dealer.id)
    left = attempts_left(session=session, dealer_id=dealer.id, rules=rules, now=now)
    version = current_version(session=session, now=now).version
    signed = signature_of(session=session, dealer_id=dealer.id, version=version) is not None
    begun = any(
        test.submitted_at is None and test.version == material.version and local_day(test.drawn_at) == local_day(now)
        for test in tests
    )
    return render_template(
        "point_training.html",
        dealer=dealer,
        form=form,
        material=material,
        paragraphs=[line for line in material.text_zh.splitlines() if line.strip()],
        rules=rules,
        left=left,
        tests=tests,
        signed=signed,
        begun=begun,
        may_draw=signed and dealer.state not in NOT_TO_BE_TESTED and (begun or left > 0),
    )


def _test_page(drawn: DrawnTest, form: Form) -> str:
    return render_template(
        "point_test.html", dealer=own_dealer(), form=form, attempt=drawn.attempt, questions=drawn.questions
    )
