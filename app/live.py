"""The live state of the current programme, as a crowd asks for it: read once a second at most in each process."""

from __future__ import annotations

from flask import Flask, current_app

from app.db import db
from app.snapshot import Snapshot
from subsidy.live import LiveState, live_state
from subsidy.programme import current_programme

LIVE = "mapai.live"


def install_snapshots(app: Flask) -> None:
    """Give the application its snapshot of the current programme."""
    app.extensions[LIVE] = Snapshot(read_live)


def read_live() -> LiveState:
    """Read the current programme's live state; raises ProgrammeNotFound."""
    session = db.session()
    programme = current_programme(session=session)
    return live_state(session=session, programme=programme, now=current_app.extensions["mapai.clock"].now())


def live() -> LiveState:
    """Return the current programme's live state, at most a second old; raises ProgrammeNotFound."""
    state: LiveState = current_app.extensions[LIVE].get()
    return state
