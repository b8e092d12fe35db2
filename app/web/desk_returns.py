"""Returns at the desk: decided by a second person, and what was paid claimed back through the bank or by a receipt."""

from __future__ import annotations

from flask import render_template, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, may, names_of, reason_in
from app.web.desk_overrules import chosen_state, counted_by_state, decision_tag
from app.web.desk_words import (
    CLAIM_STATES,
    PAYOUT_STATES,
    RECLAIM_REASONS,
    RECLAIM_STATES,
    RETURN_KINDS,
    RETURN_STATES,
)
from app.web.forms import Form
from app.web.language import _, pgettext
from app.web.wording import local, money_exact, yuan_exact
from registry.trade_ins import TradeIn
from subsidy.case_numbers import RETURN as RETURN_PREFIX
from subsidy.case_numbers import clean_case_number
from subsidy.claims import Claim
from subsidy.payouts import Payout
from subsidy.reclaims import OPEN, list_reclaims, refuse_contested, request_reclaim
from subsidy.repayments import record_repayment
from subsidy.returns import Repayment, ReturnCase, ReturnNotFound, approve_return, list_returns, refuse_return

DECIDES, COLLECTS = "reviewer", "finance"
RETURN_TAGS = {"refused": "stop", "returned": "done", "repaid": "done"}


@web.get("/desk/returns")
@requires(*STAFF)
def returns() -> str:
    """The returns of one state, those that wait unless another is chosen."""
    state = chosen_state(RETURN_STATES, "proposed")
    found = list_returns(session=db.session(), state=state)
    return render_template(
        "desk_returns.html",
        rows=found,
        names=names_of([row[0].opened_by for row in found]),
        kinds=RETURN_KINDS,
        tabs=counted_by_state(ReturnCase, RETURN_STATES),
        chosen=state,
        today=local(business_now()).date(),
    )


@web.get("/desk/returns/<reference>", endpoint="return_case")
@requires(*STAFF)
def return_case(reference: str) -> str:
    """One return: why, what approving it would change, and the receipt once the money is back."""
    return _return(reference)


@web.post("/desk/returns/<reference>/decision", endpoint="decide_return")
@requires(DECIDES)
def decide_return(reference: str) -> Response | tuple[str, int]:
    """Take the claim back, or refuse the return with a reason."""
    form = Form.read("reason", "decision")

    def work() -> str:
        number = clean_case_number(reference, prefix=RETURN_PREFIX)
        way_on = url_for("web.return_case", reference=number)
        if form.value("decision") == "approve":
            case = approve_return(
                session=db.session(),
                reference=number,
                repayment_days=settings().repayment_days,
                repay_to=settings().repay_to,
                clock=settings().clock,
                actor=caller().actor,
            )
            paid = case.state == "demanded"
            return done(_("同意退回了，已经通知车主退款。") if paid else _("退回了，钱已经放出来。"), way_on)
        why = reason_in(form, missing=_("不同意的，要写理由。"), longest=400)
        refuse_return(reference=number, reason=why, **by_me())
        return done(_("没有同意，申领不变。"), way_on)

    return act(form, work, lambda form: _return(reference, decision=form))


@web.post("/desk/returns/<reference>/repayment", endpoint="repay_return")
@requires(COLLECTS)
def repay(reference: str) -> Response | tuple[str, int]:
    """Enter the receipt for the money that came back."""
    form = Form.read("document_no", "amount", "received_on")

    def work() -> str:
        number = clean_case_number(reference, prefix=RETURN_PREFIX)
        document_no = form.text("document_no", _("还没有填凭证号。"), longest=60)
        amount_fen = form.fen("amount", _("金额"))
        received_on = form.day("received_on", _("到账日期"))
        form.check()
        record_repayment(
            session=db.session(),
            reference=number,
            document_no=document_no,
            amount_fen=amount_fen,
            received_on=received_on,
            clock=settings().clock,
            actor=caller().actor,
        )
        return done(_("记下了，这笔钱已经放出来。"), url_for("web.return_case", reference=number))

    return act(form, work, lambda form: _return(reference, receipt=form), amount_fen="amount")


@web.post("/desk/returns/<reference>/reclaim", endpoint="reclaim_return")
@requires(COLLECTS)
def reclaim(reference: str) -> Response | tuple[str, int]:
    """Have the bank take back what was paid."""

    def work() -> str:
        number = clean_case_number(reference, prefix=RETURN_PREFIX)
        request_reclaim(reference=number, **by_me())
        return done(_("已经请银行追回，银行有了答复，这里会更新。"), url_for("web.return_case", reference=number))

    return act(Form.read(), work, lambda form: _return(reference, decision=form))


