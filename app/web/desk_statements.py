"""The bank's statements at the desk: the days, a day's differences, one difference worked to its end by people."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from flask import render_template, request, url_for
from sqlalchemy import case, func, select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.api.payouts import StatementNotFound
from app.auth import caller
from app.context import business_now
from app.db import db
from app.web.blueprint import web
from app.web.desk_acting import act, done, may, names_of, reason_in, within
from app.web.desk_words import ATTEMPT_STATES, PAYOUT_STATES
from app.web.forms import Form
from app.web.language import _
from app.web.staff_words import CORRECTED, RESOLUTIONS, VERDICTS
from app.web.wording import count, money_exact
from registry.trade_ins import TradeIn
from subsidy.payouts import BankStatement, Payout
from subsidy.statement_lines import StatementLineNotFound, StatementRow, Verdict, list_lines
from subsidy.statement_payouts import is_booked, is_paid_and_awarded, state_after
from subsidy.statement_resolution import (
    BY_FINANCE,
    PROPOSED,
    Decider,
    decide_resolution,
    is_proposed,
    resolve_line,
    short_by_fen,
)

A_PAGE = 100
DAYS = 60
WORKS = ("operator", "finance")
DECIDES = ("finance", "reviewer")
LONGEST = 400


@web.get("/desk/statements")
@requires(*STAFF)
def statements() -> str:
    """The days as compared, newest first, with what is open."""
    differs = StatementRow.verdict != Verdict.SAME
    lines = (
        select(
            StatementRow.day,
            func.count(case((differs, 1))).label("differing"),
            func.count(case((differs & StatementRow.resolved_at.is_(None), 1))).label("open"),
        )
        .group_by(StatementRow.day)
        .subquery()
    )
    rows = db.session.execute(
        select(BankStatement, func.coalesce(lines.c.differing, 0), func.coalesce(lines.c.open, 0))
        .outerjoin(lines, lines.c.day == BankStatement.day)
        .order_by(BankStatement.day.desc())
        .limit(DAYS)
    ).all()
    proposed = db.session.scalars(
        select(StatementRow)
        .where(StatementRow.resolution.in_(PROPOSED), StatementRow.resolved_at.is_(None))
        .order_by(StatementRow.id)
    ).all()
    return render_template(
        "desk_statements.html",
        rows=[(row[0], row[1], row[2]) for row in rows],
        proposed=proposed,
        verdicts=VERDICTS,
        resolutions=RESOLUTIONS,
        names=names_of([row.found_by for row in proposed]),
    )


@web.get("/desk/statements/<day>")
@requires(*STAFF)
def statement(day: str) -> str:
    """One day's lines, the open differences first unless all are asked for."""
    statement = _statement(day)
    everything = request.args.get("all") == "yes"
    typed = request.args.get("after", "0")
    after = int(typed) if re.fullmatch(r"\d{1,18}", typed, re.ASCII) else 0
    found = list_lines(session=db.session(), day=statement.day, open_only=not everything, after=after, limit=A_PAGE + 1)
    page = found[:A_PAGE]
    more = url_for("web.statement", day=day, all="yes" if everything else None, after=page[-1].id) if page else None
    return render_template(
        "desk_statement.html",
        statement=statement,
        rows=[(row, _tag(row)) for row in page],
        verdicts=VERDICTS,
        everything=everything,
        more=more if len(found) > A_PAGE else None,
    )


@web.get("/desk/statement-lines/<int:line_id>")
@requires(*STAFF)
def statement_line(line_id: int) -> str:
    """One line: the bank's side and ours, what was found, how it ends."""
    return _line(line_id, Form(fields=("resolution", "finding", "document_no")))


@web.post("/desk/statement-lines/<int:line_id>/resolution", endpoint="resolve_line")
@requires(*WORKS)
def resolve(line_id: int) -> Response | tuple[str, int]:
    """Write down what was found about a difference, and how it ends."""
    form = Form.read("resolution", "finding", "document_no")

    def work() -> str:
        if form.value("resolution") not in RESOLUTIONS:
            form.blame("resolution", _("还没有选怎么了结。"))
        finding = reason_in(form, "finding", missing=_("还没有写查明了什么。"), longest=LONGEST)
        row = resolve_line(
            line_id=within(line_id),
            resolution=form.value("resolution"),
            finding=finding,
            document_no=form.value("document_no")[:60],
            **_by_decider(),
        )
        words = _("了结了。") if row.resolved_at else _("记下了，这条差异还开着。")
        if is_proposed(row):
            words = _("提出来了，要由另一位财务或者复核员批准。")
        return done(words, url_for("web.statement_line", line_id=line_id))

    return act(form, work, lambda form: _line(line_id, form))


