"""Payouts with their attempts, the bank's statements line by line, and differences worked to an end."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import func, select

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller
from app.context import business_now
from app.db import db
from app.idempotency import idempotent
from app.schemas.payouts import (
    LineAnswer,
    LineList,
    LineQuery,
    LineResolutionRequest,
    PayoutDetailAnswer,
    PayoutList,
    PayoutQuery,
    PayoutResolutionRequest,
    ResolutionDecisionRequest,
    StatementList,
    StatementQuery,
)
from registry.base import LARGEST_ID, Refusal
from registry.trade_ins import TradeIn
from subsidy.payout_ends import decide_end, open_end, propose_end
from subsidy.payouts import ATTEMPT, PAYOUT, BankStatement, Payout, PayoutAttempt, PayoutEnd
from subsidy.statement_lines import VERDICT_WORDS, StatementRow, Verdict, list_lines
from subsidy.statement_payouts import PayoutNotFound
from subsidy.statement_resolution import RESOLUTION_WORDS, Decider, decide_resolution, resolve_line
from subsidy.wallets import Wallet

blueprint = ApiBlueprint("payouts", __name__, url_prefix="/api", description="Payouts and the bank's statements")

PAYOUT_FIELDS = ("id", "position", "stage_no", "amount_fen", "state", "problem", "batch_id")
END_FIELDS = ("id", "resolution", "finding", "document_no", "asked_by")
ATTEMPT_FIELDS = ("attempt_no", "bank_number", "state", "reason", "amount_fen", "decided_by")
LINE_FIELDS = (
    "id",
    "bank_number",
    "verdict",
    "payout_id",
    "our_state",
    "our_fen",
    "bank_state",
    "bank_fen",
    "finding",
    "resolution",
    "document_no",
    "written_off_fen",
    "found_by",
    "resolved_by",
    "is_open",
)
CORRECTED = "后来的对账单已一致"


class StatementNotFound(Refusal):
    """No statement of that day was compared, or the text is no day."""

    code = "statement_not_found"
    kind = "not_found"
    zh = "没有 {day} 的对账结果。"
    en = "No statement of {day} was compared."
    remedy_zh = "请从对账列表里打开；还没到的对账单，到了会自动核对。"
    remedy_en = "Open it from the list; a statement that is not out yet is compared by itself once it is."


@blueprint.route("/payouts", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(PayoutQuery, location="query")
@blueprint.response(200, PayoutList)
def show_payouts(query: dict[str, Any]) -> dict[str, Any]:
    """The payouts in one state, newest first

    The frozen ones unless another state is named.
    """
    asked = select(Payout).where(Payout.state == query["state"]).order_by(Payout.id.desc()).limit(query["limit"] + 1)
    if "before" in query:
        asked = asked.where(Payout.id < query["before"])
    found = db.session().scalars(asked).all()
    page = found[: query["limit"]]
    return {
        "payouts": [_payout(payout) for payout in page],
        "next_before": page[-1].id if len(found) > len(page) else None,
    }


@blueprint.route("/payouts/<int:payout_id>", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, PayoutDetailAnswer)
def show_payout(payout_id: int) -> dict[str, Any]:
    """One payout with its attempts"""
    payout = db.session().get(Payout, payout_id) if payout_id <= LARGEST_ID else None
    if payout is None:
        raise PayoutNotFound(payout_id=payout_id)
    return _payout(payout)


@blueprint.route("/payouts/<int:payout_id>/resolution", methods=["POST"])
@requires("finance")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(PayoutResolutionRequest)
@blueprint.response(200, PayoutDetailAnswer)
def propose_payout_end(asked: dict[str, Any], payout_id: int) -> dict[str, Any]:
    """Propose how a frozen payout ends by document

    The owner has the money, or it is back with us; nothing changes until another person approves. Where a statement
    tells of the payout, resolve its line instead.
    """
    propose_end(session=db.session(), payout_id=payout_id, by=_decider(), now=business_now(), **asked)
    return _payout(db.session.get_one(Payout, payout_id))


@blueprint.route("/payout-ends/<int:end_id>/decision", methods=["POST"])
@requires("finance", "reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ResolutionDecisionRequest)
@blueprint.response(200, PayoutDetailAnswer)
def decide_payout_end(asked: dict[str, Any], end_id: int) -> dict[str, Any]:
    """Approve or refuse how a frozen payout ends

    By another person than the one who proposed it, who may only take it back, with approve false.
    """
    payout = decide_end(session=db.session(), end_id=end_id, by=_decider(), now=business_now(), **asked)
    return _payout(payout)


@blueprint.route("/statements", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(StatementQuery, location="query")
@blueprint.response(200, StatementList)
def show_statements(query: dict[str, Any]) -> dict[str, Any]:
    """The bank's daily statements as compared, newest first"""
    standing = (
        select(func.count())
        .where(
            StatementRow.day == BankStatement.day,
            StatementRow.verdict != Verdict.SAME,
            StatementRow.resolved_at.is_(None),
        )
        .scalar_subquery()
    )
    differing = (
        select(func.count())
        .where(StatementRow.day == BankStatement.day, StatementRow.verdict != Verdict.SAME)
        .scalar_subquery()
    )
    asked = select(BankStatement, differing, standing).order_by(BankStatement.day.desc()).limit(query["limit"] + 1)
    if "before" in query:
        asked = asked.where(BankStatement.day < query["before"])
    rows = db.session().execute(asked).all()
    page = rows[: query["limit"]]
    return {
        "statements": [_statement(*row) for row in page],
        "next_before": page[-1][0].day.isoformat() if len(rows) > len(page) else None,
    }


