"""The clock as the queue needs it: the business instant of a real one."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class BusinessClock(Protocol):
    """Maps real instants to business instants; the identity in production, scaled in demonstrations."""

    def now(self) -> datetime:
        """Return the host's business instant, aware UTC."""

    def business(self, instant: datetime, /) -> datetime:
        """Return the business instant of a real one, e.g. of the database's ``clock_timestamp()``."""

    def real_for(self, instant: datetime, /) -> datetime:
        """Return the real instant of a business one."""
