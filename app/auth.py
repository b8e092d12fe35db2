"""Signing in and out, and who is asking. A sign-in lasts 12 hours of real time; its table holds no token in clear.

The JSON API takes the token as ``Authorization: Bearer`` only and pages take it as a cookie only, so that no page of
another site can make a browser call the API.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import g, has_request_context, request
from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session
from werkzeug.security import generate_password_hash

from app.clock import real
from app.db import db
from app.passwords import is_right, one_of_few
from app.refusals import SecondFactorNeeded, SecondFactorToSetUp, TooManyAttempts, WrongCredentials
from registry.accounts import STAFF_ROLES, Account, SignIn, SignInAttempt, owner_account
from registry.audit import record
from registry.base import table_of
from registry.one_time_codes import who_holds
from registry.people import Person, mask_name, open_name
from registry.sealing import Keyring
from registry.second_factor import has_second_factor, prove_second_factor

COOKIE = "mapai_sign_in"
LASTS = timedelta(hours=12)
TOKEN_BYTES = 32
# Interactive parameters of RFC 7914: about 30 ms and 16 MiB a try, so that a rush of sign-ins leaves the cores free.
METHOD = "scrypt:16384:8:1"
ATTEMPTS = 10
# Wrong ones from one address over all logins: a point's, or the many of a mobile operator's behind one address.
WRONG_FROM_ADDRESS = 30
ATTEMPTS_WINDOW = timedelta(minutes=15)
API = "/api/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The account behind a request. ``person_id`` is set for owners, ``dealer_id`` for people at a dealer's."""

    account_id: int
    login: str
    display_name: str
    role: str
    person_id: int | None
    dealer_id: int | None

    @property
    def actor(self) -> str:
        """How audit rows and first answers name this account."""
        return f"account:{self.account_id}"


def hash_password(password: str) -> str:
    """Return the salted scrypt hash to be kept in ``account.password_hash``."""
    return generate_password_hash(password, method=METHOD)