@web.post("/desk/statement-lines/<int:line_id>/decision", endpoint="decide_line")
@requires(*DECIDES)
def decide(line_id: int) -> Response | tuple[str, int]:
    """Approve or refuse how somebody else would end a difference, or take one's own proposal back."""
    form = Form.read("finding", "decision")

    def work() -> str:
        finding = reason_in(form, "finding", missing=_("还没有写为什么。"), longest=LONGEST)
        approve = form.value("decision") == "approve"
        decide_resolution(line_id=within(line_id), approve=approve, finding=finding, **_by_decider())
        words = _("批准了，这条差异了结了。") if approve else _("没有批准，这条差异还开着。")
        return done(words, url_for("web.statement_line", line_id=line_id))

    return act(form, work, lambda form: _line(line_id, form))


def _by_decider() -> dict[str, Any]:
    account = caller()
    return {
        "session": db.session(),
        "by": Decider(actor=account.actor, role=account.role),
        "now": business_now(),
    }


def _statement(day: str) -> BankStatement:
    try:
        found = db.session.get(BankStatement, date.fromisoformat(day))
    except ValueError:
        found = None
    if found is None:
        raise StatementNotFound(day=day[:20])
    return found


def _line(line_id: int, form: Form) -> str:
    row = db.session.get(StatementRow, within(line_id))
    if row is None:
        raise StatementLineNotFound(line_id=line_id)
    if request.method == "GET" and not form.value("finding") and row.is_open:
        form.values |= {"finding": row.finding or "", "document_no": row.document_no or ""}
    payout = None if row.payout_id is None else db.session.get(Payout, row.payout_id)
    proposed = is_proposed(row)
    own = row.found_by == caller().actor
    offered = [key for key in RESOLUTIONS if key not in BY_FINANCE or may("finance")]
    return render_template(
        "desk_statement_line.html",
        form=form,
        row=row,
        tag=_tag(row),
        verdict=VERDICTS[row.verdict],
        resolution=(RESOLUTIONS.get(row.resolution, CORRECTED) if row.resolution else ""),
        states=ATTEMPT_STATES,
        payout=payout,
        payout_words=PAYOUT_STATES,
        reference=None
        if payout is None
        else db.session.scalar(select(TradeIn.reference).where(TradeIn.id == payout.trade_in_id)),
        options=[(key, RESOLUTIONS[key]) for key in offered],
        names=names_of([row.found_by, row.resolved_by]),
        proposed=proposed,
        own=own,
        rows=_rows(row, payout) if proposed else [],
        is_write_off=row.resolution == "write_off",
        may_work=row.is_open and not proposed and may(*WORKS),
        may_decide=proposed and may(*DECIDES),
    )


def _rows(row: StatementRow, payout: Payout | None) -> list[tuple[Any, Any, Any]]:
    """What approving changes: the difference, and for whom; only a frozen payout moves, everything else stays."""
    is_write_off = row.resolution == "write_off"
    rows: list[tuple[Any, Any, Any]] = [(_("这条差异"), _("没有了结"), RESOLUTIONS[row.resolution or ""])]
    if is_write_off:
        rows = [
            (_("这条差异"), _("没有了结"), _("了结，两边账从此差这一笔")),
            (_("核销金额"), money_exact(0), money_exact(short_by_fen(row))),
        ]
    if payout is None:
        return [*rows, (_("台账"), _("没有这一笔"), _("没有这一笔"))]
    amount, now = money_exact(payout.amount_fen), PAYOUT_STATES[payout.state]
    booked = amount if is_booked(session=db.session(), payout=payout) else money_exact(0)
    then, after = now, booked
    if payout.state == "frozen":
        state = _state_after(row, payout)
        then, after = PAYOUT_STATES[state], amount if state == "settled" else booked
    position = _("序号 %(position)s", position=count(payout.position))
    return [
        *rows,
        (_("这笔申领"), position, position),
        (
            _("发放"),
            _("%(state)s，%(money)s", state=now, money=amount),
            _("%(state)s，%(money)s", state=then, money=amount),
        ),
        (_("台账里已付"), booked, after),
    ]


def _state_after(row: StatementRow, payout: Payout) -> str:
    session, resolution = db.session(), row.resolution or ""
    if resolution == "write_off":
        is_paid = is_paid_and_awarded(session=session, payout=payout)
        resolution = "settle_by_document" if is_paid else "refund_received"
    state = state_after(session=session, payout=payout, resolution=resolution, bank_number=row.bank_number)
    return state or payout.state


def _tag(row: StatementRow) -> tuple[str, str]:
    if row.verdict == Verdict.SAME:
        return "done", _("一致")
    if not row.is_open:
        return "done", _("了结了")
    if is_proposed(row):
        return ("you" if may(*DECIDES) and row.found_by != caller().actor else "wait"), _("等批准")
    return ("you" if may(*WORKS) else "wait"), _("没有了结")
