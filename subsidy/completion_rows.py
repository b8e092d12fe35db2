"""The rows of a completion: facts are judged, places claimed, and everything is written in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from psycopg import Connection

from subsidy import completion_sql as sql
from subsidy.eligibility import Facts, evidence_hash, judge
from subsidy.events import ClaimFacts, Decision, Movement
from subsidy.faults import find_faults
from subsidy.notices import decision_notice
from subsidy.queue_rows import CLAIM_STATE, balance_changes
from subsidy.queue_turn import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The police system's word that it issued ``plate_no`` under our ``application_no`` at ``issued_at`` (UTC).

    ``holder_index`` is the blind index of the holder's ID number (registry/people.py).
    """

    application_no: str
    plate_no: str
    issued_at: datetime
    holder_index: bytes
    vehicle_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A completed trade-in's place. ``state`` is the claim's state, ``first`` False where it stood already.

    ``position`` is None where no programme existed: the trade-in is complete, nothing was claimed.
    """

    reference: str
    position: int | None
    state: str
    stage_no: int | None
    amount_fen: int
    reason: str | None
    effective_at: datetime
    recorded_at: datetime
    first: bool


def claim_places(*, turn: Turn, fresh: Sequence[tuple[Completion, Any]], district: str) -> dict[str, Completed]:
    """Give every fresh completion its position and decision and write all of it; outcomes by application number.

    ``fresh`` pairs each completion with its row of completion_sql.FACTS. What is written is only sent in the caller's
    pipeline: a psycopg.errors.UniqueViolation, as of a plate that is there already, comes at its end.
    """
    for _, row in fresh:
        turn.state.person_counts.setdefault(row.owner_id, row.person_count)
    claims, evidence = [], []
    for position, (completion, row) in enumerate(fresh, start=turn.state.position + 1):
        refusal, seen = judge(facts=_facts(row, completion, district), rules=turn.rules)
        effective_at = min(max(completion.issued_at, row.plate_applied_at), turn.recorded_at)
        claims.append(ClaimFacts(position, row.owner_id, effective_at, refusal, _note_faults(row, completion, seen)))
        evidence.append(seen)
    effects = turn.fold_claims(claims)
    decisions = {effect.position: effect for effect in effects if isinstance(effect, Decision)}
    movements = {effect.position: effect for effect in effects if isinstance(effect, Movement)}
    rows = [
        _claim_row(completion, row, claim, seen, decisions[claim.position], movements.get(claim.position))
        for (completion, row), claim, seen in zip(fresh, claims, evidence, strict=True)
    ]
    _write(turn, rows, movements.values())
    return {
        completion.application_no: _completed(row, claim, decisions[claim.position], turn)
        for (completion, row), claim in zip(fresh, claims, strict=True)
    }


def _facts(row: Any, completion: Completion, district: str) -> Facts:
    return Facts(
        filed_on=row.filed_on,
        transferred_on=row.transferred_on,
        opened_at=row.opened_at,
        opening=row.opening,
        filing_owner_id=row.filing_owner_id,
        owner_id=row.owner_id,
        buyer_id=row.buyer_id,
        holder_is_owner=completion.holder_index == row.owner_index,
        compliance=row.compliance,
        registration_code=row.registration_code,
        district=district,
        old_plate_cancelled_at=row.old_plate_cancelled_at,
        sold_at=row.sold_at,
    )


def _note_faults(row: Any, completion: Completion, evidence: dict[str, Any]) -> str | None:
    """Put what can be corrected into the evidence and return the first fault's code, None where there is none."""
    faults = find_faults(
        vehicle_code=row.vehicle_code,
        police_vehicle_code=completion.vehicle_code,
        police_name=row.opening.get("police_name"),
        marked=row.marked_faults,
    )
    if not faults:
        return None
    evidence["faults"] = [fault.document() for fault in faults]
    return faults[0].code


