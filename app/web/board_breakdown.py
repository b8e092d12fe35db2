"""From the programme down: its claims by stage, by sub-district, by point; and one event of the queue at the bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import abort, render_template, request, url_for
from sqlalchemy import select

from app.access import STAFF, requires
from app.context import business_now
from app.db import db
from app.web.blueprint import asked_before, web
from app.web.board import steady
from app.web.board_claims import LEVELS, Group, Level, groups
from app.web.board_filter import ClaimFilter, read_filter, stage_words
from app.web.claim_evidence import decision_words, event_word, shown_posting
from app.web.language import _, in_english
from subsidy.claims import Claim, Decision, QueueEvent
from subsidy.ledger import LedgerPosting
from subsidy.programme import Programme, ProgrammeNotFound, current_programme

A_PAGE = 50
Crumb = tuple[str, str]


@web.get("/board/breakdown")
@requires(*STAFF)
def breakdown() -> str:
    """The claims within the filter, by the next level that is not chosen yet, or by the one that is asked for."""
    chosen, form = read_filter()
    by = _level(chosen)
    steady()
    programme = running()
    rows = [] if programme is None else groups(session=db.session(), programme_id=programme.id, chosen=chosen, by=by)
    return render_template(
        "board_breakdown.html",
        form=form,
        chosen=chosen,
        by=by,
        rows=[(row, _name(row, by), _onward(chosen, by, row)) for row in rows],
        total=_total(rows),
        most=max((row.claims for row in rows), default=0),
        others=[(level, url_for("web.breakdown", **chosen.query(), by=level)) for level in _free_levels(chosen)],
        crumbs=crumbs(programme, chosen),
        as_of=business_now(),
    )


@web.get("/board/events/<int:event_no>", endpoint="queue_event")
@requires(*STAFF)
def queue_event(event_no: int) -> str:
    """One event of the queue: what it decided, and which money it moved."""
    programme = running() or abort(404)
    if event_no >= 2**63:
        abort(404)
    steady()
    session = db.session()
    event = session.get(QueueEvent, (programme.id, event_no)) or abort(404)
    before = asked_before()
    of_event = (Decision.programme_id == programme.id, Decision.event_no == event_no)
    decided = select(Decision).where(*of_event).order_by(Decision.position.desc()).limit(A_PAGE + 1)
    if before is not None:
        decided = decided.where(Decision.position < before)
    decisions = session.scalars(decided).all()
    shown = [decision.position for decision in decisions[:A_PAGE]]
    return render_template(
        "board_event.html",
        event=event,
        word=event_word(event.kind),
        crumbs=_event_crumbs(programme, event),
        decisions=[(row.position, decision_words(row)) for row in decisions[:A_PAGE]],
        postings=_postings(programme.id, event_no, shown),
        older=shown[-1] if len(decisions) > A_PAGE else None,
        last=programme.event_no,
    )


def running() -> Programme | None:
    """Return the current programme, None where there is none yet."""
    try:
        return current_programme(session=db.session())
    except ProgrammeNotFound:
        return None


def crumbs(programme: Programme | None, chosen: ClaimFilter) -> list[Crumb]:
    """Return the way down to what is chosen: address and word of each level. The last one is where the reader is."""
    name = _("补贴活动") if programme is None else programme.name_en if in_english() else programme.name_zh
    way = [(url_for("web.board"), _("看板")), (url_for("web.breakdown"), name)]
    so_far = ClaimFilter(state=chosen.state, from_day=chosen.from_day, until_day=chosen.until_day)
    if chosen.stage is not None:
        so_far = replace(so_far, stage=chosen.stage)
        way.append((url_for("web.breakdown", **so_far.query()), stage_words(chosen.stage)))
    if chosen.sub_district is not None:
        so_far = replace(so_far, sub_district=chosen.sub_district)
        way.append((url_for("web.breakdown", **so_far.query()), chosen.sub_district))
    if chosen.point is not None:
        way.append((url_for("web.claims", **chosen.query()), _("代办点 %(number)s", number=chosen.point)))
    return way


def _free_levels(chosen: ClaimFilter) -> list[Level]:
    return [level for level in LEVELS if getattr(chosen, level) is None]


def _level(chosen: ClaimFilter) -> Level:
    asked = request.args.get("by")
    if asked is not None:
        return next((level for level in LEVELS if level == asked), None) or abort(404)
    # Down the way from what was chosen last; who begins in the middle goes on from there.
    if chosen.sub_district is not None:
        return "point"
    return "stage" if chosen.stage is None else "sub_district"


def _name(row: Group, by: Level) -> str:
    if by == "stage":
        return stage_words(int(row.key))
    return row.name if by == "sub_district" else f"{row.key} {row.name}"


def _onward(chosen: ClaimFilter, by: Level, row: Group) -> str | None:
    """Where a row leads: one level down, the claims themselves from a point."""
    if by == "point":
        return url_for("web.claims", **chosen.query(point=row.key)) if row.key else None
    key: Any = int(row.key) if by == "stage" else row.key
    return url_for("web.breakdown", **chosen.query(**{by: key}))


def _total(rows: Sequence[Group]) -> dict[str, int]:
    figures = ("claims", "awarded", "held", "waiting", "declined", "undone", "granted_fen", "paid_fen")
    return {figure: sum(getattr(row, figure) for row in rows) for figure in figures}


def _event_crumbs(programme: Programme, event: QueueEvent) -> list[Crumb]:
    way = crumbs(programme, ClaimFilter())
    if event.position is not None:
        claim = db.session.get(Claim, (programme.id, event.position))
        if claim is not None and claim.stage_no is not None:
            way = crumbs(programme, ClaimFilter(stage=claim.stage_no))
        way.append((url_for("web.claim", position=event.position), _("序号 %(n)s", n=f"{event.position:,}")))
    return way


def _postings(programme_id: int, event_no: int, positions: Sequence[int]) -> list[dict[str, Any]]:
    """The ledger rows of the event: those of the shown claims, and those that are no claim's."""
    rows = db.session.scalars(
        select(LedgerPosting)
        .where(LedgerPosting.programme_id == programme_id, LedgerPosting.event_no == event_no)
        .where(LedgerPosting.position.is_(None) | LedgerPosting.position.in_(positions))
        .order_by(LedgerPosting.id)
    )
    return [shown_posting(row) for row in rows]
