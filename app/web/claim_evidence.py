"""What decided a claim, in words: rules with what they saw, ledger rows, queue events, deeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.web.language import _, _l, in_english
from app.web.trade_in_record import Record
from app.web.wording import count, money, stage_name
from registry.accounts import Account
from registry.audit import AuditEntry
from subsidy.claims import Claim, Decision, QueueEvent
from subsidy.decision_record import findings_in
from subsidy.eligibility import WORDING
from subsidy.fold import STAFF_HOLD
from subsidy.ledger import LedgerPosting, occupied_fen

POSTINGS = {
    "provide": _l("拨入"),
    "withdraw": _l("调减"),
    "carry": _l("结转"),
    "award": _l("给予补贴"),
    "hold": _l("预留"),
    "release": _l("解除预留"),
    "free": _l("释放"),
    "settled": _l("已到账"),
    "clawed_back": _l("收回"),
    "give_back": _l("交回拨款"),
}
EVENTS = {
    "claim": _l("记入队列"),
    "corrected": _l("更正通过"),
    "correction_expired": _l("逾期没有更正"),
    "hold": _l("扣下核对"),
    "release": _l("放行"),
    "overrule": _l("改判给予补贴"),
    "return": _l("退回"),
    "forfeiture": _l("逾期未领"),
    "version": _l("活动规则生效"),
    "opening": _l("阶段开始"),
    "closing": _l("阶段截止"),
    "settling": _l("阶段结转"),
    "pause": _l("活动暂停"),
    "resume": _l("活动恢复"),
    "end": _l("活动结束"),
}
OUTCOMES = {
    "award": _l("给予补贴"),
    "decline": _l("不予补贴"),
    "waiting": _l("排队等名额"),
    "held": _l("待更正，名额保留"),
}
DEEDS = {
    "trade_in.opened": _l("登记旧车"),
    "trade_in.verified": _l("和交警核对通过"),
    "trade_in.verification_refused": _l("交警核对没有通过"),
    "trade_in.photo": _l("存了一张照片"),
    "trade_in.received": _l("收旧车和号牌"),
    "trade_in.cancellation_requested": _l("申请注销旧号牌"),
    "trade_in.cancellation_refused": _l("交警没有同意注销"),
    "trade_in.old_plate_cancelled": _l("注销旧号牌"),
    "trade_in.sold": _l("卖出新车，登记发票"),
    "proxy_recorded": _l("登记代办人"),
    "proxy_ended": _l("代办结束"),
    "receipt.seen": _l("看了申领凭证"),
    "trade_in.handed_over": _l("转给别的代办点"),
    "trade_in.destruction": _l("登记拆解凭证"),
    "trade_in.plate_applied": _l("申请新号牌"),
    "trade_in.plate_refused": _l("交警没有核发号牌"),
    "trade_in.complete": _l("发新号牌，淘汰置换办完"),
    "trade_in.withdrawn": _l("撤回登记"),
    "wallet_confirmed": _l("确认收款钱包"),
    "wallet_at_counter": _l("代办点替车主登记钱包"),
    "appeal_at_counter": _l("代办点替车主交申诉"),
    "appeal.erased": _l("申诉内容到期删除"),
    "trade_in.fault_marked": _l("标记了要更正的一项"),
    "claim.corrected": _l("更正通过"),
    "claim.fault_waived": _l("不用更正，放行"),
    "claim.held": _l("扣下核对"),
    "claim.released": _l("核对完，放行"),
    "appeal.filed": _l("提出申诉"),
    "appeal.photo": _l("补交申诉照片"),
    "appeal.upheld": _l("拟支持申诉"),
    "appeal.rejected": _l("没有支持申诉"),
    "appeal.granted": _l("支持申诉"),
    "appeal.reopened": _l("申诉退回重新答复"),
    "overrule.proposed": _l("建议改判"),
    "overrule.approved": _l("同意改判"),
    "overrule.refused": _l("没有同意改判"),
    "return.opened": _l("申请退回"),
    "return.refused": _l("没有同意退回"),
    "return.returned": _l("办理退回"),
    "return.demanded": _l("要求退款"),
    "return.repaid": _l("退款到账"),
    "claims.exported": _l("导出申领"),
}
ACCOUNTS = {
    "appropriation": _l("拨款"),
    "reserve": _l("改判预备金"),
    "committed:reserve": _l("改判已决定"),
    "paid:reserve": _l("改判已发放"),
}
PURSES = {"stage": _l("可用"), "held": _l("预留"), "committed": _l("已决定"), "paid": _l("已发放")}


def rules_of(claim: Claim) -> list[dict[str, Any]]:
    """Return every rule judged, the failed ones first and then in the order of the policy, with what it saw."""
    return [
        {
            "code": rule.code,
            "title": rule.words.title_en if in_english() else rule.words.title_zh,
            "passed": rule.passed,
            "saw": rule.saw_en if in_english() else rule.saw_zh,
        }
        for rule in findings_in(claim.evidence)
    ]


def account_name(account: str) -> str:
    """Return a ledger account in words: «stage:1» → 第一阶段可用."""
    purse, _colon, number = account.partition(":")
    if account in ACCOUNTS or not number.isdecimal():
        return str(ACCOUNTS.get(account, account))
    return _("%(stage)s%(purse)s", stage=stage_name(int(number)), purse=PURSES.get(purse, purse))


def postings_of(*, session: Session, claim: Claim) -> tuple[list[dict[str, Any]], int]:
    """Return the claim's ledger rows in order, and the fen it holds now (reserved, committed or paid)."""
    rows = session.scalars(
        select(LedgerPosting)
        .where(LedgerPosting.programme_id == claim.programme_id, LedgerPosting.position == claim.position)
        .order_by(LedgerPosting.id)
    ).all()
    return [shown_posting(row) for row in rows], occupied_fen(rows)


