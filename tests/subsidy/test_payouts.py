"""The two tables of states: every edge there is, and no other."""

from itertools import product
from typing import get_args

import pytest

from registry.base import StepNotAllowed
from registry.transitions import Transitions
from subsidy.operator import WalletRefusal
from subsidy.payouts import ATTEMPT, BATCH, PAYOUT, PROBLEM_REMEDIES, PROBLEM_WORDS, problem_remedy, problem_words

PAYOUT_EDGES = {
    ("awaiting_wallet", "confirm_wallet", "owed"),
    ("awaiting_wallet", "freeze", "frozen"),
    ("awaiting_wallet", "withdraw", "withdrawn"),
    ("owed", "send", "in_flight"),
    ("owed", "replace_wallet", "owed"),
    ("owed", "freeze", "frozen"),
    ("owed", "withdraw", "withdrawn"),
    ("in_flight", "settle", "settled"),
    ("in_flight", "reject", "awaiting_wallet"),
    ("in_flight", "freeze", "frozen"),
    ("settled", "freeze", "frozen"),
    ("withdrawn", "freeze", "frozen"),
    ("frozen", "settle_by_hand", "settled"),
    ("frozen", "take_back", "awaiting_wallet"),
    ("frozen", "end_by_hand", "withdrawn"),
}
ATTEMPT_EDGES = {
    ("sent", "accept", "sent"),
    ("sent", "settle", "settled"),
    ("sent", "reject", "rejected"),
    ("sent", "lose", "unknown"),
    ("unknown", "accept", "sent"),
    ("unknown", "settle", "settled"),
    ("unknown", "reject", "rejected"),
    ("unknown", "lose", "unknown"),
    ("settled", "reject_by_hand", "rejected"),
    ("rejected", "settle_by_hand", "settled"),
}
BATCH_EDGES = {
    ("cut", "approve", "approved"),
    ("cut", "approve_first", "half"),
    ("cut", "cancel", "cancelled"),
    ("half", "approve", "approved"),
    ("half", "cancel", "cancelled"),
    ("approved", "release", "released"),
    ("approved", "lack", "short"),
    ("approved", "cancel", "cancelled"),
    ("short", "release", "released"),
    ("short", "lack", "short"),
    ("short", "cancel", "cancelled"),
    ("released", "finish", "finished"),
}


@pytest.mark.parametrize(("table", "edges"), [(PAYOUT, PAYOUT_EDGES), (ATTEMPT, ATTEMPT_EDGES), (BATCH, BATCH_EDGES)])
def test_every_edge_leads_where_it_should_and_every_other_is_refused(
    table: Transitions, edges: set[tuple[str, str, str]]
) -> None:
    steps = {step for _, step, _ in edges}
    leads = {(state, step): after for state, step, after in edges}
    for state, step in product(table.words, steps):
        if (state, step) in leads:
            assert table.after(state=state, step=step) == leads[state, step]
        else:
            with pytest.raises(StepNotAllowed):
                table.after(state=state, step=step)
    assert {(state, step) for state, following in table.edges.items() for step in following} == set(leads)
    assert {after for _, _, after in edges} <= set(table.words)


def test_every_reason_of_the_bank_has_words_for_the_owner() -> None:
    assert {problem_words(problem) for problem in PROBLEM_WORDS} == set(PROBLEM_WORDS.values())
    assert problem_words("something_new") == "银行没有受理"
    assert set(PROBLEM_REMEDIES) == set(PROBLEM_WORDS) >= set(get_args(WalletRefusal))
    assert problem_remedy("something_new")
