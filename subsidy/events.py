"""What goes into the queue's law and what comes out: events, decisions and movements of money. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from subsidy.rules import Rules


class EventKind(StrEnum):
    """The kinds of law 1, spelled as the law spells them."""

    VERSION = "version"
    OPENING = "opening"
    CLOSING = "closing"
    SETTLING = "settling"
    CLAIM = "claim"
    CORRECTED = "corrected"
    CORRECTION_EXPIRED = "correction_expired"
    HOLD = "hold"
    RELEASE = "release"
    OVERRULE = "overrule"
    RETURN = "return"
    FORFEITURE = "forfeiture"
    PAUSE = "pause"
    RESUME = "resume"
    END = "end"


@dataclass(frozen=True, slots=True)
class ClaimFacts:
    """What the queue knew of a claim when it was recorded.

    ``effective_at`` is the instant e of law 3, already clamped. ``refusal`` is the code of the eligibility rule that
    failed, None where all passed. ``fault`` is the code of a fault the owner can correct (law 9), None where none.
    """

    position: int
    person_id: int
    effective_at: datetime
    refusal: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the queue. ``recorded_at`` is never earlier than the event before it.

    ``due_at`` is the instant of an opening, closing, settling, correction_expired or end; None for what people do.
    ``stage`` names the stage that opens, closes or settles. ``position`` names the claim of a corrected,
    correction_expired, hold, release, overrule, return or forfeiture; ``claim`` is set for a claim alone, ``rules``
    for a version alone. ``reason`` is the staff's reason for a hold. ``refusal`` is the eligibility rule that a
    correction failed. ``was_paid`` says that a returned or forfeited award had reached the owner's wallet and is
    back: such an event is recorded when the money is.
    """

    event_no: int
    kind: EventKind
    recorded_at: datetime
    due_at: datetime | None = None
    stage: int | None = None
    position: int | None = None
    claim: ClaimFacts | None = None
    rules: Rules | None = None
    reason: str | None = None
    refusal: str | None = None
    was_paid: bool = False


class Outcome(StrEnum):
    """The decisions of law 13. ``waiting`` and ``held`` are resolved by a later event."""

    AWARD = "award"
    DECLINE = "decline"
    WAITING = "waiting"
    HELD = "held"


class Decision(NamedTuple):
    """What event ``event_no`` decided on the claim at ``position``.

    ``stage`` and ``amount_fen``: award and held, the stage that pays and what it pays. Decline: amount 0 and the stage
    that would have paid, None where the claim would have waited; an overrule pays from that. Waiting: amount 0 and
    the stage an overruled claim is owed, otherwise None.
    ``account`` is the ledger account that holds the money of an award ("committed:1", "committed:reserve") or of a
    held claim ("held:1"); payouts move it on from there. ``fault`` is what the owner has to correct, or
    "staff_hold"; ``expires_at`` when a correction is due, None for a staff hold. ``reason`` explains every decline and
    every wait: while the programme is paused a wait may carry the code with which it will be declined on resume.
    """

    event_no: int
    position: int
    outcome: Outcome
    stage: int | None
    amount_fen: int
    reason: str | None
    account: str | None = None
    fault: str | None = None
    expires_at: datetime | None = None
    overruled: bool = False


class Movement(NamedTuple):
    """One ledger posting: ``amount_fen`` (> 0) leaves ``debit`` and enters ``credit``.

    Accounts: "appropriation" (where all money comes from and returns to), "reserve" (for overrules), "stage:1" (a
    stage's free money), "held:1", "committed:1" (awarded), "paid:1"; the last three also as "…:reserve".
    ``kind``: provide, withdraw, award, hold, release, free, carry, give_back.
    """

    event_no: int
    debit: str
    credit: str
    amount_fen: int
    position: int | None
    kind: str


Effect = Decision | Movement
