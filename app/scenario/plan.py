"""What the scenario will do, decided from the seed before anything runs: who trades in when, where, with what fate.

Everything that decides a count is settled here; chance, order and speed at run time decide none.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from app.district.filings import made_person
from app.scenario.owners import Owners, find_owners
from app.scenario.sizes import DEED_ON, Deed, Kind, Sizes, Wave
from app.startup import CannotStart
from registry.filing_rows import FilingRow

LEAST_TRADE_INS = 100
FILINGS_FOR_EACH = 12
# No money ever leaves for these.
ENDED_UNPAID = (
    Deed.EXPIRE_IN_FIRST,
    Deed.RETURN_IN_FIRST,
    Deed.RETURN_IN_SECOND,
    Deed.FORFEIT_IN_SECOND,
    Deed.RETURN_IN_THIRD,
)
# The bank carries the transfer out and answers with an error, or not at all: nobody knows until it is asked, or its
# statement tells.
UNANSWERED = ("error_after", "silent")
# Beyond everybody in a filing list, and below the numbers that made people have.
FIRST_BUYER = 20_500_000


class WalletPlan(StrEnum):
    """When and how the owner gives a wallet."""

    BEFORE = "before"  # before the trade-in completes
    AFTER = "after"
    REFUSED_FIRST = "refused_first"  # the bank's check refuses the first one, the owner gives another
    FAILING_FIRST = "failing_first"  # the first one checks well and the transfer is finally rejected
    NEVER = "never"


# Words of the bank's magic wallets (app/clients/ecny/scenarios.py); each ends well, sooner or later.
REFUSED_WALLETS = ("frozen", "mismatch", "unknown")
FAILING_WALLETS = ("full_once", "closed_later", "full")
ODD_WALLETS = (
    *("phone", "pending", "never", "twice", "late", "out_of_order"),
    *("not_final", "slow"),
)
SHARE_BEFORE, SHARE_REFUSED, SHARE_FAILING, SHARE_ODD = 0.55, 0.05, 0.03, 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One trade-in to come. ``number`` counts through the scenario, ``point`` through the points, from 0 both.

    ``magic`` is the word that makes its first wallet misbehave, None for an ordinary one. ``filing`` names whoever
    trades the bike in; ``filed`` is the row as the list has it, which names the seller where the bike changed hands.
    """

    number: int
    point: int
    wave: Wave
    kind: Kind
    filing: FilingRow
    filed: FilingRow
    vehicle_code: str
    wallet: WalletPlan
    magic: str | None
    deed: Deed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole scenario: its sizes and every trade-in."""

    seed: int
    sizes: Sizes
    trade_ins: tuple[Planned, ...]

    def of(self, *waves: Wave) -> list[Planned]:
        """Return the trade-ins of these waves."""
        return [planned for planned in self.trade_ins if planned.wave in waves]

    def with_deed(self, deed: Deed) -> list[Planned]:
        """Return the trade-ins about which staff do this."""
        return [planned for planned in self.trade_ins if planned.deed is deed]


def make_plan(*, seed: int, trade_ins: int, points: int, filings: Iterable[FilingRow], count: int) -> Plan:
    """Plan about ``trade_ins`` trade-ins over so many points, with owners out of a list of ``count`` filings.

    The same seed and list give the same plan. Raises CannotStart where there are too few of either.
    """
    if trade_ins < LEAST_TRADE_INS or count < trade_ins * FILINGS_FOR_EACH:
        raise CannotStart(
            f"The scenario needs {LEAST_TRADE_INS} trade-ins or more, and {FILINGS_FOR_EACH} filings for each: "
            "raise --trade-ins or --filings."
        )
    sizes = Sizes(trade_ins)
    owners = _owners(sizes, filings, every=count // trade_ins // 4)
    roles = _roles(sizes, owners)
    dice = random.Random(seed)  # noqa: S311  (a made-up district, no secret)
    dice.shuffle(roles)
    planned = [_planned(number, role, dice.randrange(points), dice.random) for number, role in enumerate(roles)]
    _leave_unanswered(planned, sizes.unanswered)
    return Plan(seed=seed, sizes=sizes, trade_ins=tuple(planned))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Role:
    wave: Wave
    kind: Kind
    filing: FilingRow
    deed: Deed | None


def _owners(sizes: Sizes, filings: Iterable[FilingRow], *, every: int) -> Owners:
    def number(*kinds: Kind) -> int:
        return sum(count for (_, kind), count in sizes.parts.items() if kind in kinds)

    pairs = number(Kind.AGAIN)
    return find_owners(
        filings,
        sound=number(Kind.SOUND, Kind.TRANSFERRED) - pairs,
        too_old=number(Kind.TOO_OLD),
        too_young=number(Kind.TOO_YOUNG),
        pairs=pairs,
        every=every,
    )


def _roles(sizes: Sizes, owners: Owners) -> list[_Role]:
    """Every wave's trade-ins. The first of two bikes of one owner is an ordinary one of the first wave."""
    deeds: dict[tuple[Wave, Kind], list[Deed]] = {}
    for deed, number in sizes.deeds.items():
        deeds.setdefault(DEED_ON[deed], []).extend([deed] * number)
    left = dict(sizes.parts)
    roles = []
    for (wave, kind), number in sizes.parts.items():
        if kind is Kind.AGAIN:
            for _ in range(number):
                first, second = owners.pairs.pop()
                roles.append(_Role(wave=Wave.FIRST, kind=Kind.SOUND, filing=first, deed=None))
                roles.append(_Role(wave=wave, kind=kind, filing=second, deed=None))
                left[Wave.FIRST, Kind.SOUND] -= 1
    for (wave, kind), number in left.items():
        if kind is not Kind.AGAIN:
            about = deeds.get((wave, kind), [])
            for _ in range(number):
                about_it = about.pop() if about else None
                roles.append(_Role(wave=wave, kind=kind, filing=owners.take(kind), deed=about_it))
    return roles


