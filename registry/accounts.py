"""Accounts and sign-ins: who may act, in which role."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    String,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant, Refusal

ROLES = ("owner", "dealer", "operator", "reviewer", "finance", "auditor", "administrator")
STAFF_ROLES = ("operator", "reviewer", "finance", "auditor", "administrator")


class Account(Base):
    """One account: an owner (``person_id``), somebody at a dealer's (``dealer_id``) or bureau staff.

    ``dealer_manager`` marks those at a dealer's who look after its other accounts.
    """

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint(
            "(role = 'owner') = (person_id IS NOT NULL) AND (role = 'dealer') = (dealer_id IS NOT NULL)",
            name="role_has_its_subject",
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    login: Mapped[str] = mapped_column(String(40), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    display_name: Mapped[str] = mapped_column(String(40))
    role: Mapped[str] = mapped_column(String(16))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    dealer_id: Mapped[int | None] = mapped_column(ForeignKey("dealer.id"))
    dealer_manager: Mapped[bool] = mapped_column(Boolean, server_default="false")
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class SignIn(Base):
    """One session. The browser or client holds the token; the table holds its SHA-256 only."""

    __tablename__ = "sign_in"

    token_sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    expires_at: Mapped[datetime] = mapped_column(Instant)


class SignInAttempt(Base):
    """One try at a password from one address, in real time; gone once the password was right, or by the clean-up.

    ``wrong`` as soon as the password was found to be.
    """

    __tablename__ = "sign_in_attempt"
    __table_args__ = (
        Index("ix_sign_in_attempt_login_address", "login", "address"),
        Index("ix_sign_in_attempt_address_at", "address", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    login: Mapped[str] = mapped_column(String(40))
    address: Mapped[str] = mapped_column(String(45))
    at: Mapped[datetime] = mapped_column(Instant, index=True)
    wrong: Mapped[bool] = mapped_column(Boolean, server_default="false")


class AccountClosed(Refusal):
    """The owner's account was disabled by staff."""

    code = "account_closed"
    kind = "forbidden"
    zh = "您的账号已经停用。"
    en = "Your account is disabled."
    remedy_zh = "请联系区市场监管局的平台管理员。"
    remedy_en = "Ask the bureau's administrator."


def owner_account(*, session: Session, person_id: int, display_name: str, password_hash: str) -> int:
    """Return the id of the owner's account, made now where the person has none; raises AccountClosed.

    A new account has ``password_hash``, which should be that of no password: its owner signs in by code. Two first
    sign-ins at once make one account.
    """
    found = (
        select(Account.id, Account.disabled_at)
        .where(Account.role == "owner", Account.person_id == person_id)
        .order_by(Account.id)
        .limit(1)
    )
    row = session.execute(found).one_or_none()
    if row is None:
        account = {
            "login": f"owner-{person_id}",
            "password_hash": password_hash,
            "display_name": display_name,
            "role": "owner",
            "person_id": person_id,
        }
        session.execute(insert(Account).values(**account).on_conflict_do_nothing(index_elements=[Account.login]))
        row = session.execute(found).one()
    if row.disabled_at is not None:
        raise AccountClosed
    account_id: int = row.id
    return account_id
