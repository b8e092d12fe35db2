"""What other rules would do: the real queue through ``allocate`` once more, under them, and the two courses compared.

From the start: every event that people caused, at its own instant, with the other rules in force from the first event
on and every boundary where they put it. From now: the queue as it stands, the other rules from now on, and then nobody
new or the arrivals that are to be expected (forecast.py), until the programme ends.

Eligibility is not judged again: the outcome stands in each claim's event, so another cut-off date or filing age shows
no effect here. A correction, return or overrule for which the other course has no place is left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from subsidy.allocation import allocate, next_due, next_instant, refuse_change
from subsidy.events import ClaimFacts, Event, EventKind
from subsidy.queue_rows import read_event, stream_rows
from subsidy.rules import Rules
from subsidy.state import Award, Declined, Held, Phase, State, Waiting

EVENTS = "SELECT * FROM queue_event WHERE programme_id = %s ORDER BY event_no"
BY_THEMSELVES = frozenset(
    {EventKind.OPENING, EventKind.CLOSING, EventKind.SETTLING, EventKind.CORRECTION_EXPIRED, EventKind.END}
)
MOST_RANGES = 50
THE_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCourse:
    """One stage at the end of a course. ``paid`` claims awarded or held and what they take, ``spent_fen``.

    ``ran_out_at`` is the instant at which its last place went, None where it never was without one while open.
    """

    number: int
    amount_fen: int
    places: int
    budget_fen: int
    paid: int
    spent_fen: int
    ran_out_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One course of the programme: its stages, the money given to it and spent (fen), and where the claims stand."""

    stages: tuple[StageCourse, ...]
    given_fen: int
    spent_fen: int
    paid: int
    waiting: int
    declined: int
    newcomers_paid: int
    newcomers_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Claims whose money differs: how many, by how much in sum (fen, above zero), and at which positions.

    ``positions`` are ranges (first, last), the earliest MOST_RANGES of them; ``more`` where there are others.
    """

    claims: int
    fen: int
    positions: tuple[tuple[int, int], ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Two courses compared: ``before`` as it is, ``after`` under the other rules.

    ``since`` is "start" (both as of ``as_of``) or "now" (both at the end of the programme). ``claims`` are those in the
    queue; ``newcomers`` the expected arrivals put behind them. ``left_out`` events had no place in the other course.
    """

    since: str
    as_of: datetime
    claims: int
    newcomers: int
    left_out: int
    before: Course
    after: Course
    gaining: Moved
    losing: Moved


def what_if(*, connection: Connection[Any], programme_id: int, rules: Rules, now: datetime) -> WhatIf:
    """Return what these rules would have done from the start, as of ``now``; raises RulesRefused.

    Reads every event of the queue and writes nothing.
    """
    return from_the_start(events=_read(connection, programme_id), rules=rules, now=now)


def from_the_start(*, events: Sequence[Event], rules: Rules, now: datetime) -> WhatIf:
    """Return ``what_if`` for a queue whose events are given, all of them."""
    rules.validate()
    before = _Run(State())
    before.fold(events)
    before.fold(before.due(now))
    after = _Run(State())
    after.fold(_under(after, events, rules, now))
    return _compare("start", now, before, after, newcomers=0)


def what_if_from_now(
    *,
    connection: Connection[Any],
    programme_id: int,
    rules: Rules,
    now: datetime,
    arrivals: Sequence[datetime] = (),
) -> WhatIf:
    """Return what these rules would do from ``now`` on, at the end of the programme; raises RulesRefused.

    ``arrivals`` are instants of claims to be expected, from ``now`` on and in order, all sound and each of somebody
    new. A pause is taken to end at once. Reads every event of the queue and writes nothing.
    """
    return from_now_on(events=_read(connection, programme_id), rules=rules, now=now, arrivals=arrivals)


