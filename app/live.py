"""The live state of the current programme, as a crowd asks for it: read once a second at most in each process."""

from __future__ import annotations

from flask import current_app

from app.db import db
from app.remembered import remembered
from subsidy.live import LiveState, live_state
from subsidy.programme import current_programme

LIVE = "mapai.live"


def read_live() -> LiveState:
    """Read the current programme's live state; raises ProgrammeNotFound."""
    session = db.session()
    programme = current_programme(session=session)
    return live_state(session=session, programme=programme, now=current_app.extensions["mapai.clock"].now())


def live() -> LiveState:
    """Return the current programme's live state, at most a second old; raises ProgrammeNotFound."""
    return remembered(LIVE, read_live)
