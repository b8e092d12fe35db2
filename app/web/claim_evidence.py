"""What decided a claim, in words: rules with what they saw, ledger rows, queue events, deeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.web.trade_in_record import Record
from app.web.wording import count, stage_name, yuan
from registry.accounts import Account
from registry.audit import AuditEntry
from subsidy.claims import Claim, Decision, QueueEvent
from subsidy.decision_record import findings_in
from subsidy.eligibility import WORDING
from subsidy.ledger import LedgerPosting

POSTINGS = {"award": "给予补贴", "hold": "预留", "free": "释放", "settled": "已到账", "clawed_back": "收回"}
EVENTS = {
    "claim": "记入队列",
    "corrected": "更正通过",
    "correction_expired": "逾期没有更正",
    "hold": "扣下核对",
    "release": "放行",
    "overrule": "改判给予补贴",
    "return": "退回",
    "forfeiture": "逾期未领",
}
OUTCOMES = {"award": "给予补贴", "decline": "不予补贴", "waiting": "排队等名额", "held": "待更正，名额保留"}
DEEDS = {
    "trade_in.opened": "登记旧车",
    "trade_in.verified": "和交警核对通过",
    "trade_in.verification_refused": "交警核对没有通过",
    "trade_in.photo": "存了一张照片",
    "trade_in.received": "收旧车和号牌",
    "trade_in.cancellation_requested": "申请注销旧号牌",
    "trade_in.cancellation_refused": "交警没有同意注销",
    "trade_in.old_plate_cancelled": "注销旧号牌",
    "trade_in.sold": "卖出新车，登记发票",
    "trade_in.plate_applied": "申请新号牌",
    "trade_in.plate_refused": "交警没有核发号牌",
    "trade_in.complete": "发新号牌，淘汰置换办完",
    "trade_in.withdrawn": "撤回登记",
    "wallet_confirmed": "确认收款钱包",
    "trade_in.fault_marked": "标记了要更正的一项",
    "claim.corrected": "更正通过",
    "claim.fault_waived": "不用更正，放行",
    "claim.held": "扣下核对",
    "claim.released": "核对完，放行",
    "appeal.filed": "提出申诉",
    "appeal.photo": "补交申诉照片",
    "appeal.upheld": "拟支持申诉",
    "appeal.rejected": "没有支持申诉",
    "appeal.granted": "支持申诉",
    "appeal.reopened": "申诉退回重新答复",
    "overrule.proposed": "建议改判",
    "overrule.approved": "同意改判",
    "overrule.refused": "没有同意改判",
    "return.opened": "申请退回",
    "return.refused": "没有同意退回",
    "return.returned": "办理退回",
    "return.demanded": "要求退款",
    "return.repaid": "退款到账",
}
ACCOUNTS = {
    "appropriation": "拨款",
    "reserve": "改判预备金",
    "committed:reserve": "改判已决定",
    "paid:reserve": "改判已发放",
}
PURSES = {"stage": "可用", "held": "预留", "committed": "已决定", "paid": "已发放"}


def rules_of(claim: Claim) -> list[dict[str, Any]]:
    """Return every rule judged, the failed ones first and then in the order of the policy, with what it saw."""
    return [
        {"code": rule.code, "title": rule.words.title_zh, "passed": rule.passed, "saw": rule.saw_zh}
        for rule in findings_in(claim.evidence)
    ]


def account_name(account: str) -> str:
    """Return a ledger account in words: «stage:1» → 第一阶段可用."""
    purse, _, number = account.partition(":")
    if account in ACCOUNTS or not number.isdecimal():
        return ACCOUNTS.get(account, account)
    return f"{stage_name(int(number))}{PURSES.get(purse, purse)}"


def postings_of(*, session: Session, claim: Claim) -> tuple[list[dict[str, Any]], int]:
    """Return the claim's ledger rows in order, and the fen it holds now (reserved, committed or paid)."""
    rows = session.scalars(
        select(LedgerPosting)
        .where(LedgerPosting.programme_id == claim.programme_id, LedgerPosting.position == claim.position)
        .order_by(LedgerPosting.id)
    ).all()
    shown = [
        {
            "at": row.at,
            "number": f"L-{row.id:07d}",
            "word": POSTINGS.get(row.kind, row.kind),
            "debit": account_name(row.debit),
            "credit": account_name(row.credit),
            "amount_fen": row.amount_fen,
        }
        for row in rows
    ]
    held = ("held:", "committed:", "paid:")
    occupied = sum(row.amount_fen * (row.credit.startswith(held) - row.debit.startswith(held)) for row in rows)
    return shown, occupied


def decisions_of(*, session: Session, claim: Claim) -> list[dict[str, Any]]:
    """Return every decision on the claim, oldest first."""
    rows = session.scalars(
        select(Decision)
        .where(Decision.programme_id == claim.programme_id, Decision.position == claim.position)
        .order_by(Decision.event_no)
    )
    return [
        {"event_no": row.event_no, "word": _decision(row.outcome, row.stage_no, row.amount_fen, row.reason)}
        for row in rows
    ]


def events_of(*, session: Session, record: Record, to_business: Callable[[datetime], datetime]) -> list[dict[str, Any]]:
    """Return what happened, newest first: queue events in business time, deeds (kept in real time) mapped to it."""
    claim, trade_in = record.claim, record.trade_in
    assert claim is not None, "only a claim has a page"
    queue = session.scalars(
        select(QueueEvent).where(QueueEvent.programme_id == claim.programme_id, QueueEvent.position == claim.position)
    )
    told = [
        {
            "at": row.recorded_at,
            "who": "队列",
            "what": f"第 {count(row.event_no)} 号事件：{EVENTS.get(row.kind, row.kind)}"
            + (f"，序号 {count(row.position)}" if row.kind == "claim" and row.position else ""),
        }
        for row in queue
    ]
    deeds = session.scalars(select(AuditEntry).where(AuditEntry.subject == f"trade_in:{trade_in.reference}")).all()
    accounts = _accounts(session, {row.actor for row in deeds})
    told += [
        {"at": to_business(row.at), "who": _who(row.actor, record, accounts), "what": DEEDS.get(row.action, row.action)}
        for row in deeds
    ]
    return sorted(told, key=lambda row: row["at"], reverse=True)


def _accounts(session: Session, actors: set[str]) -> dict[str, Account]:
    ids = [int(actor.removeprefix("account:")) for actor in actors if actor.startswith("account:")]
    return {f"account:{one.id}": one for one in session.scalars(select(Account).where(Account.id.in_(ids)))}


def _who(actor: str, record: Record, accounts: Mapping[str, Account]) -> str:
    kind, _, name = actor.partition(":")
    if kind == "partner":
        return {"plates": "交警　云申领", "ecny": "银行"}.get(name, name)
    account = accounts.get(actor)
    if kind == "person" or (account is not None and account.role == "owner"):
        return "车主"
    if account is not None and account.role != "dealer":
        return account.display_name
    return f"代办点 {record.dealer.point_no or ''}" if kind == "account" else "系统"


def _decision(outcome: str, stage_no: int | None, amount_fen: int, reason: str | None) -> str:
    words = OUTCOMES.get(outcome, outcome)
    if outcome in ("award", "held") and stage_no is not None:
        return f"{words}，{stage_name(stage_no)} {yuan(amount_fen)} 元"
    if outcome == "decline" and reason in WORDING:
        return f"{words}：{WORDING[reason].zh}"
    return words
