"""Becoming a dealer, without an account: apply with a code, follow the application, set the first password."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import public
from app.auth import hash_password
from app.client_address import counted_address
from app.clock import real
from app.context import business_now, keyring, partners, settings
from app.db import db
from app.errors import status_of
from app.schemas.dealers import SHORTEST_PASSWORD
from app.web.answering import Answer, sent_file, take_form
from app.web.blueprint import web
from app.web.dealer_words import APPLICATION_STATES, WayStep, way_of
from app.web.forms import Form
from app.web.language import _, _l
from registry.base import Refusal
from registry.code_limits import Asker
from registry.dealer_applications import (
    PURPOSE,
    ApplicationForm,
    DealerApplication,
    apply_as_dealer,
    get_application,
)
from registry.dealer_hours import Span, read_hours
from registry.dealer_staff import PURPOSE as PASSWORD_PURPOSE
from registry.dealer_staff import set_password_by_code
from registry.dealer_steps import steps_of
from registry.dealers import Dealer
from registry.one_time_codes import send_code

TYPED = ("name", "credit_code", "sub_district", "address", "phone", "opening_hours", "representative", "mobile")
FIELDS = (*TYPED, "licence_photo", "code")
PASSWORD_FIELDS = ("login", "mobile", "code", "password")
MISSING = {
    "name": _l("还没有填店名。"),
    "credit_code": _l("还没有填统一社会信用代码。"),
    "sub_district": _l("还没有填街道。"),
    "address": _l("还没有填地址。"),
    "phone": _l("还没有填店铺电话。"),
    "opening_hours": _l("还没有填营业时间。"),
    "representative": _l("还没有填法定代表人。"),
    "mobile": _l("还没有填手机号码。"),
}
STATE_TAGS = {"waiting": "wait", "accepted": "done", "refused": "stop"}


@web.get("/dealers/apply", endpoint="dealer_apply")
@public
def ask_to_apply() -> str:
    """The form of an application."""
    return _apply_page(Form(fields=FIELDS, values={"opening_hours": _("每天 08:30-18:00")}), asked=False)


@web.post("/dealers/apply", endpoint="take_application")
@public
def take_application() -> Answer:
    """Send the code that proves the phone, or take the application in with it; what was typed is kept."""
    form = Form.read(*TYPED, "code")
    form.fields = FIELDS
    photo = sent_file("licence_photo")
    if request.form.get("do") == "code":
        return _answer_code(form, purpose=PURPOSE, needed=TYPED)

    def work() -> str:
        spans = _typed(form)
        if not form.value("code"):
            form.blame("code", _("还没有填验证码。"))
        form.check()
        plain = {name: form.value(name) for name in TYPED if name != "opening_hours"}
        application = apply_as_dealer(
            session=db.session(),
            keyring=keyring(),
            form=ApplicationForm(opening_hours=spans, licence_photo=photo or None, **plain),
            code=form.value("code"),
            now=business_now(),
            real_now=real(),
        )
        flash(_("申请交上去了，请记下受理编号。"))
        return url_for("web.dealer_application", reference=application.reference)

    files = hashlib.sha256(photo).digest()
    return take_form(form=form, work=work, page=lambda form: _apply_page(form, asked=True), files=files)


@web.get("/dealers/application", endpoint="find_application")
@public
def find_application() -> Response | tuple[str, int] | str:
    """Ask for a reference, and lead to its application."""
    form = Form.read("reference", source=request.args)
    if "reference" not in request.args:
        return render_template("dealer_application.html", form=form, application=None)
    try:
        if not form.value("reference"):
            form.blame("reference", _("还没有填受理编号。"))
        else:
            found = get_application(session=db.session(), reference=form.value("reference"))
            return redirect(url_for("web.dealer_application", reference=found.reference), 303)
    except Refusal as refusal:
        form.refuse(refusal)
    return render_template("dealer_application.html", form=form, application=None), 422


@web.get("/dealers/applications/<reference>", endpoint="dealer_application")
@public
def show_application(reference: str) -> str:
    """Where one application stands, and what comes next."""
    application = get_application(session=db.session(), reference=reference)
    dealer = db.session.get_one(Dealer, application.dealer_id)
    return render_template(
        "dealer_application.html",
        form=Form(fields=("reference",)),
        application=application,
        dealer=dealer,
        state_word=APPLICATION_STATES[application.state],
        way=_way(application, dealer),
        tag=STATE_TAGS[application.state],
    )


@web.get("/dealers/password", endpoint="dealer_password")
@public
def ask_for_password() -> str:
    """The form that sets a manager's password by the dealer's phone."""
    form = Form.read("login", source=request.args)
    form.fields = PASSWORD_FIELDS
    return _password_page(form, asked=False)


@web.post("/dealers/password", endpoint="take_dealer_password")
@public
def take_password() -> Answer:
    """Send the code, or set the password with it."""
    form = Form.read("login", "mobile", "code")
    form.fields = PASSWORD_FIELDS
    password = request.form.get("password", "")[:200]
    if request.form.get("do") == "code":
        return _answer_code(form, purpose=PASSWORD_PURPOSE, needed=("mobile",))

    def work() -> str:
        form.text("login", _("还没有填登录名。"), longest=40)
        form.text("mobile", _("还没有填手机号码。"), longest=30)
        form.text("code", _("还没有填验证码。"), longest=12)
        if len(password) < SHORTEST_PASSWORD:
            form.blame("password", _("密码至少 %(n)s 个字。", n=SHORTEST_PASSWORD) if password else _("还没有填密码。"))
        form.check()
        account = set_password_by_code(
            session=db.session(),
            keyring=keyring(),
            login=form.value("login"),
            phone=form.value("mobile"),
            code=form.value("code"),
            password_hash=hash_password(password),
            real_now=real(),
        )
        flash(_("密码设好了，用登录名 %(login)s 登录。", login=account.login))
        return url_for("web.sign_in")

    return take_form(
        form=form,
        work=work,
        page=lambda form: _password_page(form, asked=True),
        names={"phone": "mobile"},
    )


def _way(application: DealerApplication, dealer: Dealer) -> list[WayStep]:
    """The way from this application on; one that was refused ends with the decision."""
    if application.state == "refused":
        submitted = WayStep(title=_("交了申请"), who="you", done=True, now=False, at=application.submitted_at)
        return [submitted, WayStep(title=_("局里审核"), who="wait", done=True, now=False, at=application.decided_at)]
    first, *others = way_of(dealer, steps_of(session=db.session(), dealer_id=dealer.id))
    return [replace(first, at=application.submitted_at), *others]


def _typed(form: Form) -> tuple[Span, ...]:
    """Blame every field left empty; return the opening hours as typed."""
    for name in TYPED:
        form.text(name, str(MISSING[name]))
    try:
        return read_hours(form.value("opening_hours")) if form.value("opening_hours") else ()
    except Refusal as refusal:
        form.refuse(refusal)
        return ()


def _answer_code(form: Form, *, purpose: str, needed: tuple[str, ...]) -> Answer:
    """Send a code to the mobile number typed, and show the form again with the code's field."""
    page = _apply_page if purpose == PURPOSE else _password_page
    if purpose == PURPOSE:
        _typed(form)
    else:
        for name in needed:
            form.text(name, str(MISSING[name]))
    if form.errors:
        return page(form.renewed(), asked=False), 422
    try:
        send_code(
            session=db.session(),
            keyring=keyring(),
            gateway=partners().sms,
            phone=form.value("mobile"),
            asker=Asker(address=counted_address(), device=None),
            now=real(),
            purpose=purpose,
        )
    except Refusal as refusal:
        db.session.rollback()
        form.refuse(refusal, phone="mobile")
        # Asked too often: the code sent before still works.
        return page(form.renewed(), asked=refusal.kind == "too_often"), status_of(refusal)
    return page(form.renewed(), asked=True), 200


def _apply_page(form: Form, *, asked: bool) -> str:
    return render_template("dealer_apply.html", form=form, asked=asked, sandbox=_sandbox())


def _password_page(form: Form, *, asked: bool) -> str:
    return render_template(
        "dealer_password.html", form=form, asked=asked, shortest=SHORTEST_PASSWORD, sandbox=_sandbox()
    )


def _sandbox() -> str | None:
    return f"{settings().sms_url}/messages" if settings().mode == "demo" else None
