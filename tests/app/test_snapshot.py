"""What a crowd reads is read once a second; what is dear to read takes a tenth of the time at most."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.snapshot import Snapshot


class Source:
    """Something that takes ``takes_s`` to be read, by a watch that moves only when told; its readings are numbered."""

    def __init__(self, *, takes_s: float = 0.0) -> None:
        self.now = 1000.0
        self.takes_s = takes_s
        self.readings = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.entered = threading.Semaphore(0)

    def read(self) -> int:
        self.entered.release()
        assert self.may_end.wait(10)
        self.now += self.takes_s
        self.readings += 1
        return self.readings

    def snapshot(self, *, dear: bool = False) -> Snapshot[int]:
        return Snapshot(self.read, fresh_s=1.0, dear=dear, instant=lambda: self.now)


def test_it_is_read_once_a_second():
    source = Source()
    snapshot = source.snapshot()
    assert [snapshot.get(), snapshot.get()] == [1, 1]
    source.now += 0.9
    assert snapshot.get() == 1
    source.now += 0.1
    assert snapshot.get() == 2


def test_its_age_counts_from_before_it_was_read():
    source = Source(takes_s=0.9)
    snapshot = source.snapshot()
    assert snapshot.get() == 1
    source.now += 0.1
    assert snapshot.get() == 2


@pytest.mark.parametrize(("takes_s", "kept_s"), [(0.0625, 1.0), (0.125, 1.25), (0.25, 2.5), (5.0, 50.0), (15.0, 60.0)])
def test_what_is_dear_is_kept_for_ten_times_as_long_as_it_took(takes_s, kept_s):
    source = Source(takes_s=takes_s)
    snapshot = source.snapshot(dear=True)
    began = source.now
    assert snapshot.get() == 1
    source.now = began + kept_s - 0.0625
    assert snapshot.get() == 1
    source.now = began + kept_s
    assert snapshot.get() == 2


def test_what_becomes_cheap_is_read_once_a_second_again():
    source = Source(takes_s=5.0)
    snapshot = source.snapshot(dear=True)
    snapshot.get()
    source.now, source.takes_s = source.now + 50, 0.0
    assert snapshot.get() == 2
    source.now += 1.0
    assert snapshot.get() == 3


@pytest.mark.parametrize(
    ("dear", "later_s", "told_meanwhile"), [(True, 6, True), (True, 11, False), (False, 1.5, False)]
)
def test_who_is_told_the_last_reading_while_another_reads(dear, later_s, told_meanwhile):
    source = Source(takes_s=0.5)
    snapshot = source.snapshot(dear=dear)
    began = source.now
    snapshot.get()
    source.entered.acquire()
    source.now = began + later_s
    source.may_end.clear()
    with ThreadPoolExecutor(2) as threads:
        reader = threads.submit(snapshot.get)
        assert source.entered.acquire(timeout=10)
        other = threads.submit(snapshot.get)
        if told_meanwhile:
            assert other.result(10) == 1
        else:
            with pytest.raises(TimeoutError):
                other.result(0.1)
        source.may_end.set()
        assert reader.result(10) == 2
        assert other.result(10) == (1 if told_meanwhile else 2)
    assert source.readings == 2


def test_a_reading_that_fails_is_tried_again_by_the_next():
    source = Source()
    answers = iter([ValueError("away"), 7])

    def read() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    snapshot = Snapshot(read, instant=lambda: source.now)
    with pytest.raises(ValueError, match="away"):
        snapshot.get()
    assert snapshot.get() == 7
