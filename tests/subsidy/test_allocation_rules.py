"""Rules that cannot be published, versions that would change the past, and invariants that notice a broken state."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from subsidy.allocation import IncompleteState, NoPausePossible, NothingToResume, State, allocate, check_invariants
from subsidy.events import ClaimFacts, Event, EventKind
from subsidy.rules import (
    AmountAboveBudget,
    AmountRises,
    InstantWithoutZone,
    LawUnknown,
    MoneyAlreadySpent,
    NoStage,
    NotBackDated,
    NumberOutOfRange,
    Rules,
    RulesRefused,
    StageNumbersBroken,
    StageRules,
    StagesOverlap,
    StageWindowEmpty,
)
from subsidy.versions import StageRemoved

OPENS = datetime(2026, 6, 15, tzinfo=UTC)
DAY = timedelta(days=1)
ONE = StageRules(1, 30_000, 3, 90_000, OPENS, OPENS + 31 * DAY)
TWO = StageRules(2, 20_000, 2, 40_000, OPENS + 31 * DAY, OPENS + 62 * DAY)
RULES = Rules((ONE, TWO), DAY, 7 * DAY, 1, 60_000, date(2025, 12, 31))


@pytest.mark.parametrize(
    ("rules", "refusal"),
    [
        (replace(RULES, stages=()), NoStage),
        (replace(RULES, stages=(TWO,)), StageNumbersBroken),
        (replace(RULES, stages=(replace(ONE, closes_at=OPENS),)), StageWindowEmpty),
        (replace(RULES, stages=(ONE, replace(TWO, opens_at=OPENS + DAY))), StagesOverlap),
        (replace(RULES, stages=(replace(ONE, opens_at=OPENS.replace(tzinfo=None)),)), InstantWithoutZone),
        (replace(RULES, stages=(replace(ONE, amount_fen=0),)), NumberOutOfRange),
        (replace(RULES, stages=(replace(ONE, places=0),)), NumberOutOfRange),
        (replace(RULES, stages=(replace(ONE, budget_fen=29_999),)), AmountAboveBudget),
        (replace(RULES, stages=(ONE, replace(TWO, amount_fen=30_001))), AmountRises),
        (replace(RULES, late_window=-DAY), NumberOutOfRange),
        (replace(RULES, correction_window=0 * DAY), NumberOutOfRange),
        (replace(RULES, per_person_limit=0), NumberOutOfRange),
        (replace(RULES, reserve_fen=-1), NumberOutOfRange),
        (replace(RULES, law_version=2), LawUnknown),
    ],
)
def test_rules_that_make_no_sense_are_refused_in_words(rules: Rules, refusal: type[RulesRefused]) -> None:
    RULES.validate()
    with pytest.raises(refusal) as caught:
        rules.validate()
    assert caught.value.message_zh
    assert caught.value.message_en
    assert caught.value.help_en


def test_a_gap_between_stages_is_allowed() -> None:
    replace(RULES, stages=(ONE, replace(TWO, opens_at=TWO.opens_at + DAY))).validate()


def test_rules_survive_json_and_one_fen_changes_the_hash() -> None:
    again = Rules.from_json(json.loads(json.dumps(RULES.to_json())))
    assert again == RULES
    assert again.hash() == RULES.hash()
    other_zone = replace(ONE, opens_at=ONE.opens_at.astimezone(timezone(timedelta(hours=8))))
    assert replace(RULES, stages=(other_zone, TWO)).hash() == RULES.hash()
    assert replace(RULES, reserve_fen=60_001).hash() != RULES.hash()


def running(claims: int = 2) -> State:
    """Stage 1 open since OPENS, with as many awards as asked for."""
    state = State()
    allocate(
        state,
        [
            Event(1, EventKind.VERSION, OPENS - DAY, rules=RULES),
            Event(2, EventKind.OPENING, OPENS, due_at=OPENS, stage=1),
            *(
                Event(2 + n, EventKind.CLAIM, OPENS + DAY, claim=ClaimFacts(n, n, OPENS + DAY))
                for n in range(1, claims + 1)
            ),
        ],
    )
    return state


@pytest.mark.parametrize(
    ("rules", "refusal"),
    [
        (replace(RULES, stages=(ONE,)), StageRemoved),
        (replace(RULES, stages=(replace(ONE, amount_fen=20_000), TWO)), NotBackDated),
        (replace(RULES, stages=(replace(ONE, opens_at=OPENS + DAY), TWO)), NotBackDated),
        (replace(RULES, stages=(replace(ONE, closes_at=OPENS + DAY), TWO)), NotBackDated),
        (replace(RULES, stages=(replace(ONE, places=1), TWO)), MoneyAlreadySpent),
        (replace(RULES, stages=(replace(ONE, budget_fen=59_999), TWO)), MoneyAlreadySpent),
        (replace(RULES, reserve_fen=-1), NumberOutOfRange),
    ],
)
def test_a_version_never_changes_the_past(rules: Rules, refusal: type[RulesRefused]) -> None:
    state = running()
    with pytest.raises(refusal):
        allocate(state, [Event(state.event_no + 1, EventKind.VERSION, OPENS + 2 * DAY, rules=rules)])


def test_a_version_may_take_back_what_nobody_holds() -> None:
    state = running()
    less = replace(RULES, stages=(replace(ONE, places=2, budget_fen=60_000), TWO), reserve_fen=0)
    allocate(state, [Event(state.event_no + 1, EventKind.VERSION, OPENS + 2 * DAY, rules=less)])
    assert (state.stages[0].places_left, state.stages[0].money_fen, state.reserve_fen) == (0, 0, 0)
    assert check_invariants(state) == []


def test_a_pause_is_not_doubled_and_nothing_is_resumed_twice() -> None:
    state = running()
    number = state.event_no
    with pytest.raises(NothingToResume):
        allocate(running(), [Event(number + 1, EventKind.RESUME, OPENS + 2 * DAY)])
    allocate(state, [Event(number + 1, EventKind.PAUSE, OPENS + 2 * DAY)])
    with pytest.raises(NoPausePossible):
        allocate(state, [Event(number + 2, EventKind.PAUSE, OPENS + 2 * DAY)])


def test_a_state_that_was_not_loaded_says_so() -> None:
    state = State.from_core_json(running(claims=4).core_to_json())
    with pytest.raises(IncompleteState):
        allocate(state, [Event(state.event_no + 1, EventKind.RETURN, OPENS + 2 * DAY, position=1)])


def break_money(state: State) -> None:
    state.stages[0].money_fen += 1


def break_places(state: State) -> None:
    state.stages[0].places_left += 1


def break_reserve(state: State) -> None:
    state.reserve_fen -= 1


def break_positions(state: State) -> None:
    del state.awards[1]


def break_counts(state: State) -> None:
    state.person_counts[1] = 2


def break_line(state: State) -> None:
    state.waiting_count = 1


def break_fairness(state: State) -> None:
    later = state.awards[2]
    state.awards[2] = later._replace(amount_fen=later.amount_fen + 1, effective_at=later.effective_at + DAY)


@pytest.mark.parametrize(
    "damage",
    [break_money, break_places, break_reserve, break_positions, break_counts, break_line, break_fairness],
)
def test_the_invariants_notice(damage: Callable[[State], None]) -> None:
    state = running()
    assert check_invariants(state) == []
    damage(state)
    assert check_invariants(state)


def test_the_rest_of_carried_money_counts_at_the_next_carrying() -> None:
    """300 yuan twice into a stage of 200: one place, then two."""
    state = running()
    number, later = state.event_no, OPENS + 32 * DAY
    boundaries = [(EventKind.CLOSING, 1), (EventKind.OPENING, 2), (EventKind.SETTLING, 1)]
    allocate(state, [Event(number + n, kind, later, stage=of) for n, (kind, of) in enumerate(boundaries, start=1)])
    second = state.stages[1]
    assert (second.carried_in_fen, second.carried_places, second.rest_fen) == (30_000, 1, 10_000)
    allocate(state, [Event(number + 4, EventKind.RETURN, later, position=1)])
    assert (second.carried_in_fen, second.carried_places, second.rest_fen) == (60_000, 3, 0)
    assert check_invariants(state) == []
