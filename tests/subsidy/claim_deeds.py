"""What staff and owners do to claims, each deed in a transaction of its own."""

from __future__ import annotations

from datetime import date
from typing import Any

from registry.trade_ins import EVERYBODYS, Reach
from subsidy.appeals import Appeal, approve_proposal, file_appeal, refuse_proposal
from subsidy.decision_record import DecisionRecord, decision_record
from subsidy.holds import hold_claim, release_claim
from subsidy.overrules import Overrule, propose_overrule
from subsidy.repayments import record_repayment
from subsidy.returns import ReturnCase, approve_return, open_return
from tests.subsidy.claim_scene import FINANCE, OPERATOR, REVIEWER, Scene


def hold(scene: Scene, reference: str, *, actor: str = OPERATOR) -> Any:
    return scene.do(
        lambda session: hold_claim(
            session=session,
            reference=reference,
            reason_code="sale",
            reason="发票和价签不一致，请门店说明",
            clock=scene.clock,
            actor=actor,
        )
    )


def release(scene: Scene, reference: str, *, actor: str = REVIEWER) -> Any:
    return scene.do(
        lambda session: release_claim(
            session=session, reference=reference, reason="已核对", clock=scene.clock, actor=actor
        )
    )


def propose(scene: Scene, reference: str, *, actor: str = OPERATOR) -> Overrule:
    return scene.do(
        lambda session: propose_overrule(
            session=session, reference=reference, reason="证件核对无误", actor=actor, now=scene.clock.now()
        )
    )


def approve(scene: Scene, proposal: str, *, actor: str = REVIEWER) -> Overrule:
    return scene.do(
        lambda session: approve_proposal(session=session, reference=proposal, clock=scene.clock, actor=actor)
    )


def refuse(scene: Scene, proposal: str, *, actor: str = REVIEWER) -> Overrule:
    return scene.do(
        lambda session: refuse_proposal(
            session=session, reference=proposal, reason="材料不足", actor=actor, now=scene.clock.now()
        )
    )


def appeal(scene: Scene, reference: str, *, reach: Reach = EVERYBODYS) -> Appeal:
    return scene.do(
        lambda session: file_appeal(
            session=session,
            reference=reference,
            reach=reach,
            body="我是第一次领，请核对。",
            working_days=15,
            actor="account:8",
            now=scene.clock.now(),
        )
    )


def begin_return(scene: Scene, reference: str, *, kind: str = "bike_returned") -> ReturnCase:
    return scene.do(
        lambda session: open_return(
            session=session,
            reference=reference,
            kind=kind,
            reason="车主退车，门店已退款",
            proof_no="TH20260610",
            actor=OPERATOR,
            now=scene.clock.now(),
        )
    )


def decide_return(scene: Scene, case: str, *, actor: str = REVIEWER) -> ReturnCase:
    return scene.do(
        lambda session: approve_return(
            session=session, reference=case, repayment_days=30, clock=scene.clock, actor=actor
        )
    )


def repay(
    scene: Scene, case: str, *, amount_fen: int, document_no: str = "BANK0001", on: date = date(2026, 6, 10)
) -> ReturnCase:
    return scene.do(
        lambda session: record_repayment(
            session=session,
            reference=case,
            document_no=document_no,
            amount_fen=amount_fen,
            received_on=on,
            clock=scene.clock,
            actor=FINANCE,
        )
    )


def record_of(scene: Scene, reference: str) -> DecisionRecord:
    return scene.do(lambda session: decision_record(session=session, reference=reference, reach=EVERYBODYS))
