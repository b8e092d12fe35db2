"""Dealers as the public meets them: applying, following an application, and the commitments that were signed."""

from __future__ import annotations

from typing import Any

from app.access import public
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import hash_password
from app.clock import real
from app.context import business_now, keyring
from app.db import db
from app.schemas.dealers import (
    ApplicationAnswer,
    CommitmentQuery,
    CommitmentTexts,
    DealerApplicationRequest,
    LoginAnswer,
    PasswordByCodeRequest,
    SignedList,
)
from registry.dealer_applications import (
    APPLICATION,
    ApplicationForm,
    DealerApplication,
    apply_as_dealer,
    get_application,
)
from registry.dealer_commitments import CommitmentVersion, approved_versions, current_version, list_signatures
from registry.dealer_hours import make_span
from registry.dealer_staff import set_password_by_code
from registry.inputs import Inputs

blueprint = ApiBlueprint("dealers-public", __name__, url_prefix="/api", description="Becoming a dealer")
APPLICATIONS = "/api/dealer-applications"
NEXT = {
    "waiting": ("请等工作人员审核。", "The bureau is reviewing it."),
    "accepted": (
        "用受理编号作登录名，凭登记手机的验证码设置密码，登录后签署承诺书。",
        "Set a password by one-time code with the reference as login, sign in and sign the commitment.",
    ),
    "refused": ("请按未通过的原因改正后重新申请。", "Put right what the reason says and apply again."),
}


@blueprint.route("/dealer-applications", methods=["POST"])
@public
@described(blueprint, 400, 409, 413, 415, 422, 503, signed_in=False)
@blueprint.arguments(DealerApplicationRequest)
@blueprint.response(201, ApplicationAnswer)
def apply(typed: dict[str, Any]) -> dict[str, Any]:
    """Apply to be a dealer

    ``code`` proves that somebody holds the mobile number: ask POST /api/one-time-codes for one with purpose
    dealer_application. Takes no Idempotency-Key: a code works once, and an application that waits is told to whoever
    holds its phone.
    """
    session = db.session()
    inputs = Inputs()
    spans = [inputs.take("opening_hours", lambda each: make_span(**each), each) for each in typed["opening_hours"]]
    inputs.check()
    names = ("name", "credit_code", "sub_district", "address", "phone", "representative", "mobile")
    application = apply_as_dealer(
        session=session,
        keyring=keyring(),
        form=ApplicationForm(
            opening_hours=spans,
            licence_photo=typed.get("licence_photo"),
            **{name: typed[name] for name in names},
        ),
        code=typed["code"],
        now=business_now(),
        real_now=real(),
    )
    told = application_document(application)
    session.commit()
    return told


@blueprint.route("/dealer-applications/<reference>", methods=["GET"])
@public
@described(blueprint, 404, 503, signed_in=False)
@blueprint.response(200, ApplicationAnswer)
def follow(reference: str) -> dict[str, Any]:
    """Follow an application

    By the reference given when it was sent.
    """
    return application_document(get_application(session=db.session(), reference=reference))


@blueprint.route("/dealer-passwords", methods=["POST"])
@public
@described(blueprint, 400, 413, 415, 422, 503, signed_in=False)
@blueprint.arguments(PasswordByCodeRequest)
@blueprint.response(201, LoginAnswer)
def set_password(typed: dict[str, Any]) -> dict[str, Any]:
    """Set a manager's password by the dealer's phone

    The first time, and whenever it was forgotten: ask POST /api/one-time-codes for a code with purpose
    dealer_password. All sign-ins of the account end. Takes no Idempotency-Key: a code works once.
    """
    session = db.session()
    account = set_password_by_code(
        session=session,
        keyring=keyring(),
        login=typed["login"],
        phone=typed["mobile"],
        code=typed["code"],
        password_hash=hash_password(typed["password"]),
        real_now=real(),
    )
    login = account.login
    session.commit()
    return {"login": login}


@blueprint.route("/commitments", methods=["GET"])
@public
@described(blueprint, 422, 503, signed_in=False)
@blueprint.arguments(CommitmentQuery, location="query")
@blueprint.response(200, SignedList)
def show_signed(query: dict[str, Any]) -> dict[str, Any]:
    """Who signed which commitment

    Posted for everybody, newest first.
    """
    session = db.session()
    signed = list_signatures(
        session=session, version=query.get("version"), before_id=query.get("before"), limit=query["limit"]
    )
    return {
        "current_version": current_version(session=session, now=business_now()).version,
        "signatures": [
            {
                "number": signature.id,
                "dealer": dealer.name,
                "sub_district": dealer.sub_district,
                "point_no": dealer.point_no,
                "version": signature.version,
                "text_sha256": signature.text_sha256,
                "method": signature.method,
                "signed_at": instant(signature.signed_at),
            }
            for signature, dealer in signed
        ],
    }


@blueprint.route("/commitment-versions", methods=["GET"])
@public
@described(blueprint, 503, signed_in=False)
@blueprint.response(200, CommitmentTexts)
def show_versions() -> dict[str, Any]:
    """The versions of the commitment

    Every approved one with its whole text.
    """
    return {"versions": [commitment_document(version) for version in approved_versions(session=db.session())]}


def application_document(application: DealerApplication) -> dict[str, Any]:
    """Return an application as its applicant may see it."""
    next_zh, next_en = NEXT[application.state]
    return {
        "reference": application.reference,
        "state": application.state,
        "state_zh": APPLICATION.words[application.state],
        "submitted_at": instant(application.submitted_at),
        "decided_at": instant(application.decided_at),
        "reason": application.reason,
        "next_zh": next_zh,
        "next_en": next_en,
    }


def commitment_document(version: CommitmentVersion) -> dict[str, Any]:
    """Return a version of the commitment."""
    return {
        "version": version.version,
        "text_zh": version.text_zh,
        "sha256": version.sha256,
        "effective_at": instant(version.effective_at),
        "sign_by": version.sign_by.isoformat() if version.sign_by else None,
        "approved": version.approved_at is not None,
    }
