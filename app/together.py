"""Many callers answered together: work done for fifty at once costs little more than for one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import structlog

_log = structlog.get_logger()
Question = TypeVar("Question")
Answer = TypeVar("Answer")
AT_ONCE = 128
ANSWER_WITHIN_S = 20.0


class NotAnswered(Exception):
    """Too many are waiting, the work failed, or it took too long: whether it was done is not known here."""


class _Slot(Generic[Question, Answer]):
    """Where one caller waits for one answer. A bare lock: a future's condition costs as much as a whole claim."""

    __slots__ = ("answered", "outcome", "question")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.outcome: Answer | Exception
        self.answered = threading.Lock()
        self.answered.acquire()

    def answer(self, outcome: Answer | Exception) -> None:
        self.outcome = outcome
        self.answered.release()

    def wait(self, *, within_s: float) -> Answer:
        if not self.answered.acquire(timeout=within_s):
            raise NotAnswered
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Together(Generic[Question, Answer]):
    """Collects questions and has one thread of its own answer all that have come meanwhile.

    ``work`` is called in that thread whenever somebody waits. It calls what it is given to take the questions, at most
    AT_ONCE of them, as late as it likes, and returns an answer for each in their order; an exception among the answers
    is raised to its caller. Where ``work`` itself raises, everybody in it gets NotAnswered.
    """

    def __init__(
        self,
        work: Callable[[Callable[[], list[Question]]], Sequence[Answer | Exception]],
        *,
        name: str,
        capacity: int = 1024,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._work = work
        self._name = name
        self._capacity = capacity
        self._answer_within_s = answer_within_s
        self._arrived = threading.Condition()
        self._waiting: list[_Slot[Question, Answer]] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    def ask(self, question: Question) -> Answer:
        """Return the answer, once the work it came of is done; raises NotAnswered, and what the answer is."""
        slot: _Slot[Question, Answer] = _Slot(question)
        with self._arrived:
            if self._closed or len(self._waiting) >= self._capacity:
                raise NotAnswered
            if self._thread is None:  # not before: a server forks, and threads do not come along
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._waiting.append(slot)
            self._arrived.notify()
        return slot.wait(within_s=self._answer_within_s)

    def close(self) -> None:
        """Take no more questions, and answer those that were taken."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        if self._thread is not None:
            self._thread.join(timeout=self._answer_within_s)

    def _run(self) -> None:
        while True:
            with self._arrived:
                while not self._waiting and not self._closed:
                    self._arrived.wait()
                if not self._waiting:
                    return
            self._answer_waiting()

    def _answer_waiting(self) -> None:
        slots: list[_Slot[Question, Answer]] = []

        def take() -> list[Question]:
            with self._arrived:
                taken, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            slots.extend(taken)
            return [slot.question for slot in taken]

        answers: Sequence[Answer | Exception]
        try:
            answers = self._work(take)
            if not slots or len(answers) != len(slots):
                raise ValueError(f"{len(answers)} answers to {len(slots)} questions")
        except Exception as error:  # the thread must outlive every failure: its callers wait for an answer
            if not slots:
                take()
            _log.warning("together.work_failed", of=self._name, size=len(slots), error=repr(error))
            answers = [NotAnswered() for _ in slots]
        for slot, answer in zip(slots, answers, strict=True):
            slot.answer(answer)
