"""Programmes drawn by chance: short stages, tight places, budgets that do not match them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

from subsidy.rules import Rules, StageRules

DAWN = datetime(2026, 6, 14, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)
AMOUNTS_FEN = (30_000, 20_000, 10_000)


def draw_rules(dice: Random) -> Rules:
    """Return a first version: one to three stages, gaps now and then, with or without a reserve."""
    stages, opens_at = [], DAWN + dice.randrange(1, 5) * HOUR
    for number in range(1, dice.randint(1, 3) + 1):
        closes_at = opens_at + dice.randrange(8, 40) * HOUR
        amount_fen, places = AMOUNTS_FEN[number - 1], dice.randint(2, 8)
        budget_fen = amount_fen * max(1, places + dice.randint(-2, 2)) + dice.choice((0, 0, 5_000))
        stages.append(StageRules(number, amount_fen, places, budget_fen, opens_at, closes_at))
        opens_at = closes_at + dice.choice((0, 0, 0, 3)) * HOUR
    return Rules(
        stages=tuple(stages),
        late_window=dice.choice((0, 4, 24)) * HOUR,
        correction_window=dice.choice((8, 48)) * HOUR,
        per_person_limit=dice.choice((1, 1, 2)),
        reserve_fen=dice.choice((0, 30_000, 60_000)),
        filing_cut_off=date(2025, 12, 31),
    )


def redraw(rules: Rules, dice: Random) -> Rules:
    """Return the rules changed in one place, as a bureau may try; many of these are refused."""
    stages = list(rules.stages)
    index = dice.randrange(len(stages))
    old = stages[index]
    change = dice.choice(("places", "money", "earlier", "later", "reserve", "limit"))
    if change == "places":
        stages[index] = replace(old, places=max(1, old.places + dice.choice((-1, 1, 2))))
    elif change == "money":
        stages[index] = replace(old, budget_fen=old.budget_fen + dice.choice((-30_000, 10_000, 40_000)))
    elif change in ("earlier", "later"):
        by = dice.randrange(1, 6) * (HOUR if change == "later" else -HOUR)
        stages[index] = replace(old, closes_at=old.closes_at + by)
    elif change == "reserve":
        return replace(rules, reserve_fen=max(0, rules.reserve_fen + dice.choice((-30_000, 30_000))))
    else:
        return replace(rules, per_person_limit=dice.choice((1, 2)))
    return replace(rules, stages=tuple(stages))
