"""An authenticator taken away from an account, because its phone is lost: asked for by one, decided by another."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Identity, Index, String, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal
from registry.second_factor import SecondFactorNotBegun, forget_second_factor, has_second_factor
from registry.staff_accounts import end_sign_ins, lock_staff
from registry.uniqueness import refusing_duplicates


class SecondFactorReset(Base):
    """One request to take an authenticator away. At most one is open for an account."""

    __tablename__ = "second_factor_reset"
    __table_args__ = (
        CheckConstraint("decided_by <> asked_by", name="decided_by_another"),
        Index("uq_second_factor_reset_open", "account_id", unique=True, postgresql_where=text("decided_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    reason: Mapped[str] = mapped_column(String(200))
    asked_by: Mapped[str] = mapped_column(String(60))
    asked_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    approved: Mapped[bool | None] = mapped_column(Boolean)


class ResetAsked(Refusal):
    """A request for this account is open."""

    code = "second_factor_reset_asked"
    kind = "conflict"
    zh = "这个账号已经有一份重置申请，等另一个人决定。"
    en = "A reset was asked for this account and waits for another person."
    remedy_zh = "请另一位管理员或者复核员决定。"
    remedy_en = "Another administrator or a reviewer decides on it."


class ResetNotAsked(Refusal):
    """There is no open request to decide on."""

    code = "second_factor_reset_not_asked"
    kind = "conflict"
    zh = "这个账号没有等决定的重置申请。"
    en = "No reset waits for a decision on this account."
    remedy_zh = "请刷新页面，可能别人已经办了。"
    remedy_en = "Reload the page; somebody may have decided already."


class ResetNeedsAnother(Refusal):
    """Whoever asked does not decide."""

    code = "second_factor_reset_needs_another"
    kind = "forbidden"
    zh = "提出重置的人不能自己批准。"
    en = "Whoever asked for the reset does not decide on it."
    remedy_zh = "请另一位管理员或者复核员决定。"
    remedy_en = "Another administrator or a reviewer decides on it."


def open_reset(*, session: Session, account_id: int) -> SecondFactorReset | None:
    """Return the request that waits for a decision, None where there is none."""
    return session.scalar(
        select(SecondFactorReset).where(
            SecondFactorReset.account_id == account_id, SecondFactorReset.decided_at.is_(None)
        )
    )


def ask_reset(*, session: Session, account_id: int, reason: str, actor: str) -> SecondFactorReset:
    """Ask to take an account's authenticator away. The transaction is left to the caller.

    Raises StaffNotFound, NotYourself, SecondFactorNotBegun where there is none, and ResetAsked.
    """
    lock_staff(session=session, account_id=account_id, actor=actor)
    if not has_second_factor(session=session, account_id=account_id):
        raise SecondFactorNotBegun
    asked = SecondFactorReset(account_id=account_id, reason=reason, asked_by=actor)
    with refusing_duplicates(session, {"uq_second_factor_reset_open": ResetAsked()}):
        session.add(asked)
    session.refresh(asked)
    _note(session, actor, "second_factor.reset_asked", account_id, {})
    return asked


def decide_reset(
    *, session: Session, account_id: int, approved: bool, actor: str, real_now: datetime
) -> SecondFactorReset:
    """Take the authenticator and the recovery codes away and end the sign-ins, or leave everything as it is.

    The transaction is left to the caller. Raises StaffNotFound, NotYourself, ResetNotAsked and ResetNeedsAnother.
    """
    account = lock_staff(session=session, account_id=account_id, actor=actor)
    asked = open_reset(session=session, account_id=account_id)
    if asked is None:
        raise ResetNotAsked
    if asked.asked_by == actor:
        raise ResetNeedsAnother
    asked.decided_by, asked.decided_at, asked.approved = actor, real_now, approved
    if approved:
        forget_second_factor(session=session, account_id=account_id)
        end_sign_ins(session=session, account=account)
    detail: dict[str, object] = {"asked_by": asked.asked_by, "old": "set up", "new": "none" if approved else "set up"}
    _note(session, actor, f"second_factor.reset_{'approved' if approved else 'refused'}", account_id, detail)
    return asked


def _note(session: Session, actor: str, action: str, account_id: int, detail: dict[str, object]) -> None:
    audit.record(session=session, actor=actor, action=action, subject=f"account:{account_id}", detail=detail)
    session.flush()
