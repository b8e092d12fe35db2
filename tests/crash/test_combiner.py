"""The combiner when the database goes away, when its answer is lost, and when more come than it can hold."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app import migrate, postgres
from app.clients.plates.callbacks import plate_answer_document
from app.clients.signing import HmacSm3, signed_headers
from app.clock import Clock
from app.combiner import Combiner, QueueBusy
from app.config import Settings
from app.db import psycopg_conninfo
from app.factory import close, create_app
from loadtests.bench.database import owner_connection
from loadtests.checks import unverified
from loadtests.ready import Ready, issued, make_ready, open_programme, plate_no
from registry.base import Refusal
from registry.plate_authority import PlateAnswer
from subsidy import completion_sql as sql
from subsidy.completion import Completed, Completion
from subsidy.completion_sql import LOCK_NEWEST_PROGRAMME
from tests.crash.cut_wire import wire_to
from tests.crash.rush import CALLBACK

WAIT_S = 15.0
WAITERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mapai-crash' AND wait_event_type = 'Lock'"
Outcome = Completed | Refusal


def make_queue(settings: Settings, count: int) -> list[Ready]:
    """Open a programme with a place for everybody and return so many trade-ins waiting for their plates."""
    now = datetime.now(UTC)
    open_programme(settings, places=count, now=now)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        return make_ready(connection=connection, keyring=settings.keyring, count=count, now=now)


def words_about(ready: Sequence[Ready]) -> list[Completion]:
    issued_at = datetime.now(UTC)
    return [issued(item, number=int(item.application_no[1:]), at=issued_at) for item in ready]


@contextmanager
def combiner_on(settings: Settings, *, capacity: int = 1024, **place: str) -> Iterator[Combiner]:
    conninfo = make_conninfo(psycopg_conninfo(settings, application="mapai-crash"), **place)
    combiner = Combiner(conninfo=conninfo, clock=Clock(), district=settings.district, capacity=capacity)
    try:
        yield combiner
    finally:
        combiner.close()


def outcome_of(combiner: Combiner, completion: Completion) -> Outcome:
    try:
        return combiner.complete(completion)
    except Refusal as refusal:
        return refusal


def all_at_once(combiner: Combiner, completions: Sequence[Completion]) -> list[Outcome]:
    with ThreadPoolExecutor(len(completions)) as threads:
        return list(threads.map(lambda each: outcome_of(combiner, each), completions))


@contextmanager
def queue_held(settings: Settings) -> Iterator[Callable[[], None]]:
    """Hold the programme's lock; what is yielded waits until the combiner has come up against it."""
    with psycopg.connect(psycopg_conninfo(settings)) as holder, psycopg.connect(psycopg_conninfo(settings)) as watcher:
        watcher.autocommit = True
        holder.execute(LOCK_NEWEST_PROGRAMME)

        def wait() -> None:
            wait_for(lambda: watcher.execute(WAITERS).fetchone() == (1,))

        yield wait
        holder.rollback()


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def claims_of(settings: Settings) -> dict[str, int]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        assert unverified(connection=connection) == []
        rows = connection.execute(
            "SELECT t.application_no, c.position FROM claim c JOIN trade_in t ON t.id = trade_in_id"
        )
        return dict(rows.fetchall())


def note(combiner: Combiner, completion: Completion, told: dict[str, Outcome]) -> None:
    told[completion.application_no] = outcome_of(combiner, completion)


def places_given(outcomes: Sequence[Outcome]) -> list[int | None]:
    return [outcome.position for outcome in outcomes if isinstance(outcome, Completed)]


def test_a_database_killed_under_a_batch_is_503_for_everybody_and_the_next_batch_stands(data_dir: Path) -> None:
    postgres.start(data_dir)
    settings = Settings.from_env({"MAPAI_DATA": str(data_dir)})
    migrate.upgrade(settings)
    completions = words_about(make_queue(settings, 60))
    with combiner_on(settings) as combiner, ThreadPoolExecutor(len(completions)) as threads:
        holder = psycopg.connect(psycopg_conninfo(settings))
        holder.execute(LOCK_NEWEST_PROGRAMME)
        waiting = [threads.submit(outcome_of, combiner, each) for each in completions]
        with psycopg.connect(psycopg_conninfo(settings), autocommit=True) as watcher:
            wait_for(lambda: watcher.execute(WAITERS).fetchone() == (1,))
        kill_postgres(data_dir)
        assert {type(each.result(timeout=WAIT_S)) for each in waiting} == {QueueBusy}
        holder.close()
        assert {type(each) for each in all_at_once(combiner, completions[:10])} == {QueueBusy}
        postgres.start(data_dir)
        outcomes = all_at_once(combiner, completions)
    assert sorted(places_given(outcomes)) == list(range(1, 61))
    assert all(isinstance(each, Completed) and each.first for each in outcomes)
    assert sorted(claims_of(settings).values()) == list(range(1, 61))


