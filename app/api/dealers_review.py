"""The bureau's side of becoming a dealer: reviewing applications, drafting and approving commitments."""

from __future__ import annotations

import secrets
from datetime import datetime, time
from typing import Any

from flask import Response

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.dealers_public import application_document, commitment_document
from app.api.description import described
from app.api.documents import LOCAL
from app.auth import caller, hash_password
from app.context import business_now, keyring
from app.db import db
from app.idempotency import idempotent
from app.schemas.dealers import (
    AcceptanceRequest,
    ApplicationQuery,
    ApplicationReview,
    ApplicationReviews,
    CommitmentDraftRequest,
    CommitmentTextAnswer,
    ReasonRequest,
)
from registry.dealer_applications import (
    ApplicationNotFound,
    DealerApplication,
    accept_application,
    get_application,
    list_applications,
    refuse_application,
)
from registry.dealer_commitments import approve_version, draft_version
from registry.dealer_inputs import masked_mobile, open_representative
from registry.dealers import Dealer
from registry.people import mask_name

blueprint = ApiBlueprint("dealers-review", __name__, url_prefix="/api", description="Reviewing dealers' applications")
SHOWN = ("name", "credit_code", "sub_district", "address", "phone", "opening_hours")


@blueprint.route("/dealer-applications", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(ApplicationQuery, location="query")
@blueprint.response(200, ApplicationReviews)
def show_applications(query: dict[str, Any]) -> dict[str, Any]:
    """The applications, newest first

    With what a person has to look at. ``before`` with the last number gives the next page.
    """
    found = list_applications(
        session=db.session(), state=query.get("state"), before_id=query.get("before"), limit=query["limit"]
    )
    return {"applications": [_review(application) for application in found]}


@blueprint.route("/dealer-applications/<reference>/licence-photo", methods=["GET"])
@requires("operator", "reviewer", "auditor")
@described(blueprint, 404, 503)
@blueprint.response(200, content_type="image/*", description="the photo as it was sent, JPEG or PNG")
def show_licence(reference: str) -> Response:
    """The photo of the business licence

    For those who review it.
    """
    photo = get_application(session=db.session(), reference=reference).licence_photo
    if photo is None:
        raise ApplicationNotFound
    kind = "image/png" if photo.startswith(b"\x89PNG") else "image/jpeg"
    return Response(photo, content_type=kind, headers={"Cache-Control": "private, no-store"})


@blueprint.route("/dealer-applications/<reference>/acceptance", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(AcceptanceRequest)
@blueprint.response(200, ApplicationReview)
def accept(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Accept an application

    The dealer gets a manager's account whose login is the reference, without a password until it sets one by code.
    """
    application = accept_application(
        session=db.session(),
        reference=reference,
        credit_code_confirmed=typed["credit_code_confirmed"],
        password_hash=hash_password(secrets.token_urlsafe()),
        actor=caller().actor,
        now=business_now(),
    )
    return _review(application)


@blueprint.route("/dealer-applications/<reference>/refusal", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReasonRequest)
@blueprint.response(200, ApplicationReview)
def refuse(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Refuse an application

    The applicant reads the reason and may apply again.
    """
    application = refuse_application(
        session=db.session(),
        reference=reference,
        reason=typed["reason"],
        actor=caller().actor,
        now=business_now(),
    )
    return _review(application)


@blueprint.route("/commitment-versions", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(CommitmentDraftRequest)
@blueprint.response(201, CommitmentTextAnswer)
def draft(typed: dict[str, Any]) -> dict[str, Any]:
    """Draft the next version of the commitment

    It counts once a reviewer has approved it, from its first day on.
    """
    version = draft_version(
        session=db.session(),
        text_zh="\n\n".join(typed["paragraphs"]),
        effective_at=datetime.combine(typed["effective_on"], time(), tzinfo=LOCAL),
        sign_by=typed["sign_by"],
        actor=caller().actor,
        now=business_now(),
    )
    return commitment_document(version)


@blueprint.route("/commitment-versions/<int:version>/approval", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, CommitmentTextAnswer)
def approve(version: int) -> dict[str, Any]:
    """Approve a version of the commitment

    By somebody else than who drafted it.
    """
    approved = approve_version(session=db.session(), version=version, actor=caller().actor, now=business_now())
    return commitment_document(approved)


def _review(application: DealerApplication) -> dict[str, Any]:
    dealer = db.session().get_one(Dealer, application.dealer_id)
    representative = open_representative(dealer=dealer, keyring=keyring())
    return {
        **application_document(application),
        **{name: getattr(dealer, name) for name in SHOWN},
        "number": application.id,
        "dealer_id": dealer.id,
        "doubt": application.doubt,
        "representative": mask_name(representative) if representative else None,
        "mobile": masked_mobile(dealer=dealer, keyring=keyring()),
        "has_licence_photo": application.licence_sha256 is not None,
    }
