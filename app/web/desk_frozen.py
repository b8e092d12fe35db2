"""Frozen payouts at the desk: the bank contradicted itself. Finance proposes an end by document, another decides.

Both see what will change before they say so.
"""

from __future__ import annotations

from flask import render_template, url_for
from sqlalchemy import select

from app.access import STAFF, requires
from app.auth import caller
from app.context import business_now
from app.db import db
from app.web.answering import Answer
from app.web.blueprint import web
from app.web.desk_acting import act, done, may, names_of, reason_in, within
from app.web.desk_words import ATTEMPT_STATES, CLAIM_STATES, FROZEN_FOR, PAYOUT_STATES
from app.web.forms import Form
from app.web.language import _, _l
from app.web.wording import money_exact
from registry.cases import Case
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.payout_ends import decide_end, open_end, propose_end
from subsidy.payouts import Payout, PayoutAttempt, PayoutEnd
from subsidy.statement_lines import StatementRow
from subsidy.statement_payouts import PayoutNotFound, is_booked, state_after
from subsidy.statement_resolution import OF_PAYOUT, Decider

PROPOSES = "finance"
DECIDES = ("finance", "reviewer")
FIELDS = ("resolution", "finding", "document_no")
OPTIONS = {
    "settle_by_document": _l("车主已经收到，有凭证"),
    "refund_received": _l("钱退回来了，或者没有付出去，有凭证"),
}
LONGEST = 400
A_PAGE = 200


@web.get("/desk/frozen")
@requires(*STAFF)
def frozen_payouts() -> str:
    """The frozen payouts, the one frozen longest first."""
    rows = db.session.execute(
        select(Payout, TradeIn.reference, PayoutEnd)
        .join(TradeIn, TradeIn.id == Payout.trade_in_id)
        .outerjoin(PayoutEnd, (PayoutEnd.payout_id == Payout.id) & PayoutEnd.outcome.is_(None))
        .where(Payout.state == "frozen")
        .order_by(Payout.id)
        .limit(A_PAGE)
    ).all()
    mine = {end.id for _payout, _reference, end in rows if end and may(*DECIDES) and end.asked_by != caller().actor}
    return render_template("desk_frozen.html", rows=rows, why=FROZEN_FOR, options=OPTIONS, mine=mine)


@web.get("/desk/frozen/<int:payout_id>")
@requires(*STAFF)
def frozen_payout(payout_id: int) -> str:
    """One frozen payout: what the bank said, in order, and what either end would change."""
    return _page(payout_id, Form(fields=FIELDS))


@web.post("/desk/frozen/<int:payout_id>/resolution", endpoint="propose_payout_end")
@requires(PROPOSES)
def propose(payout_id: int) -> Answer:
    """Propose how a frozen payout ends by document: the owner has the money, or we have."""
    form = Form.read(*FIELDS)

    def work() -> str:
        if form.value("resolution") not in OF_PAYOUT:
            form.blame("resolution", _("请选钱在哪里。"))
        form.text("document_no", _("还没有填凭证号。"), longest=60)
        finding = reason_in(form, "finding", missing=_("还没有写查明的情况。"), longest=LONGEST)
        propose_end(
            session=db.session(),
            payout_id=within(payout_id),
            resolution=form.value("resolution"),
            finding=finding,
            document_no=form.value("document_no"),
            by=_decider(),
            now=business_now(),
        )
        words = _("提出来了，要由另一位财务或者复核员批准。")
        return done(words, url_for("web.frozen_payout", payout_id=payout_id))

    return act(form, work, lambda form: _page(payout_id, form))


@web.post("/desk/frozen/<int:payout_id>/ends/<int:end_id>/decision", endpoint="decide_payout_end")
@requires(*DECIDES)
def decide(payout_id: int, end_id: int) -> Answer:
    """Approve or refuse what somebody else proposed, or take one's own proposal back."""
    form = Form.read("opinion", "decision")
    approve = form.value("decision") == "approve"

    def work() -> str:
        opinion = reason_in(form, "opinion", missing=_("还没有写为什么。"), longest=LONGEST)
        number, by = within(end_id), _decider()
        decide_end(session=db.session(), end_id=number, approve=approve, finding=opinion, by=by, now=business_now())
        words = _("批准了，这笔发放了结了。") if approve else _("没有批准，这笔发放还冻结着。")
        return done(words, url_for("web.frozen_payout", payout_id=payout_id))

    return act(form, work, lambda form: _page(payout_id, form))


def _decider() -> Decider:
    account = caller()
    return Decider(actor=account.actor, role=account.role)


def _page(payout_id: int, form: Form) -> str:
    session = db.session()
    payout = session.get(Payout, within(payout_id))
    if payout is None:
        raise PayoutNotFound(payout_id=payout_id)
    attempts = session.scalars(
        select(PayoutAttempt).where(PayoutAttempt.payout_id == payout.id).order_by(PayoutAttempt.attempt_no)
    ).all()
    claim = session.get(Claim, (payout.programme_id, payout.position))
    end = open_end(session=session, payout_id=payout.id)
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
        claim=claim,
        line=session.scalar(line.order_by(StatementRow.id).limit(1)),
        cases=session.scalars(cases).all(),
        names=names_of([*(attempt.decided_by for attempt in attempts), end.asked_by if end else None]),
        rows=_rows(payout, claim, end) if payout.state == "frozen" else [],
        columns=[OPTIONS[one] for one in _offered(end)],
        options=list(OPTIONS.items()),
        end=end,
        own=end is not None and end.asked_by == caller().actor,
        may_propose=payout.state == "frozen" and end is None and may(PROPOSES),
        may_decide=end is not None and may(*DECIDES),
    )


def _offered(end: PayoutEnd | None) -> tuple[str, ...]:
    """The ends to be shown beside each other: both, or the one that was proposed."""
    return tuple(OPTIONS) if end is None else (end.resolution,)


def _rows(payout: Payout, claim: Claim | None, end: PayoutEnd | None) -> list[tuple[str, str, list[str]]]:
    """What each end changes: (what, now, then by each)."""
    session, amount = db.session(), money_exact(payout.amount_fen)
    stands = str(CLAIM_STATES[claim.state]) if claim else "—"
    after = [state_after(session=session, payout=payout, resolution=one, bank_number=None) for one in _offered(end)]
    words: dict[str | None, str] = {state: str(word) for state, word in PAYOUT_STATES.items()}
    words |= {"awaiting_wallet": _("等车主再给一个钱包，重新发放"), None: _("不能这样了结")}
    states = [words[state] for state in after]
    booked = amount if is_booked(session=session, payout=payout) else _("没有定")
    paid = [amount if state == "settled" else booked if state is None else money_exact(0) for state in after]
    return [
        (_("发放"), str(PAYOUT_STATES["frozen"]), states),
        (_("台账里已付"), booked, paid),
        (_("补贴"), amount, [amount] * len(after)),
        (_("这笔申领"), stands, [stands] * len(after)),
    ]
