"""The steps from the old bike to the new plate, each one request."""

from __future__ import annotations

from typing import Any

from flask import request

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.trade_ins import reference_in, shown
from app.auth import caller
from app.completing import completion_of
from app.context import business_now, combiner, keyring, partners, reach_of
from app.db import db
from app.idempotency import idempotent, is_resumed
from app.schemas.answers import TradeInAnswer
from app.schemas.requests import PhotoRequest, ReceiptRequest, SaleRequest
from app.schemas.uploads import read_photo_form
from registry.base import StepNotAllowed
from registry.cancelling import cancel_old_plate
from registry.plating import apply_for_plate
from registry.receiving import add_photo, receive_old_bike
from registry.selling import Price, sell_new_bike
from registry.trade_ins import get_trade_in
from subsidy.foreseen import no_subsidy

blueprint = ApiBlueprint(
    "steps", __name__, url_prefix="/api/trade-ins", description="From the old bike to the new plate"
)


@blueprint.route("/<reference>/photos", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.doc(
    requestBody={
        "required": True,
        "content": {
            "application/json": {"schema": PhotoRequest},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["kind", "image"],
                    "properties": {
                        "kind": {
                            "type": "string",
                            "enum": ["frame_no", "plate", "whole"],
                            "description": "what the photo shows",
                        },
                        "image": {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                            "description": "JPEG or PNG, at most 3 MB",
                        },
                    },
                }
            },
        },
    }
)
@blueprint.response(201, TradeInAnswer)
def take_photo(reference: str) -> dict[str, Any]:
    """Add a photo of the old bike

    One each of frame number, plate and whole bike is needed; more may be sent. JPEG or PNG, at most 3 MB. A picture
    that was used before is refused.
    """
    form = request.mimetype == "multipart/form-data"
    photo = (
        read_photo_form(request) if form else blueprint.ARGUMENTS_PARSER.parse(PhotoRequest(), request, location="json")
    )
    account = caller()
    trade_in = add_photo(
        session=db.session(),
        reference=reference_in(reference),
        reach=reach_of(account),
        actor=account.actor,
        **photo,
    )
    return shown(trade_in)


@blueprint.route("/<reference>/receipt", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReceiptRequest)
@blueprint.response(200, TradeInAnswer)
def receive(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Receive the old bike

    Needs the three photos. The frame number must be the filed one. Where ``foreseen`` says that no subsidy will come,
    the owner has to know: «owner_not_told» without ``owner_knows``.
    """
    account = caller()
    trade_in = receive_old_bike(
        session=db.session(),
        reference=reference_in(reference),
        reach=reach_of(account),
        actor=account.actor,
        now=business_now(),
        outlook=no_subsidy,
        **typed,
    )
    return shown(trade_in)


@blueprint.route("/<reference>/old-plate-cancellation", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.alt_response(202, schema=TradeInAnswer, description="asked; the answer comes later")
@blueprint.response(200, TradeInAnswer)
def cancel_plate(reference: str) -> tuple[dict[str, Any], int]:
    """Have the old plate cancelled

    200 with ``old_plate_cancelled``, or back at ``old_bike_received`` with the police's ``refusal``; 202 while their
    answer is awaited.
    """
    account = caller()
    trade_in = cancel_old_plate(
        session=db.session(),
        keyring=keyring(),
        plates=partners().plates,
        reference=reference_in(reference),
        reach=reach_of(account),
        actor=account.actor,
        now=business_now(),
    )
    return shown(trade_in), 202 if trade_in.state == "cancel_requested" else 200


@blueprint.route("/<reference>/sale", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(SaleRequest)
@blueprint.response(200, TradeInAnswer)
def sell(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Sell the new bike

    A compliant bike of this point's stock, to the owner of the old one.
    """
    account = caller()
    trade_in = sell_new_bike(
        session=db.session(),
        reference=reference_in(reference),
        reach=reach_of(account),
        vehicle_code=typed["vehicle_code"],
        invoice_no=typed["invoice_no"],
        price=Price(**{name: typed[name] for name in Price.__slots__}),
        actor=account.actor,
        now=business_now(),
    )
    return shown(trade_in)


@blueprint.route("/<reference>/plate-application", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.alt_response(202, schema=TradeInAnswer, description="applied for; the plate comes later")
@blueprint.response(200, TradeInAnswer)
def apply(reference: str) -> tuple[dict[str, Any], int]:
    """Apply for the new plate

    200 with ``completed`` and the place in the queue, or back at ``new_bike_sold`` with the police's ``refusal``; 202
    while their answer is awaited.
    """
    account, reach, session = caller(), reach_of(caller()), db.session()
    reference = reference_in(reference)
    try:
        application = apply_for_plate(
            session=session,
            keyring=keyring(),
            plates=partners().plates,
            reference=reference,
            reach=reach,
            actor=account.actor,
            now=business_now(),
        )
    except StepNotAllowed:
        session.rollback()
        trade_in = get_trade_in(session=session, reference=reference, reach=reach)
        if trade_in.state != "completed" or not is_resumed():
            raise
        return shown(trade_in), 200  # this very request completed it and died before it could say so
    answer = application.answer
    if answer is not None and answer.state == "done":
        combiner().complete(completion_of(keyring=keyring(), answer=answer))
    session.expire_all()
    trade_in = get_trade_in(session=session, reference=reference, reach=reach)
    return shown(trade_in), 202 if trade_in.state == "plate_applied" else 200
