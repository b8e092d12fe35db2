"""The accounts inside a dealer: its managers add, disable and reset colleagues."""

from __future__ import annotations

import re

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller, hash_password
from app.clock import real
from app.db import db
from app.schemas.dealers import SHORTEST_PASSWORD
from app.web.answering import Answer, take_form
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _
from app.web.point import own_dealer
from registry.accounts import Account
from registry.dealer_staff import ColleagueNotFound, add_colleague, disable_colleague, list_colleagues, reset_colleague

FIELDS = ("login", "display_name", "password", "manager")
LONGEST_PASSWORD = 200
DEEDS = ("disabling", "password")


@web.get("/point/colleagues", endpoint="point_colleagues")
@requires("dealer")
def show_colleagues() -> str:
    """The dealer's accounts, and for managers the form that adds one."""
    return _page(Form(fields=FIELDS))


@web.post("/point/colleagues", endpoint="add_colleague")
@requires("dealer")
def take_colleague() -> Answer:
    """Add a colleague's account."""
    form = Form.read("login", "display_name", "manager")
    form.fields = FIELDS
    password = request.form.get("password", "")[:LONGEST_PASSWORD]

    def work() -> str:
        login = form.text("login", _("还没有填登录名。"), longest=40)
        if login and not re.fullmatch(r"[\w.@-]{3,40}", login, re.ASCII):
            form.blame("login", _("登录名用 3 到 40 个字母、数字、点或横线。"))
        name = form.text("display_name", _("还没有填姓名。"), longest=60)
        _check_password(form, "password", password)
        form.check()
        account = add_colleague(
            session=db.session(),
            manager_id=caller().account_id,
            login=login,
            display_name=name,
            password_hash=hash_password(password),
            manager=form.value("manager") == "yes",
            actor=caller().actor,
        )
        flash(_("加好了，%(name)s可以用 %(login)s 登录。", name=account.display_name, login=account.login))
        return url_for("web.point_colleagues")

    return take_form(form=form, work=work, page=_page)


@web.get("/point/colleagues/<account_id>/<deed>", endpoint="colleague_deed")
@requires("dealer")
def ask_deed(account_id: str, deed: str) -> Response | str:
    """Ask once more before an account is disabled; ask for its new password."""
    if deed not in DEEDS:
        return redirect(url_for("web.point_colleagues"), 303)
    return _deed_page(_colleague(account_id), deed, Form(fields=("password",)))


@web.post("/point/colleagues/<account_id>/disabling", endpoint="disable_colleague")
@requires("dealer")
def take_disabling(account_id: str) -> Answer:
    """Disable an account; its sign-ins end at once."""
    colleague, form = _colleague(account_id), Form.read()

    def work() -> str:
        disable_colleague(
            session=db.session(),
            manager_id=caller().account_id,
            account_id=colleague.id,
            actor=caller().actor,
            real_now=real(),
        )
        flash(_("%(name)s的账号停用了。", name=colleague.display_name))
        return url_for("web.point_colleagues")

    return take_form(form=form, work=work, page=lambda form: _deed_page(colleague, "disabling", form))


@web.post("/point/colleagues/<account_id>/password", endpoint="reset_colleague")
@requires("dealer")
def take_password(account_id: str) -> Answer:
    """Give an account another password; a disabled one may sign in again."""
    colleague, form = _colleague(account_id), Form.read()
    form.fields = ("password",)
    password = request.form.get("password", "")[:LONGEST_PASSWORD]

    def work() -> str:
        _check_password(form, "password", password)
        form.check()
        reset_colleague(
            session=db.session(),
            manager_id=caller().account_id,
            account_id=colleague.id,
            password_hash=hash_password(password),
            actor=caller().actor,
        )
        flash(_("%(name)s的密码换好了。", name=colleague.display_name))
        return url_for("web.point_colleagues")

    return take_form(form=form, work=work, page=lambda form: _deed_page(colleague, "password", form))


def _check_password(form: Form, name: str, password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        form.blame(name, _("密码至少 %(n)s 个字。", n=SHORTEST_PASSWORD) if password else _("还没有填密码。"))


def _colleague(account_id: str) -> Account:
    """One account of the caller's dealer; raises ColleagueNotFound."""
    everybody = list_colleagues(session=db.session(), dealer_id=own_dealer().id)
    found = next((each for each in everybody if str(each.id) == account_id), None)
    if found is None:
        raise ColleagueNotFound
    return found


def _may_manage() -> bool:
    return db.session.get_one(Account, caller().account_id).dealer_manager


def _page(form: Form) -> str:
    dealer = own_dealer()
    return render_template(
        "point_colleagues.html",
        dealer=dealer,
        form=form,
        shortest=SHORTEST_PASSWORD,
        may_manage=_may_manage(),
        me=caller().account_id,
        colleagues=list_colleagues(session=db.session(), dealer_id=dealer.id),
    )


def _deed_page(colleague: Account, deed: str, form: Form) -> str:
    return render_template(
        "point_colleague.html",
        dealer=own_dealer(),
        colleague=colleague,
        deed=deed,
        form=form,
        shortest=SHORTEST_PASSWORD,
    )
