"""A random life of a queue, written as its published log would be: leaves with everything the public reads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from subsidy.allocation import allocate, next_due
from subsidy.events import Decision, Event, EventKind
from subsidy.log_leaves import Window, earliest_touched, leaves_of, reclassified, windows_after
from subsidy.queue_rows import decision_row, event_row
from subsidy.rules import Rules
from tests.subsidy.test_allocation_property import HOUR, Trial

EVENT = ("programme_id", "event_no", "kind", "recorded_at", "due_at", "stage_no", "position", "refusal", "detail")
DECISION = (
    "programme_id", "event_no", "position", "outcome", "stage_no", "amount_fen", "reason", "account", "fault",
    "expires_at", "overruled",
)  # fmt: skip


@dataclass
class LoggedTrial(Trial):
    """The allocation alone, and beside it the log."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    rows: list[SimpleNamespace] = field(default_factory=list)

    def append(self, kind: EventKind, **what: Any) -> None:
        event = Event(self.state.event_no + 1, kind, self.now, **what)
        if event.claim:
            self.facts[event.claim.position] = (event.claim, event.recorded_at)
        effects = allocate(self.state, [event])
        self.note(effects)
        self.publish_leaves(event, [effect for effect in effects if isinstance(effect, Decision)])

    def until(self, at: datetime) -> None:
        self.now = max(self.now, at)
        while due := next_due(self.state, self.now):
            self.append(due.kind, due_at=due.due_at, stage=due.stage, position=due.position)

    def publish_leaves(self, event: Event, decisions: list[Decision]) -> None:
        row = as_row(event)
        changed: list[list[int]] = []
        if event.rules is not None:
            before, self.windows = self.windows, windows_after(self.windows, event.rules)
            since = earliest_touched(before, self.windows)
            touched = [claim for claim in self.rows if since is not None and claim.recorded_at >= since]
            changed = reclassified(touched, before, self.windows)
        elif event.kind is EventKind.SETTLING:
            assert event.stage is not None
            self.windows[event.stage - 1].settled = True
        if event.claim:
            self.rows.append(row)
        drafts = leaves_of(
            event=row,
            decisions=[SimpleNamespace(**dict(zip(DECISION, decision_row(1, one), strict=True))) for one in decisions],
            windows=self.windows,
            token=f"person {event.claim.person_id}" if event.claim else "",
            changed=changed,
        )
        self.entries += [json.loads(draft.entry(bytes(32))) for draft in drafts]


def as_row(event: Event) -> SimpleNamespace:
    """The event as the database would give it back."""
    values = dict(zip(EVENT, event_row(programme_id=1, event=event), strict=True))
    values["detail"] = json.loads(values["detail"]) if values["detail"] else None
    row = SimpleNamespace(**values, reference=None, evidence_sha256=None, fault=None)
    if event.claim:
        row.position, row.effective_at = event.claim.position, event.claim.effective_at
        row.refusal, row.fault = event.claim.refusal, event.claim.fault
    return row


def live_through(
    rules: Rules, life: list[tuple[int, tuple[Any, ...]]], *, late: bool, kind: type[LoggedTrial] | None = None
) -> LoggedTrial:
    """The life of test_allocation_property, logged."""
    trial = (kind or LoggedTrial)()
    trial.append(EventKind.VERSION, rules=rules)
    trial.until(rules.stages[0].opens_at - HOUR)
    for hours, what in life:
        trial.until(trial.now + hours * HOUR)
        trial.act(what)
    if trial.state.paused:
        trial.append(EventKind.RESUME)
        trial.until(trial.now)
    if late:
        trial.until(trial.now + 2000 * HOUR)
    return trial
