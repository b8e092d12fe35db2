"""What a filing said before it was corrected: append-only, one row a corrected cell."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, String, func
from sqlalchemy.orm import Mapped, mapped_column

from registry import filings  # noqa: F401  (the table its key names)
from registry.base import Base, Instant


class FilingChange(Base):
    """One correction of one ``field`` of a filing, by whom and when. Nothing in it is personal data: an owner that
    changed by transfer is told as ``person:<id>``."""

    __tablename__ = "filing_change"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    filed_bike_id: Mapped[int] = mapped_column(ForeignKey("filed_bike.id"), index=True)
    at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    actor: Mapped[str] = mapped_column(String(60))
    field: Mapped[str] = mapped_column(String(16))
    old: Mapped[str] = mapped_column(String(64))
    new: Mapped[str] = mapped_column(String(64))
