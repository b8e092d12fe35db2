"""Payouts (发放): tables and legal states. How they are sent and settled stands in subsidy/dispatch.py."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, ForeignKey, Identity, Index, Integer, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from registry.base import Base, Instant
from registry.transitions import Transitions

PAYOUT = Transitions(
    noun_zh="这笔发放",
    noun_en="payout",
    words={
        "awaiting_wallet": "等车主确认钱包",
        "owed": "待发放",
        "in_flight": "已交银行，等答复",
        "settled": "已到账",
        "frozen": "已冻结，等人核对",
        "withdrawn": "已取消",
    },
    edges={
        "awaiting_wallet": {"confirm_wallet": "owed", "freeze": "frozen", "withdraw": "withdrawn"},
        "owed": {"send": "in_flight", "replace_wallet": "owed", "freeze": "frozen", "withdraw": "withdrawn"},
        "in_flight": {"settle": "settled", "reject": "awaiting_wallet", "freeze": "frozen"},
        "settled": {"freeze": "frozen"},
        "withdrawn": {"freeze": "frozen"},
        "frozen": {},
    },
)
ATTEMPT = Transitions(
    noun_zh="这次付款",
    noun_en="payment attempt",
    words={"sent": "已交银行", "unknown": "银行未答复", "settled": "已到账", "rejected": "银行已退回"},
    edges={
        "sent": {"accept": "sent", "settle": "settled", "reject": "rejected", "lose": "unknown"},
        "unknown": {"accept": "sent", "settle": "settled", "reject": "rejected", "lose": "unknown"},
        "settled": {},
        "rejected": {},
    },
)

# Why the bank sent money back (Payout.problem), in the words the owner reads; see ``problem_words``.
PROBLEM_WORDS = {
    "unknown_wallet": "银行查不到这个钱包",
    "name_mismatch": "钱包的实名和车主姓名不一致",
    "frozen": "钱包被冻结了",
    "tier_limit": "超过了钱包的收款限额",
    "wallet_full": "钱包余额已满，收不下了",
    "wallet_closed": "钱包已经注销",
}


def problem_words(problem: str) -> str:
    """Return in plain Chinese why the bank sent the money back."""
    return PROBLEM_WORDS.get(problem, "银行没有受理")


class Payout(Base):
    """What is owed for one awarded claim. One for life per claim, whatever becomes of its attempts."""

    __tablename__ = "payout"
    __table_args__ = (
        Index("uq_payout_claim", "programme_id", "position", unique=True),
        Index("ix_payout_owed", "owed_since", postgresql_where=text("state = 'owed'")),
        Index("ix_payout_awaiting_wallet", "trade_in_id", postgresql_where=text("state = 'awaiting_wallet'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    programme_id: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(BigInteger)
    trade_in_id: Mapped[int] = mapped_column(ForeignKey("trade_in.id"), unique=True)
    person_id: Mapped[int] = mapped_column(BigInteger)
    stage_no: Mapped[int] = mapped_column(Integer)
    amount_fen: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    problem: Mapped[str | None] = mapped_column(String(40))
    owed_since: Mapped[datetime] = mapped_column(Instant)
    settled_at: Mapped[datetime | None] = mapped_column(Instant)


class PayoutAttempt(Base):
    """One attempt under one bank number. At most one live or settled attempt per payout, by partial unique index.

    ``sent_at`` and ``finished_at`` are business instants; ``ask_at`` is the real one at which the bank is asked next,
    by the database's clock. ``asked`` counts how often it was.
    """

    __tablename__ = "payout_attempt"
    __table_args__ = (
        Index("uq_payout_attempt_live", "payout_id", unique=True, postgresql_where=text("state <> 'rejected'")),
        Index("ix_payout_attempt_ask", "ask_at", postgresql_where=text("state IN ('sent', 'unknown')")),
        Index("ix_payout_attempt_settled", "finished_at", postgresql_where=text("state = 'settled'")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    payout_id: Mapped[int] = mapped_column(ForeignKey("payout.id"), index=True)
    attempt_no: Mapped[int] = mapped_column(Integer)
    bank_number: Mapped[str] = mapped_column(String(32), unique=True)
    wallet_id: Mapped[int] = mapped_column(ForeignKey("wallet.id"))
    amount_fen: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(10), server_default="sent")
    reason: Mapped[str | None] = mapped_column(String(40))
    sent_at: Mapped[datetime] = mapped_column(Instant)
    ask_at: Mapped[datetime] = mapped_column(Instant)
    asked: Mapped[int] = mapped_column(Integer, server_default="0")
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


class BankStatement(Base):
    """One day's statement (对账单) as compared with our books: totals, and how many lines differed how."""

    __tablename__ = "bank_statement"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    settled_count: Mapped[int] = mapped_column(Integer)
    settled_fen: Mapped[int] = mapped_column(BigInteger)
    findings: Mapped[dict[str, Any]] = mapped_column(JSONB)
    compared_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
