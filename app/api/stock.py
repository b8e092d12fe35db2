"""The dealer's stock of new bikes."""

from __future__ import annotations

from typing import Any

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import bike_document
from app.auth import caller
from app.db import db
from app.idempotency import idempotent
from app.schemas.answers import BikeAnswer
from app.schemas.requests import StockRequest
from registry.stocking import NewBike, stock_in

blueprint = ApiBlueprint("bikes", __name__, url_prefix="/api/bikes", description="New bikes in stock")


@blueprint.route("", methods=["POST"])
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
    bike = stock_in(session=db.session(), dealer_id=account.dealer_id, bike=NewBike(**typed), actor=account.actor)
    return bike_document(bike)