_NOBODY = hash_password(secrets.token_urlsafe())
# Every request of somebody signed in runs it: made once, because putting it together takes longer than running it.
_ACCOUNTS, _SIGN_INS = table_of(Account), table_of(SignIn)
_WHO_ASKS = (
    select(
        _ACCOUNTS.c.id.label("account_id"),
        *(_ACCOUNTS.c[name] for name in ("login", "display_name", "role", "person_id", "dealer_id")),
    )
    .join(_SIGN_INS, _SIGN_INS.c.account_id == _ACCOUNTS.c.id)
    .where(
        _SIGN_INS.c.token_sha256 == bindparam("token_sha256"),
        _SIGN_INS.c.expires_at > bindparam("at"),
        _ACCOUNTS.c.disabled_at.is_(None),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Somebody who gave the right password and is not signed in yet. ``password_hash`` is the one it was right for."""

    account_id: int
    login: str
    role: str
    password_hash: str
    has_second_factor: bool

    def with_password(self, password_hash: str) -> Known:
        """Return the same account, known by the password it has just been given."""
        return replace(self, password_hash=password_hash)


def check_password(*, session: Session, login: str, password: str, address: str) -> Known:
    """Return whose password this is; commits the attempt.

    Raises WrongCredentials (also for a disabled account), TooManyAttempts after ten wrong passwords for one login from
    one address, or thirty for any logins from it, within 15 minutes, and TooManySigningIn where too many passwords are
    being looked at just now. A right password takes back what was counted for this login, and nothing of the address.
    """
    login, address = login.strip()[:40], address[:45]
    _require_few_wrong(session=session, login=login, address=address)  # who tried too often does not even stand in line
    with one_of_few():
        attempt = _note_attempt(session=session, login=login, address=address)
        account = session.scalar(select(Account).where(Account.login == login, Account.disabled_at.is_(None)))
        session.rollback()  # no open transaction while the hash is worked out
        # An unknown login costs the same time as a known one.
        right = is_right(account.password_hash if account else _NOBODY, password)
        if account is None or not right:
            session.execute(update(SignInAttempt).where(SignInAttempt.id == attempt).values(wrong=True))
            session.commit()
            raise WrongCredentials
        _take_back(session=session, attempt=attempt, login=login, address=address)
    return known_account(account, session=session)


def known_account(account: Account, *, session: Session) -> Known:
    """Return the account as one whose password was right."""
    return Known(
        account_id=account.id,
        login=account.login,
        role=account.role,
        password_hash=account.password_hash,
        has_second_factor=has_second_factor(session=session, account_id=account.id),
    )


def sign_in(
    *, session: Session, keyring: Keyring, login: str, password: str, address: str, totp: str | None, required: bool
) -> str:
    """Return a new token for this login; commits. ``required``: staff without a second factor do not get in.

    Raises what check_password, admit and registry.second_factor.prove_second_factor raise.
    """
    known = check_password(session=session, login=login, password=password, address=address)
    return admit(session=session, keyring=keyring, known=known, totp=totp, required=required)


def admit(*, session: Session, keyring: Keyring, known: Known, totp: str | None, required: bool) -> str:
    """Return a new token for somebody whose password was right, once his second factor is; commits.

    Raises SecondFactorNeeded, SecondFactorToSetUp, WrongCredentials where the password was changed meanwhile, and what
    registry.second_factor.prove_second_factor raises.
    """
    if known.has_second_factor:
        if not totp:
            raise SecondFactorNeeded
        prove_second_factor(session=session, keyring=keyring, account_id=known.account_id, code=totp, real_now=real())
    elif required and known.role in STAFF_ROLES:
        raise SecondFactorToSetUp
    return open_sign_in(session=session, known=known)


def open_sign_in(*, session: Session, known: Known) -> str:
    """Return a new token for an account whose password still is the one that was right; commits.

    Raises WrongCredentials where it was changed, or the account disabled, while its owner signed in: that ends every
    sign-in, and this one must not slip through behind it.
    """
    stands = (
        select(Account.id)
        .where(
            Account.id == known.account_id,
            Account.password_hash == known.password_hash,
            Account.disabled_at.is_(None),
        )
        # Held until the sign-in is committed: whoever changes the password now waits, and then ends it too.
        .with_for_update(read=True)
    )
    if session.scalar(stands) is None:
        session.rollback()
        raise WrongCredentials
    token = _new_token(session=session, account_id=known.account_id)
    session.commit()
    return token


def sign_in_by_code(
    *, session: Session, keyring: Keyring, phone: str, code: str, address: str, id_tail: str | None = None
) -> str:
    """Return a new token for the owner who holds this phone, with an account made at the first sign-in; commits.

    ``address`` is where the code was typed. Raises what registry.one_time_codes.who_holds raises, and AccountClosed.
    """
    person = who_holds(
        session=session, keyring=keyring, phone=phone, code=code, id_tail=id_tail, now=real(), address=address
    )
    return sign_in_owner(session=session, keyring=keyring, person=person)


def sign_in_owner(*, session: Session, keyring: Keyring, person: Person) -> str:
    """Return a new token for an owner who has proved to hold his phone; the account is made now if need be. Commits.

    Raises AccountClosed.
    """
    name = mask_name(open_name(person=person, keyring=keyring))
    account_id = owner_account(session=session, person_id=person.id, display_name=name, password_hash=_NOBODY)
    token = _new_token(session=session, account_id=account_id)
    record(session=session, actor=f"account:{account_id}", action="signed_in_by_code", subject=f"person:{person.id}")
    session.commit()
    return token


def sign_out(*, session: Session, token: str) -> None:
    """End the sign-in of this token; nothing happens where there is none. Commits."""
    session.execute(delete(SignIn).where(SignIn.token_sha256 == digest_of(token)))
    session.commit()


def account_of(*, session: Session, token: str, at: datetime) -> Caller | None:
    """Return the account this token speaks for at the real instant ``at``, None where it is unknown or over."""
    row = session.execute(_WHO_ASKS, {"token_sha256": digest_of(token), "at": at}).one_or_none()
    return None if row is None else Caller(**row._mapping)


def current_token() -> str | None:
    """Return the token this request carries in the place its kind allows, None where it carries none."""
    if not request.path.startswith(API):
        return request.cookies.get(COOKIE)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def current_account() -> Caller | None:
    """Return who is asking, None for a visitor. Read once a request."""
    if not has_request_context():
        return None
    if "mapai_account" not in g:
        token = current_token()
        g.mapai_account = account_of(session=db.session(), token=token, at=real()) if token else None
    account: Caller | None = g.mapai_account
    return account


def caller() -> Caller:
    """Return who is asking, in a view that ``requires`` a role."""
    account = current_account()
    assert account is not None, "a view without an access rule asked for its caller"
    return account


def _new_token(*, session: Session, account_id: int) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.add(SignIn(token_sha256=digest_of(token), account_id=account_id, expires_at=real() + LASTS))
    return token


def digest_of(token: str) -> bytes:
    """Return what the table of sign-ins holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _note_attempt(*, session: Session, login: str, address: str) -> int:
    """Write the attempt down before the password is looked at: attempts that run side by side count each other."""
    attempt = SignInAttempt(login=login, address=address, at=real())
    session.add(attempt)
    session.commit()
    _require_few_wrong(session=session, login=login, address=address, besides=attempt.id)
    return attempt.id


def _take_back(*, session: Session, attempt: int, login: str, address: str) -> None:
    """Forget this attempt, which was right, and let the wrong ones before it count for the address alone."""
    session.execute(delete(SignInAttempt).where(SignInAttempt.id == attempt))
    mine = (SignInAttempt.login == login, SignInAttempt.address == address)
    session.execute(update(SignInAttempt).where(*mine).values(login=""))
    session.commit()


def _require_few_wrong(*, session: Session, login: str, address: str, besides: int = 0) -> None:
    recent = (SignInAttempt.address == address, SignInAttempt.at > real() - ATTEMPTS_WINDOW)
    of_login = select(func.count()).where(SignInAttempt.login == login, SignInAttempt.id != besides, *recent)
    of_address = select(func.count()).where(SignInAttempt.wrong, *recent)
    tried, wrong = session.execute(select(of_login.scalar_subquery(), of_address.scalar_subquery())).one()
    session.rollback()
    if tried >= ATTEMPTS or wrong >= WRONG_FROM_ADDRESS:
        raise TooManyAttempts
