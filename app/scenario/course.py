"""The programme's course: created with generous windows, watched as its events stand in the queue.

A stage whose wave is through is closed early by a new version of the rules: drafted by the operator with what it means
for open trade-ins, approved by the reviewer. So a slow machine has all the time it needs and a fast one waits for
nothing; what is counted is the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import psycopg

from app.clock import Clock
from app.scenario.calls import ScenarioFailed
from app.scenario.owners import CUT_OFF
from app.scenario.sizes import StageSize
from app.scenario.staff import OPERATOR, REVIEWER, Staff
from subsidy.events import EventKind
from subsidy.queue import append_event, create_programme
from subsidy.rules import Rules, StageRules

CODE = "gongshu-scenario"
STAGES = 3
CORRECTION_WINDOW = timedelta(days=7)
TRIES = 5
# Real seconds in which late words of the police still count for their stage.
LATE_WINDOW_S = 14.0


class Course:
    """The programme under way. ``window_s`` is how long, in real seconds, a stage is announced to last."""

    def __init__(self, *, connection: psycopg.Connection, clock: Clock, staff: Staff, window_s: float) -> None:
        self._connection = connection
        self._window_s = window_s
        self._clock = clock
        self._staff = staff
        self.programme_id = 0
        self.rules: Rules | None = None

    def create(self, *, stages: tuple[StageSize, ...], reserve_fen: int, staff_ids: Mapping[str, int]) -> None:
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
            correction_window=CORRECTION_WINDOW,
            per_person_limit=1,
            reserve_fen=reserve_fen,
            filing_cut_off=date.fromisoformat(CUT_OFF),
        )
        self.programme_id = create_programme(
            connection=self._connection,
            code=CODE,
            name_zh="拱墅区电动自行车淘汰置换补贴",
            name_en="Gongshu e-bike trade-in subsidy",
            rules=self.rules,
            clock=self._clock,
            drafted_by=f"account:{staff_ids[OPERATOR]}",
            approved_by=f"account:{staff_ids[REVIEWER]}",
        )
        self._connection.commit()

    def turn(self, *, closing: int, in_s: float, at_least_s: float = 0.0) -> float:
        """Have stage ``closing`` close, and the next open, ``in_s`` real seconds from now; 0 closes none.

        Returns the real instant (monotonic) at which that will be; later stages move along. Drafting and approving take
        their time: where the instant is past by then, or nearer than ``at_least_s``, it is put off.
        """
        for again in range(TRIES):
            notice_s = in_s * (1 << again)
            until_s = time.monotonic() + notice_s
            rules = self._turned(closing=closing, in_s=notice_s)
            grace = False if closing else None
            if self._publish(rules, grace=grace, closing=closing) and until_s - time.monotonic() >= at_least_s:
                return until_s
        raise ScenarioFailed(f"stage {closing} could not be closed in time: this machine is too slow for it")

    def forfeit(self, references: Iterable[str]) -> None:
        """Have awards forfeited: no owner can be left waiting for the months after which that happens by itself."""
        for position in self._positions(references):
            append_event(
                connection=self._connection,
                programme_id=self.programme_id,
                kind=EventKind.FORFEITURE,
                clock=self._clock,
                actor="system",
                position=position,
            )
            self._connection.commit()

    def now(self) -> datetime:
        """Return the business instant."""
        return self._clock.now()

    def stands(self, kind: EventKind, stage: int | None = None) -> bool:
        """Say whether this event of this stage stands in the queue."""
        row = self._connection.execute(
            "SELECT count(*) FROM queue_event"
            " WHERE programme_id = %s AND kind = %s AND stage_no IS NOT DISTINCT FROM %s",
            (self.programme_id, kind.value, stage),
        ).fetchone()
        self._connection.commit()
        return bool(row and row[0])

    def _positions(self, references: Iterable[str]) -> list[int]:
        """The positions of completed trade-ins, in order."""
        rows = self._connection.execute(
            "SELECT c.position FROM claim c JOIN trade_in t ON t.id = c.trade_in_id"
            " WHERE t.reference = ANY(%s) ORDER BY 1",
            (list(references),),
        ).fetchall()
        self._connection.commit()
        return [row[0] for row in rows]

    def claims(self) -> int:
        """Return how many claims stand in the queue."""
        return self._count("SELECT count(*) FROM claim WHERE programme_id = %s")

    def expired(self) -> int:
        """Return how many claims lost their place because nobody corrected them."""
        return self._count("SELECT count(*) FROM queue_event WHERE programme_id = %s AND kind = 'correction_expired'")

    def _count(self, query: str) -> int:
        row = self._connection.execute(query, (self.programme_id,)).fetchone()
        self._connection.commit()
        return int(row[0]) if row else 0

    def _turned(self, *, closing: int, in_s: float) -> Rules:
        assert self.rules is not None
        at = self._clock.now() + self._business(in_s)
        stages, window = list(self.rules.stages), self._business(self._window_s)
        if closing:
            stages[closing - 1] = replace(stages[closing - 1], closes_at=at)
        for later, index in enumerate(range(closing, STAGES)):
            stages[index] = replace(stages[index], opens_at=at + window * later, closes_at=at + window * (later + 1))
        return replace(self.rules, stages=tuple(stages))

    def _publish(self, rules: Rules, *, grace: bool | None, closing: int) -> bool:
        """Have the rules drafted and approved; False where they come too late by then."""
        note = f"第{closing}阶段提前截止，下一阶段随即开始" if closing else "第一阶段提前开始"
        drafted = self._staff.draft(_document(rules), note=note, grace_reserves=grace)
        if drafted.status == 422 and rules.stages[max(closing, 1) - 1].closes_at <= self._clock.now():
            return False
        if drafted.status != 201:
            raise ScenarioFailed(f"the draft was answered {drafted.status}: {drafted.body[:600].decode()}")
        if not self._staff.approve(drafted.data["change_no"]):
            return False
        self.rules = rules
        return True

    def _business(self, real_s: float) -> timedelta:
        return timedelta(seconds=round(real_s * self._clock.factor))


def _document(rules: Rules) -> dict[str, Any]:
    """The rules as the API takes them."""
    return {
        "stages": [
            {
                "number": stage.number,
                "amount_fen": stage.amount_fen,
                "places": stage.places,
                "budget_fen": stage.budget_fen,
                "opens_at": stage.opens_at.isoformat(),
                "closes_at": stage.closes_at.isoformat(),
            }
            for stage in rules.stages
        ],
        "late_window_seconds": round(rules.late_window.total_seconds()),
        "correction_window_seconds": round(rules.correction_window.total_seconds()),
        "per_person_limit": rules.per_person_limit,
        "reserve_fen": rules.reserve_fen,
        "filing_cut_off": rules.filing_cut_off.isoformat(),
    }
