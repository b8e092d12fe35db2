"""The staff's accounts, for administrators: looked at, and disabled at once.

What gives somebody powers is asked for and decided by two persons (app/web/staff_requests.py).
"""

from __future__ import annotations

from flask import render_template, url_for

from app.access import requires
from app.auth import caller
from app.clock import real
from app.db import db
from app.web.answering import Answer
from app.web.blueprint import web
from app.web.desk_acting import act, done, may, names_of, within
from app.web.forms import Form
from app.web.language import _, _l
from app.web.staff_words import ROLE_WORDS
from registry.accounts import STAFF_ROLES, Account
from registry.second_factor import confirmed_factor, secured_accounts
from registry.staff_accounts import disable_staff, get_staff, list_staff
from registry.staff_requests import StaffRequest, list_staff_requests, open_request_of, who_decides

MANAGES = ("administrator",)
DECIDES = ("administrator", "reviewer")
CHANGE = ("change", "reason")
# What a request is about, as the lists name it.
KIND_WORDS = {
    "add": _l("加账号"),
    "enable": _l("重新启用"),
    "role": _l("换角色"),
    "password": _l("重置密码"),
    "authenticator": _l("重置动态口令"),
}


@web.get("/desk/staff", endpoint="staff")
@requires(*DECIDES)
def staff() -> str:
    """The staff's accounts, and what waits for a second person."""
    session = db.session()
    accounts = list_staff(session=session)
    secured = secured_accounts(session=session)
    known = {account.id: account for account in accounts}
    asked = list_staff_requests(session=session)
    return render_template(
        "staff_accounts.html",
        accounts=accounts,
        secured=secured,
        asked=[
            (one, decides_now(one), known[one.account_id].display_name if one.account_id else one.display_name)
            for one in asked
        ],
        kinds=KIND_WORDS,
        names=names_of([one.asked_by for one in asked]),
        may_manage=may(*MANAGES),
    )


@web.get("/desk/staff/<int:account_id>", endpoint="staff_member")
@requires(*DECIDES)
def staff_member(account_id: int) -> str:
    """One account, and what may be done to it."""
    return member_page(within(account_id), Form(fields=CHANGE))


@web.post("/desk/staff/<int:account_id>/disabling", endpoint="disable_staff")
@requires(*MANAGES)
def disable(account_id: int) -> Answer:
    """Disable the account."""

    def work() -> str:
        disable_staff(session=db.session(), account_id=within(account_id), actor=caller().actor, real_now=real())
        return done(_("停用了，这个账号马上不能再登录。"), url_for("web.staff_member", account_id=account_id))

    return act(Form.read(), work, lambda form: member_page(within(account_id), form))


def member_page(account_id: int, form: Form) -> str:
    """Return the page of one account with the form to ask for a change."""
    session = db.session()
    member = get_staff(session=session, account_id=account_id)
    factor = confirmed_factor(session=session, account_id=member.id)
    asked = open_request_of(session=session, account_id=member.id)
    own = member.id == caller().account_id
    return render_template(
        "staff_member.html",
        form=form,
        member=member,
        factor=factor,
        asked=asked,
        kind=KIND_WORDS[asked.kind] if asked else "",
        asker=names_of([asked.asked_by])[asked.asked_by] if asked else "",
        own=own,
        may_manage=may(*MANAGES) and not own,
        options=_options(member, secured=factor is not None),
    )


def _options(member: Account, *, secured: bool) -> list[tuple[str, str]]:
    """What may be asked for: a change of role names the role."""
    if member.disabled_at is not None:
        return [("enable", _("重新启用，给一个新密码"))]
    roles = [one for one in STAFF_ROLES if one != member.role]
    changes = [(f"role:{one}", _("角色换成%(role)s", role=ROLE_WORDS[one])) for one in roles]
    changes.append(("password", _("重置密码")))
    return [*changes, ("authenticator", _("重置动态口令"))] if secured else changes


def decides_now(asked: StaffRequest) -> bool:
    """Whether the request waits for the reader."""
    deciders = who_decides(session=db.session(), asked=asked, real_now=real())
    return caller().account_id in {one.id for one in deciders}
