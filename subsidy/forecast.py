"""When each stage will run out, from the arrivals so far: the likely instant and the band from 10 to 90 per cent.

The method, in four steps. Standard library only, and seeded: the same arrivals give the same answer.

1. *Pattern.* Each hour of the day and each day of the week (Asia/Shanghai) has a weight, learned from the counts so
   far and shrunk towards a working day and an even week, so that a few days do not make a pattern.
2. *Rate.* The arrivals of each 24 hours before now, divided by their weights, give a rate. A weighted regression of its
   logarithm on age (recent days count more, a belief holds the trend near zero) gives level and trend at now with
   their uncertainty; what changes from day to day beyond counting noise is the drift (forecast_rate.py).
3. *Courses.* ``COURSES`` times level and trend are drawn from that uncertainty. The rate then drifts from day to day as
   a random walk, its trend fading, and grows by a drawn factor as the end of a stage or its last places come near:
   people hurry. Counts are drawn in blocks of hours, Poisson for a given rate (its normal approximation where they are
   many), so that over all courses they scatter more than Poisson counts do.
4. *Stages.* Each course passes through the stages: places are taken, who is too late waits for the next stage, and what
   a stage did not spend becomes places of the next at its settling. The percentiles of the instants at which a stage's
   last place goes are the forecast. A course in which places last until the stage closes counts as later than any.

It foresees no change of the rules, no campaign, no returns and no fault of a partner.
``python -m loadtests.backtest`` counts how often the band holds the true instant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random

from subsidy.forecast_rate import HOUR, Arrivals, Pattern, Rate, learn_rate

COURSES = 240
MOST_BLOCKS = 120
EARLIEST, LIKELY, LATEST = 0.10, 0.50, 0.90
TREND_KEEPS = 0.88  # what is left of the trend a day later
URGENT_SHARE = 0.2  # the last fifth of a stage's window and of its places
HURRY = (0.6, 2.2)  # the factor drawn for the very end
FARTHEST = math.log(8)  # no course leaves today's level by more than eight times, hurry aside
FORESEES = timedelta(days=400)
MANY = 30.0  # from here on a Poisson count is drawn as a normal one


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutlook:
    """One stage as it stands. ``places`` is what it has in all, ``places_left`` what its free money can still pay.

    ``amount_fen`` is the price of a place; instants aware UTC. A stage that has closed is left out of a forecast.
    """

    number: int
    amount_fen: int
    places: int
    places_left: int
    opens_at: datetime
    closes_at: datetime
    settles_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StageForecast:
    """When a stage's last place goes, aware UTC; None: not before the stage closes.

    ``earliest``, ``likely`` and ``latest`` are the 10th, 50th and 90th percentile; ``share`` is that of the courses in
    which it runs out before it closes.
    """

    number: int
    earliest: datetime | None
    likely: datetime | None
    latest: datetime | None
    share: float


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the future, from ``first`` hours ahead on: the weights of its hours, summed up, and its urgency.

    ``hours`` may be fractions. ``urgency`` runs from 0 to 1 as the closing of a stage comes near.
    """

    first: int
    running: tuple[float, ...]
    urgency: float

    @property
    def weight(self) -> float:
        """The weighted hours in the block."""
        return self.running[-1]

    def hours_to(self, share: float) -> float:
        """Return after how many hours from now that share of the block's weight has passed."""
        wanted, before = share * self.running[-1], 0.0
        for index, until in enumerate(self.running):
            if until >= wanted:
                return self.first + index + (wanted - before) / (until - before)
            before = until
        return float(self.first + len(self.running))


@dataclass(slots=True)
class Course:
    """One simulated course: arrivals from now to the end of each block."""

    blocks: Sequence[Block]
    arrived: list[float]

    def reaches(self, count: float) -> float | None:
        """Return after how many hours ``count`` have arrived, None where it is never."""
        if count <= 0:
            return 0.0
        before = 0.0
        for block, until in zip(self.blocks, self.arrived, strict=True):
            if until >= count:
                return block.hours_to((count - before) / (until - before))
            before = until
        return None

    def by(self, hours: float) -> float:
        """Return how many have arrived by then; between the ends of a block in even measure."""
        before = 0.0
        for block, until in zip(self.blocks, self.arrived, strict=True):
            length = len(block.running)
            if hours < block.first + length:
                return before + (until - before) * max(0.0, hours - block.first) / length
            before = until
        return before


def forecast(
    *, arrivals: Arrivals, stages: Sequence[StageOutlook], waiting: int, seed: int = 0
) -> tuple[StageForecast, ...]:
    """Return the forecast of every stage in ``stages``, which have not closed; ``waiting`` claims stand in the line.

    10,000 arrivals take well under 200 ms: only hours are looked at.
    """
    if not stages:
        return ()
    pattern = Pattern(arrivals)
    rate = learn_rate(arrivals=arrivals, pattern=pattern)
    blocks = make_blocks(pattern=pattern, now=arrivals.now, stages=stages)
    random = Random(seed)  # noqa: S311 — a simulation, nothing secret
    found: list[list[float]] = [[] for _ in stages]
    for _ in range(COURSES):
        course = draw_course(random=random, rate=rate, blocks=blocks, stage=stages[0])
        for hours, instants in zip(run_through(course, stages, waiting, arrivals.now), found, strict=True):
            instants.append(hours)
    return tuple(_told(stage, sorted(hours), arrivals.now) for stage, hours in zip(stages, found, strict=True))


