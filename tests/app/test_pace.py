"""The pace towards the bank: even, made up for when late, and never more in any second than the bank allows."""

import pytest

from app import pace as pacing
from app.pace import Pace


class Hours:
    """A clock that a test moves; sleeping moves it too."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now_s += seconds


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    hours = Hours()
    monkeypatch.setattr(pacing, "time", hours)
    return hours


def let_through(pace: Pace, hours: Hours, count: int) -> list[float]:
    turns = []
    for _ in range(count):
        pace.wait()
        turns.append(hours.now_s)
    return turns


def most_in_a_second(turns: list[float]) -> int:
    return max(sum(1 for other in turns if 0 <= other - turn < 1 - 1e-9) for turn in turns)


def test_callers_in_time_go_evenly(hours: Hours) -> None:
    turns = let_through(Pace(per_second=50), hours, 200)
    assert turns[-1] - turns[0] == pytest.approx(199 / 50)
    assert most_in_a_second(turns) == 50


@pytest.mark.parametrize("stall_s", [0.1, 0.7, 1.0])
def test_a_short_stall_costs_nothing(hours: Hours, stall_s: float) -> None:
    pace = Pace(per_second=50)
    turns = let_through(pace, hours, 100)
    hours.sleep(stall_s)
    turns += let_through(pace, hours, 200)
    assert turns[-1] - turns[0] == pytest.approx(299 / 50, abs=0.03)
    assert most_in_a_second(turns) <= 50


def test_a_long_pause_saves_no_more_than_a_second(hours: Hours) -> None:
    pace = Pace(per_second=10)
    turns = let_through(pace, hours, 30)
    hours.sleep(60)
    after = let_through(pace, hours, 40)
    assert after[-1] - after[0] >= 39 / 10 - pacing.CATCH_UP_S - 1e-9
    assert most_in_a_second(turns + after) <= 10


def test_a_pace_below_one_a_second_is_kept(hours: Hours) -> None:
    turns = let_through(Pace(per_second=0.5), hours, 4)
    assert turns[-1] - turns[0] == pytest.approx(6)


def test_no_pace_is_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        Pace(per_second=0)
