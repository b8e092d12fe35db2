"""The arithmetic of a benchmark: medians of neighbours' ratios, and a goal that an error or a slow tail misses."""

import json

import pytest

from loadtests.bench.comparison import Run, summary


def runs(*ratios: float, p99: float | None = None, errors: int = 0) -> list[Run]:
    return [
        Run(
            ours=ratio * 1_000,
            reference=1_000,
            ours_p99=None if p99 is None else p99 * 0.01,
            reference_p99=None if p99 is None else 0.01,
            errors=errors,
        )
        for ratio in ratios
    ]


def test_the_median_of_the_runs_is_judged() -> None:
    line = summary(name="x", goal=0.5, runs=runs(0.1, 0.6, 0.5, 0.9, 0.2))
    assert (line["ratio"], line["median"], line["min"], line["max"], line["met"]) == (0.5, 0.5, 0.1, 0.9, True)
    assert [run["ratio"] for run in line["runs"]] == [0.1, 0.6, 0.5, 0.9, 0.2]
    assert line["p99_ratio"] is None
    assert json.loads(json.dumps(line)) == line


def test_a_goal_is_missed_by_the_ratio_the_tail_or_an_error() -> None:
    good = [0.7] * 5
    assert summary(name="x", goal=0.7, runs=runs(*good, p99=1.5), p99_goal=1.5)["met"]
    assert not summary(name="x", goal=0.71, runs=runs(*good, p99=1.5), p99_goal=1.5)["met"]
    assert not summary(name="x", goal=0.7, runs=runs(*good, p99=1.51), p99_goal=1.5)["met"]
    assert not summary(name="x", goal=0.7, runs=runs(*good), p99_goal=1.5)["met"]
    assert not summary(name="x", goal=0.7, runs=runs(*good, errors=1))["met"]


def test_few_runs_say_nothing() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        summary(name="x", goal=0.5, runs=runs(1, 1, 1, 1))
