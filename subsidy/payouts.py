"""Payouts (发放): tables and legal states. How they are sent and settled stands in subsidy/dispatch.py.

A payout is sent only as part of an approved payment batch: subsidy/payment_batches.py.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    String,
    func,
    text,
)
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
        "frozen": {"settle_by_hand": "settled", "take_back": "awaiting_wallet", "end_by_hand": "withdrawn"},
    },
)
ATTEMPT = Transitions(
    noun_zh="这次付款",
    noun_en="payment attempt",
    words={"sent": "已交银行", "unknown": "银行未答复", "settled": "已到账", "rejected": "银行已退回"},
    edges={
        "sent": {"accept": "sent", "settle": "settled", "reject": "rejected", "lose": "unknown"},
        "unknown": {"accept": "sent", "settle": "settled", "reject": "rejected", "lose": "unknown"},
        "settled": {"reject_by_hand": "rejected"},
        "rejected": {"settle_by_hand": "settled"},
    },
)
BATCH = Transitions(
    noun_zh="这个付款批次",
    noun_en="payment batch",
    words={
        "cut": "已生成，待财务批准",
        "half": "已批准一次，待第二人批准",
        "approved": "已批准，等资金核对",
        "short": "资金不足，等运营机构账户补足",
        "released": "付款中",
        "finished": "全部有结果",
        "cancelled": "已取消",
    },
    edges={
        "cut": {"approve": "approved", "approve_first": "half", "cancel": "cancelled"},
        "half": {"approve": "approved", "cancel": "cancelled"},
        "approved": {"release": "released", "lack": "short", "cancel": "cancelled"},
        "short": {"release": "released", "lack": "short", "cancel": "cancelled"},
        "released": {"finish": "finished"},
        "finished": {},
        "cancelled": {},
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


# What the owner does about it.
PROBLEM_REMEDIES = {
    "unknown_wallet": "请在数字人民币 App 里核对钱包编号，重新填一次",
    "name_mismatch": "请填您本人实名开通的钱包，别人的钱包收不了这笔补贴",
    "frozen": "请联系开立钱包的银行解冻后再填一次，或者换一个您本人的钱包",
    "tier_limit": "只用手机号开的钱包每笔最多收 2,000 元、每天最多 5,000 元，请升级为实名钱包，或者明天再填",
    "wallet_full": "只用手机号开的钱包最多存 10,000 元，请先转出一些或升级为实名钱包，再填一次",
    "wallet_closed": "请另填一个您本人的钱包",
}


def problem_words(problem: str) -> str:
    """Return in plain Chinese why the bank sent the money back."""
    return PROBLEM_WORDS.get(problem, "银行没有受理")


def problem_remedy(problem: str) -> str:
    """Return in plain Chinese what the owner does about it."""
    return PROBLEM_REMEDIES.get(problem, "请另填一个您本人实名的数币钱包")


class PaymentBatch(Base):
    """Some owed payouts that are approved, funded and sent together; what is in it stands in PaymentBatchItem.

    ``cut_by``, ``first_by`` and ``second_by`` are three different accounts, or ``scheduler``. ``fund_fen`` is what the
    operator last said our account there holds.
    """

    __tablename__ = "payment_batch"
    __table_args__ = (
        CheckConstraint("payouts > 0 AND total_fen > 0", name="not_empty"),
        CheckConstraint("cut_by <> first_by OR first_by = 'scheduler'", name="approved_by_another"),
        CheckConstraint("second_by <> first_by AND second_by <> cut_by", name="second_is_another"),
        Index("ix_payment_batch_open", "id", postgresql_where=text("state NOT IN ('finished', 'cancelled')")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    state: Mapped[str] = mapped_column(String(12), server_default="cut")
    payouts: Mapped[int] = mapped_column(Integer)
    total_fen: Mapped[int] = mapped_column(BigInteger)
    needs_second: Mapped[bool] = mapped_column(Boolean)
    cut_at: Mapped[datetime] = mapped_column(Instant)
    cut_by: Mapped[str] = mapped_column(String(60))
    first_by: Mapped[str | None] = mapped_column(String(60))
    first_at: Mapped[datetime | None] = mapped_column(Instant)
    second_by: Mapped[str | None] = mapped_column(String(60))
    second_at: Mapped[datetime | None] = mapped_column(Instant)
    fund_fen: Mapped[int | None] = mapped_column(BigInteger)
    fund_asked_at: Mapped[datetime | None] = mapped_column(Instant)
    released_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    reason: Mapped[str | None] = mapped_column(String(200))


class PaymentBatchItem(Base):
    """One payout of one batch, with its amount as approved. Append-only: what was approved is never rewritten."""

    __tablename__ = "payment_batch_item"

    batch_id: Mapped[int] = mapped_column(ForeignKey("payment_batch.id"), primary_key=True)
    payout_id: Mapped[int] = mapped_column(ForeignKey("payout.id"), primary_key=True, index=True)
    amount_fen: Mapped[int] = mapped_column(Integer)


class Payout(Base):
    """What is owed for one awarded claim. One for life per claim, whatever becomes of its attempts.

    ``batch_id`` is the batch in which it is or was last sent; None again once the money came back, so that paying it
    takes a new approval. ``awaiting_since`` is when the bank gave it back, None where it has awaited its first wallet
    since ``owed_since``; ``reminders`` counts what its owner was told since (subsidy/forfeiture.py).
    """

    __tablename__ = "payout"
    __table_args__ = (
        Index("uq_payout_claim", "programme_id", "position", unique=True),
        Index("ix_payout_owed", "owed_since", postgresql_where=text("state = 'owed'")),
        Index("ix_payout_awaiting_wallet", "trade_in_id", postgresql_where=text("state = 'awaiting_wallet'")),
        Index("ix_payout_batch", "batch_id", "owed_since", postgresql_where=text("state = 'owed'")),
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
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("payment_batch.id"))
    awaiting_since: Mapped[datetime | None] = mapped_column(Instant)
    reminders: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    reminded_at: Mapped[datetime | None] = mapped_column(Instant)


class PayoutAttempt(Base):
    """One attempt under one bank number. At most one live or settled attempt per payout, by partial unique index.

    ``sent_at`` and ``finished_at`` are business instants; ``ask_at`` is the real one at which the bank is asked next,
    by the database's clock. ``asked`` counts how often it was. ``decided_by`` is the person who said how it ended where
    the bank contradicted itself: what the bank says of this number from then on changes nothing.
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
    decided_by: Mapped[str | None] = mapped_column(String(60))


