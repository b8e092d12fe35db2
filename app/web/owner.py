"""The owner's pages: own trade-ins, the wallet the money goes to. Never anybody else's."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from app.access import requires
from app.auth import caller
from app.context import business_now, keyring, partners, reach_of, settings
from app.db import db
from app.errors import status_of
from app.web.blueprint import web
from app.web.forms import Form
from app.web.front import tagged
from app.web.progress import headline, place_note, steps_of, who_acts
from app.web.sending import send_once
from app.web.trade_in_record import Record, read_record
from registry.base import Refusal
from registry.filings import FILED_BIKE, FiledBike
from registry.messages import Message
from registry.trade_ins import TradeIn, get_trade_in, list_trade_ins
from subsidy.wallets import confirm_wallet

OVER = ("declined", "returned", "forfeited")
MESSAGES_SHOWN = 20


@web.get("/my", endpoint="my")
@requires("owner")
def my_trade_ins() -> AnyResponse | str:
    """The caller's trade-ins; straight to the page of the only one."""
    own = _own()
    if len(own) == 1 and "all" not in request.args:
        return redirect(url_for("web.my_trade_in", reference=own[0].reference), 303)
    records = [_read(trade_in) for trade_in in own]
    return render_template(
        "my.html",
        trade_ins=[{"record": record, "now": who_acts(record, "owner")} for record in records],
        bikes=_own_bikes(),
    )


@web.get("/my/<reference>", endpoint="my_trade_in")
@requires("owner")
def my_trade_in(reference: str) -> str:
    """One own trade-in: place, who waits for whom, steps, wallet, receipt, messages."""
    record = find_own(reference)
    return _page(record, Form(fields=("wallet_id",)))


@web.get("/my/<reference>/live", endpoint="my_live")
@requires("owner")
def my_trade_in_live(reference: str) -> AnyResponse:
    """The part of the own trade-in's page that changes by itself."""
    return tagged(render_template("own_progress.html", **_progress(find_own(reference))))


@web.get("/my/<reference>/wallet", endpoint="wallet_address")
@requires("owner")
def back_from_wallet(reference: str) -> AnyResponse:
    """Lead from the wallet form's own address, left in the browser when the bank refused, to the trade-in."""
    return redirect(url_for("web.my_trade_in", reference=reference), 303)


@web.post("/my/<reference>/wallet", endpoint="take_wallet")
@requires("owner")
def take_wallet(reference: str) -> AnyResponse | tuple[str, int]:
    """Check the wallet with the bank and take it; what was typed is kept when the bank says no."""
    record = find_own(reference)
    form = Form.read("wallet_id")
    form.text("wallet_id", "还没有填钱包编号。")
    if form.errors:
        return _page(record, form.renewed()), 422

    def confirm() -> str:
        wallet = confirm_wallet(
            session=db.session(),
            keyring=keyring(),
            operator=partners().operator,
            trade_in=record.trade_in,
            wallet_id=form.value("wallet_id"),
            actor=caller().actor,
            now=business_now(),
        )
        flash(f"银行核对过了，补贴会发到尾号 {wallet.tail} 的钱包。")
        return url_for("web.my_trade_in", reference=reference)

    try:
        return send_once(
            session=db.session(),
            actor=caller().actor,
            submission=form.submission,
            content={**form.values, "path": request.path},
            work=confirm,
        )
    except Refusal as refusal:
        db.session.rollback()
        form.refuse(refusal)
        return _page(find_own(reference), form.renewed()), status_of(refusal)


def _own() -> list[TradeIn]:
    return list_trade_ins(session=db.session(), reach=reach_of(caller()))


def _own_bikes() -> list[dict[str, str]]:
    rows = db.session.scalars(select(FiledBike).where(FiledBike.owner_id == caller().person_id).order_by(FiledBike.id))
    return [{"plate_no": row.plate_no, "brand": row.brand, "word": FILED_BIKE.words[row.state]} for row in rows]


def find_own(reference: str) -> Record:
    """Return one of the caller's own trade-ins; raises TradeInNotFound."""
    return _read(get_trade_in(session=db.session(), reference=reference, reach=reach_of(caller())))


def _read(trade_in: TradeIn) -> Record:
    return read_record(session=db.session(), keyring=keyring(), trade_in=trade_in)


def _progress(record: Record) -> dict[str, Any]:
    return {
        "record": record,
        "now": who_acts(record, "owner"),
        "steps": steps_of(record),
        "headline": headline(record),
        "note": place_note(record),
        "as_of": business_now(),
    }


def _page(record: Record, form: Form) -> str:
    return render_template(
        "own_trade_in.html",
        form=form if _may_choose_wallet(record) else None,
        sent=form,
        messages=_messages(record),
        others=len(_own()) - 1,
        **_progress(record),
    )


def _may_choose_wallet(record: Record) -> bool:
    """A wallet may be given any time, but is left alone while money is on its way to it or has arrived."""
    if record.trade_in.state == "withdrawn" or (record.claim is not None and record.claim.state in OVER):
        return False
    return record.payout is None or record.payout.state in ("awaiting_wallet", "owed")


def _messages(record: Record) -> list[dict[str, Any]]:
    clock = settings().clock
    query = (
        select(Message)
        .where(Message.person_id == record.trade_in.owner_id)
        .order_by(Message.id.desc())
        .limit(MESSAGES_SHOWN)
    )
    # The outbox keeps real time; the page shows business time throughout.
    return [{"body": row.body, "at": clock.business(row.created_at)} for row in db.session.scalars(query)]
