"""Group commit for completions: one thread a process admits together what arrived during the last commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import orjson
import psycopg
from psycopg.types.json import set_json_loads

from app.clock import Clock
from app.together import NotAnswered, Together
from registry.base import Refusal
from subsidy.completion import Completed, Completion, TradeInLocked, admit_held, hold_queue
from subsidy.completion_sql import PLAN_LOOK_UPS

# A step of the counter holds its trade-in for some milliseconds: a completion that finds it held comes once more, after
# waits that double.
HELD_WAITS_S = (0.02, 0.04, 0.08, 0.16, 0.32)


class QueueBusy(Refusal):
    """Too many are waiting, or the database is away: whether the completion stands is not known here. Send again."""

    code = "queue_busy"
    kind = "unavailable"
    zh = "排队系统正忙，这一步有没有记上还没得到确认。"
    en = "The queue is busy; whether this step was recorded is not confirmed."
    remedy_zh = "请过几秒再试，不会重复办理，也不会丢掉。"
    remedy_en = "Try again in a few seconds; nothing is done twice and nothing is lost."


class Combiner:
    """Collects completions and admits them batch by batch on a connection of its own.

    ``complete`` blocks until the batch is on disk, so an answer always means «it stands». A failed transaction is
    answered with QueueBusy for everybody in it, never with a duplicate: the caller may send again.
    """

    def __init__(self, *, conninfo: str, clock: Clock, district: str, capacity: int = 1024) -> None:
        self._conninfo = conninfo
        self._clock = clock
        self._district = district
        self._connection: psycopg.Connection | None = None
        self._together = Together(self._admit, name="combiner", capacity=capacity)

    def complete(self, completion: Completion) -> Completed:
        """Admit one completion; return its place. Raises the Refusal it earned, or QueueBusy.

        Where somebody else holds the trade-in just now, it waits for some tenths of a second, then QueueBusy. Only the
        caller's own thread waits: the queue goes on meanwhile.
        """
        try:
            for wait_s in HELD_WAITS_S:
                try:
                    return self._together.ask(completion)
                except TradeInLocked:
                    time.sleep(wait_s)
            return self._together.ask(completion)
        except (TradeInLocked, NotAnswered):
            raise QueueBusy() from None

    def close(self) -> None:
        """Stop taking completions, finish what was taken, and let go of the connection."""
        self._together.close()
        self._disconnect()

    def _admit(self, take: Callable[[], list[Completion]]) -> Sequence[Completed | Refusal]:
        """Wait for the queue's lock, then take along everybody who has come meanwhile."""
        try:
            queue = hold_queue(connection=self._connected())
            return admit_held(queue=queue, completions=take(), clock=self._clock, district=self._district)
        except Exception:
            self._disconnect()
            raise

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._conninfo, prepare_threshold=0)
            set_json_loads(orjson.loads, self._connection)
            self._connection.execute(PLAN_LOOK_UPS, prepare=False)
            self._connection.commit()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
