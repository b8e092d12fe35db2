"""The owner's receipt: his claim and its latest decision, proved under a signed head of the published log."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.points import PDF, as_pdf
from app.api.trade_ins import reference_in
from app.auth import caller
from app.context import business_now, reach_of, settings
from app.db import db
from app.print.receipt import receipt_pdf
from app.schemas.log import ReceiptAnswer
from registry.audit import record
from registry.trade_ins import get_trade_in
from subsidy.receipts import receipt_of, short_link

blueprint = ApiBlueprint("receipts", __name__, url_prefix="/api/my", description="Receipts for claims")


@blueprint.route("/trade-ins/<reference>/receipt", methods=["GET"])
@requires("owner", "dealer", *STAFF)
@described(blueprint, 404, 409, 503)
@blueprint.response(200, ReceiptAnswer)
def show_receipt(reference: str) -> dict[str, Any]:
    """The receipt for a claim

    For its owner, its point and bureau staff; every look but the owner's is written down. Whoever holds it can prove
    what was recorded and decided.
    """
    receipt = _receipt(reference)
    return {**receipt, "link": short_link(receipt=receipt, public_url=settings().public_url)}


@blueprint.route("/trade-ins/<reference>/receipt.pdf", methods=["GET"])
@requires("owner", "dealer", *STAFF)
@described(blueprint, 404, 409, 503)
@blueprint.response(200, content_type=PDF, description="A4, with the QR that checks it")
def print_receipt(reference: str) -> Response:
    """The receipt for a claim, on paper

    The QR holds a link and the head's hash; the whole receipt, which can be checked offline, is the JSON.
    """
    body = receipt_pdf(receipt=_receipt(reference), public_url=settings().public_url, now=business_now())
    return as_pdf(body, name=f"receipt-{reference_in(reference)}")


def _receipt(reference: str) -> dict[str, Any]:
    """The receipt, the look at it written down and committed unless the owner looks."""
    session, account = db.session(), caller()
    trade_in = get_trade_in(session=session, reference=reference_in(reference), reach=reach_of(account))
    receipt = receipt_of(session=session, trade_in=trade_in)
    if account.role != "owner":
        record(
            session=session,
            actor=account.actor,
            action="receipt.seen",
            subject=f"trade_in:{trade_in.reference}",
            detail={"position": receipt["position"]},
        )
        session.commit()
    return receipt
