"""Owners with an open trade-in hear of a stage's transitions: each once, in bulk, latecomers included."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from app.config import Settings
from app.db import psycopg_conninfo
from app.jobs import jobs_for
from loadtests.ready import make_ready, one_stage
from registry.messages import Message
from subsidy.queue import append_due, publish_version
from subsidy.stage_notices import StageNotice, tell_transitions
from tests.subsidy.programme_queue import NOW, complete_claims, create, stopped_at

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = replace(one_stage(now=NOW, places=3).stages[0], closes_at=NOW + 5 * DAY)
SECOND = replace(FIRST, number=2, amount_fen=20_000, opens_at=FIRST.closes_at, closes_at=FIRST.closes_at + 5 * DAY)
RULES = replace(one_stage(now=NOW, places=3), stages=(FIRST, SECOND))


@pytest.fixture
def connection(settings: Settings) -> Any:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        create(connection, rules=RULES)
        yield connection


def tell(engine: Engine, now: datetime, *, closing_soon: timedelta = 3 * DAY) -> int:
    with Session(engine) as session, session.begin():
        return tell_transitions(session=session, now=now, closing_soon=closing_soon)


def told(engine: Engine) -> list[str]:
    with Session(engine) as session:
        return list(
            session.scalars(select(Message.body).where(Message.dedupe_key.like("stage:%")).order_by(Message.id))
        )


def test_each_transition_is_told_once_to_every_owner(
    connection: Connection[Any], engine: Engine, settings: Settings
) -> None:
    make_ready(connection=connection, keyring=settings.keyring, count=4, first=100, owners=2, now=NOW)
    assert tell(engine, NOW + HOUR) == 0
    assert tell(engine, NOW + 2 * DAY) == 2  # two owners, two open trade-ins each
    assert tell(engine, NOW + 2 * DAY + HOUR) == 0
    assert "第 1 阶段" in told(engine)[0]
    assert "名额不预留" in told(engine)[0]

    complete_claims(connection, settings.keyring, count=3, now=NOW + 2 * DAY)
    assert tell(engine, NOW + 2 * DAY + HOUR) == 2
    assert tell(engine, NOW + 3 * DAY) == 0
    assert "名额已经用完" in told(engine)[-1]
    assert "第 2 阶段 6 月 15 日 12:00 开始，每辆 200 元" in told(engine)[-1]

    append_due(connection=connection, clock=stopped_at(FIRST.closes_at + HOUR))
    assert tell(engine, FIRST.closes_at + HOUR) == 2
    assert tell(engine, FIRST.closes_at + 2 * HOUR) == 0
    assert "已经截止" in told(engine)[-1]
    assert "第 2 阶段正在进行，每辆 200 元" in told(engine)[-1]
    assert len(told(engine)) == len(set(told(engine))) * 2 == 6


def test_a_stage_whose_places_come_back_can_run_out_again(
    connection: Connection[Any], engine: Engine, settings: Settings
) -> None:
    complete_claims(connection, settings.keyring, count=3, now=NOW + HOUR)
    make_ready(connection=connection, keyring=settings.keyring, count=1, first=100, now=NOW)
    assert tell(engine, NOW + HOUR, closing_soon=timedelta(0)) == 1
    more = replace(RULES, stages=(replace(FIRST, places=4, budget_fen=FIRST.budget_fen + 30_000), SECOND))
    publish_version(
        connection=connection,
        programme_id=1,
        rules=more,
        clock=stopped_at(NOW + 2 * HOUR),
        drafted_by="a",
        approved_by="b",
    )
    connection.commit()
    assert tell(engine, NOW + 2 * HOUR, closing_soon=timedelta(0)) == 0
    complete_claims(connection, settings.keyring, count=1, first=200, now=NOW + 3 * HOUR)
    assert tell(engine, NOW + 3 * HOUR, closing_soon=timedelta(0)) == 1


def test_who_was_just_opening_is_told_too_and_who_opens_later_is_not(
    connection: Connection[Any], engine: Engine, settings: Settings
) -> None:
    complete_claims(connection, settings.keyring, count=3, now=NOW + HOUR)
    make_ready(connection=connection, keyring=settings.keyring, count=3, first=100, now=NOW)
    connection.execute("UPDATE trade_in SET opened_at = %s WHERE application_no = 'A101'", (NOW + 3 * HOUR,))
    connection.execute("UPDATE trade_in SET state = 'withdrawn' WHERE application_no = 'A102'")
    connection.commit()
    with psycopg.connect(psycopg_conninfo(settings)) as opening:
        # Opened before the transition, committed after it was noticed.
        opening.execute("UPDATE trade_in SET state = 'opened' WHERE application_no = 'A102'")
        assert tell(engine, NOW + 2 * HOUR, closing_soon=timedelta(0)) == 1
        opening.commit()
    assert tell(engine, NOW + 2 * HOUR + timedelta(minutes=1), closing_soon=timedelta(0)) == 1
    assert tell(engine, NOW + 2 * HOUR + timedelta(minutes=2), closing_soon=timedelta(0)) == 0
    with Session(engine) as session, session.begin():
        session.execute(text("UPDATE stage_notice SET created_at = clock_timestamp() - interval '3 minutes'"))
        session.execute(text("DELETE FROM message"))
    assert tell(engine, NOW + 4 * HOUR, closing_soon=timedelta(0)) == 0


def test_two_schedulers_tell_nobody_twice(connection: Connection[Any], engine: Engine, settings: Settings) -> None:
    """The second waits for the first's row and then finds it."""
    complete_claims(connection, settings.keyring, count=3, now=NOW + HOUR)
    make_ready(connection=connection, keyring=settings.keyring, count=300, first=100, now=NOW)
    with Session(engine) as one:
        assert tell_transitions(session=one, now=NOW + HOUR, closing_soon=timedelta(0)) == 300
        one.commit()
    assert tell(engine, NOW + HOUR, closing_soon=timedelta(0)) == 0
    with Session(engine) as session:
        assert len(session.scalars(select(StageNotice.stage_no)).all()) == 1
    assert len(told(engine)) == 300


def test_the_scheduler_tells_within_a_minute(connection: Connection[Any], engine: Engine, settings: Settings) -> None:
    complete_claims(connection, settings.keyring, count=3, now=NOW + HOUR)
    make_ready(connection=connection, keyring=settings.keyring, count=2, first=100, now=NOW)
    (job,) = [job for job in jobs_for(settings.clock) if job.name == "stage_notices"]
    assert job.every < timedelta(minutes=1)
    equipment: Any = SimpleNamespace(
        sessions=sessionmaker(engine), clock=stopped_at(NOW + HOUR), closing_soon=timedelta(hours=1)
    )
    assert job.work(equipment) == "2 told"
    assert job.work(equipment) is None
