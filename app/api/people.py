"""People: what staff may see of them in clear."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.auth import caller
from app.context import keyring, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.answers import PhoneAnswer, UnmaskingAnswer
from app.schemas.requests import PhoneRequest, UnmaskingRequest
from registry.people import PersonNotFound, change_phone, mask_phone, open_phone
from registry.unmasking import MAY_UNMASK, MAY_UNMASK_LOCKED, unmask

LARGEST_ID = 2**63 - 1

blueprint = ApiBlueprint("people", __name__, url_prefix="/api/people", description="What is held on people")


@blueprint.after_request  # type: ignore[untyped-decorator]
def keep_nowhere(answer: Response) -> Response:
    """Nothing on the way may keep what is told here."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.route("/<int:person_id>/unmaskings", methods=["POST"])
@requires(*MAY_UNMASK, *MAY_UNMASK_LOCKED)
@described(blueprint, 400, 404, 413, 415, 422, 429, 503)
@blueprint.arguments(UnmaskingRequest)
@blueprint.response(201, UnmaskingAnswer)
def look(wanted: dict[str, Any], person_id: int) -> dict[str, Any]:
    """See one field of a person in clear

    For reviewers, finance and administrators; of somebody whose data is locked after an erasure, for auditors alone.
    Each look is written down with its reason, and the person can read it.
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
        most_per_hour=settings().unmaskings_per_hour,
    )
    session.commit()
    return {"person_id": person_id, "field": wanted["field"], "value": value}


@blueprint.route("/<int:person_id>/phone", methods=["POST"])
@requires("operator", "administrator")
@idempotent
@described(blueprint, 404, 409, 422, writes=True)
@blueprint.arguments(PhoneRequest)
@blueprint.response(200, PhoneAnswer)
def give_phone(typed: dict[str, Any], person_id: int) -> dict[str, Any]:
    """Give a person another phone

    For staff who have seen the ID card: a point cannot change a phone that is known. One-time codes and notices go to
    the new number from now on. Written down with the reason, old and new number masked.
    """
    if person_id > LARGEST_ID:
        raise PersonNotFound
    ring = keyring()
    person = change_phone(session=db.session(), keyring=ring, person_id=person_id, actor=caller().actor, **typed)
    phone = open_phone(person=person, keyring=ring)
    return {"person_id": person.id, "phone": mask_phone(phone) if phone else ""}