class PayoutEnd(Base):
    """How one person would end a frozen payout, on which paper, until another person decides. At most one is open.

    ``outcome`` is approved, refused, withdrawn (by who asked) or overtaken: the payout thawed some other way.
    """

    __tablename__ = "payout_end"
    __table_args__ = (
        CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name="outcome_has_its_time"),
        CheckConstraint("outcome <> 'approved' OR decided_by <> asked_by", name="decided_by_another"),
        Index("uq_payout_end_open", "payout_id", unique=True, postgresql_where=text("outcome IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    payout_id: Mapped[int] = mapped_column(ForeignKey("payout.id"))
    resolution: Mapped[str] = mapped_column(String(24))
    finding: Mapped[str] = mapped_column(String(500))
    document_no: Mapped[str] = mapped_column(String(60))
    asked_by: Mapped[str] = mapped_column(String(60))
    asked_at: Mapped[datetime] = mapped_column(Instant)
    decided_by: Mapped[str | None] = mapped_column(String(60))
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    outcome: Mapped[str | None] = mapped_column(String(12))
    opinion: Mapped[str | None] = mapped_column(String(500))


class BankStatement(Base):
    """One day's statement (对账单) as compared with our books: totals, and how many lines differed how."""

    __tablename__ = "bank_statement"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    settled_count: Mapped[int] = mapped_column(Integer)
    settled_fen: Mapped[int] = mapped_column(BigInteger)
    findings: Mapped[dict[str, Any]] = mapped_column(JSONB)
    compared_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
