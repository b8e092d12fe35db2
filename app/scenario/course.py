"""The programme's course: created with generous windows, watched as its events stand in the queue, acted on by staff.

A stage whose wave is through is closed early by a new version of the rules, as a bureau may announce. So a slow machine
has all the time it needs and a fast one waits for nothing; what is counted is the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import psycopg

from app.clock import Clock
from app.scenario.owners import CUT_OFF
from app.scenario.sizes import StageSize
from subsidy.events import EventKind
from subsidy.queue import append_event, create_programme, publish_version
from subsidy.rules import Rules, StageRules

STAGES = 3
# Real seconds in which late words of the police still count for their stage.
LATE_WINDOW_S = 14.0


class Course:
    """The programme under way. ``window_s`` is how long, in real seconds, a stage is announced to last."""

    def __init__(self, *, connection: psycopg.Connection, clock: Clock, staff_id: int, window_s: float) -> None:
        self._connection = connection
        self._window_s = window_s
        self._clock = clock
        self._actor = f"account:{staff_id}"
        self.programme_id = 0
        self.rules: Rules | None = None

    def create(self, *, stages: tuple[StageSize, ...], reserve_fen: int) -> None:
        """Create the programme; its first stage opens when ``turn`` says so, or after a whole window."""
        now, window = self._clock.now(), self._business(self._window_s)
        self.rules = Rules(
            stages=tuple(
                StageRules(
                    number,
                    size.amount_fen,
                    size.places,
                    size.budget_fen,
                    now + window * number,
                    now + window * (number + 1),
                )
                for number, size in enumerate(stages, start=1)
            ),
            late_window=self._business(LATE_WINDOW_S),
            correction_window=timedelta(days=7),
            per_person_limit=1,
            reserve_fen=reserve_fen,
            filing_cut_off=date.fromisoformat(CUT_OFF),
        )
        self.programme_id = create_programme(
            connection=self._connection,
            code="gongshu-scenario",
            name_zh="拱墅区电动自行车淘汰置换补贴",
            name_en="Gongshu e-bike trade-in subsidy",
            rules=self.rules,
            clock=self._clock,
            drafted_by=self._actor,
            approved_by=self._actor,
        )
        self._connection.commit()

    def turn(self, *, closing: int, in_s: float) -> float:
        """Have stage ``closing`` close, and the next open, ``in_s`` real seconds from now; 0 closes none.

        Returns the real instant (monotonic) at which that will be. Later stages move along.
        """
        assert self.rules is not None
        at = self._clock.now() + self._business(in_s)
        until_s = time.monotonic() + in_s
        stages, window = list(self.rules.stages), self._business(self._window_s)
        if closing:
            stages[closing - 1] = replace(stages[closing - 1], closes_at=at)
        for later, index in enumerate(range(closing, STAGES)):
            stages[index] = replace(stages[index], opens_at=at + window * later, closes_at=at + window * (later + 1))
        self.rules = replace(self.rules, stages=tuple(stages))
        publish_version(
            connection=self._connection,
            programme_id=self.programme_id,
            rules=self.rules,
            clock=self._clock,
            drafted_by=self._actor,
            approved_by=self._actor,
        )
        self._connection.commit()
        return until_s

    def act(self, kind: EventKind, positions: Iterable[int]) -> None:
        """Have staff do this about each position."""
        for position in positions:
            append_event(
                connection=self._connection,
                programme_id=self.programme_id,
                kind=kind,
                clock=self._clock,
                actor=self._actor,
                position=position,
                reason="抽查" if kind is EventKind.HOLD else None,
            )
            self._connection.commit()

    def stands(self, kind: EventKind, stage: int | None = None) -> bool:
        """Say whether this event of this stage stands in the queue."""
        row = self._connection.execute(
            "SELECT count(*) FROM queue_event"
            " WHERE programme_id = %s AND kind = %s AND stage_no IS NOT DISTINCT FROM %s",
            (self.programme_id, kind.value, stage),
        ).fetchone()
        self._connection.commit()
        return bool(row and row[0])

    def positions(self, references: Iterable[str]) -> list[int]:
        """Return the positions of completed trade-ins, in order."""
        rows = self._connection.execute(
            "SELECT c.position FROM claim c JOIN trade_in t ON t.id = c.trade_in_id"
            " WHERE t.reference = ANY(%s) ORDER BY 1",
            (list(references),),
        ).fetchall()
        self._connection.commit()
        return [row[0] for row in rows]

    def claims(self) -> int:
        """Return how many claims stand in the queue."""
        row = self._connection.execute(
            "SELECT count(*) FROM claim WHERE programme_id = %s", (self.programme_id,)
        ).fetchone()
        self._connection.commit()
        return int(row[0]) if row else 0

    def _business(self, real_s: float) -> timedelta:
        return timedelta(seconds=round(real_s * self._clock.factor))
