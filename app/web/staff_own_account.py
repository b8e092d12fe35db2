"""What staff do to their own account: set up the authenticator, renew recovery codes, change the password."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import caller, check_password, hash_password, open_sign_in
from app.client_address import counted_address
from app.clock import real
from app.context import keyring, settings
from app.db import db
from app.errors import status_of
from app.web.answering import INCOMPLETE
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _
from app.web.staff_second_step import kept_nowhere, qr_of, secret_to_set_up
from app.web.welcoming import keep_token
from registry.base import Refusal
from registry.second_factor import (
    confirm_second_factor,
    has_second_factor,
    provisioning_uri,
    recovery_codes_left,
    renew_recovery_codes,
)
from registry.staff_accounts import change_own_password, get_staff

TAKEN = 200
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 200
Answer = Response | tuple[Response, int]


@web.get("/account", endpoint="own_account")
@requires(*STAFF)
def own_account() -> Response:
    """The account of whoever asks."""
    return _page(Form(fields=()))


@web.get("/account/authenticator", endpoint="set_up_authenticator")
@requires(*STAFF)
def set_up() -> Response:
    """Set an authenticator up: the QR code and the field for its first code."""
    if has_second_factor(session=db.session(), account_id=caller().account_id):
        return redirect(url_for("web.own_account"), 303)
    return _set_up_page(Form(fields=("totp",)))


@web.post("/account/authenticator", endpoint="confirm_authenticator")
@requires(*STAFF)
def confirm() -> Answer:
    """Confirm the authenticator by its first code and show the recovery codes."""
    form = Form.read("totp")
    codes, status = _codes_for_code(form, confirm_second_factor)
    if codes:
        return _codes_page(codes, fresh=True)
    if status != INCOMPLETE and has_second_factor(session=db.session(), account_id=caller().account_id):
        # Sent twice: the first was taken, and its codes are on a page that was left.
        flash(_("动态口令已经绑定。没有抄下恢复码的，请重新生成。"))
        return redirect(url_for("web.own_account"), 303)
    return _set_up_page(form), status


@web.post("/account/recovery-codes", endpoint="renew_codes")
@requires(*STAFF)
def renew_codes() -> Answer:
    """Make ten new recovery codes for a code of the authenticator."""
    form = Form.read("totp")
    codes, status = _codes_for_code(form, renew_recovery_codes)
    return _codes_page(codes, fresh=False) if codes else (_page(form), status)


@web.post("/account/password", endpoint="change_own_password")
@requires(*STAFF)
def change_password() -> Answer:
    """Put another password in the place of the one that is typed too; every other sign-in ends."""
    form, session, account = Form(fields=("old_password", "new_password")), db.session(), caller()
    old, new = (request.form.get(name, "")[:LONGEST_PASSWORD] for name in form.fields)
    if not old:
        form.blame("old_password", _("还没有填现在的密码。"))
    if len(new) < SHORTEST_PASSWORD:
        form.blame("new_password", _("新密码至少 %(least)s 个字符。", least=SHORTEST_PASSWORD))
    elif new == old:
        form.blame("new_password", _("新密码和现在的一样。"))
    if form.errors:
        return _page(form), INCOMPLETE
    try:
        # Counted like any password typed at the sign-in page: a page left open is no place to guess at.
        known = check_password(session=session, login=account.login, password=old, address=counted_address())
        fresh = hash_password(new)
        change_own_password(
            session=session,
            account_id=account.account_id,
            seen_hash=known.password_hash,
            password_hash=fresh,
            actor=account.actor,
        )
        session.commit()
        token = open_sign_in(session=session, known=known.with_password(fresh))
    except Refusal as refusal:
        session.rollback()
        form.refuse(refusal, password="old_password")  # noqa: S106  (a field's name)
        return _page(form), status_of(refusal)
    flash(_("密码换好了，其他地方的登录都退出了。"))
    answer = redirect(url_for("web.own_account"), 303)
    keep_token(answer, token)
    return answer


def _codes_for_code(form: Form, take: Callable[..., Sequence[str]]) -> tuple[Sequence[str], int]:
    """Have ``take`` give recovery codes for the code that was typed; none, with the answer's status, where it won't."""
    typed = form.text("totp", _("还没有填动态口令。"), longest=20)
    if form.errors:
        return (), INCOMPLETE
    session, account = db.session(), caller()
    try:
        codes = take(
            session=session,
            keyring=keyring(),
            account_id=account.account_id,
            code=typed,
            actor=account.actor,
            real_now=real(),
        )
        session.commit()
    except Refusal as refusal:
        session.rollback()
        form.refuse(refusal)
        return (), status_of(refusal)
    return codes, TAKEN


def _page(form: Form) -> Response:
    session, account = db.session(), caller()
    page = render_template(
        "staff_account.html",
        form=form,
        staff=get_staff(session=session, account_id=account.account_id),
        has_factor=has_second_factor(session=session, account_id=account.account_id),
        codes_left=recovery_codes_left(session=session, account_id=account.account_id),
        required=settings().staff_totp_required,
        shortest=SHORTEST_PASSWORD,
    )
    return kept_nowhere(page)


def _set_up_page(form: Form) -> Response:
    account = caller()
    secret = secret_to_set_up(session=db.session(), account_id=account.account_id)
    side, path = qr_of(provisioning_uri(secret=secret, login=account.login))
    return kept_nowhere(render_template("staff_set_up.html", form=form, secret=secret, side=side, path=path))


def _codes_page(codes: Sequence[str], *, fresh: bool) -> Response:
    page = render_template("staff_codes.html", codes=codes, target=url_for("web.own_account"), fresh=fresh)
    return kept_nowhere(page)
