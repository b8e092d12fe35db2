"""What a point prints: labels for its stock, its plaque, the programme's poster."""

from __future__ import annotations

from typing import Literal

from flask import Response, render_template, request

from app.access import requires
from app.api.points import as_pdf
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.errors import status_of
from app.live import live
from app.print.labels import labels_pdf
from app.print.plaque import plaque_pdf
from app.print.poster import poster_pdf
from app.web.blueprint import web
from app.web.forms import Form
from app.web.language import _, _l
from app.web.place import place_of
from app.web.point import count_stock, own_dealer
from registry.base import Refusal
from registry.labels import MOST_LABELS, coded_in_stock
from registry.points import PointNotFound, PublicPoint, get_public_point

FIELDS = ("codes", "newest", "of")
KINDS = (("bike", _l("贴在车上")), ("battery", _l("贴在电池上")))
NEWEST = 24


@web.get("/point/print", endpoint="point_print")
@requires("dealer")
def show_print() -> str:
    """What can be printed."""
    return _page(Form(fields=FIELDS, values={"newest": str(NEWEST), "of": "bike"}))


@web.get("/point/print/labels.pdf", endpoint="point_labels")
@requires("dealer")
def print_labels() -> Response | tuple[str, int]:
    """Sheets of labels for the stock: those named, else the newest."""
    form = Form.read(*FIELDS, source=request.args)
    if "of" not in request.args:
        form.values["of"] = "bike"
    typed = form.value("newest") or str(NEWEST)
    if not (typed.isascii() and typed.isdecimal() and 1 <= int(typed[:6]) <= MOST_LABELS):
        form.blame("newest", _("要 1 到 %(most)s 之间的数。", most=MOST_LABELS))
    if form.value("of") not in dict(KINDS):
        form.blame("of", _("还没有选贴在哪里。"))
    if form.errors:
        return _page(form), 422
    codes = request.args.get("codes", "")[: MOST_LABELS * 20]
    try:
        coded = coded_in_stock(session=db.session(), dealer_id=own_dealer().id, codes=codes, newest=int(typed))
        of: Literal["bike", "battery"] = "battery" if form.value("of") == "battery" else "bike"
        body = labels_pdf(coded=coded, kind=of, now=business_now())
    except Refusal as refusal:
        form.refuse(refusal)
        return _page(form), status_of(refusal)
    return as_pdf(body, name=f"labels-{form.value('of')}")


@web.get("/point/print/plaque.pdf", endpoint="point_plaque")
@requires("dealer")
def print_plaque() -> Response:
    """The point's own plaque."""
    point = _own_point()
    place = place_of(settings().district)
    return as_pdf(
        plaque_pdf(point=point, place=place, public_url=settings().public_url), name=f"plaque-{point.point_no}"
    )


@web.get("/point/print/poster.pdf", endpoint="point_poster")
@requires("dealer")
def print_poster() -> Response:
    """The programme's poster with the point's QR."""
    point = _own_point()
    body = poster_pdf(point=point, live=live(), place=place_of(settings().district), public_url=settings().public_url)
    return as_pdf(body, name=f"poster-{point.point_no}")


def _own_point() -> PublicPoint:
    dealer = own_dealer()
    if dealer.point_no is None:
        raise PointNotFound(point_no="")
    return get_public_point(
        session=db.session(), point_no=dealer.point_no, now=business_now(), dealer_id=caller().dealer_id
    )


def _page(form: Form) -> str:
    dealer = own_dealer()
    return render_template(
        "point_print.html", dealer=dealer, form=form, kinds=KINDS, most=MOST_LABELS, in_stock=count_stock(dealer)
    )
