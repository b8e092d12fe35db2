"""How often a wallet may be asked about: nobody finds out by trying which wallet belongs to which name."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Identity, Index, String, delete, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry.base import Base, Instant, Refusal

WINDOW = timedelta(hours=1)
# A counter takes the wallets of many owners, an owner has one or two trade-ins.
CHECKS_PER_ACCOUNT = 60
CHECKS_PER_TRADE_IN = 10
KEPT = timedelta(days=1)
ACCOUNT = "account:"


class WalletCheck(Base):
    """One question to the bank about a wallet: who asked for which trade-in, in real time. Never which wallet."""

    __tablename__ = "wallet_check"
    __table_args__ = (
        Index("ix_wallet_check_actor_at", "actor", "at"),
        Index("ix_wallet_check_trade_in_id_at", "trade_in_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    actor: Mapped[str] = mapped_column(String(60))
    trade_in_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


class TooManyWalletChecks(Refusal):
    """This account, or somebody for this trade-in, has had too many wallets checked within the hour."""

    code = "too_many_wallet_checks"
    kind = "too_often"
    zh = "一小时内核对钱包的次数太多了。"
    en = "Too many wallets were checked within the hour."
    remedy_zh = "请 {minutes} 分钟后再填；填之前请对照数字人民币 App 核对钱包编号。"
    remedy_en = "Try again in {minutes} minutes, and compare the number with the digital-yuan app first."
    default_field = "wallet_id"


def count_wallet_check(*, session: Session, actor: str, trade_in_id: int) -> None:
    """Write one question down before it is asked, in the caller's transaction; raises TooManyWalletChecks.

    Accounts and trade-ins are counted, over an hour of real time.
    """
    if not actor.startswith(ACCOUNT):
        return  # the demo's seed and the scenario are no accounts
    recent = WalletCheck.at > func.clock_timestamp() - WINDOW
    counts = select(
        func.count().filter(WalletCheck.actor == actor),
        func.count().filter(WalletCheck.trade_in_id == trade_in_id),
        func.min(WalletCheck.at),
        func.clock_timestamp(),
    ).where(recent, or_(WalletCheck.actor == actor, WalletCheck.trade_in_id == trade_in_id))
    by_account, by_trade_in, oldest, now = session.execute(counts).one()
    if by_account >= CHECKS_PER_ACCOUNT or by_trade_in >= CHECKS_PER_TRADE_IN:
        wait_s = max(60, round((oldest + WINDOW - now).total_seconds()))
        raise TooManyWalletChecks(retry_after_s=wait_s, minutes=-(-wait_s // 60))
    session.add(WalletCheck(actor=actor, trade_in_id=trade_in_id))
    session.flush()


def forget_wallet_checks(*, session: Session) -> int:
    """Remove questions older than a day; return how many."""
    old = delete(WalletCheck).where(WalletCheck.at < func.clock_timestamp() - KEPT)
    return len(session.execute(old.returning(WalletCheck.id)).all())
