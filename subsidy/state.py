"""Where a programme's queue stands after an event: a small core, and working sets of single claims beside it.

The core (stages, counts, sums) fits in one JSON column and is all that a batch of plain claims needs, together with
the counts of the persons in it. Other events need single claims: ``State.load`` brings them in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from subsidy.events import ClaimFacts, Decision, Outcome
from subsidy.rules import Rules, StageRules

RESERVE = "reserve"
APPROPRIATION = "appropriation"
NO_PLACE = "no_place"
PAUSED = "paused"
WAITING_REASONS = frozenset({NO_PLACE, PAUSED})
DAWN = datetime(1, 1, 1, tzinfo=UTC)


class Phase(StrEnum):
    """A stage's phase: future → open → closed (its late window runs) → settled."""

    FUTURE = "future"
    OPEN = "open"
    CLOSED = "closed"
    SETTLED = "settled"


class IncompleteState(Exception):
    """Folding needs single claims that were not loaded. Load the working sets (State.load) and fold again."""


class OutOfOrder(ValueError):
    """An event cannot follow what came before it: the log, or the code that wrote it, is broken."""


class Waiting(NamedTuple):
    """A claim in the line. ``refusal``: it will be declined so on resume. ``owed_stage``: it was overruled while the
    reserve was empty, is owed that stage's amount and goes first in the line."""

    position: int
    person_id: int
    effective_at: datetime
    recorded_at: datetime
    refusal: str | None = None
    fault: str | None = None
    owed_stage: int | None = None
    overruled: bool = False


class Held(NamedTuple):
    """A claim whose place and money are reserved. ``expires_at`` is None for a staff hold. ``account``: "held:1"."""

    position: int
    person_id: int
    effective_at: datetime
    recorded_at: datetime
    stage: int
    amount_fen: int
    account: str
    expires_at: datetime | None
    overruled: bool = False


class Award(NamedTuple):
    """A claim that is paid ``amount_fen``; ``account`` says from which purse ("committed:1", "committed:reserve")."""

    position: int
    person_id: int
    effective_at: datetime
    recorded_at: datetime
    stage: int
    amount_fen: int
    account: str
    overruled: bool = False


class Declined(NamedTuple):
    """A claim that is not paid. ``stage`` would have paid it; None where it would have waited."""

    position: int
    person_id: int
    effective_at: datetime
    recorded_at: datetime
    reason: str
    stage: int | None
    overruled: bool = False


@dataclass(slots=True)
class StageState:
    """One stage as it stands. Sums in fen. ``money_fen`` is free money, ``places_left`` what it may still serve.

    ``rest_fen`` is carried money too small for a place so far. ``reach`` is the last position that the stage has paid,
    or would have paid had it waited: it tells an overruled claim what its position would have had.
    """

    number: int
    amount_fen: int
    opens_at: datetime
    closes_at: datetime
    settles_at: datetime
    places_left: int = 0
    money_fen: int = 0
    phase: Phase = Phase.FUTURE
    awarded_count: int = 0
    awarded_fen: int = 0
    held_count: int = 0
    held_fen: int = 0
    carried_in_fen: int = 0
    carried_out_fen: int = 0
    carried_places: int = 0
    rest_fen: int = 0
    reach: int = 0
    account: str = field(init=False, repr=False)
    committed_account: str = field(init=False, repr=False)
    held_account: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.account = f"stage:{self.number}"
        self.committed_account = f"committed:{self.number}"
        self.held_account = f"held:{self.number}"

    def can_pay(self) -> bool:
        """Say whether there is a place and money for the whole amount (law 5)."""
        return self.places_left > 0 and self.money_fen >= self.amount_fen


STAGE_FIELDS = [item.name for item in fields(StageState) if item.init]
INSTANTS = ("opens_at", "closes_at", "settles_at")


