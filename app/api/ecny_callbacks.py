"""The operating bank's word about our transfers, signed: POST /api/partners/ecny/callbacks.

It may come twice, late, out of order or never; what it says is written down by the same function that takes the bank's
answers and statements, so the order does not matter. Idempotent by our own bank number, hence no Idempotency-Key.
"""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify, request

from app.access import partner
from app.clients.ecny.callbacks import read_callback
from app.clients.signing import verify
from app.db import db
from subsidy.operator import ReclaimAnswer
from subsidy.reclaiming import record_reclaim
from subsidy.settlement import record_answer

PATH = "/api/partners/ecny/callbacks"
blueprint = Blueprint("ecny_callbacks", __name__)


@blueprint.post(PATH)
@partner("ecny")
def take_word() -> Response:
    """Write down what the bank says of one transfer or reclaim; answers its state as it stands then.

    Raises BadSignature, StaleRequest, MalformedBankDocument and TransferNotOurs.
    """
    body = request.get_data()
    signer = current_app.extensions["mapai.ecny_signer"]
    verify(signer=signer, method=request.method, path=request.path, body=body, headers=request.headers)
    answer = read_callback(body)
    clock = current_app.extensions["mapai.clock"]
    if isinstance(answer, ReclaimAnswer):
        state = record_reclaim(session=db.session(), answer=answer, clock=clock)
    else:
        state = record_answer(session=db.session(), answer=answer, now=clock.now())
    db.session.commit()
    return jsonify(bank_number=answer.bank_number, state=state)
