"""Coming back to a trade-in with its reference and a code: what was half filled in is there again."""

from __future__ import annotations

import secrets

from flask import make_response, render_template, request
from werkzeug.wrappers import Response

from app.access import public
from app.client_address import counted_address
from app.context import keyring, partners, settings
from app.db import db
from app.errors import status_of
from app.resuming import send_resume_code, sign_in_by_reference
from app.web.answering import INCOMPLETE
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _
from app.web.signing_in import DEVICE_COOKIE, DEVICE_LASTS_S
from app.web.welcoming import keep_cookie, welcome
from registry.base import Refusal
from registry.code_limits import Asker


@web.get("/resume", endpoint="resume")
@public
def ask_for_reference() -> str:
    """The page that asks for the reference; filled in where the link that led here named it."""
    form = Form.read("reference", source=request.args)
    return _page("reference", form)


@web.post("/resume", endpoint="do_send_resume_code")
@public
def take_reference() -> Response | tuple[str, int]:
    """Send a code and ask for it. The page is the same whether or not there is such a trade-in."""
    form = Form.read("reference")
    form.text("reference", _("还没有填查询号。"), longest=30)
    if form.errors:
        return _page("reference", form), INCOMPLETE
    device = request.cookies.get(DEVICE_COOKIE, "")
    if not 16 <= len(device) <= 64:
        device = secrets.token_urlsafe(18)
    try:
        reference = send_resume_code(
            session=db.session(),
            keyring=keyring(),
            gateway=partners().sms,
            reference=form.value("reference"),
            asker=Asker(address=counted_address(), device=device),
        )
    except Refusal as refusal:
        form.refuse(refusal, typed="reference")
        return _page("reference", form), status_of(refusal)
    answer = make_response(_page("code", Form(fields=("code",), values={"reference": reference})))
    keep_cookie(answer, DEVICE_COOKIE, device, lasts_s=DEVICE_LASTS_S)
    return answer


@web.post("/resume/code", endpoint="do_resume")
@public
def take_resume_code() -> Response | tuple[str, int]:
    """Sign the owner in and lead to the trade-in."""
    form = Form.read("reference", "code")
    form.fields = ("code",)
    code = form.text("code", _("还没有填验证码。"), longest=12)
    if form.errors:
        return _page("code", form), INCOMPLETE
    try:
        token = sign_in_by_reference(
            session=db.session(),
            keyring=keyring(),
            reference=form.value("reference"),
            code=code,
            address=counted_address(),
        )
    except Refusal as refusal:
        form.refuse(refusal)
        return _page("code", form), status_of(refusal)
    return welcome(token)


def _page(step: str, form: Form) -> str:
    sandbox = f"{settings().sms_url}/messages" if settings().mode == "demo" else None
    return render_template("own_resume.html", step=step, form=form, sandbox=sandbox)
