"""Finds in a filing list the owners whose bikes will be traded in: spread over the list, by what their filing says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from app.scenario.sizes import Kind
from app.startup import CannotStart
from registry.filing_rows import FilingRow

# The programme's cut-off, and days that are surely too long ago or surely not, on whatever day a scenario arrives at.
CUT_OFF = "2025-06-30"
SURELY_TOO_LONG_AGO = "2019-03-02"
SURELY_YOUNG_ENOUGH = "2021-07-01"


@dataclass(slots=True, kw_only=True)
class Owners:
    """Filings by what the programme will say of them; ``pairs`` are two sound filings of one owner."""

    sound: list[FilingRow] = field(default_factory=list)
    too_old: list[FilingRow] = field(default_factory=list)
    too_young: list[FilingRow] = field(default_factory=list)
    pairs: list[tuple[FilingRow, FilingRow]] = field(default_factory=list)

    def take(self, kind: Kind) -> FilingRow:
        """Take one filing of a single owner."""
        lists = {Kind.TOO_OLD: self.too_old, Kind.TOO_YOUNG: self.too_young}
        return lists.get(kind, self.sound).pop()


def find_owners(
    filings: Iterable[FilingRow], *, sound: int, too_old: int, too_young: int, pairs: int, every: int
) -> Owners:
    """Return that many of each, no owner twice, sound single ones at least ``every`` owners apart.

    Raises CannotStart where the list holds too few.
    """
    found = Owners()
    wanted = {"sound": sound, "too_old": too_old, "too_young": too_young, "pairs": pairs}
    since = every
    for bikes in _by_owner(filings):
        since += 1
        name = _standing(bikes)
        if name is None or len(getattr(found, name)) >= wanted[name] or (name == "sound" and since < every):
            continue
        getattr(found, name).append(bikes[0] if len(bikes) == 1 else (bikes[0], bikes[1]))
        since = 0 if name == "sound" else since
    missing = [name for name, number in wanted.items() if len(getattr(found, name)) < number]
    if missing:
        raise CannotStart(f"The filing list holds too few owners ({', '.join(missing)}): raise --filings.")
    return found


def _by_owner(filings: Iterable[FilingRow]) -> Iterator[list[FilingRow]]:
    """The list's rows owner by owner: those of one owner stand together."""
    for _, rows in groupby(filings, key=lambda row: row.id_no):
        yield list(rows)


def _standing(bikes: list[FilingRow]) -> str | None:
    if len(bikes) > 1:
        return "pairs" if all(map(_is_sound, bikes)) else None
    filed_on = bikes[0].filed_on
    if _is_sound(bikes[0]):
        return "sound"
    if filed_on < SURELY_TOO_LONG_AGO:
        return "too_old"
    return "too_young" if filed_on > CUT_OFF else None


def _is_sound(row: FilingRow) -> bool:
    return SURELY_YOUNG_ENOUGH <= row.filed_on <= CUT_OFF
