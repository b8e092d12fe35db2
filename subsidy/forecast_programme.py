"""The forecast of one programme: its arrivals and stages as the database has them (the method: forecast.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from subsidy.forecast import StageForecast, StageOutlook, expected_next_day, forecast
from subsidy.forecast_rate import HOUR, Arrivals
from subsidy.programme import Programme
from subsidy.state import Phase, StageState, State

# Claims that asked for a place: those declined for lack of one count, those that no stage could ever have paid do not.
ARRIVALS = text(
    """
    SELECT floor(extract(epoch FROM :now - recorded_at) / 3600)::int AS hours_back, count(*) AS arrivals
    FROM claim
    WHERE programme_id = :programme_id AND recorded_at < :now AND recorded_at >= :since
      AND (state <> 'declined' OR reason IN ('no_money', 'correction_expired'))
    GROUP BY hours_back
    """
)
LAST_TAKEN = text(
    """
    SELECT stage_no, max(recorded_at) AS at FROM claim
    WHERE programme_id = :programme_id AND state IN ('awarded', 'held') GROUP BY stage_no
    """
)
LONGEST_LOOK_BACK = timedelta(days=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePrediction:
    """One stage: how it stands, and when its last place went or will go.

    ``ran_out_at`` is the instant of the claim that took the last place of an open or closed stage, None where places
    are left. ``forecast`` is None where the stage is over, has run out, or nothing has arrived yet to learn from.
    """

    number: int
    phase: Phase
    places_left: int
    ran_out_at: datetime | None
    forecast: StageForecast | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgrammeForecast:
    """A programme's forecast as of an instant. ``arrivals`` so far, and those to be expected in the next 24 hours."""

    as_of: datetime
    arrivals: int
    expected_next_day: int
    stages: tuple[StagePrediction, ...]


def forecast_programme(*, session: Session, programme: Programme, now: datetime) -> ProgrammeForecast:
    """Return when each stage of the programme will run out. A pause is taken to end at once."""
    state = State.from_core_json(programme.head) if programme.head is not None else State()
    arrivals = arrivals_before(session=session, programme_id=programme.id, state=state, now=now)
    outlooks = outlooks_of(state=state, now=now)
    seen = sum(arrivals.by_hour)
    told: dict[int, StageForecast] = {}
    tomorrow = 0
    if seen and not state.ended:
        found = forecast(arrivals=arrivals, stages=outlooks, waiting=state.waiting_count)
        told = {one.number: one for one in found}
        tomorrow = expected_next_day(arrivals=arrivals, stages=outlooks)
    rows = session.execute(LAST_TAKEN, {"programme_id": programme.id})
    taken: dict[int, datetime] = {row.stage_no: row.at for row in rows}
    return ProgrammeForecast(
        as_of=now,
        arrivals=seen,
        expected_next_day=tomorrow,
        stages=tuple(_prediction(stage, told.get(stage.number), taken.get(stage.number)) for stage in state.stages),
    )


def arrivals_before(*, session: Session, programme_id: int, state: State, now: datetime) -> Arrivals:
    """Return the programme's arrivals by the hour, from its first opening on, at most four months back."""
    if not state.stages or state.stages[0].opens_at >= now:
        return Arrivals(now=now, by_hour=())
    since = max(state.stages[0].opens_at, now - LONGEST_LOOK_BACK)
    by_hour = [0] * math.ceil((now - since) / HOUR)
    rows = session.execute(ARRIVALS, {"programme_id": programme_id, "now": now, "since": since})
    for row in rows:
        by_hour[min(row.hours_back, len(by_hour) - 1)] += row.arrivals
    return Arrivals(now=now, by_hour=by_hour)


def outlooks_of(*, state: State, now: datetime) -> tuple[StageOutlook, ...]:
    """Return the stages that have not closed; what a closed stage has still to settle counts with the next one."""
    assert state.rules is not None or not state.stages
    outlooks = []
    carried_fen = sum(stage.money_fen for stage in state.stages if stage.phase is Phase.CLOSED)
    for stage in state.stages:
        if stage.phase not in (Phase.FUTURE, Phase.OPEN) or stage.closes_at <= now or state.rules is None:
            continue
        places_left = payable(stage) + carried_fen // stage.amount_fen
        carried_fen = 0
        outlooks.append(
            StageOutlook(
                number=stage.number,
                amount_fen=stage.amount_fen,
                places=state.rules.stages[stage.number - 1].places + stage.carried_places,
                places_left=places_left,
                opens_at=stage.opens_at,
                closes_at=stage.closes_at,
                settles_at=stage.settles_at,
            )
        )
    return tuple(outlooks)


def payable(stage: StageState) -> int:
    """Return how many places the stage can still pay."""
    return min(stage.places_left, stage.money_fen // stage.amount_fen)


def _prediction(stage: StageState, told: StageForecast | None, last_taken: datetime | None) -> StagePrediction:
    over = stage.phase in (Phase.CLOSED, Phase.SETTLED)
    ran_out = stage.phase is not Phase.FUTURE and not stage.can_pay()
    # A settled stage has no places either way: it ran out where nothing was left to move on.
    if stage.phase is Phase.SETTLED and stage.carried_out_fen >= stage.amount_fen:
        ran_out = False
    return StagePrediction(
        number=stage.number,
        phase=stage.phase,
        places_left=payable(stage),
        ran_out_at=last_taken if ran_out else None,
        forecast=None if over or ran_out else told,
    )
