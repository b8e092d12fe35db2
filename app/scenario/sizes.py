"""How large each wave and each stage is: shares of the district's own programme, brought to any number of trade-ins.

The sizes make the programme show what it is for. The first stage runs out of places and claims wait; the second pays
them 200 yuan, takes over the first one's rest and keeps some money itself; the third runs out of money.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

WHOLE = 4_000


class Wave(StrEnum):
    """When the plate is issued. The police hold those of a ``…_burst`` wave and issue them all at once."""

    EARLY = "early"
    FAULTY = "faulty"  # in the first stage, with a photo that staff cannot read
    FIRST = "first"
    FIRST_BURST = "first_burst"
    SECOND = "second"
    PAUSED = "paused"  # in the second stage, while the programme is paused
    SECOND_BURST = "second_burst"
    THIRD = "third"
    THIRD_BURST = "third_burst"
    AFTER = "after"


class Kind(StrEnum):
    """What becomes of the claim by its own facts. ``AGAIN`` is the second trade-in of somebody who has another."""

    SOUND = "sound"
    TOO_OLD = "filed_too_long_ago"
    TOO_YOUNG = "filed_after_cut_off"
    TRANSFERRED = "transferred_after_cut_off"
    AGAIN = "limit_reached"


class Deed(StrEnum):
    """What becomes of a claim through people: the bureau's staff, the point, the owner; and during which stage."""

    CORRECT_IN_FIRST = "correct_in_first"  # the point sends another photo in time
    EXPIRE_IN_FIRST = "expire_in_first"  # nobody does
    RETURN_IN_FIRST = "return_in_first"
    HOLD_IN_FIRST = "hold_in_first"
    RETURN_IN_SECOND = "return_in_second"
    REPAY_IN_SECOND = "repay_in_second"  # a return of what was paid: the owner pays it back
    FORFEIT_IN_SECOND = "forfeit_in_second"
    OVERRULE_IN_SECOND = "overrule_in_second"
    APPEAL_IN_SECOND = "appeal_in_second"  # an overrule too, out of the owner's appeal
    RETURN_IN_THIRD = "return_in_third"


# How many of 4,000; at least one of each where there are fewer.
SHARES = {
    (Wave.EARLY, Kind.SOUND): 24,
    (Wave.FAULTY, Kind.SOUND): 9,
    (Wave.FIRST, Kind.SOUND): 1_994,
    (Wave.FIRST, Kind.TOO_OLD): 20,
    (Wave.FIRST, Kind.TOO_YOUNG): 20,
    (Wave.FIRST, Kind.TRANSFERRED): 20,
    (Wave.FIRST, Kind.AGAIN): 30,
    (Wave.FIRST_BURST, Kind.SOUND): 700,
    (Wave.SECOND, Kind.SOUND): 500,
    (Wave.SECOND, Kind.TOO_OLD): 8,
    (Wave.SECOND, Kind.TOO_YOUNG): 8,
    (Wave.SECOND, Kind.TRANSFERRED): 8,
    (Wave.SECOND, Kind.AGAIN): 16,
    (Wave.PAUSED, Kind.SOUND): 20,
    (Wave.PAUSED, Kind.TOO_OLD): 2,
    (Wave.SECOND_BURST, Kind.SOUND): 80,
    (Wave.THIRD, Kind.SOUND): 340,
    (Wave.THIRD, Kind.TOO_OLD): 6,
    (Wave.THIRD, Kind.TOO_YOUNG): 6,
    (Wave.THIRD, Kind.TRANSFERRED): 6,
    (Wave.THIRD, Kind.AGAIN): 12,
    (Wave.THIRD_BURST, Kind.SOUND): 160,
    (Wave.AFTER, Kind.SOUND): 36,
}
DEEDS = {
    Deed.CORRECT_IN_FIRST: 6,
    Deed.EXPIRE_IN_FIRST: 3,
    Deed.RETURN_IN_FIRST: 5,
    Deed.HOLD_IN_FIRST: 6,
    Deed.RETURN_IN_SECOND: 3,
    Deed.REPAY_IN_SECOND: 2,
    Deed.FORFEIT_IN_SECOND: 2,
    Deed.OVERRULE_IN_SECOND: 2,
    Deed.APPEAL_IN_SECOND: 1,
    Deed.RETURN_IN_THIRD: 2,
}
DEED_ON: dict[Deed, tuple[Wave, Kind]] = {
    **dict.fromkeys(Deed, (Wave.FIRST, Kind.SOUND)),
    Deed.CORRECT_IN_FIRST: (Wave.FAULTY, Kind.SOUND),
    Deed.EXPIRE_IN_FIRST: (Wave.FAULTY, Kind.SOUND),
    Deed.OVERRULE_IN_SECOND: (Wave.FIRST, Kind.TOO_OLD),
    Deed.APPEAL_IN_SECOND: (Wave.FIRST, Kind.TOO_OLD),
    Deed.RETURN_IN_THIRD: (Wave.THIRD, Kind.SOUND),
}
# What makes a claim of the first stage give its money back while the second is open.
FREED_IN_SECOND = (Deed.RETURN_IN_SECOND, Deed.REPAY_IN_SECOND, Deed.FORFEIT_IN_SECOND)
OVERRULED = (Deed.OVERRULE_IN_SECOND, Deed.APPEAL_IN_SECOND)
UNANSWERED = 8  # transfers that the bank carries out and does not answer
WAIT_IN_FIRST, SPARE_IN_FIRST, KEPT_IN_SECOND, SHORT_IN_THIRD = 140, 40, 30, 60
GIVEN_BACK_FEN = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSize:
    """What a stage pays and to how many: ``amount_fen`` each, ``places``, ``budget_fen`` in all."""

    amount_fen: int
    places: int
    budget_fen: int


