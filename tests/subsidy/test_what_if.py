"""What other rules would do: against the slow model over random lives, and over a queue on a real database."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.ready import one_stage
from subsidy.events import ClaimFacts, Event, EventKind
from subsidy.ledger_verification import verify
from subsidy.queue import append_event
from subsidy.rules import NotBackDated, Rules, RulesRefused
from subsidy.what_if import WhatIf, from_now_on, from_the_start, what_if, what_if_from_now
from tests.subsidy.programme_queue import NOW, complete_claims, create, stopped_at
from tests.subsidy.slow_model import SlowQueue
from tests.subsidy.test_allocation_property import HOUR, Trial, acts, changed, changes, claims, programmes, switches

NOT_BY_PEOPLE = {"version", "opening", "closing", "settling", "correction_expired", "end"}
calm_acts = st.tuples(st.sampled_from([0, 0, 0, 1, 2, 5]), st.one_of(claims, claims, claims, claims, switches))


@dataclass
class Recorded(Trial):
    """A trial that keeps its events."""

    events: list[Event] = field(default_factory=list)

    def append(self, kind: EventKind, **what: Any) -> None:
        self.events.append(Event(self.state.event_no + 1, kind, self.now, **what))
        super().append(kind, **what)


def live(rules: Rules, life: Sequence[tuple[int, tuple[Any, ...]]]) -> Recorded:
    trial = Recorded()
    trial.append(EventKind.VERSION, rules=rules)
    for hours, what in life:
        trial.until(trial.now + hours * HOUR)
        trial.act(what)
    return trial


class Slow:
    """The slow model going through a life of its own."""

    def __init__(self, queue: SlowQueue | None = None) -> None:
        self.queue = queue or SlowQueue()

    def step(self, kind: str, at: datetime, **what: Any) -> None:
        number = len(self.queue.history) + 1
        last = self.queue.history[-1].recorded_at if self.queue.history else at
        self.queue.step(Event(number, EventKind(kind), max(at, last), **what))

    def until(self, at: datetime) -> None:
        while due := self.queue.due(at):
            due_at, kind, stage, position = due
            self.step(kind, due_at, due_at=due_at, stage=stage, position=position)

    def amounts(self) -> dict[int, int]:
        return {claim.position: claim.fen for claim in self.queue.claims if claim.status in ("award", "held")}

    def waiting(self) -> int:
        return sum(claim.status == "waiting" for claim in self.queue.claims)


def moved(before: dict[int, int], after: dict[int, int], sign: int) -> dict[int, int]:
    change = {at: sign * (after.get(at, 0) - before.get(at, 0)) for at in before.keys() | after.keys()}
    return {at: fen for at, fen in change.items() if fen > 0}


def agree(told: WhatIf, before: dict[int, int], after: dict[int, int]) -> None:
    known = [{at: fen for at, fen in amounts.items() if at <= told.claims} for amounts in (before, after)]
    for answer, sign in ((told.gaining, 1), (told.losing, -1)):
        expected = moved(*known, sign)
        assert (answer.claims, answer.fen) == (len(expected), sum(expected.values()))
        assert [at for first, last in answer.positions for at in range(first, last + 1)] == sorted(expected)
    for course, amounts in ((told.before, before), (told.after, after)):
        assert course.spent_fen == sum(amounts.values())
        assert course.paid + course.newcomers_paid == len(amounts)
        assert course.newcomers_fen == sum(fen for at, fen in amounts.items() if at > told.claims)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(programmes(), st.lists(calm_acts, min_size=10, max_size=40), changes(), st.integers(0, 9))
def test_both_courses_agree_with_the_slow_model(
    rules: Rules, life: list[tuple[int, tuple[Any, ...]]], by: dict[str, Any], newcomers: int
) -> None:
    trial = live(rules, life)
    other = changed(rules, by)
    try:
        told = from_the_start(events=trial.events, rules=other, now=trial.now)
    except RulesRefused:
        with pytest.raises(RulesRefused):
            other.validate()
        return
    slow = Slow()
    slow.step("version", trial.events[0].recorded_at, rules=other)
    slow.until(trial.events[0].recorded_at)
    for event in trial.events:
        if event.kind.value in NOT_BY_PEOPLE:
            continue
        slow.until(event.recorded_at)
        possible = {"pause": not slow.queue.paused and not slow.queue.ended, "resume": slow.queue.paused}
        if possible.get(event.kind.value, True):
            slow.step(event.kind.value, event.recorded_at, position=event.position, claim=event.claim)
    slow.until(trial.now)
    agree(told, Slow(trial.slow).amounts(), slow.amounts())
    assert told.after.waiting == slow.waiting()

    arrivals = [trial.now + (number + 1) * 3 * HOUR for number in range(newcomers)]
    try:
        told = from_now_on(events=trial.events, rules=other, now=trial.now, arrivals=arrivals)
    except RulesRefused:
        return
    courses = []
    for version in (None, other):
        slow = Slow(copy.deepcopy(trial.slow))
        if slow.queue.paused:
            slow.step("resume", trial.now)
        if version is not None:
            slow.step("version", trial.now, rules=version)
        slow.until(trial.now)
        for number, at in enumerate(arrivals, start=1):
            slow.until(at)
            position = len(slow.queue.claims) + 1
            slow.step("claim", at, position=position, claim=ClaimFacts(position, 1_000 + number, at))
        slow.until(trial.now + 3_000 * HOUR)
        courses.append(slow.amounts())
    agree(told, *courses)
    assert told.newcomers == newcomers


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(programmes(), st.lists(acts, min_size=10, max_size=40))
def test_the_same_rules_change_nothing(rules: Rules, life: list[tuple[int, tuple[Any, ...]]]) -> None:
    trial = live(rules, [(hours, what) for hours, what in life if what[0] != "version"])
    told = from_the_start(events=trial.events, rules=rules, now=trial.now)
    assert told.before == told.after
    assert (told.gaining.claims, told.losing.claims, told.left_out) == (0, 0, 0)
    told = from_now_on(events=trial.events, rules=rules, now=trial.now)
    assert (told.gaining.claims, told.losing.claims) == (0, 0)
    assert told.before == told.after


@pytest.fixture
def connection(settings: Settings) -> Any:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        yield connection


@pytest.fixture
def programme_id(connection: Connection[Any], settings: Settings) -> int:
    """Three places of 300 yuan, five claims: three awarded, two wait."""
    programme_id = create(connection, rules=one_stage(now=NOW, places=3))
    complete_claims(connection, settings.keyring, count=5)
    return programme_id


def richer(rules: Rules, **by: Any) -> Rules:
    return replace(rules, stages=(replace(rules.stages[0], **by),))


def test_a_lower_amount_from_the_start_serves_more(connection: Connection[Any], programme_id: int) -> None:
    rules = one_stage(now=NOW, places=3)
    told = what_if(
        connection=connection,
        programme_id=programme_id,
        rules=richer(rules, amount_fen=20_000, places=4),
        now=NOW + HOUR,
    )
    assert (told.claims, told.before.paid, told.after.paid) == (5, 3, 4)
    assert (told.losing.claims, told.losing.fen, told.losing.positions) == (3, 30_000, ((1, 3),))
    assert (told.gaining.claims, told.gaining.fen, told.gaining.positions) == (1, 20_000, ((4, 4),))
    assert (told.before.spent_fen, told.after.spent_fen) == (90_000, 80_000)
    assert (told.before.waiting, told.after.waiting) == (2, 1)
    assert told.before.stages[0].ran_out_at is not None
    assert told.after.given_fen == told.before.given_fen


def test_more_places_from_now_on_pay_who_waits_and_leave_the_rest_to_newcomers(
    connection: Connection[Any], programme_id: int
) -> None:
    rules = one_stage(now=NOW, places=3)
    more = richer(rules, places=6, budget_fen=rules.stages[0].budget_fen + 90_000)
    arrivals = [NOW + timedelta(hours=hour) for hour in (2, 4, 6)]
    told = what_if_from_now(
        connection=connection, programme_id=programme_id, rules=more, now=NOW + HOUR, arrivals=arrivals
    )
    assert (told.gaining.claims, told.gaining.positions, told.losing.claims) == (2, ((4, 5),), 0)
    assert (told.before.newcomers_paid, told.after.newcomers_paid, told.newcomers) == (0, 1, 3)
    assert told.after.stages[0].ran_out_at == arrivals[0]
    assert told.after.given_fen - told.before.given_fen == 90_000
    assert (told.before.declined, told.after.declined) == (2, 0)


def test_trying_rules_writes_nothing_and_refuses_what_a_version_would(
    connection: Connection[Any], programme_id: int
) -> None:
    append_event(
        connection=connection,
        programme_id=programme_id,
        kind=EventKind.RETURN,
        clock=stopped_at(NOW),
        actor="a",
        position=1,
    )
    connection.commit()
    rules = one_stage(now=NOW, places=3)
    lower = richer(rules, amount_fen=10_000)
    told = what_if(connection=connection, programme_id=programme_id, rules=lower, now=NOW + HOUR)
    assert told.left_out == 0
    assert told.before.declined == 1
    with pytest.raises(NotBackDated):
        what_if_from_now(connection=connection, programme_id=programme_id, rules=lower, now=NOW + HOUR)
    connection.rollback()
    assert [str(difference) for difference in verify(connection=connection)] == []


def test_a_copy_folds_on_by_itself(connection: Connection[Any], programme_id: int) -> None:
    """Asked twice, from one reading of the queue, the answers are the same: no course touches another."""
    rules = one_stage(now=NOW, places=3)
    more = richer(rules, places=4, budget_fen=rules.stages[0].budget_fen + 30_000)
    asked = [
        what_if_from_now(connection=connection, programme_id=programme_id, rules=more, now=NOW + HOUR) for _ in range(2)
    ]
    assert asked[0] == asked[1]
    assert asked[0].before.paid == 3
