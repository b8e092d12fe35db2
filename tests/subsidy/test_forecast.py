"""The forecast: steady arrivals, no arrivals, what moves on between stages, and the band against ten true curves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import psycopg
import pytest
from sqlalchemy.orm import Session

from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.backtest import CLOCK, SHAPES, trials
from loadtests.ready import one_stage
from subsidy.forecast import (
    Block,
    Course,
    StageForecast,
    StageOutlook,
    expected_arrivals,
    expected_next_day,
    forecast,
    run_through,
)
from subsidy.forecast_programme import forecast_programme
from subsidy.forecast_rate import HOUR, SHANGHAI, Arrivals, Pattern, learn_rate
from subsidy.programme import current_programme
from subsidy.queue import append_due
from tests.subsidy.programme_queue import complete_claims, create, stopped_at

NOON = datetime(2026, 6, 20, 4, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def outlook(
    number: int = 1, *, places_left: int, amount_fen: int = 30_000, opens: int = -10, closes: int = 20
) -> StageOutlook:
    return StageOutlook(
        number=number,
        amount_fen=amount_fen,
        places=3_000,
        places_left=places_left,
        opens_at=NOON + opens * DAY,
        closes_at=NOON + closes * DAY,
        settles_at=NOON + (closes + 1) * DAY,
    )


def daily(per_day: float, *, days: int = 10, growth: float = 1.0) -> Arrivals:
    """Arrivals in the clock's pattern, each day ``growth`` times the one before."""
    counts = []
    for back in range(days * 24):
        hour = (NOON - HOUR * (back + 0.5)).astimezone(SHANGHAI).hour
        counts.append(round(per_day * CLOCK[hour] / sum(CLOCK) * growth ** -(back // 24)))
    return Arrivals(now=NOON, by_hour=counts)


def one(arrivals: Arrivals, stage: StageOutlook, *, waiting: int = 0) -> StageForecast:
    (found,) = forecast(arrivals=arrivals, stages=(stage,), waiting=waiting)
    return found


def test_steady_arrivals_run_out_when_arithmetic_says() -> None:
    found = one(daily(240), outlook(places_left=1_200))
    assert found.earliest is not None
    assert found.likely is not None
    assert found.latest is not None
    assert found.earliest < found.likely < found.latest
    assert abs(found.likely - (NOON + 5 * DAY)) < 0.8 * DAY
    assert found.share > 0.95
    assert one(daily(240), outlook(places_left=1_200)) == found


def test_fewer_places_go_sooner_and_growing_arrivals_too() -> None:
    few, many = (one(daily(240), outlook(places_left=left)).likely for left in (600, 1_200))
    grown = one(daily(240, growth=1.12), outlook(places_left=1_200)).likely
    assert few is not None
    assert many is not None
    assert grown is not None
    assert few < many
    assert grown < many


def test_what_will_not_run_out_says_so() -> None:
    found = one(daily(10), outlook(places_left=1_200))
    assert (found.earliest, found.likely, found.latest, found.share) == (None, None, None, 0.0)


def test_nothing_has_arrived_or_the_stage_has_just_opened() -> None:
    assert one(Arrivals(now=NOON, by_hour=[0] * 48), outlook(places_left=100)).likely is None
    assert one(Arrivals(now=NOON, by_hour=[300]), outlook(places_left=100, opens=0)).likely is not None
    assert forecast(arrivals=daily(10), stages=(), waiting=0) == ()


def test_who_was_too_late_takes_the_places_of_the_next_stage() -> None:
    stages = (outlook(places_left=240), outlook(2, places_left=300, amount_fen=20_000, opens=20, closes=40))
    first, second = forecast(arrivals=daily(240), stages=stages, waiting=0)
    assert first.likely is not None
    assert second.likely == second.earliest == stages[1].opens_at
    sold_out, at_once = forecast(arrivals=daily(240), stages=(outlook(places_left=0), stages[1]), waiting=400)
    assert sold_out.likely == NOON
    assert at_once.likely == stages[1].opens_at


def flat(per_day: int, days: int) -> Course:
    blocks = [Block(first, tuple(float(hour) for hour in range(1, 25)), 0.0) for first in range(0, days * 24, 24)]
    return Course(blocks, [float(per_day * (day + 1)) for day in range(days)])


@pytest.mark.parametrize(
    ("places", "waiting", "expected"),
    [
        # 24 a day: 48 go in two days; of stage 2's 100 places 20 × 24 − 48 are asked for at its opening already.
        ((48, 100), 0, [48.0, 480.0]),
        # Stage 1 keeps 20 of 500 places: 20 × 300 yuan are 30 places of stage 2, which has 70 more: 100 last 100 hours.
        ((500, 70), 0, [float("inf"), 480.0 + 100.0]),
        # Ten wait: they take ten of the 58.
        ((58, 1_000), 10, [48.0, float("inf")]),
    ],
)
def test_a_course_passes_through_the_stages(places: Sequence[int], waiting: int, expected: list[float]) -> None:
    stages = (
        outlook(places_left=places[0], opens=0),
        outlook(2, places_left=places[1], amount_fen=20_000, opens=20, closes=40),
    )
    assert run_through(flat(24, 60), stages, waiting, NOON) == pytest.approx(expected)


def test_the_likely_arrivals_keep_the_rate_and_the_hours() -> None:
    stages = (outlook(places_left=9_000),)
    arrivals = list(expected_arrivals(arrivals=daily(240), stages=stages, until=NOON + 2 * DAY))
    assert 400 < len(arrivals) < 560
    assert all(one < other for one, other in pairwise(arrivals))
    assert arrivals[0] > NOON
    assert arrivals[-1] < NOON + 2 * DAY
    by_night = sum(instant.astimezone(SHANGHAI).hour < 6 for instant in arrivals)
    assert by_night < len(arrivals) / 20
    first_day = sum(instant < NOON + DAY for instant in arrivals)
    assert expected_next_day(arrivals=daily(240), stages=stages) == first_day > 200
    assert expected_next_day(arrivals=daily(240), stages=()) == 0


def test_the_pattern_is_learned_and_the_rate_is_found_again() -> None:
    arrivals = daily(480, days=21)
    pattern = Pattern(arrivals)
    weights = [pattern.weight(-1 - back) for back in range(168)]
    assert sum(weights) == pytest.approx(168, rel=0.02)
    assert learn_rate(arrivals=arrivals, pattern=pattern).trend == pytest.approx(0, abs=0.02)
    growing = daily(480, days=21, growth=1.1)
    assert learn_rate(arrivals=growing, pattern=Pattern(growing)).trend == pytest.approx(0.095, abs=0.03)


def test_the_band_holds_the_true_instant_in_eight_of_ten_curves() -> None:
    told = list(trials(curves=10))
    assert {trial.shape for trial in told} == set(SHAPES)
    assert sum(trial.inside for trial in told) >= 8
    assert all(trial.told.share == 0 or trial.told.earliest is not None or trial.told.share < 0.2 for trial in told)


def test_a_programme_of_ten_thousand_claims_is_quick() -> None:
    random = Random(1)
    arrivals = replace(
        daily(350, days=30), by_hour=[count + random.randrange(3) for count in daily(330, days=30).by_hour]
    )
    assert sum(arrivals.by_hour) > 9_500
    stages = [
        outlook(number, places_left=3_000, opens=30 * number - 40, closes=30 * number - 10) for number in (1, 2, 3)
    ]
    seconds = []
    for _ in range(5):
        began = time.thread_time()
        forecast(arrivals=arrivals, stages=stages, waiting=0)
        seconds.append(time.thread_time() - began)
    assert min(seconds) < 0.2


def test_a_stage_without_end_is_foretold_as_far_as_one_can_see() -> None:
    found = one(daily(1), replace(outlook(places_left=3_000), closes_at=NOON + 300 * 365 * DAY))
    assert found.likely is None


def test_a_programme_on_the_database(settings: Settings, session: Session) -> None:
    rules = one_stage(now=NOON, places=100)
    opens_at, closes_at = rules.stages[0].opens_at, NOON + 20 * DAY
    rules = replace(rules, stages=(replace(rules.stages[0], closes_at=closes_at),))
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        create(connection, rules=rules, now=NOON)
        programme = current_programme(session=session)
        nothing = forecast_programme(session=session, programme=programme, now=NOON + HOUR)
        assert (nothing.arrivals, nothing.stages[0].forecast, nothing.stages[0].places_left) == (0, None, 100)
        for day in range(4):
            complete_claims(connection, settings.keyring, count=15, first=1 + 15 * day, now=NOON + day * DAY)
        session.rollback()
        session.refresh(programme)
        found = forecast_programme(session=session, programme=programme, now=NOON + 3 * DAY + HOUR)
        (stage,) = found.stages
        assert (found.arrivals, stage.places_left, stage.ran_out_at) == (60, 40, None)
        assert stage.forecast is not None
        assert stage.forecast.likely is not None
        assert NOON + 4 * DAY < stage.forecast.likely < NOON + 9 * DAY
        assert 8 <= found.expected_next_day <= 25
        complete_claims(connection, settings.keyring, count=41, first=200, now=NOON + 5 * DAY)
        session.rollback()
        session.refresh(programme)
        (stage,) = forecast_programme(session=session, programme=programme, now=NOON + 5 * DAY + HOUR).stages
        assert (stage.places_left, stage.forecast) == (0, None)
        assert stage.ran_out_at is not None
        assert abs(stage.ran_out_at - NOON - 5 * DAY) < timedelta(minutes=5)
        append_due(connection=connection, clock=stopped_at(closes_at + 3 * DAY))
    session.rollback()
    session.refresh(programme)
    over = forecast_programme(session=session, programme=programme, now=closes_at + 3 * DAY)
    assert over.stages[0].forecast is None
    assert opens_at < closes_at
