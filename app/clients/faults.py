"""What goes wrong between machines, and the plan that decides on which request it goes wrong.

The plan is a function of the seed, the operation, the request's own number and how often that number came: so the
same seed hits the same requests whatever order threads bring them in.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from enum import StrEnum


class Fault(StrEnum):
    """One way in which a partner misbehaves. The first six concern the answer, the others the callback."""

    SLOW = "slow"  # answers late, but in time
    UNAVAILABLE = "unavailable"  # 503, nothing happened
    UNAVAILABLE_ONCE = "unavailable_once"  # 503 at the first asking, then as if nothing had been
    ERROR_AFTER = "error_after"  # did it, then answered 500
    SILENT = "silent"  # did it, then did not answer in time
    LOST = "lost"  # did not do it and did not answer either
    PENDING = "pending"  # answers «pending», calls back
    ANSWERED_TWICE = "answered_twice"  # answers at once and calls back as well
    CALLBACK_TWICE = "callback_twice"
    CALLBACK_LATE = "callback_late"
    CALLBACK_NEVER = "callback_never"  # only asking finds it out
    CALLBACK_OUT_OF_ORDER = "callback_out_of_order"  # the final word first, «pending» after it


TRANSPORT_FAULTS = (Fault.SLOW, Fault.UNAVAILABLE, Fault.ERROR_AFTER, Fault.SILENT, Fault.LOST)
CALLBACK_FAULTS = (
    Fault.ANSWERED_TWICE,
    Fault.CALLBACK_TWICE,
    Fault.CALLBACK_LATE,
    Fault.CALLBACK_NEVER,
    Fault.CALLBACK_OUT_OF_ORDER,
)
# a callback that misbehaves presupposes an answer that left the matter open
PENDING_FAULTS = frozenset(
    {Fault.PENDING, Fault.CALLBACK_TWICE, Fault.CALLBACK_LATE, Fault.CALLBACK_NEVER, Fault.CALLBACK_OUT_OF_ORDER}
)


def draw(seed: int, *words: object) -> float:
    """Return a number in [0, 1) that depends on the seed and the words alone."""
    text = "\x1f".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64


class FaultPlan:
    """Decides which request meets which fault. ``rate`` is the share of askings hit, 0 to 1."""

    def __init__(self, *, seed: int, rate: float) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"a fault rate lies between 0 and 1, not {rate}")
        self._seed = seed
        self._rate = rate
        self._asked: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def next(self, *, operation: str, number: str, magic: Fault | None, calls_back: bool) -> Fault | None:
        """Return the fault this asking meets, None for none. A magic value comes before chance."""
        if magic is not None and magic is not Fault.UNAVAILABLE_ONCE:
            return magic
        if not self._rate and magic is None:
            return None
        with self._lock:
            self._asked[operation, number] += 1
            asking = self._asked[operation, number]
        if magic is Fault.UNAVAILABLE_ONCE:
            return Fault.UNAVAILABLE if asking == 1 else None
        if draw(self._seed, "hit", operation, number, asking) >= self._rate:
            return None
        faults = TRANSPORT_FAULTS + CALLBACK_FAULTS if calls_back else TRANSPORT_FAULTS
        return faults[int(draw(self._seed, "which", operation, number, asking) * len(faults))]
