"""How the API tells claims, their corrections, appeals, overrules and returns: the shapes of app/schemas/claims.py."""

from __future__ import annotations

from datetime import date
from typing import Any

from app.api.documents import LOCAL, instant
from app.context import business_now
from registry.trade_ins import TradeIn
from subsidy.appeals import APPEAL, OPEN, Appeal
from subsidy.claims import CLAIM_WORDS, Claim
from subsidy.corrections import ToCorrect
from subsidy.decision_record import DecisionRecord, RuleFinding, Step
from subsidy.faults import FAULTS, Fault
from subsidy.holds import ClaimHold
from subsidy.overrules import OVERRULE, Overrule
from subsidy.returns import KINDS, RETURN, Repayment, ReturnCase
from subsidy.rule_words import WAITS


def today() -> date:
    """Return the business day in Asia/Shanghai."""
    return business_now().astimezone(LOCAL).date()


def decision_document(record: DecisionRecord) -> dict[str, Any]:
    """Return everything that decided a claim."""
    claim, decision = record.standing.claim, record.standing.decision
    reason, waits = record.reason_words, WAITS.get(record.waits_for or "")
    case, appeal = record.return_case, record.appeal
    return {
        "reference": record.standing.trade_in.reference,
        "position": claim.position,
        "state": claim.state,
        "state_zh": CLAIM_WORDS[claim.state],
        "stage_no": claim.stage_no,
        "amount_fen": claim.amount_fen,
        "reason": claim.reason,
        "reason_zh": reason[0] if reason else None,
        "reason_en": reason[1] if reason else None,
        "waits_for": record.waits_for,
        "waits_for_zh": waits[0] if waits else None,
        "waits_for_en": waits[1] if waits else None,
        "ahead": record.ahead,
        "effective_at": instant(claim.effective_at),
        "recorded_at": instant(claim.recorded_at),
        "correct_by": instant(decision.expires_at) if claim.state == "held" else None,
        "faults": [fault_document(fault) for fault in record.faults],
        "conditions": [_rule(rule) for rule in record.conditions],
        "queue_rule": _rule(record.queue_rule) if record.queue_rule else None,
        "history": [_step(step) for step in record.history],
        "may_be_appealed": record.may_be_appealed,
        "appeal": appeal.reference if appeal else None,
        "appeal_state": appeal.state if appeal else None,
        "return_reference": case.reference if case else None,
        "return_state": case.state if case else None,
        "repay_by": _day(case.due_on) if case else None,
        "repay_fen": case.amount_fen if case and case.state == "demanded" else 0,
    }


def fault_document(fault: Fault) -> dict[str, Any]:
    """Return a fault in words. What the police say it should be is not told: it is read off the original."""
    words = FAULTS[fault.code]
    return {
        "code": fault.code,
        "field": fault.field,
        "zh": words.zh,
        "en": words.en,
        "remedy_zh": words.remedy_zh,
        "remedy_en": words.remedy_en,
    }


def to_correct_document(item: ToCorrect) -> dict[str, Any]:
    """Return a claim that waits for a correction."""
    return {
        "reference": item.trade_in.reference,
        "position": item.claim.position,
        "state": item.claim.state,
        "amount_fen": item.claim.amount_fen,
        "correct_by": instant(item.expires_at),
        "faults": [fault_document(fault) for fault in item.faults],
    }


def hold_document(hold: ClaimHold, *, reference: str, state: str) -> dict[str, Any]:
    """Return a hold; its reason in words stays with the bureau."""
    return {
        "reference": reference,
        "position": hold.position,
        "state": state,
        "reason_code": hold.reason_code,
        "held_at": instant(hold.held_at),
        "released_at": instant(hold.released_at),
    }


def appeal_document(appeal: Appeal, *, reference: str, photos: int) -> dict[str, Any]:
    """Return an appeal for its owner and staff. An answer that waits for a second person is not told yet."""
    final = appeal.state in ("granted", "rejected")
    return {
        "reference": appeal.reference,
        "trade_in": reference,
        "position": appeal.position,
        "state": appeal.state,
        "state_zh": APPEAL.words[appeal.state],
        "body": appeal.body,
        "filed_at": instant(appeal.filed_at),
        "due_on": _day(appeal.due_on),
        "overdue": appeal.state in OPEN and appeal.due_on < today(),
        "photos": photos,
        "answer": appeal.answer if final else None,
        "answered_at": instant(appeal.answered_at) if final else None,
    }


def overrule_document(overrule: Overrule, *, trade_in: TradeIn, claim: Claim) -> dict[str, Any]:
    """Return a proposed overrule with what became of the claim."""
    names = ("reference", "position", "state", "reason", "proposed_by", "decided_by", "decision_reason")
    return {name: getattr(overrule, name) for name in names} | {
        "trade_in": trade_in.reference,
        "state_zh": OVERRULE.words[overrule.state],
        "proposed_at": instant(overrule.proposed_at),
        "decided_at": instant(overrule.decided_at),
        "claim_state": claim.state,
        "amount_fen": claim.amount_fen,
    }


def return_document(case: ReturnCase, *, reference: str, repayment: Repayment | None) -> dict[str, Any]:
    """Return one return with its receipt."""
    names = ("reference", "kind", "state", "reason", "proof_no", "opened_by", "decided_by", "amount_fen")
    return {name: getattr(case, name) for name in names} | {
        "trade_in": reference,
        "kind_zh": KINDS[case.kind],
        "state_zh": RETURN.words[case.state],
        "opened_at": instant(case.opened_at),
        "decided_at": instant(case.decided_at),
        "due_on": _day(case.due_on),
        "overdue": case.state == "demanded" and case.due_on is not None and case.due_on < today(),
        "document_no": repayment.document_no if repayment else None,
        "received_on": _day(repayment.received_on) if repayment else None,
    }


def _rule(rule: RuleFinding) -> dict[str, Any]:
    words = ("title_zh", "title_en", "clause_zh", "clause_en")
    told = ("code", "passed", "saw", "saw_zh", "saw_en", "why_zh", "why_en")
    return (
        {name: getattr(rule, name) for name in told}
        | {name: getattr(rule.words, name) for name in words}
        | {"as_of": instant(rule.as_of)}
    )


def _step(step: Step) -> dict[str, Any]:
    names = ("event_no", "outcome", "stage_no", "amount_fen", "overruled", "zh", "en")
    return {name: getattr(step, name) for name in names} | {"at": instant(step.at)}


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
