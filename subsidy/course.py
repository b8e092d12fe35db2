"""The course of a programme by the hour: a stage's free money from its postings, and completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import case, func, or_, select, text
from sqlalchemy.orm import Session

from subsidy.ledger import LedgerPosting
from subsidy.live import LiveStage

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR = timedelta(hours=1)
# The same weekday one and two weeks ago says what is usual.
WEEKS = 2
# The district's clock has no summer time, so hours are counted from one midnight on.
BY_HOUR = text(
    """
    SELECT floor(extract(epoch FROM recorded_at - :since) / 3600)::int AS hour, count(*) AS done
    FROM claim WHERE programme_id = :programme_id AND recorded_at >= :since AND recorded_at < :until
    GROUP BY hour
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnDown:
    """A stage's free money in fen, from its opening to ``as_of``: ``points`` are the hours in which it changed.

    The last point is the ledger's balance where the caller read ``stage`` in the same snapshot.
    """

    stage: LiveStage
    as_of: datetime
    points: tuple[tuple[datetime, int], ...]

    @property
    def left_fen(self) -> int:
        """What is free now."""
        return self.points[-1][1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Completions of today by the hour of the district's clock, and what is usual on this weekday.

    ``usual`` is None where the programme did not yet run on the days it would be learned from.
    """

    as_of: datetime
    today: tuple[int, ...]
    usual: tuple[float, ...] | None


def burn_down(*, session: Session, programme_id: int, stage: LiveStage, now: datetime) -> BurnDown:
    """Return how the stage's free money went, from its ledger postings alone: what enters its account is credited."""
    account = f"stage:{stage.number}"
    hour = func.date_trunc("hour", LedgerPosting.at).label("hour")
    signed = case((LedgerPosting.credit == account, LedgerPosting.amount_fen), else_=-LedgerPosting.amount_fen)
    rows: Sequence[tuple[datetime, int]] = [
        (row.hour, int(row.fen))
        for row in session.execute(
            select(hour, func.sum(signed).label("fen"))
            .where(LedgerPosting.programme_id == programme_id)
            .where(or_(LedgerPosting.debit == account, LedgerPosting.credit == account))
            .group_by(hour)
            .order_by(hour)
        )
    ]
    # What moved in the hour of the opening and before it is what the stage starts with, less what went in that hour.
    fen = sum(change for at, change in rows if at < stage.opens_at)
    points = [(stage.opens_at, fen)]
    for at, change in rows:
        if at >= stage.opens_at:
            fen += change
            points.append((min(at + HOUR, now), fen))
    if points[-1][0] < now:
        points.append((now, fen))
    return BurnDown(stage=stage, as_of=now, points=tuple(points))


def hours_of(*, session: Session, programme_id: int, opened_at: datetime, now: datetime) -> Hours:
    """Count today's completions by the hour, and the mean of the same weekday in the two weeks before."""
    midnight = _midnight(now)
    since = midnight - timedelta(weeks=WEEKS)
    rows = session.execute(BY_HOUR, {"programme_id": programme_id, "since": since, "until": midnight + 24 * HOUR})
    counted: dict[int, int] = {row.hour: row.done for row in rows}

    def day_of(weeks_ago: int) -> tuple[int, ...]:
        first = (WEEKS - weeks_ago) * 7 * 24
        return tuple(counted.get(first + hour, 0) for hour in range(24))

    before = [day_of(ago) for ago in range(1, WEEKS + 1) if midnight - timedelta(weeks=ago) >= _midnight(opened_at)]
    usual = tuple(sum(hour) / len(before) for hour in zip(*before, strict=True)) if before else None
    return Hours(as_of=now, today=day_of(0), usual=usual)


def _midnight(instant: datetime) -> datetime:
    """The instant at which the day began in the district."""
    return instant.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
