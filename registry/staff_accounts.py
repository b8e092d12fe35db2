"""Accounts of the bureau's staff: added, given another role, disabled, given another password.

Whatever is changed ends the account's sign-ins at once: nobody goes on as what he no longer is. Nobody changes his own.
One administrator alone disables; what gives powers goes through two persons (registry/staff_requests.py), and only the
command on the server adds an account without.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry import audit
from registry.accounts import STAFF_ROLES, Account, SignIn
from registry.base import Refusal
from registry.dealer_staff import LoginTaken
from registry.inputs import Inputs
from registry.second_factor import forget_unconfirmed
from registry.uniqueness import refusing_duplicates

MANAGES = "administrator"
LOGIN = re.compile(r"[a-z][a-z0-9._-]{2,39}", re.ASCII)
LONGEST_NAME = 40


class StaffNotFound(Refusal):
    """There is no such account among the staff's."""

    code = "staff_not_found"
    kind = "not_found"
    zh = "没有这个工作人员账号。"
    en = "There is no such staff account."
    remedy_zh = "请从账号列表里选。"
    remedy_en = "Choose one from the list."


class StaffLoginInvalid(Refusal):
    """A login is easy to read out and to type: small Latin letters, digits, dots and dashes."""

    code = "staff_login_invalid"
    zh = "登录名「{typed}」不对。"
    en = "The login «{typed}» cannot be used."
    remedy_zh = "用 3 到 40 个小写字母、数字、点、横线，以字母开头。"
    remedy_en = "Use 3 to 40 small letters, digits, dots and dashes, beginning with a letter."
    default_field = "login"


class StaffNameInvalid(Refusal):
    """Pages and records name people by this."""

    code = "staff_name_invalid"
    zh = "姓名不能空着，最多 40 个字。"
    en = "The name is missing or longer than 40 characters."
    remedy_zh = "写工作人员的姓名。"
    remedy_en = "Write the person's name."
    default_field = "display_name"


class StaffRoleInvalid(Refusal):
    """Not a role of staff."""

    code = "staff_role_invalid"
    zh = "没有选角色。"
    en = "This is not a role of staff."
    remedy_zh = "请在受理员、复核员、财务、审计、管理员里选一个。"
    remedy_en = "Choose operator, reviewer, finance, auditor or administrator."
    default_field = "role"


class NotYourself(Refusal):
    """Nobody changes his own account: another administrator does."""

    code = "not_yourself"
    kind = "forbidden"
    zh = "自己的账号要由另一位管理员来改。"
    en = "Your own account is changed by another administrator."
    remedy_zh = "请另一位管理员提出；只有一位管理员的，先加一位。"
    remedy_en = "Another administrator asks for it; if you are the only one, have another added first."


class StaffUnchanged(Refusal):
    """The account is like that already."""

    code = "staff_unchanged"
    kind = "conflict"
    zh = "这个账号已经是这样，没有要改的。"
    en = "The account is like that already."
    remedy_zh = "请刷新页面再看。"
    remedy_en = "Reload the page."


def list_staff(*, session: Session) -> Sequence[Account]:
    """Return the staff's accounts, those that can sign in first, in the order in which they were added."""
    found = select(Account).where(Account.role.in_(STAFF_ROLES))
    return session.scalars(found.order_by(Account.disabled_at.is_not(None), Account.id)).all()


def get_staff(*, session: Session, account_id: int) -> Account:
    """Return one account of the staff; raises StaffNotFound."""
    account = session.get(Account, account_id, populate_existing=True)
    if account is None or account.role not in STAFF_ROLES:
        raise StaffNotFound
    return account


def add_staff(*, session: Session, login: str, display_name: str, role: str, password_hash: str, actor: str) -> Account:
    """Add an account. The transaction is left to the caller.

    Raises StaffLoginInvalid, StaffNameInvalid and StaffRoleInvalid, together, and LoginTaken.
    """
    login, display_name, role = check_staff(login=login, display_name=display_name, role=role, inputs=Inputs())
    account = Account(login=login, password_hash=password_hash, display_name=display_name, role=role)
    with refusing_duplicates(session, {"uq_account_login": LoginTaken(login=login)}):
        session.add(account)
    _note(session, actor, "staff.added", account, {"role": role})
    return account


def check_staff(*, login: str, display_name: str, role: str, inputs: Inputs) -> tuple[str, str, str]:
    """Return login, name and role of an account to be added, cleaned; raises what is wrong with them, together."""
    login = inputs.take("login", _login, login)
    display_name = inputs.take("display_name", _name, display_name)
    role = inputs.take("role", check_role, role)
    inputs.check()
    return login, display_name, role


def check_role(typed: str) -> str:
    """Return a role of staff; raises StaffRoleInvalid."""
    if typed not in STAFF_ROLES:
        raise StaffRoleInvalid
    return typed