def _planned(number: int, role: _Role, point: int, draw: Callable[[], float]) -> Planned:
    wallet, magic = _wallet(role.deed, draw(), draw())
    filing = role.filing
    if role.kind is Kind.TRANSFERRED:
        name, id_no, phone = made_person(FIRST_BUYER + number, draw)
        filing = filing._replace(owner_name=name, id_no=id_no, phone=phone)
    return Planned(
        number=number,
        point=point,
        wave=role.wave,
        kind=role.kind,
        filing=filing,
        filed=role.filing,
        vehicle_code=_vehicle_code(number, late=role.wave is Wave.SECOND_BURST and number % 2 == 0),
        wallet=wallet,
        magic=magic,
        deed=role.deed,
    )


def _wallet(deed: Deed | None, share: float, which: float) -> tuple[WalletPlan, str | None]:
    def one_of(words: tuple[str, ...]) -> str:
        return words[int(which * len(words))]

    if deed in ENDED_UNPAID:
        return WalletPlan.NEVER, None
    if deed is Deed.REPAY_IN_SECOND:
        return WalletPlan.BEFORE, None
    if deed is not None:
        return WalletPlan.AFTER, None  # people act before the money leaves
    if share < SHARE_REFUSED:
        return WalletPlan.REFUSED_FIRST, one_of(REFUSED_WALLETS)
    if share < SHARE_REFUSED + SHARE_FAILING:
        return WalletPlan.FAILING_FIRST, one_of(FAILING_WALLETS)
    odd = one_of(ODD_WALLETS) if share < SHARE_REFUSED + SHARE_FAILING + SHARE_ODD else None
    return WalletPlan.BEFORE if which < SHARE_BEFORE else WalletPlan.AFTER, odd


def _leave_unanswered(planned: list[Planned], many: int) -> None:
    """Have the bank not answer about so many owners of the first wave who give their wallets in time."""
    for place, each in enumerate(planned):
        ordinary = each.kind is Kind.SOUND and each.deed is None and each.magic is None
        if many and ordinary and each.wave is Wave.FIRST and each.wallet is WalletPlan.BEFORE:
            planned[place] = replace(each, magic=UNANSWERED[many % len(UNANSWERED)])
            many -= 1
    assert not many, "more unanswered wallets than owners of the first wave who give theirs in time"


def _vehicle_code(number: int, *, late: bool) -> str:
    """15 digits, different for every number; a late one makes the police's callback come late (…999000 17)."""
    if late:
        return f"{1000 + number // 10}2{26 + number % 10:02d}99900017"
    return f"1193226{number:08d}"
