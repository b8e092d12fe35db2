"""Open trade-ins given to another point, at the desk: which ones, to whom, and why. Their owners are told."""

from __future__ import annotations

from flask import render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, reason_in, within
from app.web.forms import Form
from app.web.language import _
from app.web.owner_words import TRADE_IN_STATES
from registry.codes import clean_reference
from registry.dealer_handover import hand_over, open_of
from registry.dealers import get_dealer, list_dealers

HANDS_OVER = "operator"
FIELDS = ("to_dealer_id", "reason")
A_PAGE = 500


@web.get("/desk/dealers/<int:dealer_id>/handover")
@requires(HANDS_OVER)
def handover(dealer_id: int) -> str:
    """The point's open trade-ins, to be given to another licensed point."""
    return _page(dealer_id, Form(fields=FIELDS))


@web.post("/desk/dealers/<int:dealer_id>/handover", endpoint="hand_over")
@requires(HANDS_OVER)
def give_over(dealer_id: int) -> Response | tuple[str, int]:
    """Hand the ticked trade-ins over."""
    form = Form.read(*FIELDS)
    chosen = [clean_reference(one) for one in request.form.getlist("reference")[:A_PAGE]]
    form.values["references"] = " ".join(chosen)

    def work() -> str:
        to_dealer_id = form.value("to_dealer_id")
        if not to_dealer_id.isdecimal():
            form.blame("to_dealer_id", _("还没有选接收的代办点。"))
        if not chosen:
            form.blame(None, _("还没有选要移交的置换。"))
        reason = reason_in(form)
        handed = hand_over(
            from_dealer_id=within(dealer_id),
            to_dealer_id=within(int(to_dealer_id)),
            references=chosen,
            reason=reason,
            **by_me(),
        )
        told = _("移交了 %(n)s 件，已经通知车主。", n=len(handed))
        return done(told, url_for("web.dealer", dealer_id=dealer_id))

    return act(form, work, lambda form: _page(dealer_id, form))


def _page(dealer_id: int, form: Form) -> str:
    session = db.session()
    dealer = get_dealer(session=session, dealer_id=within(dealer_id))
    others = [one for one in list_dealers(session=session, state="licensed", limit=A_PAGE) if one.id != dealer.id]
    return render_template(
        "desk_handover.html",
        form=form,
        dealer=dealer,
        rows=open_of(session=session, dealer_id=dealer.id, limit=A_PAGE),
        states=TRADE_IN_STATES,
        chosen=form.value("references").split(),
        options=[(str(one.id), f"{one.point_no} {one.name}") for one in others],
    )