def change_role(*, session: Session, account_id: int, role: str, actor: str) -> Account:
    """Give an account another role and end its sign-ins. The transaction is left to the caller.

    Raises StaffRoleInvalid, StaffNotFound, NotYourself and StaffUnchanged.
    """
    check_role(role)
    account = lock_staff(session=session, account_id=account_id, actor=actor)
    if account.role == role:
        raise StaffUnchanged
    old, account.role = account.role, role
    end_sign_ins(session=session, account=account)
    _note(session, actor, "staff.role_changed", account, {"old": old, "new": role})
    return account


def disable_staff(*, session: Session, account_id: int, actor: str, real_now: datetime) -> Account:
    """Disable an account and end its sign-ins; ``real_now`` is real. The transaction is left to the caller.

    Raises StaffNotFound, NotYourself and StaffUnchanged.
    """
    account = lock_staff(session=session, account_id=account_id, actor=actor)
    if account.disabled_at is not None:
        raise StaffUnchanged
    account.disabled_at = real_now
    end_sign_ins(session=session, account=account)
    _note(session, actor, "staff.disabled", account, {})
    return account


def enable_staff(*, session: Session, account_id: int, password_hash: str, actor: str) -> Account:
    """Let a disabled account sign in again, with another password. The transaction is left to the caller.

    Raises StaffNotFound, NotYourself and StaffUnchanged.
    """
    account = lock_staff(session=session, account_id=account_id, actor=actor)
    if account.disabled_at is None:
        raise StaffUnchanged
    account.disabled_at, account.password_hash = None, password_hash
    forget_unconfirmed(session=session, account_id=account.id)
    end_sign_ins(session=session, account=account)
    _note(session, actor, "staff.enabled", account, {})
    return account


def reset_staff_password(*, session: Session, account_id: int, password_hash: str, actor: str) -> Account:
    """Give an account another password and end its sign-ins; its authenticator stays.

    The transaction is left to the caller. Raises StaffNotFound and NotYourself.
    """
    account = lock_staff(session=session, account_id=account_id, actor=actor)
    account.password_hash = password_hash
    forget_unconfirmed(session=session, account_id=account.id)
    end_sign_ins(session=session, account=account)
    _note(session, actor, "staff.password_reset", account, {})
    return account


def change_own_password(*, session: Session, account_id: int, seen_hash: str, password_hash: str, actor: str) -> None:
    """Put ``password_hash`` where ``seen_hash`` stood, which the caller has compared; ends every sign-in.

    The transaction is left to the caller. Raises StaffNotFound, and StaffUnchanged where it was changed meanwhile.
    """
    account = _locked(session, account_id)
    if account.password_hash != seen_hash:
        raise StaffUnchanged
    account.password_hash = password_hash
    forget_unconfirmed(session=session, account_id=account.id)
    end_sign_ins(session=session, account=account)
    _note(session, actor, "staff.password_changed", account, {})


def lock_staff(*, session: Session, account_id: int, actor: str) -> Account:
    """Return the account, held until the transaction ends; raises StaffNotFound and NotYourself.

    As nobody changes his own account, the administrator who changes the last other one is still there.
    """
    if actor == f"account:{account_id}":
        raise NotYourself
    # Two administrators who disable each other at once: the second finds himself disabled.
    number = int(actor.removeprefix("account:")) if actor.removeprefix("account:").isdecimal() else None
    session.execute(
        select(Account.id)
        .where(Account.id.in_([account_id, *([] if number is None else [number])]))
        .order_by(Account.id)
        .with_for_update(key_share=True)
    )
    if number is not None and session.scalar(select(Account.disabled_at).where(Account.id == number)) is not None:
        raise StaffNotFound
    return _locked(session, account_id)


def end_sign_ins(*, session: Session, account: Account) -> None:
    """End every sign-in of the account, after what was changed on it is written."""
    session.flush()
    session.execute(delete(SignIn).where(SignIn.account_id == account.id))


def _locked(session: Session, account_id: int) -> Account:
    account = session.scalar(
        select(Account)
        .where(Account.id == account_id, Account.role.in_(STAFF_ROLES))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if account is None:
        raise StaffNotFound
    return account


def _login(typed: str) -> str:
    login = typed.strip()
    if not LOGIN.fullmatch(login):
        raise StaffLoginInvalid(typed=login[:40])
    return login


def _name(typed: str) -> str:
    name = " ".join(typed.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise StaffNameInvalid
    return name


def _note(session: Session, actor: str, action: str, account: Account, detail: dict[str, object]) -> None:
    facts = {"login": account.login, **detail}
    audit.record(session=session, actor=actor, action=action, subject=f"account:{account.id}", detail=facts)
    session.flush()
