"""What a benchmark answers: every run's two sides, and the ratio they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

Progress = Callable[[str], None]
FEWEST_RUNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One turn of both sides: what each did in a second, its 99th percentile in seconds where it has one; errors."""

    ours: float
    reference: float
    ours_p99: float | None = None
    reference_p99: float | None = None
    errors: int = 0

    @property
    def ratio(self) -> float:
        return self.ours / self.reference

    @property
    def p99_ratio(self) -> float | None:
        """How many times as long ours takes at the 99th percentile, None where it was not measured."""
        if self.ours_p99 is None or self.reference_p99 is None:
            return None
        return self.ours_p99 / self.reference_p99


def summary(*, name: str, goal: float, runs: Sequence[Run], p99_goal: float | None = None) -> dict[str, Any]:
    """Return the JSON line: medians over the runs' own ratios, and whether the goals are met without an error.

    ``goal`` is the least ratio, ``p99_goal`` the greatest p99 ratio. Fewer than five runs are a ValueError.
    """
    if len(runs) < FEWEST_RUNS:
        raise ValueError(f"{len(runs)} runs say too little: make at least {FEWEST_RUNS}")
    ratios = [run.ratio for run in runs]
    p99_ratios = [run.p99_ratio for run in runs if run.p99_ratio is not None]
    errors = sum(run.errors for run in runs)
    ratio, p99_ratio = median(ratios), median(p99_ratios) if p99_ratios else None
    met = ratio >= goal and errors == 0
    if p99_goal is not None:
        met = met and p99_ratio is not None and p99_ratio <= p99_goal
    return {
        "name": name,
        "ratio": round(ratio, 3),
        "p99_ratio": None if p99_ratio is None else round(p99_ratio, 3),
        "errors": errors,
        "goal": goal,
        "p99_goal": p99_goal,
        "met": met,
        "median": round(ratio, 3),
        "min": round(min(ratios), 3),
        "max": round(max(ratios), 3),
        "runs": [
            {
                **{key: figure if figure is None else round(figure, 4) for key, figure in asdict(run).items()},
                "ratio": round(run.ratio, 3),
            }
            for run in runs
        ],
    }


def together(*, name: str, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one JSON line for several summaries: the one furthest from its goal, with all of them in ``parts``.

    The goal is met where each part meets its own.
    """
    worst = min(parts, key=lambda part: part["ratio"] / part["goal"])
    errors = sum(part["errors"] for part in parts)
    return worst | {"name": name, "errors": errors, "met": all(part["met"] for part in parts), "parts": list(parts)}
