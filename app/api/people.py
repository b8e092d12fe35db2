"""People: what staff may see of them in clear."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.auth import caller
from app.context import keyring
from app.db import db
from app.schemas.answers import UnmaskingAnswer
from app.schemas.requests import UnmaskingRequest
from registry.unmasking import MAY_UNMASK, PersonNotFound, unmask

LARGEST_ID = 2**63 - 1

blueprint = ApiBlueprint("people", __name__, url_prefix="/api/people", description="What is held on people")


@blueprint.after_request  # type: ignore[untyped-decorator]
def keep_nowhere(answer: Response) -> Response:
    """Nothing on the way may keep what is told here."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.route("/<int:person_id>/unmaskings", methods=["POST"])
@requires(*MAY_UNMASK)
@described(blueprint, 400, 404, 413, 415, 422, 503)
@blueprint.arguments(UnmaskingRequest)
@blueprint.response(201, UnmaskingAnswer)
def look(wanted: dict[str, Any], person_id: int) -> dict[str, Any]:
    """See one field of a person in clear

    For reviewers, finance and administrators. Each look is written down with its reason, and the person can read it.
    Takes no Idempotency-Key: a kept answer would keep the field in clear, and every look counts as one.
    """
    if person_id > LARGEST_ID:
        raise PersonNotFound
    session = db.session()
    value = unmask(
        session=session,
        keyring=keyring(),
        account_id=caller().account_id,
        person_id=person_id,
        field=wanted["field"],
        reason=wanted["reason"],
        address=request.remote_addr or "",
    )
    session.commit()
    return {"person_id": person_id, "field": wanted["field"], "value": value}
