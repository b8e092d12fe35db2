"""The traffic police's plate system (云申领) as the registry needs it. The client stands in app/clients/plates/."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

PlateStatus = Literal["normal", "cancelled", "stolen", "disputed"]
AnswerState = Literal["done", "pending", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateRecord:
    """What the police hold about one plate."""

    plate_no: str
    status: PlateStatus
    district_code: str
    owner_name: str
    owner_id_no: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAnswer:
    """Where the cancellation asked for under ``message_no`` stands. ``cancelled_at`` is aware UTC, set when done."""

    message_no: str
    plate_no: str
    state: AnswerState
    cancelled_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateAnswer:
    """Where the plate application ``application_no`` stands.

    When done: ``plate_no``, ``issued_at`` (aware UTC), ``holder_id_no`` and ``vehicle_code`` say what was issued,
    when, to whom and for which bike.
    """

    application_no: str
    state: AnswerState
    plate_no: str | None = None
    issued_at: datetime | None = None
    holder_id_no: str | None = None
    vehicle_code: str | None = None
    reason: str | None = None


class PlateAuthority(Protocol):
    """Every call raises PartnerUnavailable (nothing happened) or PartnerSilent (outcome unknown, ask again).

    The numbers are ours and make each call idempotent: asking twice under one number is asking once.
    """

    def look_up(self, *, plate_no: str) -> PlateRecord | None:
        """Return the plate's record, or None where the police know no such plate."""

    def cancel(self, *, message_no: str, plate_no: str, owner_id_no: str) -> CancelAnswer:
        """Ask to cancel a plate (注销)."""

    def find_cancellation(self, *, message_no: str) -> CancelAnswer | None:
        """Ask what became of a cancellation; None where the police never received it."""

    def apply(self, *, application_no: str, vehicle_code: str, holder_name: str, holder_id_no: str) -> PlateAnswer:
        """Apply for a new plate for a compliant bike."""

    def find_application(self, *, application_no: str) -> PlateAnswer | None:
        """Ask what became of an application; None where the police never received it."""
