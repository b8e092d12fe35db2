"""Differences between our books and the bank's statement, worked to an end by people.

Operator or finance writes down what they found. Money moves by finance's word: the statement is right, a document shows
that the owner has the money, or it came back. What ends a frozen payout by document, and what can be cleared up by
nothing and is written off, is proposed by one person and approved by another. Whatever ends a difference closes its
case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from registry.audit import record
from registry.base import LARGEST_ID, Refusal
from registry.cases import Case
from registry.inputs import Inputs
from subsidy.payouts import Payout
from subsidy.reconciliation import case_of
from subsidy.statement_lines import StatementLineNotFound, StatementRow, Verdict
from subsidy.statement_payouts import (
    Evidence,
    end_by_document,
    end_unpaid,
    is_paid_and_awarded,
    lock_payout,
    settle_by_hand,
    try_end,
)

RESOLUTION_WORDS = {
    "settle_by_statement": "以对账单为准，记为已付",
    "settle_by_document": "凭证证明车主已收到，记为已付",
    "refund_received": "款项已退回或从未付出",
    "wait_next_statement": "等下一份对账单",
    "write_off": "核销",
}
RESOLUTIONS = tuple(RESOLUTION_WORDS)
BY_FINANCE = ("settle_by_statement", "settle_by_document", "refund_received")
OF_PAYOUT = ("settle_by_document", "refund_received")
# What waits for another person while the line is open.
PROPOSED = ("write_off", *OF_PAYOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Who decides: the account as the audit names it, and its role."""

    actor: str
    role: str


class DifferenceOver(Refusal):
    """The line is the same on both sides, or its difference was ended before."""

    code = "statement_line_not_open"
    kind = "conflict"
    zh = "这一条没有差异，或者已经处理完了。"
    en = "This line does not differ, or its difference was ended already."
    remedy_zh = "请刷新当天的对账明细。"
    remedy_en = "Reload the day's lines."


class FinanceDecides(Refusal):
    """Money moves by finance's word only."""

    code = "finance_decides"
    kind = "forbidden"
    zh = "记为已付或者已退款，要由财务办理。"
    en = "Finance alone says that money was paid or came back."
    remedy_zh = "您可以先写下查明的情况，选「等下一份对账单」或者提出核销。"
    remedy_en = "Write down what you found, and wait for the next statement or propose a write-off."
    default_field = "resolution"


class DocumentNumberMissing(Refusal):
    """The resolution stands on a paper whose number is needed."""

    code = "document_number_missing"
    zh = "这样处理要写明凭证号。"
    en = "This resolution needs the number of its document."
    remedy_zh = "请填银行回单、退款凭证或者书面答复的编号。"
    remedy_en = "Give the number of the bank's receipt, refund advice or written answer."
    default_field = "document_no"


class ResolutionDoesNotFit(Refusal):
    """This kind of difference cannot be ended that way."""

    code = "resolution_does_not_fit"
    zh = "「{verdict_zh}」不能这样处理。"
    en = "A difference of this kind cannot be ended that way."
    remedy_zh = (
        "以对账单为准只用于：金额与我方相同、银行已付、我方冻结的款项。其他情况请凭证了结、等下一份对账单或提出核销。"
    )
    remedy_en = "Settling by statement fits a frozen payout that the bank paid in our amount; else take another way."
    default_field = "resolution"


class NothingProposed(Refusal):
    """Nobody has proposed how to end it."""

    code = "nothing_proposed"
    kind = "conflict"
    zh = "这一笔没有待批准的了结。"
    en = "No way to end this waits for approval."
    remedy_zh = "请刷新页面；可能别人已经决定，或者还没有人提出。"
    remedy_en = "Reload; somebody may have decided already, or nobody has proposed one."


class ResolutionProposed(Refusal):
    """Somebody has proposed how to end it; what another person decides about does not change under his eyes."""

    code = "resolution_proposed"
    kind = "conflict"
    zh = "这一笔已经有人提出怎么了结，等另一个人决定。"
    en = "Somebody has proposed how to end this, and it waits for another person."
    remedy_zh = "请先等它决定，或者由提出的人撤回。"
    remedy_en = "Wait for the decision, or have whoever proposed it withdraw it."


