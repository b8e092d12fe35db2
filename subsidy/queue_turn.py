"""One turn at the queue: whoever holds the programme's row reads the clock once, appends what is due, then its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from psycopg import Connection

from registry.base import Refusal
from subsidy.allocation import allocate, next_due, next_instant
from subsidy.business_clock import BusinessClock
from subsidy.events import ClaimFacts, Effect, Event, EventKind
from subsidy.queue_rows import COUNTS, LATEST_DECISION, named_rows, read_decision, write_effects, write_events
from subsidy.rules import Rules
from subsidy.state import State

SKEW_ALLOWED = timedelta(seconds=2)
SCHEDULER = "scheduler"
LOCK_PROGRAMME = """
SELECT id, version_no, event_no, head, last_instant, next_due_at FROM programme WHERE id = %s FOR UPDATE
"""
SAVE_HEAD = """
UPDATE programme SET event_no = %s, head = %s::jsonb, last_instant = %s, next_due_at = %s, version_no = %s
WHERE id = %s
"""


class HostClockOff(Refusal):
    """This host's clock is more than two seconds off the database's: nothing may be recorded from here."""

    code = "host_clock_off"
    kind = "unavailable"
    zh = "这台服务器的时钟和数据库相差 {seconds} 秒，暂停受理。"
    en = "This host's clock is {seconds} s off the database's; nothing is taken here."
    remedy_zh = "请管理员校准时钟。"
    remedy_en = "The administrator has to set the clock."


@dataclass(slots=True)
class Turn:
    """The programme's lock is held. ``recorded_at`` is law 2's instant: read after the lock, never running back."""

    connection: Connection[Any]
    programme_id: int
    version_no: int
    state: State
    recorded_at: datetime

    @property
    def rules(self) -> Rules:
        """The rules in force; raises where the programme has no version yet, which is a programming error."""
        assert self.state.rules is not None
        return self.state.rules

    def append_due(self) -> int:
        """Append every boundary and expiry due by now, each with its own due instant; return how many."""
        appended = 0
        if not self.state.loaded:
            self.load(positions=())
        while due := next_due(self.state, self.recorded_at):
            event = Event(
                self.state.event_no + 1,
                due.kind,
                self.recorded_at,
                due_at=due.due_at,
                stage=due.stage,
                position=due.position,
            )
            self.append([event], actor=SCHEDULER)
            appended += 1
        return appended

    def append(self, events: Sequence[Event], *, actor: str) -> list[Effect]:
        """Fold events other than claims, write them with their effects, and save the head."""
        effects = allocate(self.state, events)
        with self.connection.cursor() as cursor:
            write_events(cursor=cursor, programme_id=self.programme_id, events=events, actor=actor)
            write_effects(
                cursor=cursor, programme_id=self.programme_id, events=events, effects=effects, at=self.recorded_at
            )
        self.save_head()
        return effects

    def fold_claims(self, claims: Sequence[ClaimFacts]) -> list[Effect]:
        """Fold new claims; the caller writes their rows and the head (subsidy/completion.py)."""
        first = self.state.event_no + 1
        return allocate(
            self.state,
            [
                Event(first + index, EventKind.CLAIM, self.recorded_at, position=claim.position, claim=claim)
                for index, claim in enumerate(claims)
            ],
        )

    def load(self, *, positions: Sequence[int]) -> None:
        """Bring in every waiting and held claim, and the claims at ``positions``, with their persons' counts."""
        with named_rows(self.connection) as cursor:
            rows = cursor.execute(
                LATEST_DECISION, {"programme_id": self.programme_id, "positions": list(positions)}
            ).fetchall()
        persons = {row.person_id for row in rows} - self.state.person_counts.keys()
        self.state.load(
            (ClaimFacts(row.position, row.person_id, row.effective_at), row.recorded_at, read_decision(row))
            for row in rows
        )
        counts = self.connection.execute(COUNTS, {"programme_id": self.programme_id, "persons": list(persons)})
        self.state.person_counts.update(counts.fetchall())

    def head_json(self) -> str:
        """Return the core state as the head column holds it."""
        return orjson.dumps(self.state.core_to_json()).decode()

    def next_due_at(self) -> datetime | None:
        """Return the instant at which the next boundary or expiry falls due, None where none will."""
        return next_instant(self.state)

    def save_head(self) -> None:
        """Write the head after whatever was folded."""
        self.connection.execute(
            SAVE_HEAD,
            (
                self.state.event_no,
                self.head_json(),
                self.recorded_at,
                self.next_due_at(),
                self.version_no,
                self.programme_id,
            ),
        )


def open_turn(*, connection: Connection[Any], head: Any, database_now: datetime, clock: BusinessClock) -> Turn:
    """Return the turn for a programme row read FOR UPDATE, with everything due by now appended already.

    ``database_now`` is ``clock_timestamp()`` read AFTER the lock.
    """
    instant = clock.business(database_now)
    turn = Turn(
        connection=connection,
        programme_id=head.id,
        version_no=head.version_no,
        state=State.from_core_json(head.head) if head.head is not None else State(),
        recorded_at=instant if head.last_instant is None else max(instant, head.last_instant),
    )
    if head.next_due_at is not None and head.next_due_at <= turn.recorded_at:
        turn.append_due()
    return turn


def take_turn(*, connection: Connection[Any], programme_id: int, clock: BusinessClock) -> Turn:
    """Lock the programme's row in the caller's transaction and open the turn; raises HostClockOff."""
    host_before = clock.real_for(clock.now())
    with named_rows(connection) as cursor:
        head = cursor.execute(LOCK_PROGRAMME, (programme_id,)).fetchone()
        row = cursor.execute("SELECT clock_timestamp() AS now").fetchone()
    assert row is not None
    check_skew(database_now=row.now, host_before=host_before, host_after=clock.real_for(clock.now()))
    return open_turn(connection=connection, head=head, database_now=row.now, clock=clock)


def check_skew(*, database_now: datetime, host_before: datetime, host_after: datetime) -> None:
    """Raise HostClockOff unless the database's instant lies between the host's two, give or take two seconds."""
    off = max(host_before - database_now, database_now - host_after)
    if off > SKEW_ALLOWED:
        raise HostClockOff(seconds=round(off.total_seconds(), 1))
