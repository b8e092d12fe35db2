"""What gives powers to a staff account: one administrator asks, another person sees what will change and decides.

A password that comes of it is shown in two halves, the first to whoever asks, the second to whoever decides.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from flask import render_template, url_for

from app.access import requires
from app.auth import caller, hash_password
from app.clock import real
from app.context import keyring
from app.db import db
from app.errors import status_of
from app.web.answering import INCOMPLETE, NOT_FOUND, Answer
from app.web.blueprint import web
from app.web.desk_acting import act, done, names_of, reason_in, within
from app.web.desk_words import listed
from app.web.forms import Form, FormIncomplete
from app.web.language import _
from app.web.staff_accounts import CHANGE, DECIDES, KIND_WORDS, MANAGES, member_page
from app.web.staff_second_step import kept_nowhere
from app.web.staff_words import ROLE_WORDS
from registry.accounts import STAFF_ROLES, Account
from registry.base import Refusal
from registry.second_factor import SIGNS
from registry.staff_accounts import get_staff
from registry.staff_requests import (
    CHANGES,
    GIVES_PASSWORD,
    StaffRequest,
    ask_to_add,
    ask_to_change,
    decide_staff_request,
    get_staff_request,
    who_decides,
    withdraw_staff_request,
)

# Two people copy it from a screen: no signs that look alike, and each half by itself is beyond guessing.
HALF_SIGNS = 12
NEW = ("display_name", "login", "role", "reason")
Show = Callable[[Form], str]


@web.get("/desk/staff/new", endpoint="new_staff")
@requires(*MANAGES)
def new_staff() -> str:
    """The form that asks for a new account."""
    return _new_page(Form(fields=NEW))


@web.post("/desk/staff/new", endpoint="ask_to_add_staff")
@requires(*MANAGES)
def ask_new() -> Answer:
    """Ask for an account, and show the first half of its password once."""
    form, half = Form.read(*NEW), _half()

    def ask() -> StaffRequest:
        return ask_to_add(
            session=db.session(),
            keyring=keyring(),
            login=form.value("login"),
            display_name=form.value("display_name"),
            role=form.value("role"),
            first_half=half,
            reason=reason_in(form, missing=_("还没有写为什么。")),
            actor=caller().actor,
        )

    return _show_half(form, ask, _new_page, half=half, first=True)


@web.post("/desk/staff/<int:account_id>/change", endpoint="ask_staff_change")
@requires(*MANAGES)
def ask_change(account_id: int) -> Answer:
    """Ask for a change to an account, and show the first half of a new password once."""
    form, half = Form.read(*CHANGE), _half()
    kind, _colon, role = form.value("change").partition(":")
    if kind not in CHANGES:
        form.blame("change", _("还没有选要改什么。"))

    def ask() -> StaffRequest:
        return ask_to_change(
            session=db.session(),
            keyring=keyring(),
            account_id=within(account_id),
            kind=kind,
            role=role,
            first_half=half,
            reason=reason_in(form, missing=_("还没有写为什么。")),
            actor=caller().actor,
        )

    def show(form: Form) -> str:
        return member_page(within(account_id), form)

    if kind in GIVES_PASSWORD:
        return _show_half(form, ask, show, half=half, first=True)
    return act(form, lambda: _told(ask(), _("提出了，等另一个人决定。")), show)


@web.get("/desk/staff/requests/<int:request_id>", endpoint="staff_request")
@requires(*DECIDES)
def staff_request(request_id: int) -> str:
    """One request: who asks for what and why, what will change, and the decision."""
    return _request_page(within(request_id), Form(fields=()))


@web.post("/desk/staff/requests/<int:request_id>/decision", endpoint="decide_staff_request")
@requires(*DECIDES)
def decide(request_id: int) -> Answer:
    """Carry it out and show the second half of a new password once, or leave everything as it is."""
    form, half, number = Form.read("approved"), _half(), within(request_id)
    approved = form.value("approved") == "yes"

    def work() -> StaffRequest:
        return decide_staff_request(
            session=db.session(),
            keyring=keyring(),
            request_id=number,
            approved=approved,
            actor=caller().actor,
            real_now=real(),
            hash_password=hash_password,
            second_half=half,
        )

    def show(form: Form) -> str:
        return _request_page(number, form)

    if approved and get_staff_request(session=db.session(), request_id=number).kind in GIVES_PASSWORD:
        return _show_half(form, work, show, half=half, first=False)
    words = _("批准了，马上生效。") if approved else _("没有批准，什么都没有变。")
    return act(form, lambda: _told(work(), words), show)


@web.post("/desk/staff/requests/<int:request_id>/withdrawal", endpoint="withdraw_staff_request")
@requires(*MANAGES)
def withdraw(request_id: int) -> Answer:
    """Take one's own request back."""
    number, actor = within(request_id), caller().actor

    def work() -> str:
        asked = withdraw_staff_request(session=db.session(), request_id=number, actor=actor, real_now=real())
        return _told(asked, _("撤回了，什么都没有变。"))

    return act(Form.read(), work, lambda form: _request_page(number, form))


