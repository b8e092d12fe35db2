"""The public list of trade-in points, and what hangs at their doors: plaque and poster as PDF."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.access import STAFF, public, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller
from app.context import business_now, settings
from app.db import db
from app.live import live
from app.print.plaque import plaque_pdf
from app.print.poster import poster_pdf
from app.schemas.points import PointAnswer, PointList, PointQuery
from registry.dealers import DEALER
from registry.points import PublicPoint, choose_points, get_public_point, list_public_points

blueprint = ApiBlueprint("points", __name__, url_prefix="/api/points", description="Trade-in points, for everybody")

PRINTERS = ("dealer", *STAFF)
AS_IT_STANDS = (
    *("point_no", "name", "credit_code", "sub_district", "address", "phone", "opening_hours", "state"),
    *("trade_in_on", "open_now", "open_until", "under_way_today"),
)
PDF = "application/pdf"


@blueprint.route("", methods=["GET"])
@public
@described(blueprint, 422, 503, signed_in=False)
@blueprint.arguments(PointQuery, location="query")
@blueprint.response(200, PointList)
def show_points(query: dict[str, Any]) -> dict[str, Any]:
    """The licensed trade-in points

    By plaque number, all of them where nothing is asked.
    """
    points = choose_points(
        points=list_public_points(session=db.session(), now=business_now()),
        sub_district=query.get("sub_district", ""),
        open_now=query["open_now"],
        trade_in_on=query["trade_in_on"],
        words=query.get("q", ""),
    )
    return {"points": [_document(point) for point in points]}


@blueprint.route("/<point_no>", methods=["GET"])
@public
@described(blueprint, 404, 503, signed_in=False)
@blueprint.response(200, PointAnswer)
def show_point(point_no: str) -> dict[str, Any]:
    """One trade-in point

    By the number on its plaque. A suspended, expired or revoked one is shown with its state.
    """
    return _document(get_public_point(session=db.session(), point_no=point_no, now=business_now()))


@blueprint.route("/<point_no>/plaque.pdf", methods=["GET"])
@requires(*PRINTERS)
@described(blueprint, 404, 409, 503)
@blueprint.response(200, content_type=PDF, description="A4 across with 3 mm of bleed, fonts embedded")
def print_plaque(point_no: str) -> Response:
    """The point's plaque, ready for print

    Number, name, credit code, last day of the licence, and a QR that leads to the point's public page. Dealers print
    their own.
    """
    point = _own_point(point_no)
    return as_pdf(
        plaque_pdf(point=point, place=_place(), public_url=settings().public_url), name=f"plaque-{point.point_no}"
    )


@blueprint.route("/<point_no>/poster.pdf", methods=["GET"])
@requires(*PRINTERS)
@described(blueprint, 404, 409, 503)
@blueprint.response(200, content_type=PDF, description="A3 upright with 3 mm of bleed, fonts embedded")
def print_poster(point_no: str) -> Response:
    """The programme's poster for this point, ready for print

    The stages still to be had with their amounts and days, five steps, and a QR that leads to the check of a bike.
    Dealers print their own.
    """
    point = _own_point(point_no)
    pdf = poster_pdf(point=point, live=live(), place=_place(), public_url=settings().public_url)
    return as_pdf(pdf, name=f"poster-{point.point_no}")


def as_pdf(body: bytes, *, name: str) -> Response:
    """Return a PDF as the answer, shown in the browser and saved under ``name``."""
    headers = {"Cache-Control": "private, no-store", "Content-Disposition": f'inline; filename="{name}.pdf"'}
    return Response(body, content_type=PDF, headers=headers)


def _own_point(point_no: str) -> PublicPoint:
    """The point, for a dealer's account its own only."""
    return get_public_point(session=db.session(), point_no=point_no, now=business_now(), dealer_id=caller().dealer_id)


def _place() -> Any:
    # The pages' package imports the API; its names of the district can be had only once both are loaded.
    from app.web.place import place_of

    return place_of(settings().district)


def _document(point: PublicPoint) -> dict[str, Any]:
    return {
        **{name: getattr(point, name) for name in AS_IT_STANDS},
        "state_zh": DEALER.words[point.state],
        "licensed_until": point.licensed_until and point.licensed_until.isoformat(),
        "as_of": instant(point.as_of),
    }
