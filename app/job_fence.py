"""The fence of the scheduler: no slot of a job runs twice, whoever believes to lead.

A slot is the instant of the tick floored to the job's period, by the database's clock, so that hosts whose clocks
differ a little still mean the same slot.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, text

ENTER = text(
    """
    INSERT INTO job_run (job, slot, leader)
    VALUES (:job, to_timestamp(floor(extract(epoch FROM clock_timestamp()) / :seconds) * :seconds), :leader)
    ON CONFLICT DO NOTHING RETURNING slot
    """
)
LEAVE = text("UPDATE job_run SET finished_at = clock_timestamp(), outcome = :outcome WHERE job = :job AND slot = :slot")
# Idle runs are of interest for as long as somebody may look for a stuck job; those that did something, for a week.
FORGET = text(
    """
    DELETE FROM job_run WHERE started_at < clock_timestamp() - CASE
        WHEN finished_at IS NOT NULL AND outcome IS NULL THEN interval '2 hours' ELSE interval '7 days' END
    """
)


def enter(*, engine: Engine, job: str, every: timedelta, leader: str) -> datetime | None:
    """Take the job's present slot, in a transaction of its own; None where it was taken before: do not run."""
    with engine.begin() as connection:
        values = {"job": job, "seconds": every.total_seconds(), "leader": leader[:80]}
        slot: datetime | None = connection.execute(ENTER, values).scalar()
    return slot


def leave(*, engine: Engine, job: str, slot: datetime, outcome: str | None) -> None:
    """Write down that the run is over. ``outcome`` says what it did or why it failed, None where nothing was to do."""
    with engine.begin() as connection:
        connection.execute(LEAVE, {"job": job, "slot": slot, "outcome": outcome[:200] if outcome else None})


def forget(*, engine: Engine) -> int:
    """Remove the rows of runs long over; return how many."""
    with engine.begin() as connection:
        return connection.execute(FORGET).rowcount
