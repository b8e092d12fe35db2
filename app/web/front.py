"""The public pages: the stage as it stands, and may my bike be traded in."""

from __future__ import annotations

from flask import make_response, render_template, request
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from app.access import public
from app.auth import COOKIE
from app.context import business_now, settings
from app.db import db
from app.live import live
from app.packing import tag_of
from app.remembered import remembered
from app.web.blueprint import web
from app.web.checking import check_bike
from app.web.forms import Form
from app.web.place import place_of
from app.web.stage_card import stage_card
from registry.base import Refusal
from registry.dealers import Dealer
from subsidy.live import LiveState
from subsidy.programme import ProgrammeNotFound


def live_now() -> LiveState | None:
    """Return the current programme's live state, at most a second old; None where there is no programme."""
    try:
        return live()
    except ProgrammeNotFound:
        return None


def tagged(body: str) -> Response:
    """Return the page with an ETag of its content; 304 where the reader has it already."""
    answer = make_response(body)
    answer.set_etag(tag_of(body.encode()))
    # What is shown to somebody signed in stays on no shared computer.
    answer.headers["Cache-Control"] = "private, no-store" if COOKIE in request.cookies else "private, no-cache"
    answer.headers["Vary"] = "Cookie"
    return answer.make_conditional(request)


@web.get("/")
@public
def front() -> Response:
    """The front page: one glance at the stage, one question, five steps."""
    districts = sub_districts()
    body = render_template(
        "front.html",
        card=stage_card(live_now()),
        districts=districts,
        points_total=sum(number for _, number in districts),
    )
    return tagged(body)


@web.get("/live/stage")
@public
def live_stage() -> Response:
    """The plate card alone, for the page that is already open."""
    return tagged(render_template("live_stage.html", card=stage_card(live_now())))


@web.get("/check")
@public
def check() -> tuple[str, int] | str:
    """Say whether the bike with this plate can be traded in, and why. Never says whose it is."""
    form = Form.read("plate_no", source=request.args)
    if "plate_no" not in request.args:
        return render_template("check.html", form=form, answer=None)
    form.drop_city("plate_no", place_of(settings().district).city)
    try:
        answer = check_bike(
            session=db.session(),
            plate_no=form.value("plate_no"),
            live=live_now(),
            now=business_now(),
        )
    except Refusal as refusal:
        form.refuse(refusal)
        return render_template("check.html", form=form, answer=None), 422
    return render_template("check.html", form=Form(fields=form.fields), answer=answer)


def sub_districts() -> list[tuple[str, int]]:
    """Return each sub-district with its number of licensed points, most first; at most a second old."""
    return remembered("mapai.sub_districts", _read_sub_districts)


def _read_sub_districts() -> list[tuple[str, int]]:
    number = func.count()
    rows = db.session.execute(
        select(Dealer.sub_district, number)
        .where(Dealer.state == "licensed")
        .group_by(Dealer.sub_district)
        .order_by(number.desc(), Dealer.sub_district)
    )
    return [(name, total) for name, total in rows]
