"""The bureau's pages of claims: the list by state, and one claim with everything that decided it."""

from __future__ import annotations

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response as AnyResponse

from app.access import STAFF, requires
from app.context import keyring, settings
from app.db import db
from app.web.blueprint import asked_before, web
from app.web.board import steady
from app.web.board_figures import claims_page
from app.web.claim_evidence import decisions_of, events_of, postings_of, rules_of
from app.web.desk_claim_offers import DEED_FIELDS, deeds_of
from app.web.forms import Form
from app.web.progress import steps_of, who_acts
from app.web.trade_in_record import read_record
from registry.trade_ins import TradeIn
from subsidy.claims import CLAIM_WORDS, Claim
from subsidy.payouts import ATTEMPT, problem_words
from subsidy.programme import ProgrammeNotFound, current_programme

A_PAGE = 50


@web.get("/board/claims")
@requires(*STAFF)
def claims() -> str:
    """The claims, newest position first, of one state where it is chosen."""
    chosen = request.args.get("state", "")
    if chosen and chosen not in CLAIM_WORDS:
        abort(404)
    steady()
    programme_id = _programme_id()
    rows = claims_page(
        session=db.session(),
        programme_id=programme_id,
        state=chosen or None,
        before=asked_before(),
        limit=A_PAGE + 1,
    )
    return render_template(
        "claims.html",
        tabs=_tabs(programme_id),
        chosen=chosen,
        rows=rows[:A_PAGE],
        older=rows[A_PAGE - 1].position if len(rows) > A_PAGE else None,
    )


@web.get("/board/claims/find", endpoint="find_claim")
@requires(*STAFF)
def find_claim() -> AnyResponse:
    """Go to the claim with the position that was typed; back to the list with a sentence where there is none."""
    typed = request.args.get("position", "").replace(",", "").replace("，", "").strip()
    if not typed.isdecimal() or len(typed) > 12:
        flash("序号是一个数字，例如 42。", "stopped")
    elif db.session.get(Claim, (_programme_id(), int(typed))) is None:
        flash(f"没有序号 {int(typed):,} 的申领。", "stopped")
    else:
        return redirect(url_for("web.claim", position=int(typed)), 303)
    return redirect(url_for("web.claims"), 303)


@web.get("/board/claims/<int:position>", endpoint="claim")
@requires(*STAFF)
def claim_page(position: int) -> str:
    """One claim: facts, rules with evidence, ledger rows, events, decisions, payout, and what may be done."""
    return show_claim(position, Form(fields=DEED_FIELDS))


def show_claim(position: int, form: Form) -> str:
    """Return a claim's page; ``form`` is the deed that was refused on it, empty where none was."""
    if position >= 2**63:
        abort(404)
    steady()
    claim = db.session.get(Claim, (_programme_id(), position)) or abort(404)
    trade_in = db.session.get_one(TradeIn, claim.trade_in_id)
    record = read_record(session=db.session(), keyring=keyring(), trade_in=trade_in)
    clock = settings().clock
    postings, occupied_fen = postings_of(session=db.session(), claim=claim)
    return render_template(
        "claim.html",
        record=record,
        rules=rules_of(claim),
        postings=postings,
        occupied_fen=occupied_fen,
        decisions=decisions_of(session=db.session(), claim=claim),
        events=events_of(session=db.session(), record=record, to_business=clock.business),
        steps=steps_of(record),
        now=who_acts(record, "bureau"),
        attempt_words=ATTEMPT.words,
        problem_words=problem_words,
        form=form,
        deeds=deeds_of(record),
    )


def _programme_id() -> int:
    try:
        return current_programme(session=db.session()).id
    except ProgrammeNotFound:
        return 0


def _tabs(programme_id: int) -> list[dict[str, Any]]:
    counted = dict(
        db.session.execute(
            select(Claim.state, func.count()).where(Claim.programme_id == programme_id).group_by(Claim.state)
        ).all()
    )
    tabs = [{"key": "", "word": "全部", "number": sum(counted.values())}]
    return tabs + [{"key": key, "word": word, "number": counted.get(key, 0)} for key, word in CLAIM_WORDS.items()]
