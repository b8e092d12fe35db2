"""One-time codes: proof that somebody holds a phone."""

from __future__ import annotations

from typing import Any

from app.access import public
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.client_address import counted_address
from app.clock import real
from app.context import keyring, partners
from app.db import db
from app.schemas.answers import OneTimeCodeAnswer
from app.schemas.requests import OneTimeCodeRequest
from registry.code_limits import MINUTE, Asker
from registry.one_time_codes import LIVES, send_code

blueprint = ApiBlueprint("codes", __name__, url_prefix="/api/one-time-codes", description="Codes sent to phones")


@blueprint.route("", methods=["POST"])
@public
@described(blueprint, 400, 413, 415, 422, 429, 503, signed_in=False)
@blueprint.arguments(OneTimeCodeRequest)
@blueprint.response(201, OneTimeCodeAnswer)
def ask(wanted: dict[str, Any]) -> dict[str, Any]:
    """Ask for a code

    Six digits by text message, for POST /api/sign-ins/by-code or for what ``purpose`` names; it takes the place of any
    sent before for the same, and allows five tries. The answer is the same whether or not anybody is filed with the
    phone. Takes no Idempotency-Key: every code asked for is another one, and they are limited by phone, address and
    device.
    """
    send_code(
        session=db.session(),
        keyring=keyring(),
        gateway=partners().sms,
        phone=wanted["phone"],
        asker=Asker(address=counted_address(), device=wanted.get("device")),
        now=real(),
        purpose=wanted["purpose"],
    )
    return {"lives_s": int(LIVES.total_seconds()), "again_in_s": int(MINUTE.total_seconds())}
