"""The closing report of a programme, for bureau staff: Excel, and on paper."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Response

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.points import PDF, as_pdf
from app.context import business_now
from app.db import db
from app.print.closing import closing_pdf
from app.schemas.ledger import ClosingQuery
from subsidy.closing_report import ClosingReport, closing_report
from subsidy.closing_report_excel import closing_workbook
from subsidy.log_reading import programme_of

blueprint = ApiBlueprint("closing", __name__, url_prefix="/api/programmes", description="Closing reports")

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@blueprint.route("/<programme>/closing-report.xlsx", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 422, 503)
@blueprint.arguments(ClosingQuery, location="query")
@blueprint.response(200, content_type=EXCEL, description="stages, and accounts by cause; amounts in yuan to the fen")
def download_report(query: dict[str, Any], programme: str) -> Response:
    """The closing report of a month, or of everything so far, as Excel

    Opening + in − out = closing in every row; every sum to the fen.
    """
    headers = {
        "Content-Disposition": f'attachment; filename="closing-{query.get("month") or "all"}.xlsx"',
        "Cache-Control": "private, no-store",
    }
    return Response(closing_workbook(report=_report(query, programme)), content_type=EXCEL, headers=headers)


@blueprint.route("/<programme>/closing-report.pdf", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 422, 503)
@blueprint.arguments(ClosingQuery, location="query")
@blueprint.response(200, content_type=PDF, description="A4 across; amounts in yuan to the fen")
def print_report(query: dict[str, Any], programme: str) -> Response:
    """The closing report of a month, or of everything so far, on paper"""
    body = closing_pdf(report=_report(query, programme), now=business_now())
    return as_pdf(body, name=f"closing-{query.get('month') or 'all'}")


def _report(query: dict[str, Any], code: str) -> ClosingReport:
    session, month = db.session(), query.get("month")
    return closing_report(
        session=session,
        programme=programme_of(session=session, code=code),
        month=date.fromisoformat(f"{month}-01") if month else None,
        now=business_now(),
    )
