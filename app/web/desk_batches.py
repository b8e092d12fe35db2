"""Payment batches at the desk: cut one, see exactly what will be paid, approve it with its total, or cancel it."""

from __future__ import annotations

import re
from typing import Any

from flask import abort, render_template, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from app.access import STAFF, requires
from app.auth import caller
from app.context import keyring, settings
from app.db import db
from app.web.blueprint import asked_before, web
from app.web.desk_acting import act, by_me, done, may, names_of, reason_in, within
from app.web.desk_words import PAYOUT_STATES
from app.web.forms import Form
from app.web.language import _, _l, ngettext
from app.web.staff_words import BATCH_STATES
from app.web.wording import moment, money_exact
from subsidy.payment_batches import approve_batch, cancel_batch, cut_batch, find_batch, items_of, list_batches
from subsidy.payouts import BATCH, PaymentBatch, Payout

A_PAGE = 30
MAY_CUT = ("operator", "finance")
MAY_APPROVE = ("finance", "reviewer")
TAGS = {"finished": "done", "released": "wait", "approved": "wait", "short": "stop", "cancelled": ""}
NEXT = {
    "cut": _l("请财务核对总额，然后批准。"),
    "half": _l("还要另一位财务或者复核员批准一次。"),
    "approved": _l("正在向运营机构核对资金，够了就自动付款。"),
    "short": _l("运营机构账户里的钱不够。补足以后自动付款，不用再批准。"),
    "released": _l("正在付款，现在不用做什么。"),
    "finished": _l("里面的每一笔都有了结果。"),
    "cancelled": _l("里面的发放会编入下一个批次。"),
}
PAYOUT_TAGS = {"settled": "done", "frozen": "stop", "in_flight": "wait"}


@web.get("/desk/batches")
@requires(*STAFF)
def batches() -> str:
    """The batches, newest first, and what is owed outside of them."""
    return _list(Form.read())


@web.post("/desk/batches", endpoint="cut_batch")
@requires(*MAY_CUT)
def cut() -> Response | tuple[str, int]:
    """Cut a batch of everything that is owed."""

    def work() -> str:
        batch = cut_batch(threshold_fen=settings().second_approval_fen, **by_me())
        return done(_("编好了第 %(number)s 批，请财务批准。", number=batch.id), url_for("web.batch", batch_id=batch.id))

    return act(Form.read(), work, _list)


@web.get("/desk/batches/<int:batch_id>")
@requires(*STAFF)
def batch(batch_id: int) -> str:
    """One batch with everything that will be paid by it."""
    return _one(within(batch_id), Form(fields=("reason",)))


@web.post("/desk/batches/<int:batch_id>/approval", endpoint="approve_batch")
@requires(*MAY_APPROVE)
def approve(batch_id: int) -> Response | tuple[str, int]:
    """Approve the batch with the total that stood on the page."""
    form = Form.read("total_fen")
    form.fields = ()  # the total stands in the page, not in a field: a refusal has nowhere to point to

    def work() -> str:
        total = form.value("total_fen")
        if not re.fullmatch(r"\d{1,15}", total, re.ASCII):
            abort(400)
        approved = approve_batch(batch_id=within(batch_id), total_fen=int(total), role=caller().role, **by_me())
        words = _("批准了，还要另一位再批准一次。") if approved.state == "half" else _("批准了，核对资金以后自动付款。")
        return done(words, url_for("web.batch", batch_id=batch_id))

    return act(form, work, lambda form: _one(within(batch_id), form))


@web.post("/desk/batches/<int:batch_id>/cancellation", endpoint="cancel_batch")
@requires(*MAY_CUT)
def cancel(batch_id: int) -> Response | tuple[str, int]:
    """Cancel a batch of which nothing was sent, with the reason."""
    form = Form.read("reason")

    def work() -> str:
        reason = reason_in(form, missing=_("还没有写为什么取消。"))
        cancel_batch(batch_id=within(batch_id), reason=reason, **by_me())
        return done(_("取消了，没有付出任何一笔。"), url_for("web.batch", batch_id=batch_id))

    return act(form, work, lambda form: _one(within(batch_id), form))


