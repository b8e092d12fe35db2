"""A programme with claims in its queue, at instants the test decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from app.clock import Clock
from loadtests.ready import issued, make_ready
from registry.sealing import Keyring
from subsidy.completion import Completed, admit
from subsidy.queue import create_programme
from subsidy.rules import Rules

NOW = datetime(2026, 6, 10, 4, 0, tzinfo=UTC)
DISTRICT = "330105"


def stopped_at(instant: datetime) -> Clock:
    """A clock whose business time starts at ``instant`` now and hardly moves."""
    return Clock(origin_business=instant, origin_real=datetime.now(UTC), factor=1e-6)


def create(connection: Connection[Any], *, rules: Rules, now: datetime = NOW) -> int:
    programme_id = create_programme(
        connection=connection,
        code="GS-2026",
        name_zh="2026 年淘汰置换补贴",
        name_en="Trade-in 2026",
        rules=rules,
        clock=stopped_at(now),
        drafted_by="account:1",
        approved_by="account:2",
    )
    connection.commit()
    return programme_id


def complete_claims(
    connection: Connection[Any], keyring: Keyring, *, count: int, now: datetime = NOW, first: int = 1
) -> list[Completed]:
    """Complete ``count`` trade-ins of as many owners at ``now``."""
    ready = make_ready(connection=connection, keyring=keyring, count=count, first=first, now=now)
    words = [issued(one, number=number, at=now) for number, one in enumerate(ready, start=first)]
    outcomes = admit(connection=connection, completions=words, clock=stopped_at(now), district=DISTRICT)
    completed = [outcome for outcome in outcomes if isinstance(outcome, Completed)]
    assert len(completed) == count, outcomes
    return completed
