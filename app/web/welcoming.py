"""What follows a sign-in: the cookie that carries it, and where an account starts."""

from __future__ import annotations

from flask import Response as FlaskResponse
from flask import current_app, make_response, redirect, request, url_for
from werkzeug.wrappers import Response

from app.auth import COOKIE, LASTS, account_of
from app.clock import real
from app.db import db
from app.web.blueprint import local_path

START = {"owner": "web.my", "dealer": "web.point"}


def start_of(role: str) -> str:
    """Return the endpoint where an account of this role starts."""
    return START.get(role, "web.board")


def welcome(token: str) -> FlaskResponse:
    """Go to where this account was heading or starts, with the cookie that carries the token."""
    account = account_of(session=db.session(), token=token, at=real())
    assert account is not None, "a token just given speaks for nobody"
    target = local_path(request.args.get("next"), otherwise=url_for(start_of(account.role)))
    answer = make_response(redirect(target, 303))
    keep_token(answer, token)
    return answer


def keep_token(answer: Response, token: str) -> None:
    """Let the browser keep the token of its sign-in."""
    keep_cookie(answer, COOKIE, token, lasts_s=int(LASTS.total_seconds()))


def keep_cookie(answer: Response, name: str, value: str, *, lasts_s: int) -> None:
    """Let the browser keep a value no script reads."""
    secure = current_app.config["SESSION_COOKIE_SECURE"]
    answer.set_cookie(name, value, max_age=lasts_s, httponly=True, samesite="Lax", secure=secure)
