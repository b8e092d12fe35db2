"""The staff's accounts, for administrators: added, given another role, disabled, given another password.

An authenticator is taken away by two: an administrator asks, another one or a reviewer decides.
"""

from __future__ import annotations

import secrets
from typing import Any

from flask import render_template, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller, hash_password
from app.clock import real
from app.db import db
from app.errors import status_of
from app.web.blueprint import web
from app.web.desk_acting import act, done, may, names_of, reason_in, within
from app.web.forms import Form
from app.web.language import _
from app.web.staff_second_step import kept_nowhere
from registry.accounts import STAFF_ROLES, Account
from registry.base import Refusal
from registry.second_factor import SecondFactor
from registry.second_factor_resets import SecondFactorReset, ask_reset, decide_reset, open_reset
from registry.staff_accounts import (
    add_staff,
    change_role,
    disable_staff,
    enable_staff,
    get_staff,
    list_staff,
    reset_staff_password,
)

MANAGES = ("administrator",)
DECIDES = ("administrator", "reviewer")
NEW = ("login", "display_name", "role")
NOT_FOUND = 404


@web.get("/desk/staff", endpoint="staff")
@requires(*DECIDES)
def staff() -> str:
    """The staff's accounts, and what waits for a second person."""
    session = db.session()
    accounts = list_staff(session=session)
    secured = set(session.scalars(select(SecondFactor.account_id).where(SecondFactor.confirmed_at.is_not(None))))
    asked = session.scalars(select(SecondFactorReset).where(SecondFactorReset.decided_at.is_(None))).all()
    known = {account.id: account for account in accounts}
    return render_template(
        "staff_accounts.html",
        accounts=accounts,
        secured=secured,
        asked=[(one, known[one.account_id]) for one in asked if one.account_id in known],
        names=names_of([one.asked_by for one in asked]),
        may_manage=may(*MANAGES),
    )


@web.get("/desk/staff/new", endpoint="new_staff")
@requires(*MANAGES)
def new_staff() -> str:
    """The form of a new account."""
    return _new_page(Form(fields=NEW))


@web.post("/desk/staff/new", endpoint="add_staff")
@requires(*MANAGES)
def add() -> Response | tuple[str, int]:
    """Add an account, and show its first password once."""
    form, session, password = Form.read(*NEW), db.session(), _first_password()
    try:
        account = add_staff(
            session=session,
            login=form.value("login"),
            display_name=form.value("display_name"),
            role=form.value("role"),
            password_hash=hash_password(password),
            actor=caller().actor,
        )
        session.commit()
    except Refusal as refusal:
        session.rollback()
        form.refuse(refusal)
        return _new_page(form), status_of(refusal)
    return _password_page(account, password)


@web.get("/desk/staff/<int:account_id>", endpoint="staff_member")
@requires(*DECIDES)
def staff_member(account_id: int) -> str:
    """One account, and what may be done to it."""
    return _page(within(account_id), Form(fields=("role", "reason")))


@web.post("/desk/staff/<int:account_id>/role", endpoint="change_staff_role")
@requires(*MANAGES)
def role(account_id: int) -> Response | tuple[str, int]:
    """Give the account another role."""
    form = Form.read("role")

    def work() -> str:
        change_role(session=db.session(), account_id=within(account_id), role=form.value("role"), actor=caller().actor)
        return done(_("角色换好了，这个账号已经退出登录。"), url_for("web.staff_member", account_id=account_id))

    return act(form, work, lambda form: _page(within(account_id), form))


@web.post("/desk/staff/<int:account_id>/disabling", endpoint="disable_staff")
@requires(*MANAGES)
def disable(account_id: int) -> Response | tuple[str, int]:
    """Disable the account."""

    def work() -> str:
        disable_staff(session=db.session(), account_id=within(account_id), actor=caller().actor, real_now=real())
        return done(_("停用了，这个账号马上不能再登录。"), url_for("web.staff_member", account_id=account_id))

    return act(Form.read(), work, lambda form: _page(within(account_id), form))


@web.post("/desk/staff/<int:account_id>/enabling", endpoint="enable_staff")
@requires(*MANAGES)
def enable(account_id: int) -> Response | tuple[str, int]:
    """Let a disabled account sign in again, with a password that is shown once."""
    return _with_new_password(account_id, enable_staff)


@web.post("/desk/staff/<int:account_id>/password", endpoint="reset_staff_password")
@requires(*MANAGES)
def password(account_id: int) -> Response | tuple[str, int]:
    """Give the account another password, which is shown once."""
    return _with_new_password(account_id, reset_staff_password)


@web.post("/desk/staff/<int:account_id>/reset", endpoint="ask_factor_reset")
@requires(*MANAGES)
def ask(account_id: int) -> Response | tuple[str, int]:
    """Ask to take the authenticator away."""
    form = Form.read("reason")

    def work() -> str:
        reason = reason_in(form, missing=_("还没有写为什么要重置。"))
        ask_reset(session=db.session(), account_id=within(account_id), reason=reason, actor=caller().actor)
        return done(_("提出了，请另一位管理员或者复核员决定。"), url_for("web.staff_member", account_id=account_id))

    return act(form, work, lambda form: _page(within(account_id), form))


@web.post("/desk/staff/<int:account_id>/reset-decision", endpoint="decide_factor_reset")
@requires(*DECIDES)
def decide(account_id: int) -> Response | tuple[str, int]:
    """Take the authenticator away, or leave it."""
    form = Form.read("approved")

    def work() -> str:
        approved = form.value("approved") == "yes"
        decide_reset(
            session=db.session(),
            account_id=within(account_id),
            approved=approved,
            actor=caller().actor,
            real_now=real(),
        )
        words = _("重置了，下次登录要重新绑定。") if approved else _("没有重置，动态口令照旧。")
        return done(words, url_for("web.staff_member", account_id=account_id))

    return act(form, work, lambda form: _page(within(account_id), form))


def _with_new_password(account_id: int, change: Any) -> Response | tuple[str, int]:
    form, session, password = Form.read(), db.session(), _first_password()
    try:
        account = change(
            session=session,
            account_id=within(account_id),
            password_hash=hash_password(password),
            actor=caller().actor,
        )
        session.commit()
    except Refusal as refusal:
        session.rollback()
        if status_of(refusal) == NOT_FOUND:
            raise
        form.refuse(refusal)
        return _page(within(account_id), form), status_of(refusal)
    return _password_page(account, password)


def _first_password() -> str:
    return secrets.token_urlsafe(12)


def _password_page(account: Account, password: str) -> Response:
    # In the answer to the form, not behind a redirect: a password is kept in no session and no address.
    return kept_nowhere(render_template("staff_password.html", member=account, password=password))


def _new_page(form: Form) -> str:
    return render_template("staff_new.html", form=form, roles=STAFF_ROLES)


def _page(account_id: int, form: Form) -> str:
    session, reader = db.session(), caller()
    member = get_staff(session=session, account_id=account_id)
    factor = session.scalar(
        select(SecondFactor).where(SecondFactor.account_id == member.id, SecondFactor.confirmed_at.is_not(None))
    )
    asked = open_reset(session=session, account_id=member.id)
    return render_template(
        "staff_member.html",
        form=form,
        member=member,
        factor=factor,
        asked=asked,
        asker=names_of([asked.asked_by])[asked.asked_by] if asked else "",
        own=member.id == reader.account_id,
        may_manage=may(*MANAGES) and member.id != reader.account_id,
        may_decide=asked is not None and member.id != reader.account_id and asked.asked_by != reader.actor,
        roles=[one for one in STAFF_ROLES if one != member.role],
    )
