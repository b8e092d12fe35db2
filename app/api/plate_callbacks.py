"""The traffic police's signed callbacks. An issued plate usually does not come this far: see app/api/fast_lane.py."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, current_app, request

from app.access import partner
from app.api.fast_lane import PATH, REFUSED, answer_document
from app.clients.plates.callbacks import read_callback
from app.clients.signing import verify
from app.completing import completion_of
from app.context import business_now
from app.db import db
from registry.cancelling import record_cancellation
from registry.plate_authority import CancelAnswer, PlateAnswer
from registry.plating import record_plate_refusal

blueprint = Blueprint("plate_callbacks", __name__)


@blueprint.post(PATH)
@partner("plates")
def take_callback() -> Response:
    """Record what the police say; idempotent by our own number, so it takes no key."""
    if refused := request.environ.get(REFUSED):
        raise refused
    extensions = current_app.extensions
    body = request.get_data()
    verify(
        signer=extensions["mapai.plates_signer"],
        method="POST",
        path=request.path,
        body=body,
        headers=request.headers,
    )
    answer = read_callback(body)
    if isinstance(answer, CancelAnswer):
        return _record_cancellation(answer)
    if answer.state != "done":
        return _record_refusal(answer)
    completed = extensions["mapai.combiner"].complete(completion_of(keyring=extensions["mapai.keyring"], answer=answer))
    return _answer(answer_document(completed))


def _record_cancellation(answer: CancelAnswer) -> Response:
    trade_in = record_cancellation(session=db.session(), answer=answer, now=business_now())
    db.session.commit()
    return _answer(_uncompleted(trade_in.reference, trade_in.state))


def _record_refusal(answer: PlateAnswer) -> Response:
    if answer.state == "pending":
        return _answer(_uncompleted(None, "pending"))
    trade_in = record_plate_refusal(session=db.session(), answer=answer)
    db.session.commit()
    return _answer(_uncompleted(trade_in.reference, trade_in.state))


def _uncompleted(reference: str | None, state: str) -> dict[str, Any]:
    return {"reference": reference, "position": None, "state": state, "stage": None, "amount_fen": 0}


def _answer(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document, ensure_ascii=False, separators=(",", ":")), mimetype="application/json")