def test_a_trade_in_held_for_a_moment_by_a_step_of_the_counter_takes_its_place_all_the_same(settings: Settings) -> None:
    mine, neighbour = words_about(make_queue(settings, 2))
    with combiner_on(settings) as combiner, ThreadPoolExecutor(1) as thread:
        with psycopg.connect(psycopg_conninfo(settings)) as counter:
            held = "SELECT FROM trade_in WHERE application_no = %s FOR UPDATE"
            counter.execute(held, (mine.application_no,))
            waiting = thread.submit(outcome_of, combiner, mine)
            # Only its own caller waits: a neighbour is served meanwhile.
            assert places_given([outcome_of(combiner, neighbour)]) == [1]
            counter.rollback()
            assert places_given([waiting.result(timeout=WAIT_S)]) == [2]
            counter.execute(held, (mine.application_no,))
            assert isinstance(outcome_of(combiner, mine), QueueBusy)
        assert places_given([outcome_of(combiner, mine)]) == [2]


def test_a_fault_of_ours_is_no_answer_to_the_police(settings: Settings) -> None:
    """An event stands already under the number that is the queue's next: nobody is told that his word is wrong."""
    completions = words_about(make_queue(settings, 3))
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        connection.execute(
            "INSERT INTO queue_event (programme_id, event_no, kind, recorded_at)"
            " SELECT id, event_no + 1, 'pause', clock_timestamp() FROM programme"
        )
    with combiner_on(settings) as combiner:
        assert {type(each) for each in all_at_once(combiner, completions)} == {QueueBusy}
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        assert connection.execute("SELECT count(*) FROM staff_case").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM claim").fetchone() == (0,)


def kill_postgres(data_dir: Path, *, also: Sequence[int] = ()) -> None:
    pid = postgres.postmaster_pid(data_dir)
    assert pid is not None
    for each in (pid, *also):
        os.kill(each, signal.SIGKILL)
    wait_for(lambda: not postgres.is_running(data_dir))


FLUSHERS = "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer', 'checkpointer')"


@pytest.mark.parametrize("waits", [True, False])
def test_who_is_answered_is_on_disk_and_would_not_be_without_waiting(data_dir: Path, waits: bool) -> None:
    """PostgreSQL dies at the instant of the last answer, while nobody but the combiner has written anything down."""
    postgres.start(data_dir)
    settings = Settings.from_env({"MAPAI_DATA": str(data_dir)})
    migrate.upgrade(settings)
    completions = words_about(make_queue(settings, 20))
    with owner_connection(settings) as watcher:
        flushers = [pid for (pid,) in watcher.execute(FLUSHERS)]
    assert len(flushers) == 3
    with combiner_on(settings) as combiner, nullcontext() if waits else patch.object(sql, "WAIT_FOR_DISK", "SELECT 1"):
        for pid in flushers:
            os.kill(pid, signal.SIGSTOP)
        answered = all_at_once(combiner, completions)
        kill_postgres(data_dir, also=flushers)
        postgres.start(data_dir)
        assert sorted(places_given(answered)) == list(range(1, 21))
        assert len(claims_of(settings)) == (20 if waits else 0)


def test_the_police_hear_503_while_the_database_is_away_and_the_place_when_it_is_back(data_dir: Path) -> None:
    postgres.start(data_dir)
    settings = Settings.from_env({"MAPAI_DATA": str(data_dir)})
    migrate.upgrade(settings)
    (item,) = make_queue(settings, 1)
    app = create_app(settings)
    client = app.test_client()
    postgres.stop(data_dir)
    answer = client.post(CALLBACK, **signed(settings, item))
    assert (answer.status_code, answer.json["code"]) == (503, "queue_busy")
    assert int(answer.headers["Retry-After"]) > 0
    postgres.start(data_dir)
    for _ in range(2):
        answer = client.post(CALLBACK, **signed(settings, item))
        assert (answer.status_code, answer.json["position"], answer.json["amount_fen"]) == (200, 1, 30_000)
    close(app)
    assert claims_of(settings) == {item.application_no: 1}