class Sizes:
    """All the numbers of a scenario of about ``whole`` trade-ins."""

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self.waiting = self.share(WAIT_IN_FIRST)
        self.short = self.share(SHORT_IN_THIRD)
        self.deeds = {deed: self.share(share) for deed, share in DEEDS.items()}
        self.unanswered = max(2, self.share(UNANSWERED))
        self.freed_fen = 30_000 * self.many(*FREED_IN_SECOND)
        self.rest_of_first_fen = self.share(SPARE_IN_FIRST) * 30_000
        self.rest_of_second_fen = self.share(KEPT_IN_SECOND) * 20_000 + self.freed_fen
        self.parts = {key: self.share(share) for key, share in SHARES.items()}
        faulty, too_old = (Wave.FAULTY, Kind.SOUND), (Wave.FIRST, Kind.TOO_OLD)
        self.parts[faulty] = self.many(Deed.CORRECT_IN_FIRST, Deed.EXPIRE_IN_FIRST)
        self.parts[too_old] = max(self.parts[too_old], self.many(*OVERRULED))
        # What comes while the second stage has not settled finds money enough; only the burst behind that runs short.
        burst = (Wave.THIRD_BURST, Kind.SOUND)
        self.parts[burst] = max(self.parts[burst], self.short + -(-self.rest_of_second_fen // 10_000))
        self.stages = self._stages()
        self.reserve_fen = 30_000 * self.many(*OVERRULED)

    def share(self, of_whole: int) -> int:
        """Return this many of 4,000 brought to the scenario's size, at least one."""
        return max(1, round(of_whole * self._whole / WHOLE))

    def many(self, *deeds: Deed) -> int:
        """Return about how many claims people do any of these things."""
        return sum(self.deeds[deed] for deed in deeds)

    def sound(self, *waves: Wave) -> int:
        """Return how many trade-ins without a fault these waves bring."""
        return sum(self.parts[wave, Kind.SOUND] for wave in waves)

    @property
    def paid_by_second(self) -> int:
        """How many claims the second stage pays: those that still wait, and its own."""
        left = self.waiting - self.deeds[Deed.RETURN_IN_FIRST]
        return left + self.sound(Wave.SECOND, Wave.PAUSED, Wave.SECOND_BURST)

    def _stages(self) -> tuple[StageSize, ...]:
        corrected = self.deeds[Deed.CORRECT_IN_FIRST]
        first = corrected + self.sound(Wave.FIRST, Wave.FIRST_BURST) - self.waiting
        second = self.paid_by_second
        third = self.sound(Wave.THIRD, Wave.THIRD_BURST)
        # The second keeps what KEPT_IN_SECOND says, beside what staff free during it.
        kept_fen = self.rest_of_second_fen - self.freed_fen - self.rest_of_first_fen
        third_fen = (third - self.short) * 10_000 - self.rest_of_second_fen + GIVEN_BACK_FEN
        return (
            StageSize(amount_fen=30_000, places=first, budget_fen=first * 30_000 + self.rest_of_first_fen),
            StageSize(amount_fen=20_000, places=second + self.share(40), budget_fen=second * 20_000 + kept_fen),
            StageSize(amount_fen=10_000, places=third, budget_fen=third_fen),
        )