def _claim_row(
    completion: Completion,
    row: Any,
    claim: ClaimFacts,
    evidence: dict[str, Any],
    decision: Decision,
    movement: Movement | None,
) -> dict[str, Any]:
    """Return one record of WRITE_CLAIMS."""
    state = CLAIM_STATE[decision.outcome]
    return {
        "event_no": decision.event_no,
        "position": claim.position,
        "trade_in_id": row.trade_in_id,
        "filed_bike_id": row.filed_bike_id,
        "bike_id": row.bike_id,
        "person_id": row.owner_id,
        "effective_at": claim.effective_at,
        "refusal": claim.refusal,
        "fault": claim.fault,
        "evidence": evidence,
        "evidence_sha256": evidence_hash(evidence).hex(),
        "outcome": decision.outcome.value,
        "state": state,
        "stage_no": decision.stage,
        "amount_fen": decision.amount_fen,
        "reason": decision.reason,
        "account": decision.account,
        "decided_fault": decision.fault,
        "expires_at": decision.expires_at,
        "debit": movement.debit if movement else None,
        "credit": movement.credit if movement else None,
        "movement": movement.kind if movement else None,
        "payout_state": "owed" if row.has_wallet else "awaiting_wallet",
        "plate_no": completion.plate_no,
        "application_no": completion.application_no,
        "issued_at": completion.issued_at,
        "reference": row.reference,
        "body": decision_notice(
            position=claim.position,
            state=state,
            amount_fen=decision.amount_fen,
            reason=decision.reason,
            has_wallet=row.has_wallet,
            fault=decision.fault,
            expires_at=decision.expires_at,
            just_completed=True,
            reference=row.reference,
        ),
    }


def _completed(row: Any, claim: ClaimFacts, decision: Decision, turn: Turn) -> Completed:
    return Completed(
        reference=row.reference,
        position=claim.position,
        state=CLAIM_STATE[decision.outcome],
        stage_no=decision.stage,
        amount_fen=decision.amount_fen,
        reason=decision.reason,
        effective_at=claim.effective_at,
        recorded_at=turn.recorded_at,
        first=True,
    )


def _write(turn: Turn, rows: list[dict[str, Any]], movements: Iterable[Movement]) -> None:
    changes = [{"account": account, "fen": fen} for account, fen in sorted(balance_changes(movements).items())]
    parameters = {
        "rows": orjson.dumps(rows).decode(),
        "changes": orjson.dumps(changes).decode(),
        "programme_id": turn.programme_id,
        "recorded_at": turn.recorded_at,
        "event_no": turn.state.event_no,
        "head": turn.head_json(),
        "next_due_at": turn.next_due_at(),
    }
    turn.connection.execute(sql.WRITE_CLAIMS, parameters, prepare=True)


def complete_unclaimed(
    *, connection: Connection[Any], fresh: Sequence[tuple[Completion, Any]], recorded_at: datetime
) -> dict[str, Completed]:
    """Complete trade-ins while no programme exists: whoever gave up the old bike may always finish, unclaimed.

    Written in the caller's pipeline: psycopg.errors.UniqueViolation where the police issued one plate number twice.
    """
    outcomes = {}
    for completion, row in fresh:
        values = {
            "plate_no": completion.plate_no,
            "application_no": completion.application_no,
            "issued_at": completion.issued_at,
            "recorded_at": recorded_at,
            "trade_in_id": row.trade_in_id,
            "bike_id": row.bike_id,
            "owner_id": row.owner_id,
            "reference": row.reference,
            "body": "您的换新手续全部办完，新号牌已发下来。现在没有补贴活动。",
        }
        connection.execute(sql.COMPLETE_UNCLAIMED, values)
        outcomes[completion.application_no] = Completed(
            reference=row.reference,
            position=None,
            state="unclaimed",
            stage_no=None,
            amount_fen=0,
            reason="no_programme",
            effective_at=completion.issued_at,
            recorded_at=recorded_at,
            first=True,
        )
    return outcomes
