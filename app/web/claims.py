"""The bureau's pages of claims: the list by state, and one claim with everything that decided it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.access import STAFF, requires
from app.auth import caller
from app.context import business_now, keyring, settings
from app.db import db
from app.web.blueprint import asked_before, web
from app.web.board import steady
from app.web.board_breakdown import crumbs, running
from app.web.board_claims import claims_page, counts_by_state, row_standing
from app.web.board_filter import STATES, ClaimFilter, read_filter
from app.web.claim_evidence import decisions_of, events_of, postings_of, rules_of
from app.web.desk_claim_offers import DEED_FIELDS, deeds_of
from app.web.desk_words import ATTEMPT_STATES
from app.web.forms import Form
from app.web.language import _, _l
from app.web.owner_words import OTHER_PROBLEM, PROBLEM_WORDS
from app.web.progress import steps_of, who_acts
from app.web.standing import standing
from app.web.trade_in_record import Record, read_record
from registry.trade_ins import TradeIn
from registry.unmasking import MAY_UNMASK
from subsidy.claims import Claim

A_PAGE = 50
EXPORT_FIELDS = ("kind", "reason", "names")
KINDS = {"xlsx": _l("Excel 表格"), "csv": _l("CSV 文本")}


@web.get("/board/claims")
@requires(*STAFF)
def claims() -> str:
    """The claims within the filter, newest position first; and the form that exports them."""
    return show_claims(Form(fields=EXPORT_FIELDS))


def show_claims(export: Form) -> str:
    """Return the list of claims; ``export`` is the form of the export that was refused on it, empty where none was."""
    chosen, form = read_filter()
    steady()
    programme = running()
    programme_id = programme.id if programme is not None else 0
    rows = claims_page(
        session=db.session(), programme_id=programme_id, chosen=chosen, before=asked_before(), limit=A_PAGE + 1
    )
    older = rows[A_PAGE - 1].position if len(rows) > A_PAGE else None
    return render_template(
        "claims.html",
        form=form,
        export=export,
        kinds=KINDS.items(),
        may_unmask=caller().role in MAY_UNMASK,
        chosen=chosen,
        narrowed=chosen.words(),
        tabs=_tabs(programme_id, chosen),
        crumbs=crumbs(programme, chosen),
        rows=rows[:A_PAGE],
        row_standing=row_standing,
        older=url_for("web.claims", **chosen.query(), before=older) if older is not None else None,
        as_of=business_now(),
    )


@web.get("/board/claims/find", endpoint="find_claim")
@requires(*STAFF)
def find_claim() -> AnyResponse:
    """Go to the claim with the position that was typed; back to the list with a sentence where there is none."""
    # Thousands are parted by a comma, a Chinese keyboard's is the wide one.
    typed = re.sub(r"[,\uff0c\s]", "", request.args.get("position", ""))
    if not typed.isdecimal() or len(typed) > 12:
        flash(_("序号是一个数字，例如 42。"), "stopped")
    elif db.session.get(Claim, (_programme_id(), int(typed))) is None:
        flash(_("没有序号 %(n)s 的申领。", n=f"{int(typed):,}"), "stopped")
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
        crumbs=_way_to(claim, record),
        standing_tag=_standing(claim, record),
        attempt_words=ATTEMPT_STATES,
        problem_words=lambda problem: PROBLEM_WORDS.get(problem, OTHER_PROBLEM),
        form=form,
        deeds=deeds_of(record),
    )


def _programme_id() -> int:
    programme = running()
    return 0 if programme is None else programme.id


def _way_to(claim: Claim, record: Record) -> list[tuple[str, str]]:
    chosen = ClaimFilter(
        stage=claim.stage_no, sub_district=record.dealer.sub_district, point=record.dealer.point_no or None
    )
    return crumbs(running(), chosen)


def _standing(claim: Claim, record: Record) -> tuple[str, str]:
    """The claim's tag. One that staff hold waits for the bureau, one with a fault for whoever corrects it."""
    if claim.state == "held":
        return "wait", _("等更正，名额保留") if record.faults else _("扣下核对，名额保留")
    return standing(claim.state, record.payout.state if record.payout else None)


def _tabs(programme_id: int, chosen: ClaimFilter) -> list[dict[str, Any]]:
    """One tab a state with its count within the rest of the filter, and the one of all of them."""
    wider = replace(chosen, state=None)
    counted = counts_by_state(session=db.session(), programme_id=programme_id, chosen=wider)
    tabs = [
        {
            "key": None,
            "word": _("全部"),
            "number": sum(counted.values()),
            "path": url_for("web.claims", **wider.query()),
        }
    ]
    return tabs + [
        {
            "key": key,
            "word": word,
            "number": counted.get(key, 0),
            "path": url_for("web.claims", **wider.query(state=key)),
        }
        for key, word in STATES.items()
    ]
