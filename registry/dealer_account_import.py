"""The rows of a list of counter accounts, written: each login once, at the dealer the list names."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from registry.accounts import Account
from registry.audit import AuditEntry
from registry.base import Refusal
from registry.dealer_report import RowsReport
from registry.dealer_rows import ListedAccount
from registry.dealers import Dealer


class AccountOfNoDealer(Refusal):
    """The list names a dealer the platform does not know."""

    code = "account_of_no_dealer"
    zh = "平台上没有统一社会信用代码 {credit_code} 的商户。"
    en = "The platform knows no dealer {credit_code}."
    remedy_zh = "请先导入商户名单，或者改正代码。"
    remedy_en = "Import the dealers first, or correct the code."
    default_field = "credit_code"


class AccountDiffers(Refusal):
    """The login is somebody else's, or stands with other facts; what is stored stays."""

    code = "account_differs"
    kind = "conflict"
    zh = "登录名 {login} 已有人用，或内容和这一行不同，没有改。"
    en = "The login {login} is taken, or has other facts than this row; it was kept."
    remedy_zh = "请换一个登录名；要改姓名和权限的，由店内管理员办理。"
    remedy_en = "Choose another login; a manager of the dealer changes the rest."
    default_field = "login"


def store_accounts(
    *,
    session: Session,
    rows: Sequence[tuple[ListedAccount, Sequence[str]]],
    report: RowsReport,
    actor: str,
    password_hash: str,
) -> None:
    """Add the accounts of clean rows; whoever is there already is left alone. Counts and findings go to ``report``."""
    codes = {row.credit_code for row, _ in rows}
    dealers = session.execute(select(Dealer.credit_code, Dealer.id).where(Dealer.credit_code.in_(codes)))
    ids = {row[0]: row[1] for row in dealers}
    logins = [row.login for row, _ in rows]
    known = {each.login: _facts(each) for each in session.scalars(select(Account).where(Account.login.in_(logins)))}
    fresh = []
    for row, cells in rows:
        dealer_id = ids.get(row.credit_code)
        if dealer_id is None:
            report.refused += 1
            refusal = AccountOfNoDealer(credit_code=row.credit_code)
            report.tell(line=row.line, kind="refused", refusal=refusal, cells=cells)
            continue
        facts = (dealer_id, row.display_name, row.manager)
        if row.login not in known:
            known[row.login] = facts
            fresh.append(_values(row, dealer_id, password_hash))
            report.stored += 1
        elif known[row.login] == facts:
            report.unchanged += 1
        else:
            report.differing += 1
            report.tell(line=row.line, kind="differs", refusal=AccountDiffers(login=row.login), cells=cells)
    if fresh:
        made = session.execute(insert(Account).returning(Account.id, Account.login, Account.dealer_id), fresh)
        entries = [
            {
                "actor": actor,
                "action": "account.added",
                "subject": f"account:{each.id}",
                "detail": {"login": each.login, "dealer_id": each.dealer_id},
            }
            for each in made
        ]
        session.execute(insert(AuditEntry), entries)


def _facts(account: Account) -> tuple[int | None, str, bool]:
    return account.dealer_id, account.display_name, account.dealer_manager


def _values(row: ListedAccount, dealer_id: int, password_hash: str) -> dict[str, object]:
    return {
        "login": row.login,
        "password_hash": password_hash,
        "display_name": row.display_name,
        "role": "dealer",
        "dealer_id": dealer_id,
        "dealer_manager": row.manager,
    }
