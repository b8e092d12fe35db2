"""A dealer on its way to the licence: where it stands, the commitment, the training and its test."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller
from app.clock import real
from app.context import business_now, keyring, partners, settings
from app.db import db
from app.web.answering import Answer, take_form
from app.web.blueprint import web
from app.web.forms import Form
from app.web.point import own_dealer
from registry.dealer_commitments import current_version, send_signing_code, sign_commitment, signature_of
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
from registry.dealers import DEALER
from registry.one_time_codes import Asker

# The way, each step with the state it leads to and who takes it.
WAY = (
    ("accepted", "局里审核", "wait"),
    ("committed", "签承诺书", "you"),
    ("trained", "培训和测试", "you"),
    ("enrolled", "开通置换功能", "wait"),
    ("licensed", "授牌，领标牌", "wait"),
)
ORDER = ("applied", *(state for state, _, _ in WAY))


@web.get("/point/enrolment", endpoint="point_enrolment")
@requires("dealer")
def show_enrolment() -> str:
    """Where the dealer stands, what is due, and every step so far."""
    dealer, session = own_dealer(), db.session()
    stands = "applied" if dealer.state == "refused" else dealer.state
    reached = ORDER.index(stands) if stands in ORDER else len(WAY)
    version = current_version(session=session, now=business_now())
    steps = steps_of(session=session, dealer_id=dealer.id)
    at = {step.state: step.at for step in steps}
    return render_template(
        "point_enrolment.html",
        dealer=dealer,
        state_zh=DEALER.words[dealer.state],
        way=[
            {"title": title, "who": who, "done": place < reached, "now": place == reached, "at": at.get(state)}
            for place, (state, title, who) in enumerate(WAY)
        ],
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
            asker=Asker(address=request.remote_addr or "", device=None),
            real_now=real(),
        )
        flash(f"验证码发到 {phone} 了，5 分钟内有效。")
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
        code = form.text("code", "还没有填验证码。", longest=12)
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
        flash("承诺书签好了，公示给所有人看。")
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
                form.blame(name, f"第 {place} 题还没有选。")
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
            f"答对 {judged.attempt.correct} 题，通过了。" if judged.attempt.passed else "这次没有通过。",
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
    return render_template(
        "point_commitment.html",
        dealer=dealer,
        form=form,
        version=version,
        paragraphs=[line for line in version.text_zh.splitlines() if line.strip()],
        signed=signature_of(session=session, dealer_id=dealer.id, version=version.version),
        mobile=masked_mobile(dealer=dealer, keyring=keyring()),
        sent=request.args.get("sent") == "yes" or "code" in form.values,
        sandbox=f"{settings().sms_url}/messages" if settings().mode == "demo" else None,
    )


def _training_page(form: Form) -> str:
    dealer, session, now, rules = own_dealer(), db.session(), business_now(), settings().enrolment
    material = current_training(session=session, now=now)
    return render_template(
        "point_training.html",
        dealer=dealer,
        form=form,
        material=material,
        paragraphs=[line for line in material.text_zh.splitlines() if line.strip()],
        rules=rules,
        left=attempts_left(session=session, dealer_id=dealer.id, rules=rules, now=now),
        tests=list_tests(session=session, dealer_id=dealer.id),
    )


def _test_page(drawn: DrawnTest, form: Form) -> str:
    return render_template(
        "point_test.html", dealer=own_dealer(), form=form, attempt=drawn.attempt, questions=drawn.questions
    )
