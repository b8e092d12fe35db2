"""Every table of legal states: each edge leads where it says, every other step is refused."""

from itertools import product

import pytest

from registry.base import StepNotAllowed
from registry.bikes import BIKE
from registry.dealers import DEALER
from registry.filings import FILED_BIKE
from registry.trade_ins import PHOTO_KINDS, TRADE_IN, WAITS_FOR
from registry.transitions import Transitions
from subsidy.payouts import ATTEMPT, PAYOUT

TABLES = {
    "dealer": DEALER,
    "filed bike": FILED_BIKE,
    "new bike": BIKE,
    "trade-in": TRADE_IN,
    "payout": PAYOUT,
    "attempt": ATTEMPT,
}


def steps_of(table: Transitions) -> set[str]:
    return {step for edges in table.edges.values() for step in edges}


EDGES = [(name, state, step) for name, table in TABLES.items() for state in table.edges for step in table.edges[state]]
NO_EDGES = [
    (name, state, step)
    for name, table in TABLES.items()
    for state, step in product(table.edges, sorted(steps_of(table)))
    if step not in table.edges[state]
]


@pytest.mark.parametrize(("name", "state", "step"), EDGES)
def test_an_edge_leads_to_a_state_of_its_table(name: str, state: str, step: str) -> None:
    table = TABLES[name]
    assert table.allows(state=state, step=step)
    assert table.after(state=state, step=step) == table.edges[state][step]
    assert table.edges[state][step] in table.edges


@pytest.mark.parametrize(("name", "state", "step"), NO_EDGES)
def test_every_other_step_is_refused_in_words(name: str, state: str, step: str) -> None:
    table = TABLES[name]
    assert not table.allows(state=state, step=step)
    with pytest.raises(StepNotAllowed) as refused:
        table.after(state=state, step=step)
    assert refused.value.kind == "conflict"
    assert table.words[state] in refused.value.message_zh


@pytest.mark.parametrize("name", TABLES)
def test_every_state_has_its_chinese_word(name: str) -> None:
    assert set(TABLES[name].words) == set(TABLES[name].edges)


def test_a_trade_in_can_be_completed_from_wherever_it_is_not_withdrawn() -> None:
    reaches = {"completed"}
    for _ in TRADE_IN.edges:
        reaches |= {state for state, edges in TRADE_IN.edges.items() if reaches & set(edges.values())}
    assert reaches == set(TRADE_IN.edges) - {"withdrawn"}


def test_nothing_is_withdrawn_once_the_old_bike_was_received() -> None:
    assert {state for state, edges in TRADE_IN.edges.items() if "withdraw" in edges} == {"opened", "old_bike_verified"}


def test_every_state_says_who_acts_next() -> None:
    assert set(WAITS_FOR) == set(TRADE_IN.edges)
    assert PHOTO_KINDS == ("frame_no", "plate", "whole")