def from_now_on(*, events: Sequence[Event], rules: Rules, now: datetime, arrivals: Sequence[datetime] = ()) -> WhatIf:
    """Return ``what_if_from_now`` for a queue whose events are given, all of them."""
    so_far = _Run(State())
    so_far.fold(events)
    so_far.fold(so_far.due(now))
    refuse_change(so_far.state, rules, now)
    before, after = so_far.copy(), so_far.copy()
    for run, version in ((before, None), (after, rules)):
        run.fold(_onwards(run, version, now, arrivals))
    return _compare("now", now, before, after, newcomers=len(arrivals))


class _Run:
    """One course being folded. Events are handed to ``allocate`` one by one, so each is made from what went before."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.ran_out: dict[int, datetime] = {}
        self.left_out = 0
        self.known = state.position

    def copy(self) -> _Run:
        """Return a course that goes on from here without touching this one."""
        run = _Run(copy_of(self.state))
        run.ran_out = dict(self.ran_out)
        return run

    def fold(self, events: Iterable[Event]) -> None:
        """Fold the events and note each instant at which an open stage has no place left."""
        allocate(self.state, self._watched(events))

    def event(self, kind: EventKind, at: datetime, **what: Any) -> Event:
        """Return the next event of this course."""
        return Event(self.state.event_no + 1, kind, max(at, self.state.recorded_at), **what)

    def due(self, until: datetime) -> Iterator[Event]:
        """Yield whatever falls due by itself until then, each recorded at its own instant or later."""
        while due := next_due(self.state, until):
            what = {"due_at": due.due_at, "stage": due.stage, "position": due.position}
            yield self.event(due.kind, due.due_at, **what)

    def _watched(self, events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            yield event
            stage = self.state.open_stage  # the event has been folded by now
            if stage is None:
                continue
            if stage.can_pay():
                self.ran_out.pop(stage.number, None)
            elif stage.number not in self.ran_out:
                self.ran_out[stage.number] = self.state.moved_at

    def amounts(self) -> dict[int, int]:
        """What each paid or held claim gets, by position, in fen."""
        placed: list[Award | Held] = [*self.state.awards.values(), *self.state.held.values()]
        return {claim.position: claim.amount_fen for claim in placed}


def _read(connection: Connection[Any], programme_id: int) -> list[Event]:
    return [read_event(row) for row in stream_rows(connection, "what_if_events", EVENTS, programme_id)]


def _under(run: _Run, events: Sequence[Event], rules: Rules, now: datetime) -> Iterator[Event]:
    """The queue's own events under other rules: what people did at its instant, boundaries where they fall due now."""
    if not events:
        return
    yield run.event(EventKind.VERSION, events[0].recorded_at, rules=rules)
    yield from run.due(events[0].recorded_at)
    next_at = next_instant(run.state)
    for event in events:
        if event.kind is EventKind.VERSION or event.kind in BY_THEMSELVES:
            continue
        if next_at is not None and next_at <= event.recorded_at:
            yield from run.due(event.recorded_at)
            next_at = next_instant(run.state)
        if event.kind is EventKind.CLAIM or POSSIBLE[event.kind](run.state, event):
            yield replace(event, event_no=run.state.event_no + 1)
        else:
            run.left_out += 1
        if event.claim is None or event.claim.fault is not None:  # a plain claim makes nothing due
            next_at = next_instant(run.state)
    yield from run.due(now)


def _onwards(run: _Run, rules: Rules | None, now: datetime, arrivals: Sequence[datetime]) -> Iterator[Event]:
    """What follows from now on: the end of a pause, the other rules where there are any, newcomers, the end."""
    if run.state.paused:
        yield run.event(EventKind.RESUME, now)
    if rules is not None:
        yield run.event(EventKind.VERSION, now, rules=rules)
    yield from run.due(now)
    next_at = next_instant(run.state)
    for number, at in enumerate(arrivals, start=1):
        if next_at is not None and next_at <= at:
            yield from run.due(at)
            next_at = next_instant(run.state)
        position = run.state.position + 1
        yield run.event(EventKind.CLAIM, at, position=position, claim=ClaimFacts(position, -number, at))
    yield from run.due(THE_END)


def _mended(state: State, event: Event) -> bool:
    waiting = state.waiting.get(event.position or 0)
    return event.position in state.held or (waiting is not None and waiting.fault is not None)