def signed(settings: Settings, item: Ready) -> dict[str, object]:
    word = PlateAnswer(
        application_no=item.application_no,
        state="done",
        plate_no=plate_no(1),
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
        holder_id_no=item.holder_id_no,
        vehicle_code=item.vehicle_code,
    )
    body = json.dumps(plate_answer_document(word)).encode()
    signer = HmacSm3(settings.plates_key)
    headers = signed_headers(signer=signer, partner="plates", method="POST", path=CALLBACK, body=body)
    return {"data": body, "headers": headers, "content_type": "application/json"}


@pytest.mark.parametrize("count", [1, 40])
def test_an_answer_lost_after_the_commit_is_given_again(settings: Settings, count: int) -> None:
    earlier, *completions = words_about(make_queue(settings, 1 + count))
    conninfo = conninfo_to_dict(psycopg_conninfo(settings))
    with wire_to(Path(str(conninfo["host"]))) as wire, combiner_on(settings, host=str(wire.folder)) as combiner:
        assert combiner.complete(earlier).position == 1
        wire.cut_at_next_commit()
        lost = all_at_once(combiner, completions)
        assert wire.cut == 1
        stood = claims_of(settings)
        unanswered = [each for each, told in zip(completions, lost, strict=True) if isinstance(told, QueueBusy)]
        assert {each.application_no for each in unanswered} <= stood.keys(), (
            "it was committed, and only the answer lost"
        )
        assert unanswered
        again = all_at_once(combiner, completions)
    assert [each.position for each in again if isinstance(each, Completed) and not each.first] == [
        stood[each.application_no] for each in completions
    ]
    assert {each.amount_fen for each in again if isinstance(each, Completed)} == {30_000}
    assert claims_of(settings) == stood


def test_a_line_broken_before_the_commit_leaves_nothing_behind(settings: Settings) -> None:
    (completion,) = words_about(make_queue(settings, 1))
    with combiner_on(settings) as combiner, queue_held(settings) as until_waiting, ThreadPoolExecutor(1) as thread:
        told = thread.submit(outcome_of, combiner, completion)
        until_waiting()
        end_sessions(settings)
        assert isinstance(told.result(timeout=WAIT_S), QueueBusy)
    assert claims_of(settings) == {}
    with combiner_on(settings) as combiner:
        assert combiner.complete(completion).first
    assert claims_of(settings) == {completion.application_no: 1}


def end_sessions(settings: Settings) -> None:
    with psycopg.connect(settings.owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        ended = owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mapai-crash'"
            " AND datname = current_database()"
        )
        assert ended.fetchall() == [(True,)]


def test_what_exceeds_the_capacity_is_answered_at_once_and_nothing_is_lost(settings: Settings) -> None:
    capacity, pressing, many = 200, 400, 2_400
    completions = words_about(make_queue(settings, many))
    told: dict[str, Outcome] = {}
    with combiner_on(settings, capacity=capacity) as combiner:
        with queue_held(settings) as until_waiting:
            threads = [threading.Thread(target=note, args=(combiner, each, told)) for each in completions[:pressing]]
            for thread in threads:
                thread.start()
            until_waiting()
            # Nobody is taken along before the lock is free: whoever does not fit in is told so, and nobody else is.
            wait_for(lambda: len(told) >= pressing - capacity)
            begun = time.monotonic()
            for each in completions[pressing:]:
                note(combiner, each, told)
            assert time.monotonic() - begun < WAIT_S, "2,000 were not turned away at once"
            assert {type(each) for each in told.values()} == {QueueBusy}
            taken = many - len(told)
            assert taken == capacity
        for thread in threads:
            thread.join(timeout=WAIT_S)
        assert Counter(type(each) for each in told.values()) == {QueueBusy: many - taken, Completed: taken}
        assert len(claims_of(settings)) == taken
        for start in range(0, many, capacity):
            all_at_once(combiner, completions[start : start + capacity])
    stood = claims_of(settings)
    assert sorted(stood.values()) == list(range(1, many + 1))
    assert all(stood[number] == each.position for number, each in told.items() if isinstance(each, Completed))
