"""Signing in and out with a cookie, and where each role starts."""

from __future__ import annotations

from flask import current_app, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import public
from app.auth import COOKIE, LASTS, account_of, current_token, sign_in, sign_out
from app.clock import real
from app.db import db
from app.errors import status_of
from app.web.blueprint import local_path, web
from app.web.demo_accounts import demo_accounts, demo_owner
from app.web.forms import Form
from registry.base import Refusal

START = {"owner": "web.my", "dealer": "web.point"}


def start_of(role: str) -> str:
    """Return the endpoint where an account of this role starts."""
    return START.get(role, "web.board")


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
    login = form.text("login", "还没有填账号。")
    password = request.form.get("password", "")[:200]
    if not password:
        form.blame("password", "还没有填密码。")
    if form.errors:
        return _page(form), 422
    try:
        token = sign_in(session=db.session(), login=login, password=password, address=request.remote_addr or "")
    except Refusal as refusal:
        form.refuse(refusal)
        return _page(form), status_of(refusal)
    account = account_of(session=db.session(), token=token, at=real())
    assert account is not None, "a token just given speaks for nobody"
    target = local_path(request.args.get("next"), otherwise=url_for(start_of(account.role)))
    answer = make_response(redirect(target, 303))
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(LASTS.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=current_app.config["SESSION_COOKIE_SECURE"],
    )
    return answer


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
    return render_template("sign_in.html", form=form, back=back, demo_accounts=demo_accounts(), demo_owner=demo_owner())
