"""What falls due by itself: the boundaries of stages, corrections that expire, and the end (laws 2, 6, 9, 12)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from subsidy.events import EventKind
from subsidy.rules import Rules
from subsidy.state import IncompleteState, Phase, State

# At the same instant what a stage leaves behind comes before the next opening; one stage's closing before its settling.
ORDER = {
    EventKind.CLOSING: 0,
    EventKind.SETTLING: 0,
    EventKind.OPENING: 1,
    EventKind.CORRECTION_EXPIRED: 2,
    EventKind.END: 3,
}


class Due(NamedTuple):
    """One event that is due: at ``due_at``, of ``stage`` (opening, closing, settling) or ``position`` (expiry)."""

    due_at: datetime
    kind: EventKind
    stage: int | None = None
    position: int | None = None


def due_boundaries(state: State, rules: Rules, until: datetime) -> list[tuple[datetime, EventKind, int | None]]:
    """Return (due_at, kind, stage) of the boundaries due by ``until``, in the law's order, under ``rules``.

    During a pause nothing settles and nothing ends; after the resume what fell due in it is due at once. ``end`` is
    given alone, once no other boundary is due: fold what this returns and ask again until it returns nothing.
    Corrections that expire are not in it, see due_expiries and next_due.
    """
    found = []
    for stage, window in zip(state.stages, rules.stages, strict=False):
        instants = [
            (Phase.FUTURE, window.opens_at, EventKind.OPENING),
            (Phase.OPEN, window.closes_at, EventKind.CLOSING),
        ]
        if not state.paused:
            instants.append((Phase.CLOSED, window.closes_at + rules.late_window, EventKind.SETTLING))
        passed = {Phase.FUTURE: 0, Phase.OPEN: 1, Phase.CLOSED: 2, Phase.SETTLED: 3}[stage.phase]
        found += [(due_at, kind, stage.number) for _, due_at, kind in instants[passed:] if due_at <= until]
    if found or not can_end(state):
        return sorted(found, key=lambda due: (due[0], ORDER[due[1]], due[2], due[1] is EventKind.SETTLING))
    return [(state.moved_at, EventKind.END, None)]


def next_instant(state: State) -> datetime | None:
    """Return the earliest instant at which something falls due by itself, None where nothing ever will.

    It may lie in the past: what fell due then is due now. Needs the core alone.
    """
    if state.rules is None:
        return None
    boundaries = due_boundaries(state, state.rules, datetime.max.replace(tzinfo=UTC))
    instants = [boundary[0] for boundary in boundaries[:1]]
    if state.earliest_expiry is not None:
        instants.append(state.earliest_expiry)
    return min(instants, default=None)


def can_end(state: State) -> bool:
    """Say whether no stage, hold or late window can pay any more (6)."""
    if state.ended or state.paused or state.held_count or not state.stages:
        return False
    return all(stage.phase is Phase.SETTLED for stage in state.stages)


def due_expiries(state: State, until: datetime) -> list[tuple[datetime, int]]:
    """Return (due_at, position) of the held claims whose time to correct is over by ``until``, earliest first.

    Raises IncompleteState where there is one and the held claims are not loaded.
    """
    if state.earliest_expiry is None or state.earliest_expiry > until:
        return []
    if not state.loaded:
        raise IncompleteState(f"a correction expired at {state.earliest_expiry}: the held claims are needed")
    found = [(held.expires_at, held.position) for held in state.held.values() if held.expires_at]
    return sorted(due for due in found if due[0] <= until)


def next_due(state: State, until: datetime) -> Due | None:
    """Return the one event that the law puts next, None where nothing is due by ``until``.

    Append it, fold it and ask again: what one event does can make another due. Raises IncompleteState as due_expiries.
    """
    if state.rules is None:
        return None
    found = [Due(at, kind, stage) for at, kind, stage in due_boundaries(state, state.rules, until)[:1]]
    found += [Due(at, EventKind.CORRECTION_EXPIRED, None, position) for at, position in due_expiries(state, until)[:1]]
    return min(found, key=lambda due: (due.due_at, ORDER[due.kind]), default=None)
