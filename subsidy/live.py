"""The live state of a programme: what is open, how much, how many places are left. One read of the queue's head."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from subsidy.ledger import balances
from subsidy.pausing import PauseReason, pause_reason
from subsidy.programme import Programme
from subsidy.state import Phase, StageState, State


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStage:
    """One stage as of the live state's instant. Money in fen, instants aware UTC.

    ``places_left`` is what can still be had: never more than the free money pays for. ``total_fen`` is what the stage
    has been given (its budget and what was carried in, less what moved on): always equal to
    ``paid_fen + committed_fen + held_fen + free_fen``.
    """

    number: int
    amount_fen: int
    places: int
    places_left: int
    budget_fen: int
    total_fen: int
    free_fen: int
    held: int
    held_fen: int
    awarded: int
    committed_fen: int
    paid_fen: int
    carried_in_fen: int
    moved_fen: int
    opens_at: datetime
    closes_at: datetime
    settles_at: datetime
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """A programme as of ``as_of``. ``current`` is the number of the open stage, None between and after stages.

    ``next_opening`` is the number of the next stage to open, None where none will. ``pause`` tells the public why and
    since when the programme is paused, None where it is not, or no reason was recorded.
    """

    programme_code: str
    name_zh: str
    name_en: str
    as_of: datetime
    paused: bool
    ended: bool
    stages: tuple[LiveStage, ...]
    current: int | None
    next_opening: int | None
    claims: int
    waiting: int
    held: int
    pause: PauseReason | None = None

    @property
    def current_stage(self) -> LiveStage | None:
        """The open stage, None where none is."""
        return None if self.current is None else self.stages[self.current - 1]


def live_state(*, session: Session, programme: Programme, now: datetime) -> LiveState:
    """Return the programme's live state.

    Whatever boundary has fallen due by ``now`` but stands not yet in the queue shows as phase all the same.
    """
    state = State.from_core_json(programme.head) if programme.head is not None else State()
    accounts = balances(session=session, programme_id=programme.id)
    stages = tuple(_live_stage(state, stage, accounts, now) for stage in state.stages)
    return LiveState(
        programme_code=programme.code,
        name_zh=programme.name_zh,
        name_en=programme.name_en,
        as_of=now,
        paused=state.paused,
        ended=state.ended,
        stages=stages,
        current=next((stage.number for stage in stages if stage.phase == Phase.OPEN), None),
        next_opening=next((stage.number for stage in stages if stage.phase == Phase.FUTURE), None),
        claims=state.position,
        waiting=state.waiting_count,
        held=state.held_count,
        pause=pause_reason(session=session, programme_id=programme.id) if state.paused else None,
    )


def _live_stage(state: State, stage: StageState, accounts: dict[str, int], now: datetime) -> LiveStage:
    assert state.rules is not None
    rules = state.rules.stages[stage.number - 1]
    free_fen = accounts.get(stage.account, 0)
    committed_fen = accounts.get(stage.committed_account, 0)
    held_fen = accounts.get(stage.held_account, 0)
    paid_fen = accounts.get(f"paid:{stage.number}", 0)
    return LiveStage(
        number=stage.number,
        amount_fen=stage.amount_fen,
        places=rules.places + stage.carried_places,
        places_left=min(stage.places_left, stage.money_fen // stage.amount_fen),
        budget_fen=rules.budget_fen,
        total_fen=free_fen + committed_fen + held_fen + paid_fen,
        free_fen=free_fen,
        held=stage.held_count,
        held_fen=held_fen,
        awarded=stage.awarded_count,
        committed_fen=committed_fen,
        paid_fen=paid_fen,
        carried_in_fen=stage.carried_in_fen,
        moved_fen=stage.carried_out_fen,
        opens_at=stage.opens_at,
        closes_at=stage.closes_at,
        settles_at=stage.settles_at,
        phase=_phase(stage, now),
    )


def _phase(stage: StageState, now: datetime) -> str:
    """The stage's phase by the clock where the queue has not caught up, by the queue where it has gone further."""
    phases = (Phase.FUTURE, Phase.OPEN, Phase.CLOSED, Phase.SETTLED)
    passed = sum(instant <= now for instant in (stage.opens_at, stage.closes_at))
    return phases[max(phases.index(stage.phase), passed)].value
