"""Group commit for completions: one thread a process admits together what arrived during the last commit."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import orjson
import psycopg
import structlog
from psycopg.types.json import set_json_loads

from app.clock import Clock
from registry.base import Refusal
from subsidy.completion import Completed, Completion, TradeInLocked, admit_held, hold_queue
from subsidy.completion_sql import PLAN_LOOK_UPS

_log = structlog.get_logger()
BATCH = 128
ANSWER_WITHIN_S = 20.0
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


class _Slot:
    """Where one caller waits for one answer. A bare lock: a future's condition costs as much as the whole claim."""

    __slots__ = ("answered", "completion", "outcome")

    def __init__(self, completion: Completion) -> None:
        self.completion = completion
        self.outcome: Completed | Refusal | None = None
        self.answered = threading.Lock()
        self.answered.acquire()

    def answer(self, outcome: Completed | Refusal) -> None:
        self.outcome = outcome
        self.answered.release()

    def wait(self) -> Completed:
        if not self.answered.acquire(timeout=ANSWER_WITHIN_S) or self.outcome is None:
            raise QueueBusy()
        if isinstance(self.outcome, Refusal):
            raise self.outcome
        return self.outcome


class Combiner:
    """Collects completions and admits them batch by batch on a connection of its own.

    ``complete`` blocks until the batch is committed, so an answer always means «it stands». A failed transaction is
    answered with QueueBusy for everybody in it, never with a duplicate: the caller may send again.
    """

    def __init__(self, *, conninfo: str, clock: Clock, district: str, capacity: int = 1024) -> None:
        self._conninfo = conninfo
        self._clock = clock
        self._district = district
        self._capacity = capacity
        self._arrived = threading.Condition()
        self._waiting: list[_Slot] = []
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection | None = None
        self._closed = False

    def complete(self, completion: Completion) -> Completed:
        """Admit one completion; return its place. Raises the Refusal it earned, or QueueBusy.

        Where somebody else holds the trade-in just now, it waits for some tenths of a second, then QueueBusy. Only the
        caller's own thread waits: the queue goes on meanwhile.
        """
        for wait_s in HELD_WAITS_S:
            try:
                return self._complete_once(completion)
            except TradeInLocked:
                time.sleep(wait_s)
        try:
            return self._complete_once(completion)
        except TradeInLocked:
            raise QueueBusy() from None

    def _complete_once(self, completion: Completion) -> Completed:
        slot = _Slot(completion)
        with self._arrived:
            if self._closed or len(self._waiting) >= self._capacity:
                raise QueueBusy()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="combiner", daemon=True)
                self._thread.start()
            self._waiting.append(slot)
            self._arrived.notify()
        return slot.wait()

    def close(self) -> None:
        """Stop taking completions, finish what was taken, and let go of the connection."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        if self._thread is not None:
            self._thread.join(timeout=ANSWER_WITHIN_S)
        self._disconnect()

    def _run(self) -> None:
        while True:
            with self._arrived:
                while not self._waiting and not self._closed:
                    self._arrived.wait()
                if not self._waiting:
                    return
            self._admit_waiting()

    def _admit_waiting(self) -> None:
        """Wait for the queue's lock, then take along everybody who has come meanwhile."""
        batch: list[_Slot] = []
        outcomes: Sequence[Completed | Refusal]
        try:
            queue = hold_queue(connection=self._connected())
            batch = self._take()
            outcomes = admit_held(
                queue=queue,
                completions=[slot.completion for slot in batch],
                clock=self._clock,
                district=self._district,
            )
        except Exception as error:  # the thread must outlive every failure: its callers wait for an answer
            self._disconnect()
            batch = batch or self._take()
            _log.warning("combiner.batch_failed", size=len(batch), error=repr(error))
            outcomes = [QueueBusy() for _ in batch]
        for slot, outcome in zip(batch, outcomes, strict=True):
            slot.answer(outcome)

    def _take(self) -> list[_Slot]:
        with self._arrived:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        return batch

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
