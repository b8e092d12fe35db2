"""The one place that reads the system's clock.

Business instants (stages, plates, deadlines) may run at another pace in a demo or a scenario; everything that guards
a machine (time-outs, leases, signatures, one-time codes) stays in real time and takes ``real()``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.startup import CannotStart

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORMAT = re.compile(r"(?P<business>[^@]+)@(?P<real>\d+(?:\.\d{1,6})?)x(?P<factor>\d+(?:\.\d+)?)")


def real() -> datetime:
    """Return the real instant, aware UTC."""
    return datetime.now(UTC)


def epoch_seconds(instant: datetime) -> float:
    """Return the seconds since 1970 of an aware instant, as signatures and MAPAI_CLOCK carry them."""
    return (instant - EPOCH) / timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Maps real instants to business instants: ``origin_business`` was at ``origin_real``, ``factor`` times as fast.

    The default is the identity. The mapping is exact to the microsecond and never runs backwards.
    """

    origin_business: datetime = EPOCH
    origin_real: datetime = EPOCH
    factor: float = 1.0

    def __post_init__(self) -> None:
        if self.origin_business.tzinfo is None or self.origin_real.tzinfo is None:
            raise ValueError("a clock's origins carry a time zone")
        if self.factor <= 0:
            raise ValueError("a clock's factor is above zero")

    @classmethod
    def parse(cls, text: str) -> Clock:
        """Read ``BUSINESS@REALxFACTOR``, e.g. ``2026-06-01T00:00:00+08:00@1763712000.5x17280``.

        BUSINESS is an ISO 8601 instant with its offset, REAL the epoch seconds at which it was so. Raises CannotStart.
        """
        match = FORMAT.fullmatch(text.strip())
        if match is None:
            raise CannotStart(_wrong(text))
        try:
            business = datetime.fromisoformat(match["business"])
            if business.tzinfo is None:
                raise CannotStart(f"MAPAI_CLOCK «{text}» has no offset: write the business instant with +08:00.")
            whole, _, fraction = match["real"].partition(".")
            origin_real = EPOCH + timedelta(seconds=int(whole), microseconds=int(fraction.ljust(6, "0")))
            return cls(origin_business=business.astimezone(UTC), origin_real=origin_real, factor=float(match["factor"]))
        except (ValueError, OverflowError) as wrong:
            raise CannotStart(_wrong(text)) from wrong

    def __str__(self) -> str:
        """Write the clock as ``parse`` reads it."""
        seconds, rest = divmod(self.origin_real - EPOCH, timedelta(seconds=1))
        return f"{self.origin_business.isoformat()}@{seconds}.{rest.microseconds:06d}x{self.factor:.12g}"

    def now(self) -> datetime:
        """Return the business instant, aware UTC."""
        return self.business(real())

    def business(self, instant: datetime) -> datetime:
        """Map a real instant, e.g. the database's ``clock_timestamp()``, to business time, aware UTC."""
        return (self.origin_business + (instant - self.origin_real) * self.factor).astimezone(UTC)

    def real_for(self, instant: datetime) -> datetime:
        """Map a business instant back to the real one at which it falls, aware UTC: how long there is to wait."""
        return (self.origin_real + (instant - self.origin_business) / self.factor).astimezone(UTC)

    @property
    def is_real(self) -> bool:
        """Whether business time is real time."""
        return self.factor == 1.0 and self.origin_business == self.origin_real


def _wrong(text: str) -> str:
    return (
        f"MAPAI_CLOCK «{text}» is not a clock: write BUSINESS@REALxFACTOR, "
        "e.g. 2026-06-01T00:00:00+08:00@1763712000x60."
    )
