"""Overrules at the desk: what one person proposed, another approves or refuses, seeing what will change."""

from __future__ import annotations

from typing import Any

from flask import abort, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import caller
from app.context import settings
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, may, names_of, reason_in
from app.web.desk_words import (
    CLAIM_STATES,
    OVERRULE_STATES,
    Words,
    reason_words,
)
from app.web.forms import Form
from app.web.language import _
from app.web.wording import count, money_exact, stage_name, yuan_exact
from registry.trade_ins import TradeIn
from subsidy.appeals import approve_proposal, refuse_proposal
from subsidy.case_numbers import OVERRULE as OVERRULE_PREFIX
from subsidy.case_numbers import clean_case_number
from subsidy.claims import Claim, Decision
from subsidy.overrules import Overrule, OverruleNotFound, list_overrules
from subsidy.programme import Programme
from subsidy.returns import ReturnCase
from subsidy.state import State

DECIDES = "reviewer"
CasesTable = type[Overrule] | type[ReturnCase]
OVERRULE_TAGS = {"approved": "done", "refused": "stop"}


@web.get("/desk/overrules")
@requires(*STAFF)
def overrules() -> str:
    """The proposed overrules of one state, those that wait unless another is chosen."""
    state = chosen_state(OVERRULE_STATES, "proposed")
    found = list_overrules(session=db.session(), state=state)
    return render_template(
        "desk_overrules.html",
        rows=[(overrule, trade_in, claim) for overrule, trade_in, claim in found],
        names=names_of([row[0].proposed_by for row in found]),
        tabs=counted_by_state(Overrule, OVERRULE_STATES),
        chosen=state,
        waits=may(DECIDES),
    )


@web.get("/desk/overrules/<reference>")
@requires(*STAFF)
def overrule(reference: str) -> str:
    """One proposal: the reason, the claim, and exactly what approving it would change."""
    return _overrule(reference, Form(fields=("reason",)))


@web.post("/desk/overrules/<reference>/decision", endpoint="decide_overrule")
@requires(DECIDES)
def decide_overrule(reference: str) -> Response | tuple[str, int]:
    """Approve a proposal, or refuse it with a reason."""
    form = Form.read("reason", "decision")

    def work() -> str:
        number = clean_case_number(reference, prefix=OVERRULE_PREFIX)
        way_on = url_for("web.overrule", reference=number)
        if form.value("decision") == "approve":
            approve_proposal(session=db.session(), reference=number, clock=settings().clock, actor=caller().actor)
            return done(_("同意改判了，已经记进队列。"), way_on)
        why = reason_in(form, missing=_("不同意的，要写理由。"), longest=400)
        refuse_proposal(reference=number, reason=why, **by_me())
        return done(_("没有同意，原来的决定不变。"), way_on)

    return act(form, work, lambda form: _overrule(reference, form))


def outlook_of(*, programme: Programme, claim: Claim, decision: Decision) -> list[tuple[str, str, str]]:
    """Return what overruling a decline would change, row by row (law 10): from the reserve, or first in the line."""
    state = State.from_core_json(programme.head) if programme.head is not None else State()
    owed = decision.stage_no or next((one.number for one in state.stages if one.reach >= claim.position), None)
    reserve = money_exact(state.reserve_fen)
    amount_fen = state.stages[owed - 1].amount_fen if owed else 0
    if owed and amount_fen <= state.reserve_fen:
        after, paid = str(CLAIM_STATES["awarded"]), money_exact(amount_fen)
        left = money_exact(state.reserve_fen - amount_fen)
    else:
        after, paid, left = _("排在队伍最前面，等名额"), _("轮到时的金额"), reserve
        if owed:
            paid = _("%(amount)s 元，等预备金或者名额", amount=yuan_exact(amount_fen))
    return [
        (_("这笔申领"), str(CLAIM_STATES[claim.state]), after),
        (_("补贴"), money_exact(0), paid),
        (_("阶段"), "—", stage_name(owed) if owed else _("轮到时的阶段")),
        (_("改判预备金"), reserve, left),
        (_("序号"), count(claim.position), count(claim.position)),
        (_("别人的名额和钱"), _("照旧"), _("照旧")),
    ]


def _overrule(reference: str, form: Form) -> str:
    session = db.session()
    number = clean_case_number(reference, prefix=OVERRULE_PREFIX)
    overrule = session.scalar(select(Overrule).where(Overrule.reference == number))
    if overrule is None:
        raise OverruleNotFound(reference=number)
    claim = session.get_one(Claim, (overrule.programme_id, overrule.position))
    waits, own = overrule.state == "proposed", overrule.proposed_by == caller().actor
    rows = []
    if waits:
        rows = outlook_of(
            programme=session.get_one(Programme, claim.programme_id), claim=claim, decision=_latest(claim)
        )
    return render_template(
        "desk_overrule.html",
        form=form,
        overrule=overrule,
        trade_in=session.get_one(TradeIn, overrule.trade_in_id),
        claim=claim,
        claim_words=CLAIM_STATES,
        declined_for=reason_words(claim.reason) if claim.state == "declined" else "",
        tag=(decision_tag(waits, own, OVERRULE_TAGS.get(overrule.state, "")), OVERRULE_STATES[overrule.state]),
        names=names_of([overrule.proposed_by, overrule.decided_by]),
        rows=rows,
        may_decide=waits and may(DECIDES) and not own,
        own=waits and own,
    )


def _latest(claim: Claim) -> Decision:
    own = (Decision.programme_id == claim.programme_id, Decision.position == claim.position)
    return db.session.scalars(select(Decision).where(*own).order_by(Decision.event_no.desc()).limit(1)).one()


def decision_tag(waits: bool, own: bool, otherwise: str) -> str:
    """Return the tag of a proposal for this reader: whether it waits for him, for somebody else, or is over."""
    if not waits:
        return otherwise
    return "you" if may(DECIDES) and not own else "wait"


def chosen_state(words: Words, first: str) -> str:
    """Return the state a list is filtered by; an unknown one is no page of ours."""
    state = request.args.get("state", first)
    if state not in words:
        abort(404)
    return state


def counted_by_state(table: CasesTable, words: Words) -> list[dict[str, Any]]:
    """Return the tabs of a list: each state with its word and how many stand in it."""
    counted: dict[str, int] = dict(db.session.execute(select(table.state, func.count()).group_by(table.state)).all())
    return [{"key": key, "word": word, "number": counted.get(key, 0)} for key, word in words.items()]
