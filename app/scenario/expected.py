"""What the programme has to come to: counts by stage and reason, reckoned from the plan alone.

Written the slow obvious way and without a line of the queue's own code, so that agreeing with it means something. The
same shape is read out of the books (app/scenario/counts.py) and compared.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from app.scenario.plan import UNANSWERED, Plan
from app.scenario.sizes import FREED_IN_SECOND, OVERRULED, Deed, Kind, Wave

BEFORE, AFTER, RESERVE = "before", "after", "reserve"
STAGES = ("1", "2", "3")
LINES = (BEFORE, *STAGES, AFTER, RESERVE)
WAVES_OF = {
    BEFORE: (Wave.EARLY,),
    "1": (Wave.FAULTY, Wave.FIRST, Wave.FIRST_BURST),
    "2": (Wave.SECOND, Wave.PAUSED, Wave.SECOND_BURST),
    "3": (Wave.THIRD, Wave.THIRD_BURST),
    AFTER: (Wave.AFTER,),
}
OWN_FAULTS = (Kind.TOO_OLD, Kind.TOO_YOUNG, Kind.TRANSFERRED, Kind.AGAIN)


@dataclass(slots=True, kw_only=True)
class Line:
    """One line of the table. Claims count where their plate was issued: ``completed``, ``waited``, ``held`` (both for a
    time), ``corrected`` after that, ``declined`` by reason. Places and money count where they were taken: everything
    else, in fen; ``repaid`` are those of the returned whose money had been paid.
    """

    completed: int = 0
    waited: int = 0
    held: int = 0
    corrected: int = 0
    declined: dict[str, int] = field(default_factory=dict)
    places: int = 0
    budget_fen: int = 0
    carried_in_fen: int = 0
    carried_out_fen: int = 0
    awarded: int = 0
    awarded_fen: int = 0
    paid: int = 0
    paid_fen: int = 0
    returned: int = 0
    repaid: int = 0
    forfeited: int = 0


Counts = dict[str, Line]
# What was done about the programme and by people, each to its end; the names stand in DEALT_WITH.
Dealt = dict[str, int]
DEALT_WITH = (
    *("handed_over", "held_by_staff", "fault_marked", "overruled", "appeals_granted", "taken_back", "paid_back"),
    *("paused", "waited_in_pause", "closed_early", "left_unanswered", "statement_lines"),
)


def expected(plan: Plan) -> Counts:
    """Return what the plan has to come to."""
    counts = {name: Line() for name in LINES}
    for name, waves in WAVES_OF.items():
        counts[name].completed = len(plan.of(*waves))
        counts[name].declined = _faults(plan, waves)
    _add_stage_sizes(counts, plan)
    _add_outside(counts, plan)
    _add_first(counts["1"], plan)
    _add_second(counts["2"], plan)
    _add_third(counts["3"], plan)
    _add_reserve(counts, plan)
    for line in counts.values():
        line.paid, line.paid_fen = line.awarded, line.awarded_fen  # in the end every award reaches its wallet
        line.declined = dict(sorted(line.declined.items()))
    return counts


def expected_deeds(plan: Plan) -> Dealt:
    """Return how often each thing of DEALT_WITH has to have been done."""
    transferred = [planned for planned in plan.trade_ins if planned.kind is Kind.TRANSFERRED]
    unanswered = [planned for planned in plan.trade_ins if planned.magic in UNANSWERED]
    overruled, appealed = _deeds(plan, Deed.OVERRULE_IN_SECOND), _deeds(plan, Deed.APPEAL_IN_SECOND)
    repaid = _deeds(plan, Deed.REPAY_IN_SECOND)
    returned = sum(_deeds(plan, deed) for deed in (Deed.RETURN_IN_FIRST, Deed.RETURN_IN_SECOND, Deed.RETURN_IN_THIRD))
    return {
        "handed_over": len(transferred),
        "held_by_staff": _deeds(plan, Deed.HOLD_IN_FIRST),
        "fault_marked": len(plan.of(Wave.FAULTY)),
        "overruled": overruled + appealed,
        "appeals_granted": appealed,
        "taken_back": returned,
        "paid_back": repaid,
        "paused": 1,
        "waited_in_pause": len(plan.of(Wave.PAUSED)),
        "closed_early": len(STAGES),
        "left_unanswered": len(unanswered),
        "statement_lines": 1,
    }


def fingerprint(counts: Counts, dealt: Dealt) -> str:
    """Return the SHA-256 of the counts: the same for the same seed and size."""
    plain = {**{name: asdict(line) for name, line in counts.items()}, "dealt": dealt}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def deeds_differing(found: Dealt, wanted: Dealt) -> list[str]:
    """Return a sentence for each thing that was done more or less often than expected."""
    return [
        f"{name}: {found.get(name)}, expected {wanted[name]}" for name in DEALT_WITH if found.get(name) != wanted[name]
    ]


def differences(found: Counts, wanted: Counts) -> list[str]:
    """Return a sentence for each number that is not as expected."""
    return [
        f"{name}.{what}: {_get(found[name], what)}, expected {_get(wanted[name], what)}"
        for name in LINES
        for what in Line.__slots__
        if _get(found[name], what) != _get(wanted[name], what)
    ]


def _get(line: Line, what: str) -> Any:
    return getattr(line, what)


def _faults(plan: Plan, waves: Iterable[Wave]) -> dict[str, int]:
    found = Counter(planned.kind.value for planned in plan.of(*waves) if planned.kind in OWN_FAULTS)
    return dict(sorted(found.items()))


def _sound(plan: Plan, *waves: Wave) -> int:
    return sum(planned.kind is Kind.SOUND for planned in plan.of(*waves))


def _deeds(plan: Plan, deed: Deed) -> int:
    return len(plan.with_deed(deed))


def _without_place(plan: Plan) -> int:
    """How many sound claims of the first stage find no place when they come."""
    corrected = _deeds(plan, Deed.CORRECT_IN_FIRST)
    return corrected + _sound(plan, Wave.FIRST, Wave.FIRST_BURST) - plan.sizes.stages[0].places


def _add_stage_sizes(counts: Counts, plan: Plan) -> None:
    for name, size in zip(STAGES, plan.sizes.stages, strict=True):
        counts[name].places, counts[name].budget_fen = size.places, size.budget_fen


def _add_outside(counts: Counts, plan: Plan) -> None:
    counts[BEFORE].declined = {"not_open_yet": len(plan.of(Wave.EARLY))}
    counts[AFTER].declined = {"programme_over": len(plan.of(Wave.AFTER))}


def _add_first(line: Line, plan: Plan) -> None:
    """Places run out. Who returns the bike while the stage is open makes room; later it is money for the second."""
    size = plan.sizes.stages[0]
    early, late = _deeds(plan, Deed.RETURN_IN_FIRST), _deeds(plan, Deed.RETURN_IN_SECOND)
    line.corrected = _deeds(plan, Deed.CORRECT_IN_FIRST)
    line.repaid = _deeds(plan, Deed.REPAY_IN_SECOND)
    late += line.repaid
    line.waited = _without_place(plan)
    line.held = _deeds(plan, Deed.HOLD_IN_FIRST) + len(plan.of(Wave.FAULTY))
    line.declined["correction_expired"] = _deeds(plan, Deed.EXPIRE_IN_FIRST)
    line.returned = early + late
    line.forfeited = _deeds(plan, Deed.FORFEIT_IN_SECOND)
    line.awarded = size.places - late - line.forfeited
    line.awarded_fen = line.awarded * size.amount_fen
    line.carried_out_fen = size.budget_fen - line.awarded_fen


def _add_second(line: Line, plan: Plan) -> None:
    """Who still waits goes first, then its own; nobody has to wait. It gets what the first did not spend."""
    own, before = plan.sizes.stages[1], plan.sizes.stages[0]
    waiting = _without_place(plan) - _deeds(plan, Deed.RETURN_IN_FIRST)
    gone = sum(_deeds(plan, deed) for deed in FREED_IN_SECOND)
    line.waited = len(plan.of(Wave.PAUSED))  # everybody waits in a pause
    line.carried_in_fen = before.budget_fen - (before.places - gone) * before.amount_fen
    line.places += line.carried_in_fen // own.amount_fen
    line.awarded = waiting + _sound(plan, Wave.SECOND, Wave.PAUSED, Wave.SECOND_BURST)
    line.awarded_fen = line.awarded * own.amount_fen
    line.carried_out_fen = own.budget_fen + line.carried_in_fen - line.awarded_fen


def _add_third(line: Line, plan: Plan) -> None:
    """Money runs out. Who returns the bike makes room; who waits in the end is declined; the rest goes back."""
    second = Line(budget_fen=plan.sizes.stages[1].budget_fen)
    _add_second(second, plan)
    own = plan.sizes.stages[2]
    line.carried_in_fen = second.carried_out_fen
    line.places += line.carried_in_fen // own.amount_fen
    line.awarded = min(line.places, (own.budget_fen + line.carried_in_fen) // own.amount_fen)
    line.awarded_fen = line.awarded * own.amount_fen
    line.returned = _deeds(plan, Deed.RETURN_IN_THIRD)
    line.waited = _sound(plan, Wave.THIRD, Wave.THIRD_BURST) - line.awarded
    line.declined = dict(sorted({**line.declined, "no_money": line.waited - line.returned}.items()))
    line.carried_out_fen = own.budget_fen + line.carried_in_fen - line.awarded_fen


def _add_reserve(counts: Counts, plan: Plan) -> None:
    """Overruled claims are paid from the reserve what their position would have had: the first stage's amount."""
    overruled = sum(_deeds(plan, deed) for deed in OVERRULED)
    reserve, first = counts[RESERVE], counts["1"]
    reserve.budget_fen = plan.sizes.reserve_fen
    reserve.awarded, reserve.awarded_fen = overruled, overruled * plan.sizes.stages[0].amount_fen
    left = first.declined[Kind.TOO_OLD.value] - overruled  # of those whose filing is too old
    first.declined = {**first.declined, Kind.TOO_OLD.value: left} if left else _without(first.declined, Kind.TOO_OLD)


def _without(declined: dict[str, int], kind: Kind) -> dict[str, int]:
    return {reason: number for reason, number in declined.items() if reason != kind.value}
