"""``python -m loadtests.backtest``: does the forecast's band hold the true instant? Fifty seeded arrival curves.

Each curve is a programme of one stage of thirty days with 3,000 places and arrivals of one of five shapes, by day and
week as points work. It is cut at a random moment between two days after the opening and the last tenth of its places;
the forecast sees the arrivals before the cut alone. The true instant is that at which the last place goes, or «not
before the closing». The goal is 80 per cent inside the band.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from subsidy.forecast import StageForecast, StageOutlook, forecast
from subsidy.forecast_rate import HOUR, SHANGHAI, Arrivals

SHAPES = ("steady", "rush at opening", "rush at the end", "weekly", "drift")
GOAL = 0.8
CURVES = 50
OPENS = datetime(2026, 6, 14, 16, tzinfo=UTC)
HOURS = 30 * 24
CLOCK = [0.05] * 7 + [0.4, 1.2, 2.0, 2.4, 2.2, 1.5, 1.7, 2.2, 2.4, 2.1, 1.5, 1.0, 0.7, 0.4, 0.2, 0.1, 0.05]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One curve, cut: what was forecast, what came."""

    seed: int
    shape: str
    elapsed: float
    told: StageForecast
    truth: datetime | None
    seconds: float

    @property
    def inside(self) -> bool:
        """Whether the true instant lies in the band; «not before the closing» is later than any instant."""
        latest = datetime.max.replace(tzinfo=UTC)
        low, high = self.told.earliest or latest, self.told.latest or latest
        return low <= (self.truth or latest) <= high


def trials(*, curves: int = CURVES, first_seed: int = 1) -> Iterator[Trial]:
    """Yield one trial a seed, the shapes in turn."""
    for seed in range(first_seed, first_seed + curves):
        yield one_trial(seed)


def one_trial(seed: int) -> Trial:
    """Draw a curve, cut it, forecast, and look what came."""
    random = Random(seed)
    shape = SHAPES[seed % len(SHAPES)]
    places = random.choice((800, 2_560, 6_000))
    counts = draw_counts(random, shape, places * random.uniform(0.9, 1.8))
    arrivals = sorted(
        OPENS + HOUR * (hour + random.random()) for hour, count in enumerate(counts) for _ in range(count)
    )
    truth = arrivals[places - 1] if len(arrivals) >= places else None
    last_cut = (
        arrivals[int(places * 0.9) - 1] if len(arrivals) >= places * 0.9 else OPENS + HOUR * HOURS * 0.9
    ) - OPENS
    earliest_cut = timedelta(days=2)
    cut = OPENS + earliest_cut + max(last_cut - earliest_cut, timedelta(0)) * random.random()
    seen = [instant for instant in arrivals if instant < cut]
    by_hour = [0] * math.ceil((cut - OPENS) / HOUR)
    for instant in seen:
        by_hour[int((cut - instant) / HOUR)] += 1
    stage = StageOutlook(
        number=1,
        amount_fen=30_000,
        places=places,
        places_left=places - len(seen),
        opens_at=OPENS,
        closes_at=OPENS + HOUR * HOURS,
        settles_at=OPENS + HOUR * (HOURS + 24),
    )
    began = time.perf_counter()
    (told,) = forecast(arrivals=Arrivals(now=cut, by_hour=by_hour), stages=(stage,), waiting=0)
    seconds = time.perf_counter() - began
    return Trial(seed=seed, shape=shape, elapsed=(cut - OPENS) / HOUR / HOURS, told=told, truth=truth, seconds=seconds)


def draw_counts(random: Random, shape: str, expected: float) -> list[int]:
    """Return arrivals by hour over the stage's thirty days, ``expected`` in all, in the given shape."""
    week = [1.0] * 5 + ([1.0, 1.0] if shape != "weekly" else [random.uniform(0.2, 2.2)] * 2)
    peak, steep = random.uniform(2, 8), random.uniform(1.5, 5)
    wander = 0.0
    rates = []
    for hour in range(HOURS):
        local = (OPENS + HOUR * hour).astimezone(SHANGHAI)
        day = hour / 24
        if hour % 24 == 0:
            wander += random.gauss(0, 0.22 if shape == "drift" else 0.05)
        rate = CLOCK[local.hour] * week[local.weekday()] * math.exp(wander)
        if shape == "rush at opening":
            rate *= 1 + peak * math.exp(-day / steep)
        elif shape == "rush at the end":
            rate *= 1 + (peak / 3) * math.exp((day - 30) / steep)
        rates.append(rate)
    scale = expected / sum(rates)
    return [poisson(random, rate * scale) for rate in rates]


def poisson(random: Random, mean: float) -> int:
    """Draw a Poisson count, the large ones piece by piece."""
    count = 0
    while mean > 0:
        piece = min(mean, 20.0)
        limit, product = math.exp(-piece), random.random()
        while product > limit:
            product *= random.random()
            count += 1
        mean -= piece
    return count


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.backtest", description=__doc__)
    parser.add_argument("--curves", type=int, default=CURVES)
    parser.add_argument("--first-seed", type=int, default=1)
    asked = parser.parse_args()
    inside: Counter[str] = Counter()
    total: Counter[str] = Counter()
    slowest = 0.0
    print(f"{'seed':>5}  {'shape':<16} {'cut at':>6}  {'earliest':<14} {'likely':<14} {'latest':<14} {'true':<14}")
    for trial in trials(curves=asked.curves, first_seed=asked.first_seed):
        total[trial.shape] += 1
        inside[trial.shape] += trial.inside
        slowest = max(slowest, trial.seconds)
        told = trial.told
        columns = " ".join(f"{_moment(at):<14}" for at in (told.earliest, told.likely, told.latest, trial.truth))
        mark = "in" if trial.inside else "OUT"
        print(f"{trial.seed:>5}  {trial.shape:<16} {trial.elapsed:>6.0%}  {columns} {mark}")
    for shape in SHAPES:
        print(f"{shape:<16} {inside[shape]} of {total[shape]}", file=sys.stderr)
    share = sum(inside.values()) / sum(total.values())
    met = share >= GOAL
    print(json.dumps({"name": "backtest", "inside": share, "goal": GOAL, "met": met, "slowest_s": round(slowest, 3)}))
    return 0 if met else 1


def _moment(instant: datetime | None) -> str:
    return "not before" if instant is None else f"{instant.astimezone(SHANGHAI):%d %b %H:%M}"


if __name__ == "__main__":
    sys.exit(main())
