"""Deeds on a claim's page: hold, release, waive a fault, propose to overrule, begin a return."""

from __future__ import annotations

from collections.abc import Callable

from flask import abort, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.auth import caller
from app.context import settings
from app.db import db
from app.web.blueprint import web
from app.web.claims import show_claim
from app.web.desk_acting import act, by_me, done, reason_in, within
from app.web.desk_claim_offers import DEED_FIELDS
from app.web.forms import Form
from app.web.language import _
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.corrections import waive_fault
from subsidy.holds import HOLD_REASONS, hold_claim, release_claim
from subsidy.overrules import propose_overrule
from subsidy.programme import current_programme
from subsidy.returns import KINDS, open_return

LONGEST = 400


@web.post("/board/claims/<int:position>/hold", endpoint="hold_claim")
@requires("operator")
def hold(position: int) -> Response | tuple[str, int]:
    """Hold the claim before its first payout attempt."""

    def work(form: Form, reference: str) -> str:
        if form.value("reason_code") not in HOLD_REASONS:
            form.blame("reason_code", _("还没有选核对什么。"))
        reason = reason_in(form, missing=_("还没有写要核对的是什么。"))
        hold_claim(
            session=db.session(),
            reference=reference,
            reason_code=form.value("reason_code"),
            reason=reason,
            clock=settings().clock,
            actor=caller().actor,
        )
        return _("扣下了。名额和钱留着，核对完由另一个人放行。")

    return _deed(position, work)


@web.post("/board/claims/<int:position>/release", endpoint="release_claim")
@requires("operator", "reviewer")
def release(position: int) -> Response | tuple[str, int]:
    """Let a held claim go."""

    def work(form: Form, reference: str) -> str:
        reason = reason_in(form, missing=_("还没有写核对的结果。"))
        clock = settings().clock
        release_claim(session=db.session(), reference=reference, reason=reason, clock=clock, actor=caller().actor)
        return _("放行了。")

    return _deed(position, work)


@web.post("/board/claims/<int:position>/fault-waiver", endpoint="waive_fault")
@requires("reviewer")
def waive(position: int) -> Response | tuple[str, int]:
    """Let a claim pass although nothing was corrected."""

    def work(form: Form, reference: str) -> str:
        reason = reason_in(form, missing=_("还没有写为什么不用更正。"))
        clock = settings().clock
        waive_fault(session=db.session(), reference=reference, reason=reason, clock=clock, actor=caller().actor)
        return _("放行了，不用更正。")

    return _deed(position, work)


@web.post("/board/claims/<int:position>/overrule", endpoint="propose_overrule")
@requires("operator")
def overrule(position: int) -> Response | tuple[str, int]:
    """Propose that the declined claim be paid."""

    def work(form: Form, reference: str) -> str:
        reason = reason_in(form, missing=_("还没有写为什么要改判。"), longest=LONGEST)
        propose_overrule(reference=reference, reason=reason, **by_me())
        return _("改判建议提出了，请复核员决定。")

    return _deed(position, work)


@web.post("/board/claims/<int:position>/return", endpoint="begin_return")
@requires("operator")
def begin_return(position: int) -> Response | tuple[str, int]:
    """Begin the return of what was claimed."""

    def work(form: Form, reference: str) -> str:
        if form.value("kind") not in KINDS:
            form.blame("kind", _("还没有选退回的原因。"))
        proof_no = form.text("proof_no", _("还没有填凭证号。"), longest=40)
        reason = reason_in(form, missing=_("还没有写出了什么事。"), longest=LONGEST)
        open_return(reference=reference, kind=form.value("kind"), reason=reason, proof_no=proof_no, **by_me())
        return _("退回提出了，请复核员决定。")

    return _deed(position, work)


def _deed(position: int, step: Callable[[Form, str], str]) -> Response | tuple[str, int]:
    form = Form.read(*DEED_FIELDS)

    def work() -> str:
        programme = current_programme(session=db.session())
        claim = db.session.get(Claim, (programme.id, within(position))) or abort(404)
        reference = db.session.get_one(TradeIn, claim.trade_in_id).reference
        return done(step(form, reference), url_for("web.claim", position=position))

    return act(form, work, lambda form: show_claim(position, form))