def expected_arrivals(*, arrivals: Arrivals, stages: Sequence[StageOutlook], until: datetime) -> Iterator[datetime]:
    """Yield the instants of the arrivals to be expected until then: the likely rate, evenly within each block."""
    total = 0.0
    for block, mean in _likely(arrivals, stages, until):
        first, total = int(total), total + mean
        for number in range(first, int(total)):
            instant = arrivals.now + HOUR * block.hours_to((number + 1 - (total - mean)) / mean)
            if instant < until:
                yield instant


def expected_next_day(*, arrivals: Arrivals, stages: Sequence[StageOutlook]) -> int:
    """Return how many arrivals are to be expected in the next 24 hours: however many, none of them is looked at."""
    return int(sum(mean for _block, mean in _likely(arrivals, stages, arrivals.now + HOUR * 24)))


def _likely(arrivals: Arrivals, stages: Sequence[StageOutlook], until: datetime) -> Iterator[tuple[Block, float]]:
    """Yield each block until then with the likely number of arrivals in it."""
    if not stages:
        return
    pattern = Pattern(arrivals)
    rate = learn_rate(arrivals=arrivals, pattern=pattern)
    level, trend, day = rate.level, rate.trend, 0
    for block in make_blocks(pattern=pattern, now=arrivals.now, stages=stages, until=until):
        while day < block.first // 24:
            day, level, trend = day + 1, level + trend, trend * TREND_KEEPS
        level = min(max(level, rate.level - FARTHEST), rate.level + FARTHEST)
        yield block, math.exp(level) * block.weight


def make_blocks(
    *, pattern: Pattern, now: datetime, stages: Sequence[StageOutlook], until: datetime | None = None
) -> list[Block]:
    """Cut the time until then, without it until the last closing, into at most MOST_BLOCKS blocks of whole hours.

    Nothing is foretold beyond FORESEES.
    """
    horizon = max(1, math.ceil(min((until or stages[-1].closes_at) - now, FORESEES) / HOUR))
    length = max(1, math.ceil(horizon / MOST_BLOCKS))
    blocks = []
    for first in range(0, horizon, length):
        running = tuple(accumulate(pattern.weight(hour) for hour in range(first, first + length)))
        blocks.append(Block(first, running, _time_urgency(now + HOUR * (first + length / 2), stages)))
    return blocks


def draw_course(*, random: Random, rate: Rate, blocks: Sequence[Block], stage: StageOutlook) -> Course:
    """Draw one course of arrivals. ``stage`` is the first, whose last places make people hurry."""
    level, trend = rate.draw(random)
    hurry = random.uniform(*HURRY) - 1
    already = 1 + hurry * max(blocks[0].urgency, _place_urgency(stage, 0.0))
    day, total, start, arrived = 0, 0.0, level, []
    for block in blocks:
        while day < block.first // 24:
            day, trend = day + 1, trend * TREND_KEEPS
            level += trend + random.gauss(0, rate.drift)
            level = min(max(level, start - FARTHEST), start + FARTHEST)
        urgency = max(block.urgency, _place_urgency(stage, total))
        mean = math.exp(level) * block.weight * (1 + hurry * urgency) / already
        total += _count(random, mean)
        arrived.append(total)
    return Course(blocks, arrived)


def run_through(course: Course, stages: Sequence[StageOutlook], waiting: int, now: datetime) -> list[float]:
    """Return for each stage the hours from now at which its last place goes; infinite where it never does."""
    found, served, carried_fen, settled = [], 0.0, 0, 0.0
    for stage in stages:
        opens, closes = _hours(stage.opens_at, now), _hours(stage.closes_at, now)
        gained, carried_fen = divmod(carried_fen, stage.amount_fen)
        places = stage.places_left + gained
        # Everybody who came before this stage and got nothing stands in the line when it opens.
        hours = course.reaches(served + places - waiting)
        if hours is not None:
            hours = max(hours, opens, settled if gained else 0.0)
        if hours is not None and hours < closes:
            found.append(hours)
            served += places
        else:
            found.append(math.inf)
            taken = max(0.0, course.by(closes) + waiting - served)
            served += min(taken, places)
            carried_fen += int(places - min(taken, places)) * stage.amount_fen
        settled = _hours(stage.settles_at, now)
    return found


def _told(stage: StageOutlook, hours: Sequence[float], now: datetime) -> StageForecast:
    def at(share: float) -> datetime | None:
        found = hours[min(len(hours) - 1, round(share * (len(hours) - 1)))]
        return None if math.isinf(found) else now + timedelta(hours=found)

    share = sum(not math.isinf(found) for found in hours) / len(hours)
    return StageForecast(
        number=stage.number, earliest=at(EARLIEST), likely=at(LIKELY), latest=at(LATEST), share=round(share, 3)
    )


def _count(random: Random, mean: float) -> float:
    if mean > MANY:
        return max(0.0, random.gauss(mean, math.sqrt(mean)))
    limit, product, count = math.exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def _time_urgency(instant: datetime, stages: Sequence[StageOutlook]) -> float:
    for stage in stages:
        if stage.opens_at <= instant < stage.closes_at:
            left = (stage.closes_at - instant) / (stage.closes_at - stage.opens_at)
            return max(0.0, 1 - left / URGENT_SHARE)
    return 0.0


def _place_urgency(stage: StageOutlook, arrived: float) -> float:
    left = max(0.0, stage.places_left - arrived)
    return max(0.0, 1 - left / (URGENT_SHARE * stage.places)) if stage.places and left else 0.0


def _hours(instant: datetime, now: datetime) -> float:
    return max(0.0, (instant - now) / HOUR)
