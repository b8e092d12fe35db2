"""The second page of a staff sign-in: the authenticator's code, or setting the authenticator up where it is required.

Between the two pages the form carries a signed note of whose password was right. It says nothing without a code, is
good for ten minutes and dies with the password it was right for.
"""

from __future__ import annotations

import hashlib
import hmac

import qrcode
from flask import flash, make_response, redirect, render_template, request, url_for
from itsdangerous import BadData, URLSafeTimedSerializer
from qrcode.constants import ERROR_CORRECT_M
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.access import public
from app.auth import Known, admit, known_account, open_sign_in
from app.clock import real
from app.context import keyring, settings
from app.db import db
from app.errors import status_of
from app.web.blueprint import local_path, web
from app.web.forms import Form
from app.web.language import _
from app.web.welcoming import keep_token, start_of, welcome
from registry.accounts import STAFF_ROLES, Account
from registry.base import Refusal
from registry.second_factor import (
    SecondFactorNotBegun,
    begin_second_factor,
    begun_secret,
    confirm_second_factor,
    provisioning_uri,
)

NOTE_LASTS_S = 600
QUIET_MODULES = 4


def second_step(known: Known) -> Response | None:
    """Return the page that asks for more than the password, None where the password was enough."""
    if known.has_second_factor:
        return _code_page(known, Form(fields=("totp",)))
    if settings().staff_totp_required and known.role in STAFF_ROLES:
        # Always a fresh secret: whoever knew the password before may have seen, and copied, the one that waited.
        begin_second_factor(session=db.session(), keyring=keyring(), account_id=known.account_id)
        db.session.commit()
        return _set_up_page(known, Form(fields=("totp",)))
    return None


@web.post("/sign-in/second", endpoint="do_second_step")
@public
def take_second_step() -> Response | tuple[Response, int]:
    """Sign in with the authenticator's code or a recovery code."""
    known = _noted(db.session())
    if known is None:
        return _again()
    form = Form.read("totp")
    typed = form.text("totp", _("还没有填动态口令。"), longest=20)
    if form.errors:
        return _code_page(known, form), 422
    try:
        token = admit(session=db.session(), keyring=keyring(), known=known, totp=typed, required=True)
    except Refusal as refusal:
        db.session.rollback()
        form.refuse(refusal)
        return _code_page(known, form), status_of(refusal)
    return welcome(token)


@web.post("/sign-in/second/set-up", endpoint="do_set_up_at_sign_in")
@public
def take_set_up() -> Response | tuple[Response, int]:
    """Confirm a new authenticator by its first code, sign in, and show the recovery codes."""
    known = _noted(db.session())
    if known is None or known.has_second_factor:
        return _again()
    form, session = Form.read("totp"), db.session()
    typed = form.text("totp", _("还没有填动态口令。"), longest=20)
    if form.errors:
        return _set_up_page(known, form), 422
    actor = f"account:{known.account_id}"
    try:
        codes = confirm_second_factor(
            session=session,
            keyring=keyring(),
            account_id=known.account_id,
            code=typed,
            actor=actor,
            real_now=real(),
        )
        token = open_sign_in(session=session, known=known)
    except Refusal as refusal:
        session.rollback()
        form.refuse(refusal)
        return _set_up_page(known, form), status_of(refusal)
    target = local_path(request.args.get("next"), otherwise=url_for(start_of(known.role)))
    answer = kept_nowhere(render_template("staff_codes.html", codes=codes, target=target, fresh=True))
    keep_token(answer, token)
    return answer


def qr_of(text: str) -> tuple[int, str]:
    """Return a QR code for drawing in the page itself: its side in modules, and the path of its dark ones.

    In the page, not a picture with an address: what it says is a secret.
    """
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_MODULES)
    code.add_data(text)
    code.make(fit=True)
    matrix = code.get_matrix()
    dark = [f"M{x} {y}h1v1h-1z" for y, row in enumerate(matrix) for x, on in enumerate(row) if on]
    return len(matrix), "".join(dark)


def secret_to_set_up(*, session: Session, account_id: int) -> str:
    """Return the secret that waits to be confirmed, a new one where none does; commits."""
    try:
        return begun_secret(session=session, keyring=keyring(), account_id=account_id)
    except SecondFactorNotBegun:
        secret = begin_second_factor(session=session, keyring=keyring(), account_id=account_id)
        session.commit()
        return secret


def kept_nowhere(page: str) -> Response:
    """Return a page that holds a secret, told to every cache on the way to keep nothing of it."""
    answer = make_response(page)
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def _code_page(known: Known, form: Form) -> Response:
    return kept_nowhere(render_template("staff_second_step.html", form=form, note=_note(known), back=_back()))


def _set_up_page(known: Known, form: Form) -> Response:
    secret = secret_to_set_up(session=db.session(), account_id=known.account_id)
    side, path = qr_of(provisioning_uri(secret=secret, login=known.login))
    page = render_template(
        "staff_second_step.html", form=form, note=_note(known), back=_back(), secret=secret, side=side, path=path
    )
    return kept_nowhere(page)


def _back() -> str:
    return local_path(request.args.get("next"), otherwise="")


def _again() -> Response:
    flash(_("这一页放得太久了，请重新登录。"), "stopped")
    return redirect(url_for("web.sign_in", next=_back() or None), 303)


def _note(known: Known) -> str:
    note: str = _signer().dumps([known.account_id, _generation(known.password_hash)])
    return note


def _noted(session: Session) -> Known | None:
    """Whose password was right, None where the note is too old, not ours, or the password is another by now."""
    try:
        account_id, generation = _signer().loads(request.form.get("note", ""), max_age=NOTE_LASTS_S)
    except BadData:
        return None
    account = session.get(Account, account_id)
    if account is None or account.disabled_at is not None:
        return None
    if not hmac.compare_digest(_generation(account.password_hash), str(generation)):
        return None
    return known_account(account, session=session)


def _generation(password_hash: str) -> str:
    return hashlib.sha256(password_hash.encode()).hexdigest()[:32]


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().secret_key, salt="mapai second step")
