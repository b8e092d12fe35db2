"""Frozen payouts at the desk: the bank contradicted itself; finance ends each by document and sees what will change."""

from __future__ import annotations

from flask import render_template, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import caller
from app.context import business_now
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, done, may, names_of, reason_in, within
from app.web.desk_words import ATTEMPT_STATES, CLAIM_STATES, FROZEN_FOR, PAYOUT_STATES
from app.web.forms import Form
from app.web.language import _
from app.web.wording import money_exact
from registry.cases import Case
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.payouts import Payout, PayoutAttempt
from subsidy.statement_lines import StatementRow
from subsidy.statement_payouts import PayoutNotFound
from subsidy.statement_resolution import OF_PAYOUT, Decider, resolve_payout

ENDS = "finance"
FIELDS = ("resolution", "finding", "document_no")
LONGEST = 400
A_PAGE = 200


@web.get("/desk/frozen")
@requires(*STAFF)
def frozen_payouts() -> str:
    """The frozen payouts, the one frozen longest first."""
    rows = db.session.execute(
        select(Payout, TradeIn.reference)
        .join(TradeIn, TradeIn.id == Payout.trade_in_id)
        .where(Payout.state == "frozen")
        .order_by(Payout.id)
        .limit(A_PAGE)
    ).all()
    return render_template("desk_frozen.html", rows=rows, why=FROZEN_FOR)


@web.get("/desk/frozen/<int:payout_id>")
@requires(*STAFF)
def frozen_payout(payout_id: int) -> str:
    """One frozen payout: what the bank said, in order, and what either end would change."""
    return _page(payout_id, Form(fields=FIELDS))


@web.post("/desk/frozen/<int:payout_id>/resolution", endpoint="end_frozen")
@requires(ENDS)
def end_frozen(payout_id: int) -> Response | tuple[str, int]:
    """End a frozen payout by document: the owner has the money, or we have."""
    form = Form.read(*FIELDS)

    def work() -> str:
        if form.value("resolution") not in OF_PAYOUT:
            form.blame("resolution", _("请选钱在哪里。"))
        form.text("document_no", _("还没有填凭证号。"), longest=60)
        finding = reason_in(form, "finding", missing=_("还没有写查明的情况。"), longest=LONGEST)
        resolve_payout(
            session=db.session(),
            payout_id=within(payout_id),
            resolution=form.value("resolution"),
            finding=finding,
            document_no=form.value("document_no"),
            by=Decider(actor=caller().actor, role=caller().role),
            now=business_now(),
        )
        return done(_("了结了。"), url_for("web.frozen_payout", payout_id=payout_id))

    return act(form, work, lambda form: _page(payout_id, form))


def _page(payout_id: int, form: Form) -> str:
    session = db.session()
    payout = session.get(Payout, within(payout_id))
    if payout is None:
        raise PayoutNotFound(payout_id=payout_id)
    attempts = session.scalars(
        select(PayoutAttempt).where(PayoutAttempt.payout_id == payout.id).order_by(PayoutAttempt.attempt_no)
    ).all()
    claim = session.get(Claim, (payout.programme_id, payout.position))
    line = select(StatementRow).where(
        StatementRow.payout_id == payout.id, StatementRow.verdict != "same", StatementRow.resolved_at.is_(None)
    )
    cases = select(Case).where(Case.subject == f"payout:{payout.id}").order_by(Case.id)
    return render_template(
        "desk_payout.html",
        form=form,
        payout=payout,
        state=PAYOUT_STATES[payout.state],
        why=FROZEN_FOR.get(payout.problem or "", payout.problem),
        attempts=[(attempt, ATTEMPT_STATES[attempt.state]) for attempt in attempts],
        trade_in=session.get_one(TradeIn, payout.trade_in_id),
        claim=claim,
        line=session.scalar(line.order_by(StatementRow.id).limit(1)),
        cases=session.scalars(cases).all(),
        names=names_of([attempt.decided_by for attempt in attempts]),
        rows=_rows(payout, claim) if payout.state == "frozen" else [],
        options=[
            ("settle_by_document", _("车主已经收到，有凭证")),
            ("refund_received", _("钱退回来了，或者没有付出去，有凭证")),
        ],
        may_end=payout.state == "frozen" and may(ENDS),
    )


def _rows(payout: Payout, claim: Claim | None) -> list[tuple[str, str, str, str]]:
    """What either end changes: (what, now, the owner has the money, we have it)."""
    amount = money_exact(payout.amount_fen)
    stands = str(CLAIM_STATES[claim.state]) if claim else "—"
    return [
        (_("发放"), str(PAYOUT_STATES["frozen"]), str(PAYOUT_STATES["settled"]), _("等车主再给一个钱包，重新发放")),
        (_("台账里已付"), _("没有定"), amount, money_exact(0)),
        (_("补贴"), amount, amount, amount),
        (_("这笔申领"), stands, stands, stands),
    ]
