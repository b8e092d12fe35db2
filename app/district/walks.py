"""Which of the demo's owners are how far: some sixty trade-ins at every step, most of them through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice

from app.demo import PAID_OWNER, READY_OWNER, DemoOwner
from app.district.filings import generate_filings
from app.district.line import STEP, STEPS, Walk
from app.district.programme import LOCAL, OPEN_FOR
from registry.filing_rows import FilingRow

COMPLETED = 40
# Of these the bike was filed after the cut-off: completed, and declined.
LATE = 2
WITHOUT_WALLET = 7
UNDER_WAY = {
    "opened": 1,
    "old_bike_verified": 5,
    "old_bike_received": 4,
    "cancel_requested": 1,
    "old_plate_cancelled": 4,
    "new_bike_sold": 4,
    "plate_applied": 1,
    "withdrawn": 1,
}
TRADE_INS = COMPLETED + LATE + sum(UNDER_WAY.values())
YOUNG_ENOUGH = timedelta(days=6 * 365)


def demo_filings(*, opens_at: datetime) -> list[FilingRow]:
    """Return the filings of the two demo owners, as they stand on the first lines of the list."""
    filed_on = (opens_at.astimezone(LOCAL).date() - timedelta(days=1_190)).isoformat()
    return [_filing(line, owner, filed_on) for line, owner in enumerate((READY_OWNER, PAID_OWNER), start=2)]


def plan_walks(
    *, seed: int, filed_until: date, cut_off: date, opens_at: datetime, now: datetime, dealer_ids: Sequence[int]
) -> list[Walk]:
    """Return the walks in the order in which they begin; the first dealer, the demo's own, has every seventh.

    Owners come from the head of the list that ``generate_filings`` makes, each once and within the programme's rules.
    """
    owners = _eligible(seed, filed_until, cut_off, opens_at)
    _, paid = demo_filings(opens_at=opens_at)
    walks = []
    for number in range(COMPLETED):
        row = paid if number == 0 else next(owners)
        wallet_id = None if number % (COMPLETED // WITHOUT_WALLET) == 4 else f"W{seed:03d}{row.id_no[6:17]}"
        walks.append(
            Walk(
                row=row,
                dealer_id=_dealer(dealer_ids, number),
                until="completed",
                begun_at=_instant(opens_at, number),
                wallet_id=wallet_id,
            )
        )
    late = _late(seed, filed_until, cut_off)
    for number in range(LATE):
        begun_at = _instant(opens_at, COMPLETED - 1) + timedelta(minutes=30 * (number + 1))
        walks.append(Walk(row=next(late), dealer_id=_dealer(dealer_ids, number), until="completed", begun_at=begun_at))
    states = [state for state, many in UNDER_WAY.items() for _ in range(many)]
    longest = STEP * (len(STEPS) + 1)
    for number, state in enumerate(states):
        walks.append(
            Walk(
                row=next(owners),
                dealer_id=_dealer(dealer_ids, number if number % 2 else 0),
                until=state,
                begun_at=now - longest - (len(states) - number) * timedelta(minutes=7),
            )
        )
    return walks


def _instant(opens_at: datetime, number: int) -> datetime:
    """Spread over the days since the opening, between a quarter past eight and a quarter past four."""
    a_day = COMPLETED // OPEN_FOR.days
    day, turn = divmod(number, a_day)
    return opens_at + timedelta(days=day, hours=8, minutes=15 + turn * 480 // a_day + day * 3)


def _dealer(dealer_ids: Sequence[int], number: int) -> int:
    return dealer_ids[0] if number % 7 == 0 else dealer_ids[1 + number * 13 % (len(dealer_ids) - 1)]


def _eligible(seed: int, filed_until: date, cut_off: date, opens_at: datetime) -> Iterator[FilingRow]:
    earliest = opens_at.astimezone(LOCAL).date() - YOUNG_ENOUGH
    known: set[str] = set()
    for row in islice(generate_filings(seed=seed, count=1_000, filed_until=filed_until), 1_000):
        if row.id_no not in known and earliest <= date.fromisoformat(row.filed_on) <= cut_off:
            yield row
        known.add(row.id_no)


def _late(seed: int, filed_until: date, cut_off: date) -> Iterator[FilingRow]:
    for row in generate_filings(seed=seed, count=1_000, filed_until=filed_until):
        if date.fromisoformat(row.filed_on) > cut_off:
            yield row


def _filing(line: int, owner: DemoOwner, filed_on: str) -> FilingRow:
    return FilingRow(
        line, owner.plate_no, owner.name, owner.id_no, owner.phone, filed_on, "凌风", owner.frame_no, "祥符街道"
    )
