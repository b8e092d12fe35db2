"""Many callers answered by one piece of work: nobody gets another's answer, and nobody is left waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import together
from app.together import NotAnswered, Together

WAIT_S = 20.0


class Doubling:
    """Work that doubles numbers once it may; it notes how many it took at a time, and fails where it is told to."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may = threading.Event()
        self.may.set()
        self.fails_before = self.fails_after = self.forgets = False

    def __call__(self, take: Callable[[], list[int]]) -> list[int | Exception]:
        assert self.may.wait(WAIT_S)
        if self.fails_before:
            raise RuntimeError("the database is away")
        numbers = take()
        self.sizes.append(len(numbers))
        if self.fails_after:
            raise RuntimeError("the database went away")
        return [number * 2 if number >= 0 else ValueError(number) for number in numbers[self.forgets :]]


@pytest.fixture
def work() -> Doubling:
    return Doubling()


@pytest.fixture
def doubler(work: Doubling) -> Iterator[Together[int, int]]:
    doubler: Together[int, int] = Together(work, name="doubler", capacity=8)
    yield doubler
    work.may.set()
    doubler.close()


def asked(doubler: Together[int, int], number: int) -> int | type[Exception]:
    try:
        return doubler.ask(number)
    except (NotAnswered, ValueError) as error:
        return type(error)


def all_at_once(doubler: Together[int, int], work: Doubling, numbers: list[int]) -> list[int | type[Exception]]:
    """Ask for all of them while the work is held up, so that all are taken along."""
    work.may.clear()
    with ThreadPoolExecutor(len(numbers)) as threads:
        answers = [threads.submit(asked, doubler, number) for number in numbers]
        deadline = time.monotonic() + WAIT_S
        while len(doubler._waiting) < len(numbers):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        work.may.set()
        return [answer.result(WAIT_S) for answer in answers]


def test_everybody_gets_his_own_answer_and_few_pieces_of_work_do(
    doubler: Together[int, int], work: Doubling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "AT_ONCE", 3)
    assert all_at_once(doubler, work, [1, 2, 3, 4, 5, 6, 7]) == [2, 4, 6, 8, 10, 12, 14]
    assert work.sizes == [3, 3, 1]


def test_one_who_cannot_be_answered_fails_none_of_his_neighbours(doubler: Together[int, int], work: Doubling) -> None:
    assert all_at_once(doubler, work, [1, -1, 2]) == [2, ValueError, 4]
    assert work.sizes == [3]


@pytest.mark.parametrize("how", ["fails_before", "fails_after", "forgets"])
def test_work_that_fails_is_told_to_all_who_wait_and_the_next_is_done(
    doubler: Together[int, int], work: Doubling, how: str
) -> None:
    setattr(work, how, True)
    assert all_at_once(doubler, work, [1, 2]) == [NotAnswered, NotAnswered]
    setattr(work, how, False)
    assert asked(doubler, 3) == 6


def test_nobody_waits_for_ever_and_a_full_house_says_so_at_once(work: Doubling) -> None:
    doubler: Together[int, int] = Together(work, name="doubler", capacity=2, answer_within_s=0.05)
    work.may.clear()
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda number: asked(doubler, number), (1, 2))) == [NotAnswered, NotAnswered]
    assert len(doubler._waiting) == 2
    assert asked(doubler, 3) is NotAnswered
    assert len(doubler._waiting) == 2
    work.may.set()
    doubler.close()
    assert doubler._thread is not None
    doubler._thread.join(WAIT_S)
    assert asked(doubler, 4) is NotAnswered, "closed"
    assert work.sizes == [2], "who was taken is answered, though he has left"
