"""Accounts inside a dealer (店内账号): a manager adds, disables and resets colleagues; nobody at the bureau has to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from registry import audit
from registry.accounts import Account, SignIn
from registry.base import Refusal
from registry.dealers import Dealer, lock_dealer
from registry.one_time_codes import CodeWrong, prove_phone
from registry.people import clean_mobile, phone_index
from registry.sealing import Keyring
from registry.uniqueness import refusing_duplicates

PURPOSE = "dealer_password"
MOST_ACCOUNTS = 50


class NotDealerManager(Refusal):
    """Only a manager looks after the dealer's accounts."""

    code = "not_dealer_manager"
    kind = "forbidden"
    zh = "只有店内管理员能管理账号。"
    en = "Only a manager of the dealer looks after its accounts."
    remedy_zh = "请找本店管理员；没有管理员的，请联系区市场监管局。"
    remedy_en = "Ask your manager; if there is none, ask the bureau."


class LoginTaken(Refusal):
    """The login belongs to somebody."""

    code = "login_taken"
    kind = "conflict"
    zh = "登录名「{login}」已有人用。"
    en = "The login «{login}» is taken."
    remedy_zh = "请换一个，例如在前面加上店名的拼音缩写。"
    remedy_en = "Choose another one."
    default_field = "login"


class ColleagueNotFound(Refusal):
    """The dealer has no such account. Another dealer's is told in the same words as none at all."""

    code = "colleague_not_found"
    kind = "not_found"
    zh = "本店没有这个账号。"
    en = "This dealer has no such account."
    remedy_zh = "请刷新账号列表再选。"
    remedy_en = "Reload the list and choose again."


class LastManager(Refusal):
    """A dealer keeps one manager who can sign in."""

    code = "last_manager"
    kind = "conflict"
    zh = "这是本店最后一个管理员账号，不能停用。"
    en = "This is the dealer's last manager and cannot be disabled."
    remedy_zh = "请先加一个管理员账号。"
    remedy_en = "Add another manager first."


class TooManyColleagues(Refusal):
    """A dealer has a limited number of accounts that can sign in."""

    code = "too_many_colleagues"
    kind = "conflict"
    zh = "本店账号已有 {most} 个，不能再加。"
    en = "This dealer has {most} accounts already."
    remedy_zh = "请先停用离岗人员的账号。"
    remedy_en = "Disable the accounts of those who left first."


def list_colleagues(*, session: Session, dealer_id: int) -> Sequence[Account]:
    """Return the dealer's accounts, disabled ones among them, in the order in which they were added."""
    return session.scalars(select(Account).where(Account.dealer_id == dealer_id).order_by(Account.id)).all()


def add_colleague(
    *,
    session: Session,
    manager_id: int,
    login: str,
    display_name: str,
    password_hash: str,
    manager: bool,
    actor: str,
) -> Account:
    """Add an account to the manager's dealer. The transaction is left to the caller.

    Raises NotDealerManager, TooManyColleagues and LoginTaken.
    """
    dealer = _dealer_of_manager(session, manager_id)
    active = [account for account in list_colleagues(session=session, dealer_id=dealer.id) if not account.disabled_at]
    if len(active) >= MOST_ACCOUNTS:
        raise TooManyColleagues(most=MOST_ACCOUNTS)
    account = Account(
        login=login,
        password_hash=password_hash,
        display_name=display_name,
        role="dealer",
        dealer_id=dealer.id,
        dealer_manager=manager,
    )
    with refusing_duplicates(session, {"uq_account_login": LoginTaken(login=login)}):
        session.add(account)
    session.refresh(account)
    _note(session, actor, "account.added", account, {"dealer_id": dealer.id, "manager": manager})
    return account


def disable_colleague(*, session: Session, manager_id: int, account_id: int, actor: str, real_now: datetime) -> Account:
    """Disable an account of the manager's dealer and end its sign-ins at once; ``real_now`` is real.

    Disabling again changes nothing. The transaction is left to the caller. Raises NotDealerManager, ColleagueNotFound
    and LastManager.
    """
    dealer = _dealer_of_manager(session, manager_id)
    account = _colleague(session, dealer, account_id)
    if account.disabled_at is not None:
        return account
    others = [
        each
        for each in list_colleagues(session=session, dealer_id=dealer.id)
        if each.dealer_manager and each.disabled_at is None and each.id != account.id
    ]
    if account.dealer_manager and not others:
        raise LastManager
    account.disabled_at = real_now
    _end_sign_ins(session, account)
    _note(session, actor, "account.disabled", account, {"dealer_id": dealer.id})
    return account


def reset_colleague(*, session: Session, manager_id: int, account_id: int, password_hash: str, actor: str) -> Account:
    """Give an account of the manager's dealer another password and end its sign-ins; a disabled one may sign in again.

    The transaction is left to the caller. Raises NotDealerManager and ColleagueNotFound.
    """
    dealer = _dealer_of_manager(session, manager_id)
    account = _colleague(session, dealer, account_id)
    enabled = account.disabled_at is not None
    account.password_hash, account.disabled_at = password_hash, None
    _end_sign_ins(session, account)
    _note(session, actor, "account.reset", account, {"dealer_id": dealer.id, "enabled_again": enabled})
    return account


def set_password_by_code(
    *, session: Session, keyring: Keyring, login: str, phone: str, code: str, password_hash: str, real_now: datetime
) -> Account:
    """Set the password of a manager who proves to hold the dealer's registered mobile number; ``real_now`` is real.

    So a dealer begins to use the account its acceptance or an import made. COMMITS the try at the code; the last
    transaction is left to the caller. Raises MobileInvalid, and CodeWrong for whatever does not fit: it never says
    whether there is such a login, or whose phone it is.
    """
    mobile = clean_mobile(phone)
    prove_phone(session=session, keyring=keyring, phone=mobile, purpose=PURPOSE, code=code, now=real_now)
    query = (
        select(Account)
        .join(Dealer, Dealer.id == Account.dealer_id)
        .where(
            Account.login == login.strip(),
            Account.dealer_manager,
            Account.disabled_at.is_(None),
            Dealer.mobile_index == phone_index(keyring=keyring, phone=mobile),
        )
        .with_for_update(of=Account)
    )
    account = session.scalar(query)
    if account is None:
        raise CodeWrong
    account.password_hash = password_hash
    _end_sign_ins(session, account)
    _note(session, f"account:{account.id}", "account.password_set_by_code", account, {"dealer_id": account.dealer_id})
    return account


def _dealer_of_manager(session: Session, manager_id: int) -> Dealer:
    """The manager's dealer, locked: two managers who disable each other at once leave one."""
    asking = session.get_one(Account, manager_id)
    if asking.dealer_id is None:
        raise NotDealerManager
    dealer = lock_dealer(session=session, dealer_id=asking.dealer_id)
    session.refresh(asking)
    if not asking.dealer_manager or asking.disabled_at is not None:
        raise NotDealerManager
    return dealer


def _colleague(session: Session, dealer: Dealer, account_id: int) -> Account:
    account = session.get(Account, account_id, populate_existing=True)
    if account is None or account.dealer_id != dealer.id:
        raise ColleagueNotFound
    return account


def _end_sign_ins(session: Session, account: Account) -> None:
    session.execute(delete(SignIn).where(SignIn.account_id == account.id))


def _note(session: Session, actor: str, action: str, account: Account, detail: dict[str, object]) -> None:
    facts = {"login": account.login, **detail}
    audit.record(session=session, actor=actor, action=action, subject=f"account:{account.id}", detail=facts)
    session.flush()
