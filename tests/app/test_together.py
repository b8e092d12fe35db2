"""Many callers answered by one piece of work: nobody gets another's answer, and nobody is left waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import together
from app.together import AT_ONCE, NotAnswered, Together

MANY = 3 * AT_ONCE


class Doubling:
    """Work that doubles numbers once it may, and notes how many it took at a time."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.begun = threading.Semaphore(0)
        self.may = threading.Event()
        self.may.set()
        self.fails: Exception | None = None

    def __call__(self, take: Callable[[], list[int]]) -> list[int | Exception]:
        self.begun.release()
        assert self.may.wait(10)
        if self.fails is not None:
            raise self.fails
        numbers = take()
        self.sizes.append(len(numbers))
        return [number * 2 if number >= 0 else ValueError(number) for number in numbers]


@pytest.fixture
def work() -> Doubling:
    return Doubling()


def asked(doubler: Together[int, int], number: int) -> int | type[Exception]:
    try:
        return doubler.ask(number)
    except (NotAnswered, ValueError) as error:
        return type(error)


def test_everybody_gets_his_own_answer_and_few_pieces_of_work_do(work: Doubling) -> None:
    doubler: Together[int, int] = Together(work, name="doubler")
    work.may.clear()
    with ThreadPoolExecutor(MANY) as threads:
        answers = [threads.submit(asked, doubler, number) for number in range(MANY)]
        while len(doubler._waiting) < MANY:  # who has come while the work was held up is taken along
            pass
        work.may.set()
        assert [answer.result(10) for answer in answers] == [2 * number for number in range(MANY)]
    doubler.close()
    assert work.sizes == [AT_ONCE] * 3


def test_one_who_cannot_be_answered_fails_none_of_his_neighbours(work: Doubling) -> None:
    doubler: Together[int, int] = Together(work, name="doubler")
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(lambda number: asked(doubler, number), (1, -1, 2))) == [2, ValueError, 4]
    doubler.close()


def test_work_that_fails_is_told_to_all_who_wait_and_the_next_is_done(work: Doubling) -> None:
    doubler: Together[int, int] = Together(work, name="doubler")
    work.fails = RuntimeError("the database is away")
    assert [asked(doubler, number) for number in (1, 2)] == [NotAnswered, NotAnswered]
    work.fails = None
    assert asked(doubler, 3) == 6
    doubler.close()


def test_nobody_waits_for_ever_and_a_full_house_says_so_at_once(
    work: Doubling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "ANSWER_WITHIN_S", 0.05)
    doubler: Together[int, int] = Together(work, name="doubler", capacity=2)
    work.may.clear()
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda number: asked(doubler, number), (1, 2))) == [NotAnswered, NotAnswered]
    assert len(doubler._waiting) == 2
    assert asked(doubler, 3) is NotAnswered
    assert len(doubler._waiting) == 2
    monkeypatch.setattr(together, "ANSWER_WITHIN_S", 10)
    work.may.set()
    doubler.close()
    assert asked(doubler, 4) is NotAnswered, "closed"
    assert work.sizes == [2], "who was taken is answered, though he has left"
