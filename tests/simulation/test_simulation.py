"""Twenty-five seeds keep every promise; a seed plays the same twice; each planted bug breaks a promise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.config import Settings
from tests.simulation.mutants import MUTANTS, planted
from tests.simulation.play import Played, play

SEEDS = 25
SEEDS_FOR_A_MUTANT = 30
# Where to look first, so that a bug is found soon; any other seed will do as well.
FOUND_BY = {
    "answers before the commit": 2,
    "pays a claim that was returned": 3,
    "asks money back under another number after a silence": 15,
    "takes a receipt while the bank may take the money": 3,
}


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_every_promise_is_kept(settings: Settings, seed: int) -> None:
    played = play(settings, seed)
    assert not played.broken, str(played)


def test_a_seed_plays_the_same_twice(fresh_database: Callable[[], Settings]) -> None:
    first, second = play(fresh_database(), 3), play(fresh_database(), 3)
    assert first == second
    assert first.crashes
    assert first.settled
    assert first.repaid


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_planted_bug_is_found(fresh_database: Callable[[], Settings], name: str) -> None:
    seeds = [FOUND_BY.get(name, 1), *range(1, SEEDS_FOR_A_MUTANT + 1)]
    with planted(name):
        assert any(play(fresh_database(), seed).broken for seed in seeds)


def test_what_broke_names_its_seed_and_step() -> None:
    said = str(Played(7, ("two claims at one position",), 12, "complete", 3, 20, 4, 1, "ab"))
    assert "seed 7" in said
    assert "step 12 (complete)" in said
    assert "two claims at one position" in said
