"""New dealers of a list, written with all they have done: each table in one statement, whatever the list's length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from registry.audit import AuditEntry
from registry.cases import Case
from registry.dealer_commitments import CommitmentSignature, CommitmentVersion
from registry.dealer_inputs import credit_code_doubt, sealed_people
from registry.dealer_rows import CONTACT, ListedDealer, instant_on
from registry.dealer_rules import EnrolmentRules
from registry.dealer_steps import DealerStep
from registry.dealer_training import TrainingAttempt, current_training
from registry.dealers import Dealer
from registry.sealing import Keyring

CASE = "dealer_credit_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    session: Session
    keyring: Keyring
    rules: EnrolmentRules
    actor: str
    now: datetime
    versions: Sequence[CommitmentVersion]
    fresh: Sequence[ListedDealer]


def version_on(*, versions: Sequence[CommitmentVersion], day: date) -> CommitmentVersion | None:
    """Return which of the versions, the newest first, was in force on a day; None before the first."""
    at = instant_on(day, hour=10)
    return next((version for version in versions if version.effective_at <= at), None)


def store_dealers(
    *,
    session: Session,
    keyring: Keyring,
    rules: EnrolmentRules,
    actor: str,
    now: datetime,
    versions: Sequence[CommitmentVersion],
    rows: Sequence[ListedDealer],
) -> None:
    """Write dealers the platform does not know, with steps, signatures, results, audit and cases.

    The rows are clean, free of conflicts, and signed under one of ``versions`` (the newest first). The transaction is
    left to the caller.
    """
    _store(_Work(session=session, keyring=keyring, rules=rules, actor=actor, now=now, versions=versions, fresh=rows))


def _store(work: _Work) -> None:
    session = work.session
    rows = [_dealer_values(work, listed) for listed in work.fresh]
    session.execute(insert(Dealer), rows)
    codes = [listed.credit_code for listed in work.fresh]
    found = session.execute(select(Dealer.credit_code, Dealer.id).where(Dealer.credit_code.in_(codes)))
    ids = {row[0]: row[1] for row in found}
    steps, signatures, attempts, entries, cases = [], [], [], [], []
    training = current_training(session=session, now=work.now).version
    for listed in work.fresh:
        dealer_id = ids[listed.credit_code]
        steps += _steps(work, listed, dealer_id)
        signatures += _signature(work, listed, dealer_id)
        attempts += _attempt(work, listed, dealer_id, training)
        entries.append(_entry(work, listed, dealer_id))
        cases += _case(listed, dealer_id)
    for table, values in (
        (DealerStep, steps),
        (CommitmentSignature, signatures),
        (TrainingAttempt, attempts),
        (AuditEntry, entries),
        (Case, cases),
    ):
        if values:
            session.execute(insert(table), values)


def _dealer_values(work: _Work, listed: ListedDealer) -> dict[str, Any]:
    people: dict[str, Any] = {"mobile_sealed": None, "mobile_index": None, "representative_sealed": None}
    return {
        **{name: getattr(listed, name) for name in (*CONTACT, "credit_code", "point_no", "licensed_until")},
        **people,
        **sealed_people(keyring=work.keyring, mobile=listed.mobile, representative=listed.representative),
        "state": listed.steps(now=work.now)[-1][1],
        "licensed_at": instant_on(listed.licensed_on, hour=13) if listed.licensed_on else None,
        "trade_in_on": listed.enrolled and listed.standing != "revoke",
    }


def _steps(work: _Work, listed: ListedDealer, dealer_id: int) -> list[dict[str, Any]]:
    return [
        {
            "dealer_id": dealer_id,
            "step": step,
            "state": state,
            "actor": work.actor,
            "at": at,
            "reason": f"名单第 {listed.line} 行",
            "licensed_until": listed.licensed_until if step in ("license", "suspend", "revoke") else None,
        }
        for step, state, at in listed.steps(now=work.now)
    ]


def _signature(work: _Work, listed: ListedDealer, dealer_id: int) -> list[dict[str, Any]]:
    if listed.signed_on is None:
        return []
    version = version_on(versions=work.versions, day=listed.signed_on)
    assert version is not None, "rows signed before the first version were refused"
    return [
        {
            "dealer_id": dealer_id,
            "version": version.version,
            "text_sha256": version.sha256,
            "method": "paper",
            "phone_masked": None,
            "evidence": f"名单第 {listed.line} 行",
            "actor": work.actor,
            "signed_at": instant_on(listed.signed_on, hour=10),
        }
    ]


def _attempt(work: _Work, listed: ListedDealer, dealer_id: int, version: int) -> list[dict[str, Any]]:
    if listed.trained_on is None or listed.correct is None:
        return []
    at = instant_on(listed.trained_on, hour=11)
    return [
        {
            "dealer_id": dealer_id,
            "actor": work.actor,
            "version": version,
            "question_ids": [],
            "pass_mark": work.rules.pass_mark,
            "drawn_at": at,
            "correct": listed.correct,
            "passed": True,
            "submitted_at": at,
        }
    ]


def _entry(work: _Work, listed: ListedDealer, dealer_id: int) -> dict[str, Any]:
    state = listed.steps(now=work.now)[-1][1]
    detail = {"credit_code": listed.credit_code, "state": state, "point_no": listed.point_no}
    return {"actor": work.actor, "action": "dealer.imported", "subject": f"dealer:{dealer_id}", "detail": detail}


def _case(listed: ListedDealer, dealer_id: int) -> list[dict[str, Any]]:
    doubt = credit_code_doubt(listed.credit_code)
    detail = {"credit_code": listed.credit_code, "why": doubt}
    return [{"kind": CASE, "subject": f"dealer:{dealer_id}", "detail": detail}] if doubt else []
