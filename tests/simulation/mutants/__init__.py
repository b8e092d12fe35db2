"""Bugs that such platforms had elsewhere, planted here one at a time: the simulation has to find each.

A mutant is a function that returns the patches which plant it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.simulation.mutants import at_the_bank, in_the_queue, in_the_reclaims

Plant = Callable[[], list[Any]]

MUTANTS: dict[str, Plant] = {
    "answers before the commit": in_the_queue.answers_before_the_commit,
    "ranks by arrival instead of the plate's instant": in_the_queue.ranks_by_arrival,
    "forgets who waits when it counts the limit": in_the_queue.limit_forgets_the_waiting,
    "lets a correction never expire": in_the_queue.corrections_never_expire,
    "pays on during a pause": in_the_queue.pays_in_a_pause,
    "gives the last comer in the line the freed place": in_the_queue.line_turned_round,
    "opens a closed stage again for a freed place": in_the_queue.closed_stage_reopens,
    "admits the same trade-in at another position": in_the_queue.second_position,
    "pays again after a silence": at_the_bank.pays_again_after_silence,
    "pays a claim that was returned": at_the_bank.pays_the_returned,
    "books one side of a payment": at_the_bank.books_one_side,
    "forgets to tell the owner": at_the_bank.tells_nobody,
    "asks money back under another number after a silence": in_the_reclaims.another_number_after_silence,
    "books money back twice": in_the_reclaims.booked_twice,
    "frees money the bank has not taken yet": in_the_reclaims.accepted_is_taken_for_paid,
    "takes a receipt while the bank may take the money": in_the_reclaims.receipt_beside_the_bank,
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant the mutant for the length of the block."""
    with ExitStack() as patches:
        for patch in MUTANTS[name]():
            patches.enter_context(patch)
        yield
