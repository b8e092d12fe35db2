"""The shapes of a rush: how large the crowd is, how many plates have come, and when the second stage takes over.

A moment of the run is told by its ``share``: 0 at the beginning, 1 at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Points = Sequence[tuple[float, float]]
# Of so many users one stands at a counter.
USERS_A_COUNTER = 20
FEWEST_COUNTERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One shape: ``turn`` is the share at which the first stage closes and the second opens.

    ``crowd`` is the part of all users who are there, ``told`` the part of all plates whose word was due by then; both
    are given by corners and straight lines between them.
    """

    turn: float
    crowd: Points
    told: Points

    def crowd_at(self, share: float) -> float:
        """Return the part of the users, above 0 and at most 1."""
        return on_line(self.crowd, share)

    def told_at(self, share: float) -> float:
        """Return the part of the plates, from 0 to 1 and never falling."""
        return on_line(self.told, share)


SHAPES = {
    # Everybody comes as quickly as the spawn rate lets them, and stays.
    "ramp": Shape(turn=0.6, crowd=((0, 1), (1, 1)), told=((0, 0), (0.95, 1))),
    # Few know each other until the stage opens; half of all plates come in the fifth of the run that follows.
    "opening": Shape(
        turn=0.15,
        crowd=((0, 0.3), (0.1, 0.4), (0.15, 1), (0.4, 1), (1, 0.4)),
        told=((0, 0), (0.15, 0.05), (0.35, 0.6), (0.95, 1)),
    ),
    # The last evening: it grows and grows until the stage closes.
    "last-minute": Shape(
        turn=0.85,
        crowd=((0, 0.3), (0.5, 0.4), (0.75, 1), (0.85, 1), (0.9, 0.4), (1, 0.3)),
        told=((0, 0), (0.6, 0.3), (0.85, 0.85), (0.95, 1)),
    ),
    # An hour on end, or as long as one asks: nothing changes but what has piled up.
    "sustained": Shape(turn=0.5, crowd=((0, 1), (1, 1)), told=((0, 0), (0.97, 1))),
}


def on_line(points: Points, share: float) -> float:
    """Return the height of the line through ``points`` at ``share``; before the first and after the last it is flat."""
    if share <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if share <= right:
            return low + (high - low) * (share - left) / (right - left)
    return points[-1][1]


def counters_among(users: int) -> int:
    """Return how many of so many users stand at counters."""
    return max(FEWEST_COUNTERS, users // USERS_A_COUNTER)
