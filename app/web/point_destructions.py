"""What became of the old bikes: which still lack the dismantler's or the recycler's paper, and recording one."""

from __future__ import annotations

from datetime import datetime

from flask import flash, render_template, url_for
from sqlalchemy import func, select

from app.access import requires
from app.auth import caller
from app.context import business_now, reach_of, settings
from app.db import db
from app.web.answering import Answer, sent_file, take_form
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _, _l
from app.web.point import own_dealer, read_own
from registry.destruction import (
    DUE_WITHIN,
    PARTS,
    Destruction,
    confirm_destruction,
    destructions_of,
    overdue_destructions,
)
from registry.trade_ins import TradeIn

FIELDS = ("part", "firm", "document_no", "done_on", "image")
SHOWN = 100
PART_NAMES = {"bike": _l("旧车拆解"), "battery": _l("电池回收")}


@web.get("/point/destructions", endpoint="point_destructions")
@requires("dealer")
def show_destructions() -> str:
    """The old bikes whose papers are missing, the longest received first."""
    dealer, now = own_dealer(), business_now()
    late = overdue_destructions(session=db.session(), now=now, dealer_id=dealer.id)
    found = _unconfirmed(dealer.id)
    return render_template(
        "point_destructions.html",
        dealer=dealer,
        items=[_item(reference, now) for reference in found[:SHOWN]],
        shown=min(len(found), SHOWN),
        total=len(found),
        overdue=len(late),
        most=settings().most_overdue,
        days=DUE_WITHIN.days,
    )


@web.get("/point/trade-ins/<reference>/destruction", endpoint="point_destruction")
@requires("dealer")
def show_destruction(reference: str) -> str:
    """What is confirmed of one old bike, and the form for what is not."""
    return _page(reference, Form(fields=FIELDS))


@web.post("/point/trade-ins/<reference>/destruction", endpoint="take_destruction")
@requires("dealer")
def take_destruction(reference: str) -> Answer:
    """Record one paper with its photo."""
    read_own(reference)
    form = Form.read(*FIELDS[:-1])
    form.fields = FIELDS
    image = sent_file("image")

    def work() -> str:
        part = form.value("part")
        if part not in PARTS:
            form.blame("part", _("还没有选是哪一样证明。"))
        done_on = form.day("done_on", _("日期"))
        if not image:
            form.blame("image", _("还没有选证明的照片。"))
        form.check()
        account = caller()
        confirm_destruction(
            session=db.session(),
            reference=reference,
            reach=reach_of(account),
            part=part,
            firm=form.value("firm"),
            document_no=form.value("document_no"),
            done_on=done_on,
            image=image,
            actor=account.actor,
            now=business_now(),
        )
        flash(_("%(what)s记下了。", what=PART_NAMES[part]))
        done = destructions_of(session=db.session(), trade_in_id=read_own(reference).trade_in.id)
        if len(done) == len(PARTS):
            return url_for("web.point_destructions")
        return url_for("web.point_destruction", reference=reference)

    return take_form(form=form, work=work, page=lambda form: _page(reference, form), files=image)


def _unconfirmed(dealer_id: int) -> list[str]:
    """The references of received old bikes with a paper missing, the longest received first."""
    query = (
        select(TradeIn.reference)
        .outerjoin(Destruction, Destruction.trade_in_id == TradeIn.id)
        .where(TradeIn.dealer_id == dealer_id, TradeIn.received_at.is_not(None))
        .group_by(TradeIn.id)
        .having(func.count(Destruction.id) < len(PARTS))
        .order_by(TradeIn.received_at, TradeIn.id)
    )
    return list(db.session.scalars(query))


def _item(reference: str, now: datetime) -> dict[str, object]:
    record = read_own(reference)
    received_at = record.trade_in.received_at
    assert received_at is not None, "only received old bikes are listed"
    due_at = received_at + DUE_WITHIN
    done = {each.part for each in destructions_of(session=db.session(), trade_in_id=record.trade_in.id)}
    missing = [str(PART_NAMES[part]) for part in PARTS if part not in done]
    return {"record": record, "due_at": due_at, "late": due_at < now, "missing": _("、").join(missing)}


def _page(reference: str, form: Form) -> str:
    record = read_own(reference)
    done = destructions_of(session=db.session(), trade_in_id=record.trade_in.id)
    missing = [(part, PART_NAMES[part]) for part in PARTS if part not in {each.part for each in done}]
    if len(missing) == 1 and not form.value("part"):
        form.values["part"] = missing[0][0]
    return render_template(
        "point_destruction.html",
        dealer=record.dealer,
        record=record,
        form=form,
        done=[(each, PART_NAMES[each.part]) for each in done],
        missing=missing,
        due_at=record.trade_in.received_at + DUE_WITHIN if record.trade_in.received_at else None,
    )
