"""Overrules and returns at the desk: what one person proposed, another approves or refuses, seeing what will change."""

from __future__ import annotations

from typing import Any

from flask import abort, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, by_me, done, may, names_of, reason_in
from app.web.forms import Form
from app.web.wording import count, local, stage_name, yuan_exact
from registry.trade_ins import TradeIn
from subsidy.appeals import approve_proposal, refuse_proposal
from subsidy.case_numbers import OVERRULE as OVERRULE_PREFIX
from subsidy.case_numbers import RETURN as RETURN_PREFIX
from subsidy.case_numbers import clean_case_number
from subsidy.claims import CLAIM_WORDS, Claim, Decision
from subsidy.eligibility import WORDING
from subsidy.overrules import OVERRULE, Overrule, OverruleNotFound, list_overrules
from subsidy.payouts import PAYOUT, Payout
from subsidy.programme import Programme
from subsidy.returns import (
    KINDS,
    RETURN,
    Repayment,
    ReturnCase,
    ReturnNotFound,
    approve_return,
    list_returns,
    record_repayment,
    refuse_return,
)
from subsidy.state import State

DECIDES = "reviewer"
OVERRULE_TAGS = {"approved": "done", "refused": "stop"}
RETURN_TAGS = {"refused": "stop", "returned": "done", "repaid": "done"}
REASONS = {"no_money": "名额和钱用完了", "correction_expired": "逾期没有更正", "returned": "已退"}


@web.get("/desk/overrules")
@requires(*STAFF)
def overrules() -> str:
    """The proposed overrules of one state, those that wait unless another is chosen."""
    state = _chosen(OVERRULE.words, "proposed")
    found = list_overrules(session=db.session(), state=state)
    return render_template(
        "desk_overrules.html",
        rows=[(overrule, trade_in, claim) for overrule, trade_in, claim in found],
        names=names_of([row[0].proposed_by for row in found]),
        tabs=_counted(Overrule, OVERRULE.words),
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
            return done("同意改判了，已经记进队列。", way_on)
        why = reason_in(form, missing="不同意的，要写理由。", longest=400)
        refuse_proposal(reference=number, reason=why, **by_me())
        return done("没有同意，原来的决定不变。", way_on)

    return act(form, work, lambda form: _overrule(reference, form))


@web.get("/desk/returns")
@requires(*STAFF)
def returns() -> str:
    """The returns of one state, those that wait unless another is chosen."""
    state = _chosen(RETURN.words, "proposed")
    found = list_returns(session=db.session(), state=state)
    return render_template(
        "desk_returns.html",
        rows=found,
        names=names_of([row[0].opened_by for row in found]),
        kinds=KINDS,
        tabs=_counted(ReturnCase, RETURN.words),
        chosen=state,
        today=local(business_now()).date(),
    )


@web.get("/desk/returns/<reference>", endpoint="return_case")
@requires(*STAFF)
def return_case(reference: str) -> str:
    """One return: why, what approving it would change, and the receipt once the money is back."""
    return _return(reference, Form(fields=("reason",)), Form(fields=("document_no", "amount", "received_on")))


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
                clock=settings().clock,
                actor=caller().actor,
            )
            paid = case.state == "demanded"
            return done("同意退回了，已经通知车主退款。" if paid else "退回了，钱已经放出来。", way_on)
        why = reason_in(form, missing="不同意的，要写理由。", longest=400)
        refuse_return(reference=number, reason=why, **by_me())
        return done("没有同意，申领不变。", way_on)

    blank = Form(fields=("document_no", "amount", "received_on"))
    return act(form, work, lambda form: _return(reference, form, blank))


@web.post("/desk/returns/<reference>/repayment", endpoint="repay_return")
@requires("finance")
def repay(reference: str) -> Response | tuple[str, int]:
    """Enter the receipt for the money that came back."""
    form = Form.read("document_no", "amount", "received_on")

    def work() -> str:
        number = clean_case_number(reference, prefix=RETURN_PREFIX)
        document_no = form.text("document_no", "还没有填凭证号。", longest=60)
        amount_fen = form.fen("amount", "金额")
        received_on = form.day("received_on", "到账日期")
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
        return done("记下了，这笔钱已经放出来。", url_for("web.return_case", reference=number))

    return act(form, work, lambda form: _return(reference, Form(fields=("reason",)), form), amount_fen="amount")


