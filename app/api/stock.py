"""The dealer's stock of new bikes: one by one, or from a file."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.access import STAFF, requires
from app.api.bikes import EXCEL, whole_in, workbook
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import LOCAL, bike_document
from app.auth import caller
from app.context import business_now
from app.db import db
from app.idempotency import idempotent
from app.schemas.answers import BikeAnswer
from app.schemas.bikes import ImportQuery, StockImportAnswer
from app.schemas.requests import StockRequest
from app.schemas.uploaded_files import FORM, uploaded_file
from registry.stock_import import StockImport, StockImportNotFound, get_stock_import, import_stock
from registry.stock_workbook import problem_rows_workbook, template_workbook
from registry.stocking import NewBike, stock_in

blueprint = ApiBlueprint("bikes", __name__, url_prefix="/api", description="New bikes in stock")


@blueprint.route("/bikes", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(StockRequest)
@blueprint.response(201, BikeAnswer)
def take_in(typed: dict[str, Any]) -> dict[str, Any]:
    """Take a new bike into stock

    It gets its registration code. Give ``certificate_no``, or ``certificate_url`` as scanned. Whether the bike may be
    sold is judged on the day of the sale.
    """
    account = caller()
    assert account.dealer_id is not None, "a dealer's account has its dealer"
    bike = stock_in(
        session=db.session(),
        dealer_id=account.dealer_id,
        bike=NewBike(**typed),
        actor=account.actor,
        today=business_now().astimezone(LOCAL).date(),
    )
    return bike_document(bike)


@blueprint.route("/stock-imports", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, writes=True)
@blueprint.doc(requestBody=FORM)
@blueprint.arguments(ImportQuery, location="query")
@blueprint.response(201, StockImportAnswer)
def import_file(query: dict[str, Any]) -> dict[str, Any]:
    """Take new bikes into stock from a CSV or Excel file

    At most 5 MB and 2,000 rows, under the headers of the template. Good rows go in, bad ones are told by row and column
    and kept as a workbook; the same file again changes nothing.
    """
    account = caller()
    assert account.dealer_id is not None, "a dealer's account has its dealer"
    now = business_now()
    with uploaded_file(request) as path:
        done = import_stock(
            session=db.session(),
            path=path,
            dealer_id=account.dealer_id,
            dry_run=query["dry_run"] == "true",
            actor=account.actor,
            today=now.astimezone(LOCAL).date(),
            now=now,
        )
    return _import_document(done)


@blueprint.route("/stock-imports/template.xlsx", methods=["GET"])
@requires("dealer", *STAFF)
@described(blueprint, 503)
@blueprint.response(200, content_type=EXCEL, description="the headers and one example row")
def show_template() -> Response:
    """The template of a list of new bikes"""
    return workbook(template_workbook(), "stock.xlsx")


@blueprint.route("/stock-imports/<import_id>/problems.xlsx", methods=["GET"])
@requires("dealer", *STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, content_type=EXCEL, description="the rows that did not go in, bad cells marked")
def show_problems(import_id: str) -> Response:
    """The rows of an import that did not go in

    As they were typed, the cells in question marked, with what to do. Corrected, the workbook is a list again.
    """
    number = whole_in(import_id)
    if number is None:
        raise StockImportNotFound
    done = get_stock_import(session=db.session(), import_id=number, dealer_id=caller().dealer_id)
    return workbook(problem_rows_workbook(done), f"stock-{done.id}-problems.xlsx")


def _import_document(done: StockImport) -> dict[str, Any]:
    findings = [{**finding, "line": row["line"]} for row in done.problems for finding in row["findings"]]
    return {
        "id": done.id,
        "dry_run": done.dry_run,
        "read": done.rows_read,
        "stored": done.rows_stored,
        "unchanged": done.rows_unchanged,
        "refused": done.rows_refused,
        "findings": findings,
        "problems": f"/api/stock-imports/{done.id}/problems.xlsx" if done.problems else None,
    }