class ProposerCannotApprove(Refusal):
    """Who proposed an end may not approve it."""

    code = "proposer_cannot_approve"
    kind = "forbidden"
    zh = "提出了结的人不能自己批准。"
    en = "Whoever proposed it cannot approve it."
    remedy_zh = "请另一位财务或复核员批准。"
    remedy_en = "Another finance officer or a reviewer approves it."


def resolve_line(
    *,
    session: Session,
    line_id: int,
    resolution: str,
    finding: str,
    document_no: str,
    by: Decider,
    now: datetime,
) -> StatementRow:
    """Write down what was found about an open difference and how it shall end, and return the line.

    ``wait_next_statement`` leaves it open. ``write_off``, and what ends a frozen payout by document, leave it open
    until ``decide_resolution``; the others end it and its case. Raises StatementLineNotFound, DifferenceOver,
    FinanceDecides, DocumentNumberMissing, ResolutionDoesNotFit, ResolutionProposed, and what thawing the payout would
    be refused for (ClaimNotAwarded, PaidAlreadyBooked, NoSuchAttempt).
    """
    check_resolution(resolution=resolution, document_no=document_no, role=by.role)
    payout, row = _lock(session=session, line_id=line_id)
    if row.resolution in PROPOSED:
        raise ResolutionProposed
    evidence = Evidence(actor=by.actor, finding=finding, document_no=document_no, now=now)
    proposed = resolution == "write_off"
    if resolution == "settle_by_statement":
        _settle_by_statement(session, row, payout, evidence)
    elif resolution in OF_PAYOUT and payout is not None and payout.state == "frozen":
        proposed, number = True, row.bank_number
        try_end(session=session, payout=payout, bank_number=number, resolution=resolution, evidence=evidence)
    before = row.resolution
    row.resolution, row.finding, row.document_no = resolution, finding, document_no or None
    row.found_by, row.found_at = by.actor, now
    detail = {"resolution": [before, resolution], "document_no": document_no, "finding": finding}
    _record(session, row, by.actor, "statement_line_found", detail)
    if not proposed and resolution != "wait_next_statement":
        _end(session, row, by.actor, now)
    return row


def decide_resolution(
    *, session: Session, line_id: int, approve: bool, finding: str, by: Decider, now: datetime
) -> StatementRow:
    """Approve or refuse how somebody else would end this difference, and return the line. Refused, it stays open.

    A write-off: the bank's and our books differ by it for good; a frozen payout ends with it, settled where the bank
    paid and the claim stands, unpaid otherwise. By document: the frozen payout ends as the paper says. Who proposed it
    may only take it back. Raises StatementLineNotFound, DifferenceOver, NothingProposed, ProposerCannotApprove and
    what thawing the payout refuses (ClaimNotAwarded, PaidAlreadyBooked, NoSuchAttempt).
    """
    payout, row = _lock(session=session, line_id=line_id)
    if row.resolution not in PROPOSED:
        raise NothingProposed
    if approve and row.found_by == by.actor:
        raise ProposerCannotApprove
    is_write_off = row.resolution == "write_off"
    detail: dict[str, object] = {"proposed_by": row.found_by, "finding": finding}
    if not approve:
        action = "write_off_refused" if is_write_off else "end_by_document_refused"
        _record(session, row, by.actor, action, detail | {"resolution": [row.resolution, None]})
        row.resolution = None
        session.flush()
        return row
    if is_write_off:
        row.written_off_fen = short_by_fen(row)
        detail["written_off_fen"] = row.written_off_fen
    if payout is not None and payout.state == "frozen":
        _end_payout(session, row, payout, by=by, finding=finding, now=now)
    action = "write_off_approved" if is_write_off else "end_by_document_approved"
    _record(session, row, by.actor, action, detail | {"resolution": row.resolution})
    _end(session, row, by.actor, now)
    return row


def is_proposed(row: StatementRow) -> bool:
    """Say whether somebody's proposal waits for another person."""
    return row.is_open and row.resolution in PROPOSED


def check_resolution(*, resolution: str, document_no: str, role: str) -> None:
    """Refuse what the role may not decide and what lacks its document, both together."""
    inputs = Inputs()
    if resolution in BY_FINANCE and role != "finance":
        inputs.refuse(FinanceDecides())
    if resolution in OF_PAYOUT and not document_no:
        inputs.refuse(DocumentNumberMissing())
    inputs.check()


