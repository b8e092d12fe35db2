"""The bureau's board: each stage's places and money adding up, what just happened, what needs a person.

What is remembered between readers is figures; their words are made for each reader, in his language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import render_template
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.context import settings
from app.db import db
from app.remembered import remembered
from app.web.blueprint import web
from app.web.board_budget import LEVELS, alerts_of, budget_of, shown_first, totals_of
from app.web.board_charts import show_charts
from app.web.board_claims import claims_page, row_standing
from app.web.board_figures import (
    CASE_WORDS,
    RECENT,
    Figures,
    SubDistrict,
    figures,
    open_cases,
    sub_districts,
    tallies,
)
from app.web.board_filter import STATES, ClaimFilter
from app.web.front import tagged
from app.web.language import in_english
from app.web.stage_card import stage_card
from subsidy.live import LiveState, live_state
from subsidy.programme import ProgrammeNotFound, current_programme

SNAPSHOT = "mapai.board_snapshot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything the live part of the board shows, as of one instant of the database. No words yet."""

    live: LiveState
    figures: Figures
    recent: Sequence[Any]
    districts: Sequence[SubDistrict]
    cases: Sequence[tuple[str, str, datetime]]


@web.get("/board")
@requires(*STAFF)
def board() -> str:
    """The board."""
    seen = _seen()
    if seen is None:
        return render_template("board.html", live=None)
    return render_template("board.html", **_in_words(seen), **show_charts())


@web.get("/board/live")
@requires(*STAFF)
def board_live() -> Response:
    """The head of the board alone, for the page that is already open: places, money, alerts, stages."""
    return _part("board_live.html")


@web.get("/board/tables")
@requires(*STAFF)
def board_tables() -> Response:
    """The board's tables alone: sub-districts, what needs a person, what was just completed."""
    return _part("board_tables.html")


@web.get("/board/charts")
@requires(*STAFF)
def board_charts() -> Response:
    """The charts alone, for the page that is already open."""
    seen = _seen()
    return tagged("" if seen is None else render_template("board_charts.html", **show_charts()))


def _part(template: str) -> Response:
    seen = _seen()
    return tagged("" if seen is None else render_template(template, **_in_words(seen)))


def _seen() -> Seen | None:
    """Return what is shown, all of it as of one instant. It is counted over every claim: dear where they are many."""
    return remembered(SNAPSHOT, read_board, dear=True)


def steady() -> None:
    """Begin a transaction that sees one instant of the database, so that sums of several queries agree."""
    db.session.rollback()
    db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def read_board() -> Seen | None:
    """Return the board's figures as of now, None where there is no programme."""
    steady()
    session, clock = db.session(), settings().clock
    now = clock.now()
    try:
        programme = current_programme(session=session)
    except ProgrammeNotFound:
        return None
    counted = tallies(session=session, programme_id=programme.id, now=now)
    return Seen(
        live=live_state(session=session, programme=programme, now=now),
        figures=figures(session=session, programme_id=programme.id, counted=counted),
        recent=claims_page(session=session, programme_id=programme.id, chosen=ClaimFilter(), before=None, limit=RECENT),
        districts=sub_districts(session=session, counted=counted),
        cases=[(case.kind, case.subject, clock.business(case.opened_at)) for case in open_cases(session=session)],
    )


def _in_words(seen: Seen) -> dict[str, Any]:
    live = seen.live
    budgets = [budget_of(stage) for stage in live.stages]
    return {
        "live": live,
        # A year is not parted from what follows it.
        "name": re.sub(r"(\d) ", "\\1\u00a0", live.name_en if in_english() else live.name_zh),
        "card": stage_card(live),
        "budgets": sorted(budgets, key=lambda budget: (budget.number != shown_first(live), budget.number)),
        "levels": sorted(LEVELS),
        "totals": totals_of(budgets),
        "figures": seen.figures,
        "outcomes": [(STATES.get(state, state), number) for state, number in sorted(seen.figures.outcomes.items())],
        "recent": seen.recent,
        "row_standing": row_standing,
        "districts": seen.districts,
        "alerts": alerts_of(live, budgets, seen.figures),
        "cases": [
            {"word": CASE_WORDS.get(kind, kind), "subject": subject, "at": at} for kind, subject, at in seen.cases
        ],
    }
