"""The desk has a word for every state of the domain, and no word for a state there is not."""

from __future__ import annotations

import pytest

from app.web.desk_words import Words
from app.web.staff_words import (
    APPLICATION_STATES,
    BATCH_STATES,
    DEALER_STATES,
    FINDINGS,
    IMPORT_STATES,
    RESOLUTIONS,
    TRADE_IN_STATES,
    VERDICTS,
)
from registry.dealer_applications import APPLICATION
from registry.dealers import DEALER
from registry.filing_findings import KIND_WORDS
from registry.import_jobs import STATE_WORDS
from registry.trade_ins import TRADE_IN
from subsidy.payouts import BATCH
from subsidy.statement_lines import Verdict
from subsidy.statement_resolution import RESOLUTION_WORDS


@pytest.mark.parametrize(
    ("words", "states"),
    [
        (APPLICATION_STATES, APPLICATION.edges),
        (BATCH_STATES, BATCH.edges),
        (DEALER_STATES, DEALER.edges),
        (FINDINGS, KIND_WORDS),
        (IMPORT_STATES, STATE_WORDS),
        (RESOLUTIONS, RESOLUTION_WORDS),
        (TRADE_IN_STATES, TRADE_IN.edges),
        (VERDICTS, [verdict.value for verdict in Verdict]),
    ],
)
def test_every_state_has_its_word(words: Words, states: object) -> None:
    assert set(words) == set(states)  # type: ignore[call-overload]
