"""Label sheets for the dealer's stock."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.points import PDF, as_pdf
from app.auth import caller
from app.context import business_now
from app.db import db
from app.print.labels import labels_pdf
from app.schemas.points import LabelQuery
from registry.labels import coded_in_stock

blueprint = ApiBlueprint("labels", __name__, url_prefix="/api/bikes", description="Labels for what is coded in stock")


@blueprint.route("/labels.pdf", methods=["GET"])
@requires("dealer")
@described(blueprint, 409, 422, 503)
@blueprint.arguments(LabelQuery, location="query")
@blueprint.response(200, content_type=PDF, description="A4 sheets of 24 labels of 64 by 34 mm, fonts embedded")
def print_labels(query: dict[str, Any]) -> Response:
    """Labels for the dealer's own stock

    Of bikes (registration code as text and QR, vehicle code, battery codes) or of the batteries in them. At most 500
    at once.
    """
    account = caller()
    assert account.dealer_id is not None, "a dealer's account has its dealer"
    coded = coded_in_stock(
        session=db.session(), dealer_id=account.dealer_id, codes=query.get("codes", ""), newest=query["limit"]
    )
    return as_pdf(labels_pdf(coded=coded, kind=query["of"], now=business_now()), name=f"labels-{query['of']}")
