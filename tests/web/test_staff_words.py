"""Pages have a word for every state, step and kind of the domain, and no word for one there is not."""

from __future__ import annotations

import pytest

from app.web.claim_evidence import EVENTS, OUTCOMES
from app.web.dealer_words import APPLICATION_STATES, DEALER_STATES
from app.web.desk_dealers import STEPS
from app.web.desk_words import (
    ATTEMPT_STATES,
    CHANGE_STATES,
    CLAIM_STATES,
    HOLD_REASONS,
    OVERRULE_STATES,
    PAYOUT_STATES,
    RECLAIM_STATES,
    RETURN_KINDS,
    RETURN_STATES,
    Words,
)
from app.web.owner_words import APPEAL_STATES, PROBLEM_WORDS, TRADE_IN_STATES
from app.web.staff_words import BATCH_STATES, FINDINGS, IMPORT_STATES, RESOLUTIONS, VERDICTS
from registry.dealer_applications import APPLICATION
from registry.dealers import DEALER
from registry.filing_findings import KIND_WORDS
from registry.import_jobs import STATE_WORDS
from registry.trade_ins import TRADE_IN
from registry.transitions import Transitions
from subsidy import holds, payouts, returns
from subsidy.appeals import APPEAL
from subsidy.claims import CLAIM_WORDS
from subsidy.events import EventKind, Outcome
from subsidy.overrules import OVERRULE
from subsidy.programme_change import CHANGE
from subsidy.reclaims import RECLAIM
from subsidy.statement_lines import Verdict
from subsidy.statement_resolution import RESOLUTION_WORDS


@pytest.mark.parametrize(
    ("words", "noun"),
    [
        (APPEAL_STATES, APPEAL),
        (APPLICATION_STATES, APPLICATION),
        (ATTEMPT_STATES, payouts.ATTEMPT),
        (BATCH_STATES, payouts.BATCH),
        (CHANGE_STATES, CHANGE),
        (DEALER_STATES, DEALER),
        (OVERRULE_STATES, OVERRULE),
        (PAYOUT_STATES, payouts.PAYOUT),
        (RECLAIM_STATES, RECLAIM),
        (RETURN_STATES, returns.RETURN),
        (TRADE_IN_STATES, TRADE_IN),
    ],
)
def test_every_state_has_its_word(words: Words, noun: Transitions) -> None:
    reached = {after for steps in noun.edges.values() for after in steps.values()}
    assert set(words) == set(noun.edges) | reached


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (CLAIM_STATES, CLAIM_WORDS),
        (EVENTS, EventKind),
        (FINDINGS, KIND_WORDS),
        (HOLD_REASONS, holds.HOLD_REASONS),
        (IMPORT_STATES, STATE_WORDS),
        (OUTCOMES, Outcome),
        (PROBLEM_WORDS, payouts.PROBLEM_WORDS),
        (RESOLUTIONS, RESOLUTION_WORDS),
        (RETURN_KINDS, returns.KINDS),
        (VERDICTS, Verdict),
    ],
)
def test_every_kind_has_its_word(words: Words, kinds: object) -> None:
    assert set(words) == set(kinds)  # type: ignore[call-overload]


def test_every_step_of_a_dealer_has_its_word() -> None:
    assert set(STEPS) == {step for steps in DEALER.edges.values() for step in steps}
