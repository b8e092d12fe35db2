"""Bugs of admission and allocation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

from subsidy import allocation, completion, completion_rows, fold, queue_rows, queue_turn, state
from subsidy.events import EventKind
from tests.simulation import deeds
from tests.simulation.crashes import Crash


def answers_before_the_commit() -> list[Any]:
    """The point is told its position though the process ended before the commit."""
    answers: list[Any] = []
    prepare, admit = completion._answers, deeds.admit

    def remember(*args: Any) -> Any:
        answers[:] = prepare(*args)
        return list(answers)

    def hasty(**what: Any) -> Any:
        answers.clear()
        try:
            return admit(**what)
        except Crash:
            if not answers:
                raise
            return list(answers)

    return [patch.object(completion, "_answers", remember), patch.object(deeds, "admit", hasty)]


def ranks_by_arrival() -> list[Any]:
    """The stage is that of the moment the word arrived, not that of the plate."""
    claim_places = completion_rows.claim_places

    def late(*, turn: Any, fresh: Any, district: str) -> Any:
        arrived = [(replace(each, issued_at=turn.recorded_at), row) for each, row in fresh]
        return claim_places(turn=turn, fresh=arrived, district=district)

    return [patch.object(completion, "claim_places", late)]


def limit_forgets_the_waiting() -> list[Any]:
    """Only awards count: somebody with a waiting claim gets a second one."""
    only_awards = queue_rows.COUNTS.replace("(state IN ('awarded', 'held') OR", "(state = 'awarded' OR false AND")
    assert only_awards != queue_rows.COUNTS
    facts = completion.sql.FACTS.replace("state IN ('awarded', 'held')", "state = 'nobody'")
    return [patch.object(queue_turn, "COUNTS", only_awards), patch.object(completion.sql, "FACTS", facts)]


def corrections_never_expire() -> list[Any]:
    """Whoever does not correct keeps a place for ever."""
    return [patch("subsidy.boundaries.due_expiries", lambda state, until: [])]


def pays_in_a_pause() -> list[Any]:
    """A pause is noted and nothing stops."""
    return [patch.dict(allocation.FOLDS, {EventKind.PAUSE: lambda fold, event: None})]


def line_turned_round() -> list[Any]:
    """Who came last is served first."""
    return [patch.object(state, "line_order", lambda claim: (claim.owed_stage is None, -claim.position))]


def closed_stage_reopens() -> list[Any]:
    """A place that comes free after the closing is sold again at the old stage's amount."""
    return [patch.object(fold.Fold, "heir", lambda self, stage: stage)]


def second_position() -> list[Any]:
    """The same word again takes another position and, where the database refuses it, is told of a position all the
    same."""
    known = completion._known_outcome

    def shifted(*args: Any) -> Any:
        outcome = known(*args)
        if isinstance(outcome, completion.Completed) and outcome.position:
            return replace(outcome, position=outcome.position + 1)
        return outcome

    return [patch.object(completion, "_known_outcome", shifted)]