@blueprint.route("/statements/<day>/lines", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 422, 503)
@blueprint.arguments(LineQuery, location="query")
@blueprint.response(200, LineList)
def show_lines(query: dict[str, Any], day: str) -> dict[str, Any]:
    """A day's lines, each judged against our books"""
    session = db.session()
    found = list_lines(
        session=session,
        day=_day(day),
        verdict=query.get("verdict"),
        open_only="open" in query,
        after=query["after"],
        limit=query["limit"] + 1,
    )
    page = found[: query["limit"]]
    return {"lines": [_line(row) for row in page], "next_after": page[-1].id if len(found) > len(page) else None}


@blueprint.route("/statement-lines/<int:line_id>/resolution", methods=["POST"])
@requires("operator", "finance")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(LineResolutionRequest)
@blueprint.response(200, LineAnswer)
def end_line(asked: dict[str, Any], line_id: int) -> dict[str, Any]:
    """Record what was found about a difference, and how it ends

    Money is finance's to decide. A write-off, and an end of a frozen payout by document, wait for another person;
    what ends the difference closes its case.
    """
    row = resolve_line(session=db.session(), line_id=line_id, by=_decider(), now=business_now(), **asked)
    return _line(row)


@blueprint.route("/statement-lines/<int:line_id>/decision", methods=["POST"])
@requires("finance", "reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ResolutionDecisionRequest)
@blueprint.response(200, LineAnswer)
def decide_line(asked: dict[str, Any], line_id: int) -> dict[str, Any]:
    """Approve or refuse how a difference shall end

    A write-off, or an end by document. By another person than the one who proposed it, who may only take it back, with
    approve false.
    """
    row = decide_resolution(session=db.session(), line_id=line_id, by=_decider(), now=business_now(), **asked)
    return _line(row)


def _decider() -> Decider:
    account = caller()
    return Decider(actor=account.actor, role=account.role)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise StatementNotFound(day=text[:20]) from None
    if db.session().get(BankStatement, day) is None:
        raise StatementNotFound(day=text[:20])
    return day


def _payout(payout: Payout) -> dict[str, Any]:
    session = db.session()
    attempts = session.execute(
        select(PayoutAttempt, Wallet.tail)
        .join(Wallet, Wallet.id == PayoutAttempt.wallet_id)
        .where(PayoutAttempt.payout_id == payout.id)
        .order_by(PayoutAttempt.attempt_no)
        .execution_options(populate_existing=True)
    ).all()
    end = open_end(session=session, payout_id=payout.id)
    return {
        **{name: getattr(payout, name) for name in PAYOUT_FIELDS},
        "proposed_end": None if end is None else _end(end),
        "reference": session.scalar(select(TradeIn.reference).where(TradeIn.id == payout.trade_in_id)),
        "state_zh": PAYOUT.words[payout.state],
        "owed_since": instant(payout.owed_since),
        "settled_at": instant(payout.settled_at),
        "attempts": [
            {
                **{name: getattr(attempt, name) for name in ATTEMPT_FIELDS},
                "state_zh": ATTEMPT.words[attempt.state],
                "wallet_tail": tail,
                "sent_at": instant(attempt.sent_at),
                "finished_at": instant(attempt.finished_at),
            }
            for attempt, tail in attempts
        ],
    }


def _end(end: PayoutEnd) -> dict[str, Any]:
    return {
        **{name: getattr(end, name) for name in END_FIELDS},
        "resolution_zh": RESOLUTION_WORDS[end.resolution],
        "asked_at": instant(end.asked_at),
    }


def _statement(statement: BankStatement, differing: int, standing: int) -> dict[str, Any]:
    found = statement.findings
    return {
        "day": statement.day.isoformat(),
        "settled_count": statement.settled_count,
        "settled_fen": statement.settled_fen,
        "clean": found["clean"],
        "by_totals": found.get("by_totals", False),
        "same": found["same"],
        "differences": differing,
        "open_differences": standing,
        "compared_at": instant(statement.compared_at),
    }


def _line(row: StatementRow) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in LINE_FIELDS},
        "day": row.day.isoformat(),
        "verdict_zh": VERDICT_WORDS[Verdict(row.verdict)],
        "resolution_zh": RESOLUTION_WORDS.get(row.resolution, CORRECTED) if row.resolution else None,
        "found_at": instant(row.found_at),
        "resolved_at": instant(row.resolved_at),
    }