def _show_half(form: Form, work: Callable[[], StaffRequest], show: Show, *, half: str, first: bool) -> Answer:
    """Do ``work`` and show the half in the answer itself: a password is kept in no session, answer and address."""
    session = db.session()
    try:
        asked = work()
        session.commit()
    except FormIncomplete:
        status = INCOMPLETE
    except Refusal as refusal:
        status = status_of(refusal)
        if status == NOT_FOUND:
            raise
        form.refuse(refusal)
    else:
        return kept_nowhere(render_template("staff_password.html", asked=asked, half=half, first=first, **_whom(asked)))
    session.rollback()
    return show(form.renewed()), status


def _half() -> str:
    return "".join(secrets.choice(SIGNS) for _ in range(HALF_SIGNS))


def _told(asked: StaffRequest, words: str) -> str:
    return done(words, url_for("web.staff_request", request_id=asked.id))


def _new_page(form: Form) -> str:
    return render_template("staff_new.html", form=form, roles=STAFF_ROLES)


def _request_page(request_id: int, form: Form) -> str:
    session, actor = db.session(), caller().actor
    asked = get_staff_request(session=session, request_id=request_id)
    is_open = asked.outcome is None
    deciders = who_decides(session=session, asked=asked, real_now=real()) if is_open else []
    return render_template(
        "staff_request.html",
        form=form,
        asked=asked,
        kind=KIND_WORDS[asked.kind],
        tag=_tag(asked, deciders),
        rows=_rows(asked),
        names=names_of([asked.asked_by, asked.decided_by]),
        deciders=listed([one.display_name for one in deciders]),
        may_decide=caller().account_id in {one.id for one in deciders},
        own=is_open and asked.asked_by == actor,
        gives_password=asked.kind in GIVES_PASSWORD,
        **_whom(asked),
    )


def _whom(asked: StaffRequest) -> dict[str, str]:
    """Whose account it is."""
    if asked.account_id is None:
        return {"name": asked.display_name or "", "login": asked.login or ""}
    account = get_staff(session=db.session(), account_id=asked.account_id)
    return {"name": account.display_name, "login": account.login}


def _tag(asked: StaffRequest, deciders: Sequence[Account]) -> tuple[str, str]:
    if asked.outcome is None:
        mine = caller().account_id in {one.id for one in deciders}
        return ("you" if mine else "wait"), _("等另一个人决定")
    words = {"approved": _("批准了"), "refused": _("没有批准"), "withdrawn": _("撤回了")}
    return ("done" if asked.outcome == "approved" else ""), words[asked.outcome]


def _rows(asked: StaffRequest) -> list[tuple[str, str, str]]:
    """What approving changes: (what, now, then)."""
    none, out = _("没有"), (_("现在的登录"), _("有效"), _("全部退出"))
    role = ROLE_WORDS.get(asked.role or "", "")
    password = (_("密码"), _("现在的"), _("新的，一人给一半"))
    factor = (_("动态口令"), _("照旧"), _("照旧"))
    return {
        "add": [(_("账号"), none, _("可以登录")), (_("角色"), none, str(role)), (password[0], none, password[2])],
        "enable": [(_("账号"), _("停用"), _("可以登录")), password, factor],
        "role": [(_("角色"), str(ROLE_WORDS.get(asked.old_role or "", "")), str(role)), out, factor],
        "password": [password, out, factor],
        "authenticator": [
            (_("动态口令"), _("绑定了"), _("没有，下次登录重新绑定")),
            (_("恢复码"), _("能用"), _("作废")),
            out,
            (_("密码"), _("照旧"), _("照旧")),
        ],
    }[asked.kind]