def _end_payout(
    session: Session, row: StatementRow, payout: Payout, *, by: Decider, finding: str, now: datetime
) -> None:
    number, resolution = row.bank_number, row.resolution
    if resolution == "write_off":
        evidence = Evidence(actor=by.actor, finding=finding, document_no="", now=now)
        if not is_paid_and_awarded(session=session, payout=payout):
            end_unpaid(session=session, payout=payout, bank_number=number, evidence=evidence, reason="written_off")
            return
        resolution = "settle_by_document"
    else:
        evidence = Evidence(actor=by.actor, finding=row.finding or "", document_no=row.document_no or "", now=now)
    end_by_document(session=session, payout=payout, bank_number=number, resolution=resolution or "", evidence=evidence)


def _settle_by_statement(session: Session, row: StatementRow, payout: Payout | None, evidence: Evidence) -> None:
    agreed = row.bank_state == "settled" and row.bank_fen == row.our_fen
    if payout is None or payout.state != "frozen" or not agreed:
        raise ResolutionDoesNotFit(verdict_zh=row.verdict)
    settle_by_hand(session=session, payout=payout, bank_number=row.bank_number, evidence=evidence)


def _lock(*, session: Session, line_id: int) -> tuple[Payout | None, StatementRow]:
    """Lock the payout first, as whoever compares a statement does, then the open line."""
    if line_id > LARGEST_ID:
        raise StatementLineNotFound(line_id=line_id)
    payout_id = session.execute(
        select(StatementRow.id, StatementRow.payout_id).where(StatementRow.id == line_id)
    ).first()
    if payout_id is None:
        raise StatementLineNotFound(line_id=line_id)
    payout = None if payout_id[1] is None else lock_payout(session=session, payout_id=payout_id[1])
    query = select(StatementRow).where(StatementRow.id == line_id).with_for_update()
    row = session.scalars(query, execution_options={"populate_existing": True}).one()
    if not row.is_open:
        raise DifferenceOver
    return payout, row


def _end(session: Session, row: StatementRow, actor: str, now: datetime) -> None:
    row.resolved_by, row.resolved_at = actor, now
    kind, subject = case_of(verdict=row.verdict, bank_number=row.bank_number, day=row.day)
    others = select(StatementRow.id).where(
        StatementRow.bank_number == row.bank_number,
        StatementRow.verdict == row.verdict,
        StatementRow.verdict != Verdict.TOTALS_DIFFER,
        StatementRow.resolved_at.is_(None),
        StatementRow.id != row.id,
    )
    session.flush()
    if session.scalar(others.limit(1)) is None:
        case = update(Case).where(Case.kind == kind, Case.subject == subject, Case.closed_at.is_(None))
        outcome = f"{RESOLUTION_WORDS[row.resolution or '']}：{row.finding}"[:200]
        session.execute(case.values(closed_at=func.clock_timestamp(), closed_by=actor, outcome=outcome))
    detail = {"resolution": row.resolution, "document_no": row.document_no, "written_off_fen": row.written_off_fen}
    _record(session, row, actor, "statement_line_resolved", detail)


def short_by_fen(row: StatementRow) -> int:
    """Return what the bank is short of our books by this line, negative where it is over: what a write-off keeps."""
    return _ours_fen(row) - _theirs_fen(row)


def _ours_fen(row: StatementRow) -> int:
    return _out_fen(row.our_state, row.our_fen, row.verdict)


def _theirs_fen(row: StatementRow) -> int:
    return _out_fen(row.bank_state, row.bank_fen, row.verdict)


def _out_fen(state: str | None, fen: int | None, verdict: str) -> int:
    """What went out by one side's word; what came back counts against it."""
    if state == "reclaimed":
        return -(fen or 0)
    return (fen or 0) if state == "settled" or verdict == Verdict.TOTALS_DIFFER else 0


def _record(session: Session, row: StatementRow, actor: str, action: str, detail: Mapping[str, object]) -> None:
    record(session=session, actor=actor, action=action, subject=f"statement_line:{row.id}", detail=dict(detail))
    session.flush()
