"""The demo's programme: three stages of a month each, 300, 200 and 100 yuan, the first open for ten days already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from subsidy.rules import Rules, StageRules

LOCAL = ZoneInfo("Asia/Shanghai")
OPEN_FOR = timedelta(days=10)
MONTH = timedelta(days=30)
# Amount, places and budget of each stage, in fen. In the first the places bind, in the second the money.
STAGES = ((30_000, 2_560, 78_000_000), (20_000, 3_000, 60_000_000), (10_000, 4_000, 40_000_000))
RESERVE_FEN = 2_000_000
CUT_OFF_BEFORE = timedelta(days=90)


def first_opening(now: datetime) -> datetime:
    """Return 00:00 in Asia/Shanghai ten days before the day of ``now``, aware UTC."""
    midnight = now.astimezone(LOCAL).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight - OPEN_FOR).astimezone(UTC)


def demo_rules(*, opens_at: datetime) -> Rules:
    """Return the rules of a programme whose first stage opens at that instant."""
    stages = tuple(
        StageRules(number, *money, opens_at + MONTH * (number - 1), opens_at + MONTH * number)
        for number, money in enumerate(STAGES, start=1)
    )
    return Rules(
        stages=stages,
        late_window=timedelta(hours=24),
        correction_window=timedelta(days=7),
        per_person_limit=1,
        reserve_fen=RESERVE_FEN,
        filing_cut_off=(opens_at - CUT_OFF_BEFORE).astimezone(LOCAL).date(),
    )
