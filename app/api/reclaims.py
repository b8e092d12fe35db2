"""Money claimed back through the bank: asked for by finance, followed, decided where the bank contradicts itself."""

from __future__ import annotations

from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller
from app.context import business_now
from app.db import db
from app.idempotency import idempotent
from app.schemas.reclaims import ContestedRequest, ReclaimAnswer, ReclaimList
from subsidy.case_numbers import RETURN, clean_case_number
from subsidy.reclaims import RECLAIM, ReclaimAttempt, list_reclaims, refuse_contested, request_reclaim

blueprint = ApiBlueprint("reclaims", __name__, url_prefix="/api", description="Money claimed back through the bank")
FIELDS = ("bank_number", "attempt_no", "amount_fen", "state", "reason", "asked_by", "decided_by")


@blueprint.route("/returns/<reference>/reclaims")
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, ReclaimList)
def reclaims(reference: str) -> dict[str, Any]:
    """List a return's reclaims"""
    found = list_reclaims(session=db.session(), reference=clean_case_number(reference, prefix=RETURN))
    return {"reclaims": [_document(attempt) for attempt in found]}


@blueprint.route("/returns/<reference>/reclaims", methods=["POST"])
@requires("finance")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(201, ReclaimAnswer)
def claim_back(reference: str) -> dict[str, Any]:
    """Have the bank take the money back

    Once a reviewer has agreed to the return and the money is demanded. The scheduler speaks to the bank; one reclaim at
    a time, and no receipt can be entered before the bank has answered.
    """
    attempt = request_reclaim(
        session=db.session(),
        reference=clean_case_number(reference, prefix=RETURN),
        actor=caller().actor,
        now=business_now(),
    )
    return _document(attempt)


@blueprint.route("/returns/<reference>/reclaims/refusal", methods=["POST"])
@requires("finance")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ContestedRequest)
@blueprint.response(200, ReclaimAnswer)
def refuse(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Decide that a contested reclaim brought nothing

    By the bank's written answer. Where the money did come, enter its receipt instead.
    """
    attempt = refuse_contested(
        session=db.session(),
        reference=clean_case_number(reference, prefix=RETURN),
        actor=caller().actor,
        now=business_now(),
        **typed,
    )
    return _document(attempt)


def _document(attempt: ReclaimAttempt) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in FIELDS} | {
        "state_zh": RECLAIM.words[attempt.state],
        "asked_at": instant(attempt.asked_at),
        "sent_at": instant(attempt.sent_at),
        "finished_at": instant(attempt.finished_at),
    }