def owed_outside() -> tuple[int, int]:
    """Return how many payouts are owed and in no batch, and what they come to in fen."""
    outside = (Payout.state == "owed", Payout.batch_id.is_(None))
    row = db.session.execute(select(func.count(), func.coalesce(func.sum(Payout.amount_fen), 0)).where(*outside)).one()
    return row[0], int(row[1])


def tag_of(batch: PaymentBatch) -> tuple[str, str]:
    """Return the tag of a batch as this reader sees it: amber where it waits for him."""
    waits_for_me = (batch.state == "cut" and may("finance")) or (batch.state == "half" and may(*MAY_APPROVE))
    tag = ("you" if waits_for_me else "wait") if batch.state in ("cut", "half") else TAGS[batch.state]
    return tag, str(BATCH_STATES[batch.state])


def _list(form: Form) -> str:
    state = request.args.get("state", "")
    if state and state not in BATCH_STATES:
        abort(404)
    found = list_batches(session=db.session(), state=state or None, before=asked_before(), limit=A_PAGE + 1)
    page = found[:A_PAGE]
    owed, owed_fen = owed_outside()
    return render_template(
        "desk_batches.html",
        form=form,
        batches=[(one, tag_of(one)) for one in page],
        names=names_of([one.cut_by for one in page]),
        older=url_for("web.batches", state=state or None, before=page[-1].id) if len(found) > A_PAGE else None,
        states=BATCH_STATES,
        chosen=state,
        owed=owed,
        owed_fen=owed_fen,
        may_cut=may(*MAY_CUT),
    )


def _one(batch_id: int, form: Form) -> str:
    session = db.session()
    batch = find_batch(session=session, batch_id=batch_id)
    items = items_of(session=session, keyring=keyring(), batch_id=batch.id)
    by_amount: dict[int, int] = {}
    for item in items:
        by_amount[item.amount_fen] = by_amount.get(item.amount_fen, 0) + 1
    names = names_of([batch.cut_by, batch.first_by, batch.second_by])
    return render_template(
        "desk_batch.html",
        form=form,
        batch=batch,
        tag=tag_of(batch),
        next_words=NEXT[batch.state],
        items=items,
        by_amount=sorted(by_amount.items(), reverse=True),
        adds_up=sum(item.amount_fen for item in items) == batch.total_fen,
        payout_words=PAYOUT_STATES,
        payout_tags=PAYOUT_TAGS,
        history=_history(batch, names),
        **_offers(batch),
    )


def _offers(batch: PaymentBatch) -> dict[str, Any]:
    """What this reader may do now, and why not where somebody of his role could."""
    waits = batch.state in ("cut", "half")
    mine = caller().actor in (batch.cut_by, batch.first_by)
    turn = may("finance") if batch.state == "cut" else may(*MAY_APPROVE)
    rows = [
        (
            _("批次"),
            BATCH_STATES[batch.state],
            _("待另一位批准") if batch.state == "cut" and batch.needs_second else _("可以付款"),
        ),
        (
            _("付款"),
            _("0 元"),
            ngettext(
                "%(money)s，%(num)s 笔", "%(money)s，%(num)s 笔", batch.payouts, money=money_exact(batch.total_fen)
            ),
        ),
        (_("车主的补贴金额"), _("已经决定"), _("已经决定")),
        (_("收款钱包"), _("车主填的"), _("车主填的")),
    ]
    return {
        "waits": waits,
        "may_approve": waits and turn and not mine,
        "own": waits and turn and mine,
        "may_cancel": may(*MAY_CUT) and BATCH.allows(state=batch.state, step="cancel"),
        "rows": rows,
    }


def _history(batch: PaymentBatch, names: dict[str | None, str]) -> list[tuple[str, str]]:
    steps = (
        (batch.cut_at, _("%(name)s 编成批次", name=names[batch.cut_by])),
        (batch.first_at, _("%(name)s 批准", name=names[batch.first_by])),
        (batch.second_at, _("%(name)s 第二次批准", name=names[batch.second_by])),
        (batch.fund_asked_at, _("运营机构账户里有 %(money)s", money=money_exact(batch.fund_fen or 0))),
        (batch.released_at, _("开始付款")),
        (batch.ended_at, _("取消") if batch.state == "cancelled" else _("全部有了结果")),
    )
    return [(moment(at), words) for at, words in steps if at is not None]
