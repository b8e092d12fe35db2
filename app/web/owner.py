"""The owner's pages: own trade-ins, where the money goes, what was sent to the phone. Never anybody else's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from app.access import requires
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.web import owner_forms  # noqa: F401  (it fills MAKERS)
from app.web.blueprint import web
from app.web.front import tagged
from app.web.own_place_again import UNSAID, say_when
from app.web.own_place_stamp import MESSAGES_ON_THE_WAY
from app.web.owner_questions import MAKERS, way_into
from app.web.owner_record import find_own, is_over, may_choose_wallet, own_trade_ins, read_own_trade_in
from app.web.owner_words import FILED_BIKE_WORDS, MESSAGE_WORDS
from app.web.progress import Now, headline, place_note, steps_of, who_acts
from app.web.progress_money import repaying, told_of_no_subsidy, ways_to_repay
from app.web.trade_in_record import Record
from registry.filings import FiledBike
from registry.messages import Message
from registry.owner_drafts import half_filled

MESSAGES_SHOWN = 100


@web.get("/my", endpoint="my")
@requires("owner")
def my_trade_ins() -> AnyResponse | str:
    """The caller's trade-ins, those under way before those that are over; straight to the page of the only one."""
    own = own_trade_ins()
    if len(own) == 1 and "all" not in request.args:
        return redirect(url_for("web.my_trade_in", reference=own[0].reference), 303)
    records = [read_own_trade_in(trade_in) for trade_in in own]
    items = [{"record": record, "now": _acts(record), "over": is_over(record)} for record in records]
    return render_template(
        "my.html",
        going=[item for item in items if not item["over"]],
        over=[item for item in items if item["over"]],
        bikes=_own_bikes(),
    )


@web.get("/my/<reference>", endpoint="my_trade_in")
@requires("owner")
def my_trade_in(reference: str) -> str:
    """One own trade-in: place, who waits for whom, steps, what else can be done."""
    as_of = business_now()
    record = find_own(reference)
    trade_in = record.trade_in
    return render_template(
        "own_trade_in.html",
        half_filled=[
            kind for kind in half_filled(session=db.session(), trade_in_id=trade_in.id) if MAKERS[kind](record)
        ],
        others=len(own_trade_ins()) - 1,
        **_progress(record, as_of=as_of),
    )


@web.get("/my/<reference>/live", endpoint="my_live")
@requires("owner")
def my_trade_in_live(reference: str) -> AnyResponse:
    """The part of the own trade-in's page that changes by itself."""
    as_of = business_now()
    page = render_template("own_live.html", **_progress(find_own(reference), as_of=UNSAID))
    return tagged(say_when(page, as_of))


@web.get("/my/<reference>/wallet", endpoint="my_wallet")
@requires("owner")
def begin_wallet(reference: str) -> AnyResponse:
    """Lead to the question about the wallet, or to what was filled in already."""
    return redirect(way_into(find_own(reference), "wallet"), 303)


@web.get("/my/<reference>/messages", endpoint="my_messages")
@requires("owner")
def my_messages(reference: str) -> str:
    """Every text owed or sent to the owner, and whether it reached the phone."""
    record = find_own(reference)
    return render_template("own_messages.html", record=record, messages=_messages(record, most=MESSAGES_SHOWN))


@web.get("/my/<reference>/return", endpoint="my_return")
@requires("owner")
def my_return(reference: str) -> str:
    """What happens to plate, place and money when the new bike goes back, and how a return stands."""
    record = find_own(reference)
    return render_template(
        "own_return.html",
        record=record,
        returned=record.returned,
        ways=ways_to_repay(number=record.returned.reference, repay_to=settings().repay_to) if record.returned else (),
    )


def _own_bikes() -> list[dict[str, str]]:
    rows = db.session.scalars(select(FiledBike).where(FiledBike.owner_id == caller().person_id).order_by(FiledBike.id))
    return [{"plate_no": row.plate_no, "brand": row.brand, "word": str(FILED_BIKE_WORDS[row.state])} for row in rows]


def _acts(record: Record) -> Now:
    return who_acts(record, "owner", repay_to=settings().repay_to)


def _progress(record: Record, *, as_of: datetime) -> dict[str, Any]:
    return {
        "record": record,
        "now": _acts(record),
        "warning": told_of_no_subsidy(record, owner=True),
        "repaying": repaying(record),
        "returned": record.returned,
        "may_choose_wallet": may_choose_wallet(record),
        "messages": _messages(record, most=MESSAGES_ON_THE_WAY),
        "steps": steps_of(record),
        "headline": headline(record),
        "note": place_note(record),
        "as_of": as_of,
    }


def _messages(record: Record, *, most: int) -> list[dict[str, Any]]:
    clock = settings().clock
    owner_id = record.trade_in.owner_id
    query = select(Message).where(Message.person_id == owner_id).order_by(Message.id.desc()).limit(most)
    # The outbox keeps real time; the page shows business time throughout.
    return [
        {"body": row.body, "at": clock.business(row.created_at), "state": row.state, "word": MESSAGE_WORDS[row.state]}
        for row in db.session.scalars(query)
    ]
