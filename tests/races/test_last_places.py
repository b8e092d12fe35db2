"""Two hundred threads race for the last ten places: ten get one. Without the lock, the same race goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from app.clock import Clock
from app.combiner import Combiner
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.ready import issued, make_ready, open_programme
from registry.base import Refusal
from subsidy import completion_sql
from subsidy.completion import Completed, Completion, admit
from subsidy.ledger_verification import verify

THREADS = 200
PLACES = 10
DISTRICT = "330105"


@pytest.fixture
def racers(settings: Settings) -> list[Completion]:
    """Two hundred completions, sent at once, for a programme with ten places."""
    now = datetime.now(UTC)
    open_programme(settings, places=PLACES, now=now)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        ready = make_ready(connection=connection, keyring=settings.keyring, count=THREADS, now=now)
    return [issued(item, number=number, at=now) for number, item in enumerate(ready, start=1)]


@pytest.fixture
def pool(settings: Settings) -> Iterator[ConnectionPool]:
    with ConnectionPool(psycopg_conninfo(settings), min_size=40, max_size=40, timeout=60) as pool:
        pool.wait()
        yield pool


def race(racers: list[Completion], pool: ConnectionPool) -> list[Completed | Refusal | Exception]:
    """Let everybody go at the same instant, each in a transaction of his own; return what each was told."""
    start = threading.Barrier(THREADS)

    def run(completion: Completion) -> Completed | Refusal | Exception:
        start.wait()
        with pool.connection() as connection:
            try:
                (outcome,) = admit(connection=connection, completions=[completion], clock=Clock(), district=DISTRICT)
            except psycopg.Error as error:
                return error
            return outcome

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(run, racers))


def is_fair(outcomes: list[Completed | Refusal | Exception]) -> bool:
    """Everybody got a place of his own, and exactly the first ten were awarded."""
    places = {
        outcome.position: outcome.state for outcome in outcomes if isinstance(outcome, Completed) and outcome.position
    }
    awarded = sorted(position for position, state in places.items() if state == "awarded")
    return sorted(places) == list(range(1, THREADS + 1)) and awarded == list(range(1, PLACES + 1))


def differences(settings: Settings) -> list[str]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        return [str(difference) for difference in verify(connection=connection)]


def test_exactly_ten_of_two_hundred_get_the_last_ten_places(settings, racers, pool):
    assert is_fair(race(racers, pool))
    assert differences(settings) == []


def test_the_same_race_without_the_lock_goes_wrong(racers, pool, monkeypatch):
    """The twin: proves that the race above can be lost, so that winning it means something."""
    unlocked = completion_sql.LOCK_NEWEST_PROGRAMME.replace("FOR UPDATE", "")
    assert unlocked != completion_sql.LOCK_NEWEST_PROGRAMME
    monkeypatch.setattr(completion_sql, "LOCK_NEWEST_PROGRAMME", unlocked)
    assert not is_fair(race(racers, pool))


def test_two_combiners_share_the_last_ten_places(settings, racers):
    """As in production: two web processes, each with its own combiner, a hundred requests waiting in each."""
    combiners = [Combiner(conninfo=psycopg_conninfo(settings), clock=Clock(), district=DISTRICT) for _ in range(2)]
    start = threading.Barrier(THREADS)

    def run(numbered: tuple[int, Completion]) -> Completed | Refusal | Exception:
        number, completion = numbered
        start.wait()
        return combiners[number % 2].complete(completion)

    with ThreadPoolExecutor(THREADS) as threads:
        outcomes = list(threads.map(run, enumerate(racers)))
    for combiner in combiners:
        combiner.close()
    assert is_fair(outcomes)
    assert differences(settings) == []
