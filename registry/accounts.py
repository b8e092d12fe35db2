"""Accounts and sign-ins: who may act, in which role."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, LargeBinary, String, func
from sqlalchemy.orm import Mapped, mapped_column

from registry.base import Base, Instant

ROLES = ("owner", "dealer", "operator", "reviewer", "finance", "auditor", "administrator")
STAFF_ROLES = ("operator", "reviewer", "finance", "auditor", "administrator")


class Account(Base):
    """One account: an owner (``person_id``), somebody at a dealer's (``dealer_id``) or bureau staff."""

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
    """One try at a password from one address, in real time; gone once the password was right, or by the clean-up."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (Index("ix_sign_in_attempt_login_address", "login", "address"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    login: Mapped[str] = mapped_column(String(40))
    address: Mapped[str] = mapped_column(String(45))
    at: Mapped[datetime] = mapped_column(Instant, index=True)
