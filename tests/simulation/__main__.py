"""`python -m tests.simulation --seeds 500`: plays seeds, names those that break a promise, exits 1 where one does.

`--first N` begins elsewhere, so `--first 1234 --seeds 1` plays one seed again, exactly. `--mutant NAME` plants one of
the bugs under mutants/ and should find it; `--mutants` looks for every one of them.
"""

from __future__ import annotations

import argparse
import sys
import time

from app.config import Settings
from tests.simulation.databases import fresh_database, throwaway_server
from tests.simulation.mutants import MUTANTS, planted
from tests.simulation.play import Played, play

SEEDS_FOR_A_MUTANT = 40


def main() -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=25)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    parser.add_argument("--mutants", action="store_true")
    given = parser.parse_args()
    with throwaway_server() as template:
        if given.mutants:
            return _hunt_all(template)
        seeds = range(given.first, given.first + given.seeds)
        if given.mutant:
            with planted(given.mutant):
                return _play_all(template, seeds)
        return _play_all(template, seeds)


def _play_all(template: Settings, seeds: range) -> int:
    begun_s, broken = time.monotonic(), []
    for seed in seeds:
        played = _one(template, seed)
        if played.broken:
            broken.append(seed)
        if played.broken or len(seeds) <= 25:
            print(played, flush=True)
    print(f"{len(seeds)} seeds in {time.monotonic() - begun_s:.0f} s, {len(broken)} broken: {broken}")
    return 1 if broken else 0


def _hunt_all(template: Settings) -> int:
    missed = []
    for name in MUTANTS:
        caught = hunt(template, name)
        print(f"{name}: {f'caught by seed {caught.seed}: {caught.broken[0]}' if caught else 'NOT CAUGHT'}", flush=True)
        missed += [] if caught else [name]
    return 1 if missed else 0


def hunt(template: Settings, name: str) -> Played | None:
    """Play seeds with the mutant planted until one breaks a promise; None where none does."""
    with planted(name):
        for seed in range(1, SEEDS_FOR_A_MUTANT + 1):
            played = _one(template, seed)
            if played.broken:
                return played
    return None


def _one(template: Settings, seed: int) -> Played:
    with fresh_database(template, f"simulation_{seed}") as settings:
        return play(settings, seed)


if __name__ == "__main__":
    sys.exit(main())
