"""How quickly claims arrive: the weight of each hour of the week, and level, trend and drift of the rate (forecast.py).

Standard library only. Counts come by hour, the latest first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from random import Random

# All of Shanghai's offset that a pattern needs: no summer time since 1991.
SHANGHAI = timezone(timedelta(hours=8))
HOUR = timedelta(hours=1)
# What is believed of the hours from 0 to 23 before anything was seen: points and police work by day.
WORKING_DAY = (*[0.1] * 7, 0.5, *[2.0] * 10, 1.2, 1.0, 0.6, 0.3, 0.1, 0.1)
BELIEVED = tuple(weight * 24 / sum(WORKING_DAY) for weight in WORKING_DAY)
# How many arrivals outweigh what is believed of an hour of the day, of a day of the week.
BELIEF_HOUR, BELIEF_DAY = 4.0, 12.0
LEAST_WEIGHT = 0.01
FORGETS_AFTER_DAYS = 5.0
# Standard deviations believed beforehand, in log units: of the trend in a day, of the drift from day to day.
TREND_BELIEF, DRIFT_BELIEF = 0.2, 0.18
DRIFT_BELIEF_DAYS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Arrivals before ``now``: ``by_hour[0]`` counts those of the hour before it, ``by_hour[1]`` of the one before."""

    now: datetime
    by_hour: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The logarithm of arrivals in an hour of weight 1 at now, and its trend a day; their uncertainty, and the drift.

    ``deviation`` is that of the level, ``trend_by_level`` and ``trend_deviation`` give the trend where the level is
    known; ``drift`` is the standard deviation of what a day adds by chance.
    """

    level: float
    trend: float
    deviation: float
    trend_by_level: float
    trend_deviation: float
    drift: float

    def draw(self, random: Random) -> tuple[float, float]:
        """Return a level and a trend that the arrivals allow."""
        off = random.gauss(0, self.deviation)
        return self.level + off, self.trend + self.trend_by_level * off + random.gauss(0, self.trend_deviation)


class Pattern:
    """The weight of each hour of the week, on average about 1; learned from arrivals, shrunk to what is believed."""

    def __init__(self, arrivals: Arrivals) -> None:
        local = (arrivals.now - HOUR / 2).astimezone(SHANGHAI)
        self._last = local.weekday() * 24 + local.hour
        by_clock, seen_clock = [0.0] * 24, [0.0] * 24
        by_day, seen_day = [0.0] * 7, [0.0] * 7
        for back, count in enumerate(arrivals.by_hour):
            day, clock = divmod((self._last - back) % 168, 24)
            by_clock[clock] += count
            seen_clock[clock] += 1
            by_day[day] += count
            seen_day[day] += 1
        self._clock = shrunk(by_clock, seen_clock, BELIEVED, BELIEF_HOUR)
        week = sum(seen_day) >= 168
        self._day = shrunk(by_day, seen_day, (1.0,) * 7, BELIEF_DAY) if week else [1.0] * 7

    def weight(self, hours_ahead: int) -> float:
        """Return the weight of the hour that begins that many hours from now; -1 is the last one gone by."""
        day, clock = divmod((self._last + 1 + hours_ahead) % 168, 24)
        return self._clock[clock] * self._day[day]


def shrunk(counts: Sequence[float], seen: Sequence[float], believed: Sequence[float], belief: float) -> list[float]:
    """Return weights of mean 1: counts by what was believed of the hours seen, mixed with ``belief`` arrivals of it."""
    expected = sum(weight * hours for weight, hours in zip(believed, seen, strict=True))
    rate = sum(counts) / expected if expected else 0.0
    weights = [
        (count + belief * weight) / (hours * rate + belief)
        for count, hours, weight in zip(counts, seen, believed, strict=True)
    ]
    mean = sum(weights) / len(weights)
    return [max(LEAST_WEIGHT, weight / mean) for weight in weights]


def learn_rate(*, arrivals: Arrivals, pattern: Pattern) -> Rate:
    """Return the rate at now: a regression of each day's log rate on its age, recent days weighing more.

    Days are pieces of 24 hours back from now. A day counts as exactly as its arrivals are many and the drift is small;
    the trend is held near zero by what is believed of it.
    """
    days = _days(arrivals, pattern)
    drift = _drift(days)
    # Normal equations of y = level − trend × age with weights; the trend's belief is one more observation of it.
    sum_w = sum_x = sum_xx = sum_y = sum_xy = 0.0
    for age, y, count in days:
        forgets = math.exp(age / FORGETS_AFTER_DAYS)
        w = 1 / ((1 / (count + 0.5) + drift * drift) * forgets)
        x = -age
        sum_w, sum_x, sum_xx = sum_w + w, sum_x + w * x, sum_xx + w * x * x
        sum_y, sum_xy = sum_y + w * y, sum_xy + w * x * y
    sum_xx += 1 / TREND_BELIEF**2
    determinant = sum_w * sum_xx - sum_x * sum_x
    level = (sum_xx * sum_y - sum_x * sum_xy) / determinant
    trend = (sum_w * sum_xy - sum_x * sum_y) / determinant
    level_variance, trend_variance = sum_xx / determinant, sum_w / determinant
    covariance = -sum_x / determinant
    rest = max(0.0, trend_variance - covariance**2 / level_variance)
    return Rate(
        level=level,
        trend=trend,
        deviation=math.sqrt(level_variance),
        trend_by_level=covariance / level_variance,
        trend_deviation=math.sqrt(rest),
        drift=drift,
    )


def _days(arrivals: Arrivals, pattern: Pattern) -> list[tuple[float, float, int]]:
    """(age in days, log rate, arrivals) of each piece of 24 hours before now; the oldest may be shorter."""
    days: list[tuple[float, float, int]] = []
    for first in range(0, max(1, len(arrivals.by_hour)), 24):
        hours = arrivals.by_hour[first : first + 24]
        weight = sum(pattern.weight(-1 - back) for back in range(first, first + len(hours)))
        if not hours or (days and len(hours) < 6):
            continue
        count = sum(hours)
        days.append(((first + len(hours) / 2) / 24, math.log((count + 0.5) / max(weight, 0.5)), count))
    return days or [(0.0, math.log(0.5 / 24), 0)]


def _drift(days: Sequence[tuple[float, float, int]]) -> float:
    """The standard deviation of the day-to-day change beyond counting noise, mixed with what is believed of it."""
    squares = known = 0.0
    for (_, later, count), (_, earlier, before) in pairwise(days):
        noise = 1 / (count + 0.5) + 1 / (before + 0.5)
        squares += max(0.0, (later - earlier) ** 2 - noise)
        known += 1
    variance = (squares + DRIFT_BELIEF_DAYS * DRIFT_BELIEF**2) / (known + DRIFT_BELIEF_DAYS)
    return math.sqrt(variance)