@dataclass(slots=True)
class State:
    """A programme's queue after ``event_no``. A new State() is the empty queue before its first version.

    ``position`` and ``recorded_at`` are the last claim's and event's, ``moved_at`` the last event's own due instant,
    ``earliest_expiry`` the first instant at which a held claim expires (None: none will).
    ``loaded``: ``waiting`` and ``held`` hold every such claim, and ``person_counts`` everyone in them; ``awards`` and
    ``declines`` hold at least the claims that the next events name. ``complete``: all four hold every claim.
    """

    rules: Rules | None = None
    event_no: int = 0
    position: int = 0
    recorded_at: datetime = DAWN
    moved_at: datetime = DAWN
    paused: bool = False
    ended: bool = False
    reserve_fen: int = 0
    reserve_awarded_fen: int = 0
    reserve_held_fen: int = 0
    waiting_count: int = 0
    held_count: int = 0
    earliest_expiry: datetime | None = None
    stages: list[StageState] = field(default_factory=list)
    open_stage: StageState | None = None
    waiting: dict[int, Waiting] = field(default_factory=dict)
    held: dict[int, Held] = field(default_factory=dict)
    awards: dict[int, Award] = field(default_factory=dict)
    declines: dict[int, Declined] = field(default_factory=dict)
    person_counts: dict[int, int] = field(default_factory=dict)
    loaded: bool = True
    complete: bool = True

    def core_to_json(self) -> dict[str, Any]:
        """Return the core as plain JSON; the working sets are not in it."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in CORE_FIELDS}
        plain["recorded_at"] = self.recorded_at.isoformat()
        plain["moved_at"] = self.moved_at.isoformat()
        plain["earliest_expiry"] = self.earliest_expiry.isoformat() if self.earliest_expiry else None
        plain["rules"] = self.rules.to_json() if self.rules else None
        plain["stages"] = [stage_to_json(stage) for stage in self.stages]
        return plain

    @classmethod
    def from_core_json(cls, plain: dict[str, Any]) -> State:
        """Return the state written by core_to_json with empty working sets: neither loaded nor complete."""
        state = cls(**{name: plain[name] for name in CORE_FIELDS}, loaded=False, complete=False)
        state.recorded_at = datetime.fromisoformat(plain["recorded_at"])
        state.moved_at = datetime.fromisoformat(plain["moved_at"])
        if plain["earliest_expiry"]:
            state.earliest_expiry = datetime.fromisoformat(plain["earliest_expiry"])
        state.rules = Rules.from_json(plain["rules"]) if plain["rules"] else None
        state.stages = [stage_from_json(stage) for stage in plain["stages"]]
        state.open_stage = next((stage for stage in state.stages if stage.phase is Phase.OPEN), None)
        return state

    def load(self, claims: Iterable[tuple[ClaimFacts, datetime, Decision]], *, complete: bool = False) -> None:
        """Bring in single claims: each one's facts, its recorded_at, and its LATEST decision.

        Pass every waiting and held claim, and each claim that the next events name; ``complete`` says that every
        claim of the queue was passed. ``person_counts`` of everyone in them have to be set beside.
        """
        for facts, recorded_at, decision in claims:
            self.restore(facts, recorded_at, decision)
        self.sort_line()
        self.loaded = True
        self.complete = complete

    def restore(self, facts: ClaimFacts, recorded_at: datetime, decision: Decision) -> None:
        """Put one claim into the working set in which its latest decision left it."""
        who = (facts.position, facts.person_id, facts.effective_at, recorded_at)
        stage, amount_fen, reason = decision.stage, decision.amount_fen, decision.reason
        if decision.outcome is Outcome.WAITING:
            refusal = None if reason in WAITING_REASONS else reason
            self.waiting[facts.position] = Waiting(*who, refusal, decision.fault, stage, decision.overruled)
            return
        if decision.outcome is Outcome.DECLINE:
            self.declines[facts.position] = Declined(*who, reason or "", stage, decision.overruled)
            return
        if stage is None or decision.account is None:
            raise OutOfOrder(f"position {facts.position}: {decision.outcome} without stage and account")
        paid = (*who, stage, amount_fen, decision.account)
        if decision.outcome is Outcome.HELD:
            self.held[facts.position] = Held(*paid, decision.expires_at, decision.overruled)
        else:
            self.awards[facts.position] = Award(*paid, decision.overruled)

    def sort_line(self) -> None:
        """Bring the line into its order: overruled claims that are owed money first, then by position."""
        self.waiting = {claim.position: claim for claim in sorted(self.waiting.values(), key=line_order)}


CORE_FIELDS = (
    "event_no",
    "position",
    "paused",
    "ended",
    "reserve_fen",
    "reserve_awarded_fen",
    "reserve_held_fen",
    "waiting_count",
    "held_count",
)


def line_order(claim: Waiting) -> tuple[bool, int]:
    """Order of the line (laws 6 and 10)."""
    return (claim.owed_stage is None, claim.position)


def new_stage(rules: StageRules, settles_at: datetime) -> StageState:
    """Return the stage before any money has come to it."""
    return StageState(rules.number, rules.amount_fen, rules.opens_at, rules.closes_at, settles_at)


def stage_to_json(stage: StageState) -> dict[str, Any]:
    """Return one stage as plain JSON."""
    plain = {name: getattr(stage, name) for name in STAGE_FIELDS}
    for name in INSTANTS:
        plain[name] = plain[name].isoformat()
    plain["phase"] = stage.phase.value
    return plain


def stage_from_json(plain: dict[str, Any]) -> StageState:
    """Return the stage written by stage_to_json."""
    values = dict(plain)
    for name in INSTANTS:
        values[name] = datetime.fromisoformat(values[name])
    values["phase"] = Phase(values["phase"])
    return StageState(**values)
