"""Plates (号牌) issued by the traffic police for new bikes, as they confirmed them to us."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.base import Base, Instant


class Plate(Base):
    """One issued plate. ``issued_at`` is the police system's instant, UTC."""

    __tablename__ = "plate"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    plate_no: Mapped[str] = mapped_column(String(16), unique=True)
    bike_id: Mapped[int] = mapped_column(ForeignKey("bike.id"), unique=True)
    holder_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    application_no: Mapped[str] = mapped_column(String(32), unique=True)
    issued_at: Mapped[datetime] = mapped_column(Instant)
