"""What was decided on a claim and why; correcting what was mistyped; holding a claim and letting it go."""

from __future__ import annotations

from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.claims_documents import decision_document, hold_document, to_correct_document
from app.api.description import described
from app.api.documents import instant
from app.api.trade_ins import reference_in
from app.auth import caller
from app.context import business_now, keyring, reach_of, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.claims import (
    ClaimPhotoRequest,
    CorrectionRequest,
    DecisionAnswer,
    FaultMarkAnswer,
    FaultMarkRequest,
    HoldAnswer,
    HoldRequest,
    ReleaseRequest,
    ToCorrectList,
)
from registry.trade_ins import Reach
from subsidy.correction_fields import Given
from subsidy.corrections import correct_claim, mark_fault, replace_photo, waiting_for_correction, waive_fault
from subsidy.decision_record import decision_record
from subsidy.holds import hold_claim, release_claim
from subsidy.standing import read_claim

blueprint = ApiBlueprint("claims", __name__, url_prefix="/api", description="Claims: decisions, corrections and holds")


@blueprint.route("/trade-ins/<reference>/decision")
@requires("owner", "dealer", *STAFF)
@described(blueprint, 404, 409, 422, 503)
@blueprint.response(200, DecisionAnswer)
def decision(reference: str) -> dict[str, Any]:
    """Why a claim stands as it does

    For its owner, its point and staff: every condition with its clause, the instant it was judged as of and what it
    saw; the law's own reasons; what can be corrected, and by when; every decision so far. Answered by the record alone.
    409 «no_claim» until the trade-in is complete.
    """
    return _decision(reference_in(reference), reach_of(caller()))


@blueprint.route("/corrections")
@requires("owner", "dealer", *STAFF)
@described(blueprint, 503)
@blueprint.response(200, ToCorrectList)
def corrections() -> dict[str, Any]:
    """Claims that wait for a correction

    The caller's own, a point's own, all for staff; the one due soonest first.
    """
    found = waiting_for_correction(session=db.session(), reach=reach_of(caller()))
    return {"claims": [to_correct_document(item) for item in found]}


@blueprint.route("/trade-ins/<reference>/correction", methods=["POST"])
@requires("owner", "dealer", "operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(CorrectionRequest)
@blueprint.response(200, DecisionAnswer)
def correct(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Correct what was mistyped

    All faulty fields at once, each refused by itself where it is still wrong. Position and money stay kept until then;
    afterwards the claim is the award it would have been. After the term: 409 «correction_too_late».
    """
    account, clean = caller(), reference_in(reference)
    correct_claim(
        session=db.session(),
        keyring=keyring(),
        reference=clean,
        reach=reach_of(account),
        given=Given(**typed),
        clock=settings().clock,
        actor=account.actor,
    )
    return _decision(clean, reach_of(account))


@blueprint.route("/trade-ins/<reference>/correction/photos", methods=["POST"])
@requires("dealer", "operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ClaimPhotoRequest)
@blueprint.response(201, ToCorrectList)
def correct_photo(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Replace a photo that cannot be read

    Where nothing else is wrong, that corrects the claim. Answers with what the caller's claims still wait for.
    """
    account = caller()
    replace_photo(
        session=db.session(),
        reference=reference_in(reference),
        reach=reach_of(account),
        clock=settings().clock,
        actor=account.actor,
        **typed,
    )
    found = waiting_for_correction(session=db.session(), reach=reach_of(account))
    return {"claims": [to_correct_document(item) for item in found]}


@blueprint.route("/trade-ins/<reference>/faults", methods=["POST"])
@requires("operator", "reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(FaultMarkRequest)
@blueprint.response(201, FaultMarkAnswer)
def mark(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Mark something as faulty while a trade-in runs

    At its completion the claim is held until that is put right: it loses neither position nor money.
    """
    clean = reference_in(reference)
    marked = mark_fault(session=db.session(), reference=clean, actor=caller().actor, now=business_now(), **typed)
    return {"reference": clean, "field": marked.field, "marked_at": instant(marked.marked_at)}


@blueprint.route("/trade-ins/<reference>/fault-waiver", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReleaseRequest)
@blueprint.response(200, DecisionAnswer)
def waive(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Let a claim pass although nothing was corrected

    By a reviewer who did not mark the fault: the police's record was the wrong one, or a photo can be read after all.
    """
    account, clean = caller(), reference_in(reference)
    waive_fault(session=db.session(), reference=clean, clock=settings().clock, actor=account.actor, **typed)
    return _decision(clean, reach_of(account))


@blueprint.route("/trade-ins/<reference>/hold", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(HoldRequest)
@blueprint.response(201, HoldAnswer)
def hold(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Hold a claim before its first payout attempt

    Position, place and money stay kept, without a term. Once the bank has the money: 409 «money_at_the_bank».
    """
    clean = reference_in(reference)
    held = hold_claim(session=db.session(), reference=clean, clock=settings().clock, actor=caller().actor, **typed)
    return hold_document(held, reference=clean, state=_state(clean))


@blueprint.route("/trade-ins/<reference>/release", methods=["POST"])
@requires("operator", "reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReleaseRequest)
@blueprint.response(200, HoldAnswer)
def release(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Release a held claim

    By another account than the one that held it. The claim becomes the award it would have been; limit checked again.
    """
    clean = reference_in(reference)
    released = release_claim(
        session=db.session(), reference=clean, clock=settings().clock, actor=caller().actor, **typed
    )
    return hold_document(released, reference=clean, state=_state(clean))


def _decision(reference: str, reach: Reach) -> dict[str, Any]:
    return decision_document(decision_record(session=db.session(), reference=reference, reach=reach))


def _state(reference: str) -> str:
    return read_claim(session=db.session(), reference=reference, reach=Reach()).claim.state
