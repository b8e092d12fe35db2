"""What one leaf of the published log says to everybody, and what it only commits to.

A leaf is canonical JSON. Every event of the queue is a leaf; what an event decides on a claim that stood already is a
leaf of its own behind it (kind ``decision``). Public is what the law needs to decide again, and no instant: of a
claim's two instants only the order, the stage that e falls into and how many late windows were over (law 4). The rest
is sealed in ``commitment``: SHA-256 over its canonical JSON and 32 random bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from subsidy.events import EventKind
from subsidy.rules import Rules

DECISION = "decision"
SALT_BYTES = 32
MENDED = (EventKind.CORRECTED, EventKind.RELEASE)


@dataclass(slots=True)
class Window:
    """One stage's instants. ``settles_at`` stays as it was once the stage has settled."""

    opens_at: datetime
    closes_at: datetime
    settles_at: datetime
    settled: bool = False

    def to_json(self) -> list[Any]:
        """Return plain JSON."""
        return [utc(self.opens_at), utc(self.closes_at), utc(self.settles_at), self.settled]

    @classmethod
    def from_json(cls, plain: Sequence[Any]) -> Window:
        """Return the window written by to_json."""
        opens_at, closes_at, settles_at = (datetime.fromisoformat(text) for text in plain[:3])
        return cls(opens_at, closes_at, settles_at, plain[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A leaf before its salt: what everybody reads, and what the commitment seals."""

    event_no: int
    position: int | None
    public: dict[str, Any]
    rest: dict[str, Any]

    def entry(self, salt: bytes) -> str:
        """Return the leaf's text."""
        return canonical({**self.public, "commitment": commitment(rest=self.rest, salt=salt)})


def canonical(value: Any) -> str:
    """Return the one spelling of a JSON value: sorted keys, no spaces, characters as they are (UTF-8 once encoded)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def commitment(*, rest: dict[str, Any], salt: bytes) -> str:
    """Return SHA-256 (hex) over the canonical JSON of ``rest`` and the salt behind it."""
    return hashlib.sha256(canonical(rest).encode() + salt).hexdigest()


def utc(instant: datetime | None) -> str | None:
    """Return an instant as a leaf's rest spells it."""
    return None if instant is None else instant.astimezone(UTC).isoformat()


def windows_after(windows: Sequence[Window], rules: Rules) -> list[Window]:
    """Return the stages' windows once ``rules`` are in force."""
    found = []
    for index, stage in enumerate(rules.stages):
        settles_at = stage.closes_at + rules.late_window
        before = windows[index] if index < len(windows) else None
        if before is not None and before.settled:
            settles_at = before.settles_at
        found.append(Window(stage.opens_at, stage.closes_at, settles_at, before is not None and before.settled))
    return found


def stage_facts(windows: Sequence[Window], *, e: datetime, recorded_at: datetime) -> dict[str, Any]:
    """Return what the law asks of a claim's two instants, in numbers of stages.

    ``after_stage``: how many stages had closed by e. ``stage_of_e``: the stage that holds e, None before the first
    opening, between two stages and after the last closing. ``late_windows_over``: how many stages took no late
    record any more when the claim was recorded.
    """
    after = sum(window.closes_at <= e for window in windows)
    inside = after < len(windows) and windows[after].opens_at <= e
    return {
        "after_stage": after,
        "stage_of_e": after + 1 if inside else None,
        "late_windows_over": sum(window.settles_at <= recorded_at for window in windows),
    }


def earliest_touched(before: Sequence[Window], after: Sequence[Window]) -> datetime | None:
    """Return the instant from which on claims may stand otherwise under new windows; None where none can."""
    touched = [
        instant
        for old, new in zip(before, after, strict=False)
        if (old.closes_at, old.settles_at) != (new.closes_at, new.settles_at)
        for instant in (old.closes_at, old.settles_at, new.closes_at, new.settles_at)
    ]
    return min(touched, default=None)


def reclassified(claims: Sequence[Any], before: Sequence[Window], after: Sequence[Window]) -> list[list[int]]:
    """Return [position, after_stage, late_windows_over] of the claims that a version puts elsewhere, by position.

    A late window that ends later takes in records from a pause; a stage that a version closes at the very instant of
    a claim no longer holds it. Nobody could know without the instants, so the version's leaf says it.
    """
    changed = []
    for claim in claims:
        facts = [
            stage_facts(windows, e=claim.effective_at, recorded_at=claim.recorded_at) for windows in (before, after)
        ]
        was, now = ([each["after_stage"], each["late_windows_over"]] for each in facts)
        if was != now:
            changed.append([claim.position, *now])
    return sorted(changed)


def claim_leaf(*, event: Any, decision: Any, windows: Sequence[Window], token: str) -> Draft:
    """Return the leaf of a claim, its own first decision in it. ``event``: a queue_event row and its ``reference``."""
    public = {
        "event_no": event.event_no,
        "kind": EventKind.CLAIM.value,
        "position": event.position,
        **stage_facts(windows, e=event.effective_at, recorded_at=event.recorded_at),
        "eligible": event.refusal is None,
        "fault": event.fault is not None,
        "token": token,
        "outcome": decision.outcome,
        "amount_fen": decision.amount_fen,
    }
    rest = {
        "trade_in": event.reference,
        "effective_at": utc(event.effective_at),
        "recorded_at": utc(event.recorded_at),
        "refusal": event.refusal,
        "fault": event.fault,
        "evidence_sha256": bytes(event.evidence_sha256).hex() if event.evidence_sha256 else None,
        "decision": _decision_rest(decision),
    }
    return Draft(event_no=event.event_no, position=event.position, public=public, rest=rest)


def event_leaf(*, event: Any, changed: Sequence[Sequence[int]] = ()) -> Draft:
    """Return the leaf of any other event; ``changed`` is what ``reclassified`` gave for a version."""
    detail = dict(event.detail or {})
    public: dict[str, Any] = {"event_no": event.event_no, "kind": event.kind}
    if event.stage_no is not None:
        public["stage"] = event.stage_no
    if event.position is not None:
        public["position"] = event.position
    if event.kind in MENDED:
        public["refused"] = event.refusal is not None
    if event.kind == EventKind.VERSION:
        public["rules"] = detail.pop("rules")
        public["rules_sha256"] = Rules.from_json(public["rules"]).hash()
        public["reclassified"] = list(changed)
    rest = {
        "recorded_at": utc(event.recorded_at),
        "due_at": utc(event.due_at),
        "refusal": event.refusal,
        "detail": detail,
    }
    return Draft(event_no=event.event_no, position=event.position, public=public, rest=rest)


def decision_leaf(*, decision: Any, recorded_at: datetime) -> Draft:
    """Return the leaf of what an event decided on a claim that stood already."""
    public = {
        "event_no": decision.event_no,
        "kind": DECISION,
        "position": decision.position,
        "outcome": decision.outcome,
        "amount_fen": decision.amount_fen,
    }
    rest = {"recorded_at": utc(recorded_at), "decision": _decision_rest(decision)}
    return Draft(event_no=decision.event_no, position=decision.position, public=public, rest=rest)


def leaves_of(
    *,
    event: Any,
    decisions: Sequence[Any],
    windows: Sequence[Window],
    token: str = "",
    changed: Sequence[Sequence[int]] = (),
) -> Iterator[Draft]:
    """Yield the leaves of one event in their order: its own, then those of its decisions by position."""
    if event.kind == EventKind.CLAIM:
        yield claim_leaf(event=event, decision=decisions[0], windows=windows, token=token)
        return
    yield event_leaf(event=event, changed=changed)
    for decision in sorted(decisions, key=lambda row: int(row.position)):
        yield decision_leaf(decision=decision, recorded_at=event.recorded_at)


def _decision_rest(decision: Any) -> dict[str, Any]:
    return {
        "stage": decision.stage_no,
        "reason": decision.reason,
        "account": decision.account,
        "fault": decision.fault,
        "expires_at": utc(decision.expires_at),
        "overruled": decision.overruled,
    }