def shown_posting(row: LedgerPosting) -> dict[str, Any]:
    """Return a ledger row with its kind and accounts in words; money in fen."""
    return {
        "at": row.at,
        "number": f"L-{row.id:07d}",
        "position": row.position,
        "word": str(POSTINGS.get(row.kind, row.kind)),
        "debit": account_name(row.debit),
        "credit": account_name(row.credit),
        "amount_fen": row.amount_fen,
    }


def decisions_of(*, session: Session, claim: Claim) -> list[dict[str, Any]]:
    """Return every decision on the claim, oldest first."""
    rows = session.scalars(
        select(Decision)
        .where(Decision.programme_id == claim.programme_id, Decision.position == claim.position)
        .order_by(Decision.event_no)
    )
    return [{"event_no": row.event_no, "word": decision_words(row)} for row in rows]


def events_of(*, session: Session, record: Record, to_business: Callable[[datetime], datetime]) -> list[dict[str, Any]]:
    """Return what happened, newest first: queue events in business time, deeds (kept in real time) mapped to it."""
    claim, trade_in = record.claim, record.trade_in
    assert claim is not None, "only a claim has a page"
    queue = session.scalars(
        select(QueueEvent).where(QueueEvent.programme_id == claim.programme_id, QueueEvent.position == claim.position)
    )
    told = [
        {"at": row.recorded_at, "who": _("队列"), "what": _event_words(row), "event_no": row.event_no} for row in queue
    ]
    deeds = session.scalars(select(AuditEntry).where(AuditEntry.subject == f"trade_in:{trade_in.reference}")).all()
    accounts = _accounts(session, {row.actor for row in deeds})
    told += [
        {"at": to_business(row.at), "who": _who(row.actor, record, accounts), "what": DEEDS.get(row.action, row.action)}
        for row in deeds
    ]
    return sorted(told, key=lambda row: row["at"], reverse=True)


def event_word(kind: str) -> str:
    """Return what happened in the queue, by the event's kind."""
    return str(EVENTS.get(kind, kind))


def _event_words(row: QueueEvent) -> str:
    if row.kind == "claim" and row.position:
        return _(
            "第 %(number)s 号事件：记入队列，序号 %(position)s",
            number=count(row.event_no),
            position=count(row.position),
        )
    return _("第 %(number)s 号事件：%(what)s", number=count(row.event_no), what=event_word(row.kind))


def _accounts(session: Session, actors: set[str]) -> dict[str, Account]:
    ids = [int(actor.removeprefix("account:")) for actor in actors if actor.startswith("account:")]
    return {f"account:{one.id}": one for one in session.scalars(select(Account).where(Account.id.in_(ids)))}


def _who(actor: str, record: Record, accounts: Mapping[str, Account]) -> str:
    kind, _colon, name = actor.partition(":")
    if kind == "partner":
        return {"plates": _("交警　云申领"), "ecny": _("银行")}.get(name, name)
    account = accounts.get(actor)
    if kind == "person" or (account is not None and account.role == "owner"):
        return _("车主")
    if account is not None and account.role != "dealer":
        return account.display_name
    return _("代办点 %(number)s", number=record.dealer.point_no or "") if kind == "account" else _("系统")


def decision_words(row: Decision) -> str:
    """Return one decision in words: what, how much and from which stage, or why not."""
    words = str(OUTCOMES.get(row.outcome, row.outcome))
    if row.outcome == "held" and row.fault == STAFF_HOLD:
        words = _("扣下核对，名额保留")
    if row.outcome in ("award", "held") and row.stage_no is not None:
        stage, amount = stage_name(row.stage_no), money(row.amount_fen)
        return _("%(decision)s，%(stage)s %(amount)s", decision=words, stage=stage, amount=amount)
    if row.outcome == "decline" and row.reason in WORDING:
        wording = WORDING[row.reason]
        return _("%(decision)s：%(why)s", decision=words, why=wording.en if in_english() else wording.zh)
    return words