@web.post("/desk/returns/<reference>/reclaim/refusal", endpoint="refuse_reclaim")
@requires(COLLECTS)
def end_reclaim(reference: str) -> Response | tuple[str, int]:
    """Decide by the bank's written answer that a contested reclaim brought nothing."""
    form = Form.read("finding", "document_no")

    def work() -> str:
        number = clean_case_number(reference, prefix=RETURN_PREFIX)
        form.text("document_no", _("还没有填凭证号。"), longest=60)
        finding = reason_in(form, "finding", missing=_("还没有写查明的情况。"))
        refuse_contested(reference=number, finding=finding, document_no=form.value("document_no"), **by_me())
        return done(_("记下了，这次追回没有成，可以再追。"), url_for("web.return_case", reference=number))

    return act(form, work, lambda form: _return(reference, contest=form))


def _return(
    reference: str, *, decision: Form | None = None, receipt: Form | None = None, contest: Form | None = None
) -> str:
    session = db.session()
    number = clean_case_number(reference, prefix=RETURN_PREFIX)
    case = session.scalar(select(ReturnCase).where(ReturnCase.reference == number))
    if case is None:
        raise ReturnNotFound(reference=number)
    waits, own = case.state == "proposed", case.opened_by == caller().actor
    demanded = case.state == "demanded" and may(COLLECTS)
    reclaims = list_reclaims(session=session, reference=number)
    live = {one.state for one in reclaims}
    tag = "you" if demanded else decision_tag(waits, own, RETURN_TAGS.get(case.state, "wait"))
    claim = session.scalar(select(Claim).where(Claim.trade_in_id == case.trade_in_id))
    return render_template(
        "desk_return.html",
        form=decision or Form(fields=("reason",)),
        receipt=receipt or Form(fields=("document_no", "amount", "received_on")),
        contest=contest or Form(fields=("finding", "document_no")),
        reclaims=reclaims,
        reclaim_states=RECLAIM_STATES,
        reclaim_reasons=RECLAIM_REASONS,
        case=case,
        trade_in=session.get_one(TradeIn, case.trade_in_id),
        claim=claim,
        repayment=session.scalar(select(Repayment).where(Repayment.return_case_id == case.id)),
        kinds=RETURN_KINDS,
        tag=(tag, RETURN_STATES[case.state]),
        names=names_of([case.opened_by, case.decided_by, *(one.asked_by for one in reclaims)]),
        rows=_return_rows(case, claim) if waits else [],
        may_decide=waits and may(DECIDES) and not own,
        own=waits and own,
        may_repay=demanded,
        may_reclaim=demanded and case.opened_by != caller().actor and live <= {"rejected"},
        # A receipt may still take the place of what the bank has not heard of.
        under_way=bool(live & (set(OPEN) - {"due"})),
        contested="contested" in live and may(COLLECTS),
    )


def _return_rows(case: ReturnCase, claim: Claim | None) -> list[tuple[str, str, str]]:
    if claim is None:
        return [(_("新车和号牌"), _("在用"), pgettext("becomes", "退回")), (_("补贴申领"), _("没有"), _("没有"))]
    payout = db.session.scalar(select(Payout).where(Payout.trade_in_id == case.trade_in_id))
    paid = payout is not None and payout.state == "settled"
    amount = yuan_exact(claim.amount_fen)
    rows = [
        (_("新车和号牌"), _("在用"), pgettext("becomes", "退回")),
        (_("这笔申领"), str(CLAIM_STATES[claim.state]), str(CLAIM_STATES["returned"])),
    ]
    if payout is not None:
        stands = PAYOUT_STATES[payout.state]
        before = _("%(state)s，%(amount)s 元", state=stands, amount=yuan_exact(payout.amount_fen))
        rows.append((_("发放"), before, _("向车主追回") if paid else _("取消，不再付")))
    if paid:
        due = _("%(amount)s 元，%(days)s 天内", amount=amount, days=settings().repayment_days)
        rows.append((_("车主要退的钱"), money_exact(0), due))
    elif claim.amount_fen:
        rows.append((_("放出来给后面的人"), money_exact(0), money_exact(claim.amount_fen)))
    return rows
