"""Frozen payouts that no statement tells of, ended by document: finance proposes, another person decides.

The paper says where the money is. Two have read it before the books follow it, as two approve a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.audit import record
from registry.base import LARGEST_ID
from subsidy.payouts import Payout, PayoutEnd
from subsidy.statement_payouts import Evidence, end_by_document, lock_frozen, lock_payout, require_frozen, try_end
from subsidy.statement_resolution import (
    Decider,
    NothingProposed,
    ProposerCannotApprove,
    ResolutionProposed,
    check_resolution,
)


def open_end(*, session: Session, payout_id: int) -> PayoutEnd | None:
    """Return what was proposed for this payout and waits for another person, None where nothing does."""
    return session.scalar(select(PayoutEnd).where(PayoutEnd.payout_id == payout_id, PayoutEnd.outcome.is_(None)))


def propose_end(
    *, session: Session, payout_id: int, resolution: str, finding: str, document_no: str, by: Decider, now: datetime
) -> PayoutEnd:
    """Propose how a frozen payout ends, and return the proposal; nothing else changes. For finance alone.

    ``settle_by_document``: the owner has the money. ``refund_received``: we have it, or it never left. The transaction
    is left to the caller. Raises PayoutNotFound, PayoutNotFrozen, FinanceDecides, DocumentNumberMissing,
    ResolutionProposed where a proposal waits already, and at once what approving it would be refused for.
    """
    check_resolution(resolution=resolution, document_no=document_no, role=by.role)
    payout = lock_frozen(session=session, payout_id=payout_id)
    if open_end(session=session, payout_id=payout_id) is not None:
        raise ResolutionProposed
    evidence = Evidence(actor=by.actor, finding=finding, document_no=document_no, now=now)
    try_end(session=session, payout=payout, bank_number=None, resolution=resolution, evidence=evidence)
    end = PayoutEnd(
        payout_id=payout.id,
        resolution=resolution,
        finding=finding,
        document_no=document_no,
        asked_by=by.actor,
        asked_at=now,
    )
    session.add(end)
    session.flush()
    _note(session, end, "payout_end_proposed", by.actor, {"resolution": [None, resolution]})
    return end


def decide_end(*, session: Session, end_id: int, approve: bool, finding: str, by: Decider, now: datetime) -> Payout:
    """Carry a proposal out, or refuse it and leave the payout frozen; return the payout. Finance or a reviewer decides.

    Who proposed it may only take it back, by not approving. The transaction is left to the caller. Raises
    NothingProposed, ProposerCannotApprove, PayoutNotFrozen and what thawing refuses: ClaimNotAwarded,
    PaidAlreadyBooked, NoSuchAttempt.
    """
    payout, end = _lock(session, end_id)
    if end.outcome is not None:
        raise NothingProposed
    own = end.asked_by == by.actor
    if approve and own:
        raise ProposerCannotApprove
    end.outcome = "approved" if approve else "withdrawn" if own else "refused"
    end.decided_by, end.decided_at, end.opinion = by.actor, now, finding
    detail = {"resolution": [end.resolution, end.outcome], "proposed_by": end.asked_by, "opinion": finding}
    _note(session, end, f"payout_end_{end.outcome}", by.actor, detail)
    if approve:
        require_frozen(payout)
        evidence = Evidence(actor=by.actor, finding=end.finding, document_no=end.document_no, now=now)
        end_by_document(session=session, payout=payout, bank_number=None, resolution=end.resolution, evidence=evidence)
    return payout


def _lock(session: Session, end_id: int) -> tuple[Payout, PayoutEnd]:
    """Lock the payout, as everything does that moves it, and read the proposal as it stands then."""
    payout_id = None
    if end_id <= LARGEST_ID:
        payout_id = session.scalar(select(PayoutEnd.payout_id).where(PayoutEnd.id == end_id))
    if payout_id is None:
        raise NothingProposed
    payout = lock_payout(session=session, payout_id=payout_id)
    return payout, session.get_one(PayoutEnd, end_id, populate_existing=True)


def _note(session: Session, end: PayoutEnd, action: str, actor: str, detail: Mapping[str, object]) -> None:
    said = {"document_no": end.document_no, "finding": end.finding, **detail}
    record(session=session, actor=actor, action=action, subject=f"payout:{end.payout_id}", detail=said)
    session.flush()
