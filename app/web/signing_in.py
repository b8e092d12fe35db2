"""Signing in by password or by a code sent to the phone, signing out, and where each role starts."""

from __future__ import annotations

import re
import secrets
from typing import Any

from flask import make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import public
from app.auth import COOKIE, check_password, current_token, open_sign_in, sign_in_by_code, sign_out
from app.client_address import counted_address
from app.clock import real
from app.context import keyring, partners, settings
from app.db import db
from app.errors import status_of
from app.web.blueprint import local_path, web
from app.web.demo_accounts import demo_accounts, demo_owner
from app.web.forms import Form
from app.web.language import _
from app.web.staff_second_step import second_step
from app.web.welcoming import keep_cookie, welcome
from registry.base import Refusal
from registry.code_limits import Asker
from registry.one_time_codes import IdTailNeeded, IdTailWrong, send_code

# A random name by which a device is known to the limits on codes; it says nothing about its owner.
DEVICE_COOKIE = "mapai_device"
DEVICE_LASTS_S = 365 * 24 * 3600
# The first part of the paths where points and staff work.
OF_ACCOUNTS = ("account", "board", "desk", "imports", "point")


@web.get("/sign-in", endpoint="sign_in")
@public
def ask_to_sign_in() -> str:
    """The sign-in page."""
    return _page(Form(fields=("login", "password")))


@web.post("/sign-in", endpoint="do_sign_in")
@public
def take_sign_in() -> Response | tuple[str, int]:
    """Sign in, then go to where this account was heading or starts."""
    form = Form.read("login", "password")
    login = form.text("login", _("还没有填账号。"))
    password = request.form.get("password", "")[:200]
    if not password:
        form.blame("password", _("还没有填密码。"))
    if form.errors:
        return _page(form), 422
    try:
        known = check_password(session=db.session(), login=login, password=password, address=counted_address())
        asked = second_step(known)
        if asked is not None:
            return asked
        token = open_sign_in(session=db.session(), known=known)
    except Refusal as refusal:
        form.refuse(refusal)
        return _page(form), status_of(refusal)
    return welcome(token)


@web.get("/sign-in/phone", endpoint="sign_in_by_phone")
@public
def ask_for_phone() -> str:
    """The page that asks for the phone."""
    return _phone_page(Form(fields=("phone",)))


@web.post("/sign-in/phone", endpoint="do_send_code")
@public
def take_phone() -> Response | tuple[str, int]:
    """Send a code and ask for it. The page is the same whether or not anybody is filed with the phone."""
    form = Form.read("phone")
    phone = form.text("phone", _("还没有填手机号码。"), longest=30)
    if form.errors:
        return _phone_page(form), 422
    device = request.cookies.get(DEVICE_COOKIE, "")
    if not 16 <= len(device) <= 64:
        device = secrets.token_urlsafe(18)
    asker = Asker(address=counted_address(), device=device)
    try:
        send_code(session=db.session(), keyring=keyring(), gateway=partners().sms, phone=phone, asker=asker, now=real())
    except Refusal as refusal:
        form.refuse(refusal)
        return _phone_page(form), status_of(refusal)
    answer = make_response(_code_page(Form(fields=("phone", "code"), values={"phone": phone})))
    keep_cookie(answer, DEVICE_COOKIE, device, lasts_s=DEVICE_LASTS_S)
    return answer


@web.post("/sign-in/code", endpoint="do_sign_in_by_code")
@public
def take_code() -> Response | tuple[str, int]:
    """Sign in with the code; asks for the end of the ID number where several owners share the phone."""
    form = Form.read("phone", "code", "id_tail")
    code = form.text("code", _("还没有填验证码。"), longest=12)
    if form.errors:
        return _code_page(form), 422
    try:
        token = sign_in_by_code(
            session=db.session(),
            keyring=keyring(),
            phone=form.value("phone"),
            code=code,
            address=counted_address(),
            id_tail=form.value("id_tail") or None,
        )
    except Refusal as refusal:
        form.refuse(refusal)
        shared = isinstance(refusal, IdTailNeeded | IdTailWrong)
        return _code_page(form, shared=shared), status_of(refusal)
    return welcome(token)


@web.post("/sign-out", endpoint="sign_out")
@public
def leave() -> Response:
    """End this browser's sign-in."""
    token = current_token()
    if token:
        sign_out(session=db.session(), token=token)
    answer = make_response(redirect(url_for("web.front"), 303))
    answer.delete_cookie(COOKIE, httponly=True, samesite="Lax")
    return answer


def _page(form: Form) -> str:
    back = local_path(request.args.get("next"), otherwise="")
    return _render(
        "choice",
        form,
        by_phone=Form(fields=("phone",)),
        # Whoever tried an account, or is on the way to where only accounts lead, finds that door first.
        accounts_first=bool(form.errors) or re.split("[/?#]", back.lstrip("/"))[0] in OF_ACCOUNTS,
        demo_accounts=demo_accounts(),
        demo_owner=demo_owner(),
    )


def _phone_page(form: Form) -> str:
    return _render("phone", form, demo_owner=demo_owner())


def _code_page(form: Form, *, shared: bool = False) -> str:
    sandbox = f"{settings().sms_url}/messages" if settings().mode == "demo" else None
    return _render("code", form, shared=shared or bool(form.value("id_tail")), sandbox=sandbox)


def _render(step: str, form: Form, **facts: Any) -> str:
    back = local_path(request.args.get("next"), otherwise="")
    return render_template("sign_in.html", step=step, form=form, back=back, **facts)