def _held(state: State, event: Event) -> bool:
    waiting = state.waiting.get(event.position or 0)
    return event.position in state.awards or (waiting is not None and waiting.fault is None)


def _taken_back(state: State, event: Event) -> bool:
    if event.position in state.awards:
        return True
    return not event.was_paid and (event.position in state.held or event.position in state.waiting)


def _overruled(state: State, event: Event) -> bool:
    declined: Declined | None = state.declines.get(event.position or 0)
    return declined is not None and declined.reason != "returned"


# Whether an event that a person caused can stand in another course.
POSSIBLE: dict[EventKind, Callable[[State, Event], bool]] = {
    EventKind.CORRECTED: _mended,
    EventKind.RELEASE: _mended,
    EventKind.HOLD: _held,
    EventKind.RETURN: _taken_back,
    EventKind.FORFEITURE: _taken_back,
    EventKind.OVERRULE: _overruled,
    EventKind.PAUSE: lambda state, _: not state.paused and not state.ended,
    EventKind.RESUME: lambda state, _: state.paused,
}


def copy_of(state: State) -> State:
    """Return a state that can be folded on without touching this one. Single claims are shared: they never change."""
    copy = replace(
        state,
        stages=[replace(stage) for stage in state.stages],
        waiting=dict(state.waiting),
        held=dict(state.held),
        awards=dict(state.awards),
        declines=dict(state.declines),
        person_counts=dict(state.person_counts),
    )
    copy.open_stage = next((stage for stage in copy.stages if stage.phase is Phase.OPEN), None)
    return copy


def _compare(since: str, now: datetime, before: _Run, after: _Run, *, newcomers: int) -> WhatIf:
    claims = before.state.position - newcomers
    old, new = before.amounts(), after.amounts()
    change = {at: new.get(at, 0) - old.get(at, 0) for at in sorted(old.keys() | new.keys()) if at <= claims}
    return WhatIf(
        since=since,
        as_of=now,
        claims=claims,
        newcomers=newcomers,
        left_out=after.left_out,
        before=_course(before, old, claims),
        after=_course(after, new, claims),
        gaining=_moved({at: fen for at, fen in change.items() if fen > 0}),
        losing=_moved({at: -fen for at, fen in change.items() if fen < 0}),
    )


def _course(run: _Run, amounts: dict[int, int], claims: int) -> Course:
    state = run.state
    newcomers = [fen for at, fen in amounts.items() if at > claims]
    stages = zip(state.stages, state.rules.stages if state.rules else (), strict=True)
    waiting: list[Waiting] = list(state.waiting.values())
    return Course(
        stages=tuple(
            StageCourse(
                number=stage.number,
                amount_fen=stage.amount_fen,
                places=rules.places,
                budget_fen=rules.budget_fen,
                paid=stage.awarded_count + stage.held_count,
                spent_fen=stage.awarded_fen + stage.held_fen,
                ran_out_at=run.ran_out.get(stage.number),
            )
            for stage, rules in stages
        ),
        given_fen=_given(state.rules),
        spent_fen=sum(amounts.values()),
        paid=len(amounts) - len(newcomers),
        waiting=sum(claim.position <= claims for claim in waiting),
        declined=sum(at <= claims for at in state.declines),
        newcomers_paid=len(newcomers),
        newcomers_fen=sum(newcomers),
    )


def _given(rules: Rules | None) -> int:
    return sum(stage.budget_fen for stage in rules.stages) + rules.reserve_fen if rules else 0


def _moved(by_position: dict[int, int]) -> Moved:
    """Sum up claims by position, which come in order."""
    ranges: list[tuple[int, int]] = []
    for position in by_position:
        if ranges and ranges[-1][1] == position - 1:
            ranges[-1] = (ranges[-1][0], position)
        else:
            ranges.append((position, position))
    return Moved(
        claims=len(by_position),
        fen=sum(by_position.values()),
        positions=tuple(ranges[:MOST_RANGES]),
        more=len(ranges) > MOST_RANGES,
    )