def outlook_of(*, programme: Programme, claim: Claim, decision: Decision) -> list[tuple[str, str, str]]:
    """Return what overruling a decline would change, row by row (law 10): from the reserve, or first in the line."""
    state = State.from_core_json(programme.head) if programme.head is not None else State()
    owed = decision.stage_no or next((one.number for one in state.stages if one.reach >= claim.position), None)
    reserve = f"{yuan_exact(state.reserve_fen)} 元"
    amount_fen = state.stages[owed - 1].amount_fen if owed else 0
    if owed and amount_fen <= state.reserve_fen:
        after, paid = CLAIM_WORDS["awarded"], f"{yuan_exact(amount_fen)} 元"
        left = f"{yuan_exact(state.reserve_fen - amount_fen)} 元"
    else:
        after, paid, left = "排在队伍最前面，等名额", "轮到时的金额", reserve
        if owed:
            paid = f"{yuan_exact(amount_fen)} 元，等预备金或者名额"
    return [
        ("申领", CLAIM_WORDS[claim.state], after),
        ("补贴", "0.00 元", paid),
        ("阶段", "—", stage_name(owed) if owed else "轮到时的阶段"),
        ("改判预备金", reserve, left),
        ("序号", count(claim.position), count(claim.position)),
        ("别人的名额和钱", "照旧", "照旧"),
    ]


def reason_words(reason: str | None) -> str:
    """Return a decline's reason in words."""
    if reason in WORDING:
        return WORDING[reason].zh
    return REASONS.get(reason or "", reason or "")


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
        claim_words=CLAIM_WORDS,
        declined_for=reason_words(claim.reason) if claim.state == "declined" else "",
        tag=(_tag(waits, own, OVERRULE_TAGS.get(overrule.state, "")), OVERRULE.words[overrule.state]),
        names=names_of([overrule.proposed_by, overrule.decided_by]),
        rows=rows,
        may_decide=waits and may(DECIDES) and not own,
        own=waits and own,
    )


def _return(reference: str, form: Form, receipt: Form) -> str:
    session = db.session()
    number = clean_case_number(reference, prefix=RETURN_PREFIX)
    case = session.scalar(select(ReturnCase).where(ReturnCase.reference == number))
    if case is None:
        raise ReturnNotFound(reference=number)
    waits, own = case.state == "proposed", case.opened_by == caller().actor
    demanded = case.state == "demanded" and may("finance")
    tag = "you" if demanded else _tag(waits, own, RETURN_TAGS.get(case.state, "wait"))
    claim = session.scalar(select(Claim).where(Claim.trade_in_id == case.trade_in_id))
    return render_template(
        "desk_return.html",
        form=form,
        receipt=receipt,
        case=case,
        trade_in=session.get_one(TradeIn, case.trade_in_id),
        claim=claim,
        repayment=session.scalar(select(Repayment).where(Repayment.return_case_id == case.id)),
        kinds=KINDS,
        tag=(tag, RETURN.words[case.state]),
        names=names_of([case.opened_by, case.decided_by]),
        rows=_return_rows(case, claim) if waits else [],
        may_decide=waits and may(DECIDES) and not own,
        own=waits and own,
        may_repay=demanded,
    )


def _return_rows(case: ReturnCase, claim: Claim | None) -> list[tuple[str, str, str]]:
    if claim is None:
        return [("新车和号牌", "在用", "退回"), ("补贴申领", "没有", "没有")]
    payout = db.session.scalar(select(Payout).where(Payout.trade_in_id == case.trade_in_id))
    paid = payout is not None and payout.state == "settled"
    rows = [("新车和号牌", "在用", "退回"), ("申领", CLAIM_WORDS[claim.state], "已退")]
    if payout is not None:
        after = "向车主追回" if paid else "取消，不再付"
        rows.append(("发放", f"{PAYOUT.words[payout.state]}，{yuan_exact(payout.amount_fen)} 元", after))
    if paid:
        rows.append(("车主要退的钱", "0.00 元", f"{yuan_exact(claim.amount_fen)} 元，{settings().repayment_days} 天内"))
    elif claim.amount_fen:
        rows.append(("放出来给后面的人", "0.00 元", f"{yuan_exact(claim.amount_fen)} 元"))
    return rows


def _latest(claim: Claim) -> Decision:
    own = (Decision.programme_id == claim.programme_id, Decision.position == claim.position)
    return db.session.scalars(select(Decision).where(*own).order_by(Decision.event_no.desc()).limit(1)).one()


def _tag(waits: bool, own: bool, otherwise: str) -> str:
    if not waits:
        return otherwise
    return "you" if may(DECIDES) and not own else "wait"


def _chosen(words: Any, first: str) -> str:
    state = request.args.get("state", first)
    if state not in words:
        abort(404)
    return state


def _counted(table: type[Overrule] | type[ReturnCase], words: Any) -> list[dict[str, Any]]:
    counted: dict[str, int] = dict(db.session.execute(select(table.state, func.count()).group_by(table.state)).all())
    return [{"key": key, "word": word, "number": counted.get(key, 0)} for key, word in words.items()]
