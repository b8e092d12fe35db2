"""Pausing a programme and ending the pause: proposed by one person, approved by another, the public told why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.base import Refusal
from subsidy.allocation import NoPausePossible, NothingToResume
from subsidy.programme import Programme
from subsidy.programme_change import PAUSE, RESUME, ProgrammeChange, keep_draft
from subsidy.state import State


class SwitchProposedAlready(Refusal):
    """The same pause, or its end, has been proposed and waits for approval."""

    code = "switch_proposed_already"
    kind = "conflict"
    zh = "已经有一份同样的提议在等批准（变更 {change}）。"
    en = "The same has been proposed already and waits for approval (change {change})."
    remedy_zh = "请先批准、不批准或者撤回那一份。"
    remedy_en = "Have that one approved, refused or withdrawn first."


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseReason:
    """Why the programme is paused, in the words the public is told, and since when."""

    zh: str
    en: str
    since: datetime


def propose_switch(
    *,
    session: Session,
    programme: Programme,
    kind: str,
    reason_zh: str,
    reason_en: str,
    note: str,
    actor: str,
    now: datetime,
) -> ProgrammeChange:
    """Propose a pause (law 12: claims take positions and wait, nobody is paid from the queue), or its end (``kind``).

    ``reason_zh`` and ``reason_en`` are what the public is told. After a pause those who wait are decided in order.
    Raises NoPausePossible, NothingToResume, SwitchProposedAlready. The transaction is left to the caller.
    """
    assert kind in (PAUSE, RESUME), kind
    state = State.from_core_json(programme.head) if programme.head is not None else State()
    if kind == PAUSE and (state.paused or state.ended):
        raise NoPausePossible
    if kind == RESUME and not state.paused:
        raise NothingToResume
    waiting = session.scalar(
        select(ProgrammeChange.id).where(
            ProgrammeChange.programme_id == programme.id,
            ProgrammeChange.kind == kind,
            ProgrammeChange.state == "drafted",
        )
    )
    if waiting is not None:
        raise SwitchProposedAlready(change=waiting)
    change = ProgrammeChange(
        programme_id=programme.id,
        kind=kind,
        state="drafted",
        base_version_no=programme.version_no,
        reason_zh=reason_zh,
        reason_en=reason_en,
        note=note,
        drafted_by=actor,
        drafted_at=now,
    )
    return keep_draft(session=session, change=change)


def pause_reason(*, session: Session, programme_id: int) -> PauseReason | None:
    """Return the public reason of the pause that lasts, None where the last one approved has ended."""
    query = (
        select(ProgrammeChange)
        .where(
            ProgrammeChange.programme_id == programme_id,
            ProgrammeChange.kind.in_((PAUSE, RESUME)),
            ProgrammeChange.state == "approved",
        )
        .order_by(ProgrammeChange.event_no.desc())
        .limit(1)
    )
    last = session.scalar(query)
    if last is None or last.kind == RESUME or last.decided_at is None:
        return None
    return PauseReason(zh=last.reason_zh or "", en=last.reason_en or "", since=last.decided_at)
