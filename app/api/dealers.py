"""Dealers as the bureau looks after them: enrolled, licensed, renewed, suspended, restored, revoked, handed over."""

from __future__ import annotations

from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.api.trade_ins import reference_in
from app.auth import caller
from app.context import business_now, keyring, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.dealers import (
    DealerAnswer,
    DealerList,
    DealerQuery,
    HandoverAnswer,
    HandoverRequest,
    ReasonRequest,
    RevocationRequest,
)
from registry.dealer_commitments import current_version, signature_of
from registry.dealer_handover import count_open, hand_over
from registry.dealer_inputs import masked_mobile, open_representative
from registry.dealer_licences import (
    decide_revocation,
    enrol,
    license_point,
    open_revocation,
    propose_revocation,
    renew_licence,
    restore,
    suspend,
)
from registry.dealer_steps import DealerStep, steps_of
from registry.dealers import DEALER, Dealer, DealerNotFound, get_dealer, list_dealers
from registry.people import mask_name

blueprint = ApiBlueprint("dealers", __name__, url_prefix="/api/dealers", description="Dealers and their licences")
LARGEST_ID = 2**63 - 1


@blueprint.route("", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 422, 503)
@blueprint.arguments(DealerQuery, location="query")
@blueprint.response(200, DealerList)
def show_dealers(query: dict[str, Any]) -> dict[str, Any]:
    """The dealers

    In the order in which they came. ``after`` with the last number gives the next page.
    """
    found = list_dealers(session=db.session(), state=query.get("state"), after_id=query["after"], limit=query["limit"])
    return {"dealers": [dealer_row(dealer) for dealer in found]}


@blueprint.route("/<int:dealer_id>", methods=["GET"])
@requires(*STAFF)
@described(blueprint, 404, 503)
@blueprint.response(200, DealerAnswer)
def show_dealer(dealer_id: int) -> dict[str, Any]:
    """One dealer

    With every step it took and what is missing.
    """
    return dealer_document(get_dealer(session=db.session(), dealer_id=_within(dealer_id)), to_staff=True)


@blueprint.route("/<int:dealer_id>/enrolment", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, DealerAnswer)
def switch_on(dealer_id: int) -> dict[str, Any]:
    """Switch the trade-in function on

    For a dealer that was trained and has signed the commitment in force.
    """
    return _after(enrol(session=db.session(), dealer_id=_within(dealer_id), actor=caller().actor, now=business_now()))


@blueprint.route("/<int:dealer_id>/licence", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, DealerAnswer)
def license_dealer(dealer_id: int) -> dict[str, Any]:
    """License a dealer as a trade-in point

    Under the next plaque number; by somebody else than who switched the function on.
    """
    dealer = license_point(
        session=db.session(),
        dealer_id=_within(dealer_id),
        rules=settings().enrolment,
        actor=caller().actor,
        now=business_now(),
    )
    return _after(dealer)


@blueprint.route("/<int:dealer_id>/renewal", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, DealerAnswer)
def renew(dealer_id: int) -> dict[str, Any]:
    """Renew a licence

    In its last weeks or after its end; the commitment in force has to be signed.
    """
    dealer = renew_licence(
        session=db.session(),
        dealer_id=_within(dealer_id),
        rules=settings().enrolment,
        actor=caller().actor,
        now=business_now(),
    )
    return _after(dealer)


@blueprint.route("/<int:dealer_id>/suspension", methods=["POST"])
@requires("operator", "reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReasonRequest)
@blueprint.response(200, DealerAnswer)
def suspend_dealer(typed: dict[str, Any], dealer_id: int) -> dict[str, Any]:
    """Suspend a licence

    New trade-ins stop at once. What is open may be finished there, or handed over.
    """
    return _after(suspend(dealer_id=_within(dealer_id), reason=typed["reason"], **_by_me()))


@blueprint.route("/<int:dealer_id>/restoration", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReasonRequest)
@blueprint.response(200, DealerAnswer)
def restore_dealer(typed: dict[str, Any], dealer_id: int) -> dict[str, Any]:
    """End a suspension

    The licence runs on until its last day.
    """
    return _after(restore(dealer_id=_within(dealer_id), reason=typed["reason"], **_by_me()))


@blueprint.route("/<int:dealer_id>/revocation-proposal", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(ReasonRequest)
@blueprint.response(201, DealerAnswer)
def propose(typed: dict[str, Any], dealer_id: int) -> dict[str, Any]:
    """Propose to revoke a licence

    Nothing changes until a reviewer has decided.
    """
    propose_revocation(dealer_id=_within(dealer_id), reason=typed["reason"], **_by_me())
    return _after(get_dealer(session=db.session(), dealer_id=dealer_id))


@blueprint.route("/<int:dealer_id>/revocation", methods=["POST"])
@requires("reviewer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(RevocationRequest)
@blueprint.response(200, DealerAnswer)
def revoke(typed: dict[str, Any], dealer_id: int) -> dict[str, Any]:
    """Decide on a proposed revocation

    By somebody else than who proposed it. A revoked licence does not come back.
    """
    return _after(decide_revocation(dealer_id=_within(dealer_id), approved=typed["approved"], **_by_me()))


@blueprint.route("/<int:dealer_id>/handover", methods=["POST"])
@requires("operator")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(HandoverRequest)
@blueprint.response(200, HandoverAnswer)
def give_over(typed: dict[str, Any], dealer_id: int) -> dict[str, Any]:
    """Hand open trade-ins over to another licensed point

    The point that had them reaches them no more. Owners are told where to go.
    """
    references = typed.get("references")
    handed = hand_over(
        from_dealer_id=_within(dealer_id),
        to_dealer_id=typed["to_dealer_id"],
        references=None if references is None else [reference_in(each) for each in references],
        reason=typed["reason"],
        **_by_me(),
    )
    return {"references": [trade_in.reference for trade_in in handed]}


def dealer_row(dealer: Dealer) -> dict[str, Any]:
    """Return a dealer as lists show it."""
    names = ("name", "credit_code", "sub_district", "state", "point_no", "trade_in_on")
    return {
        **{name: getattr(dealer, name) for name in names},
        "dealer_id": dealer.id,
        "state_zh": DEALER.words[dealer.state],
        "licensed_until": dealer.licensed_until.isoformat() if dealer.licensed_until else None,
    }


def dealer_document(dealer: Dealer, *, to_staff: bool) -> dict[str, Any]:
    """Return everything about a dealer; who at the bureau took a step is told to staff alone."""
    session = db.session()
    representative = open_representative(dealer=dealer, keyring=keyring())
    version = current_version(session=session, now=business_now()).version
    waiting = open_revocation(session=session, dealer_id=dealer.id) if to_staff else None
    return {
        **dealer_row(dealer),
        **{name: getattr(dealer, name) for name in ("address", "phone", "opening_hours")},
        "representative": mask_name(representative) if representative else None,
        "mobile": masked_mobile(dealer=dealer, keyring=keyring()),
        "commitment_signed": signature_of(session=session, dealer_id=dealer.id, version=version) is not None,
        "open_trade_ins": count_open(session=session, dealer_id=dealer.id),
        "revocation_reason": waiting.reason if waiting else None,
        "steps": [_step(step, to_staff=to_staff) for step in steps_of(session=session, dealer_id=dealer.id)],
    }


def _after(dealer: Dealer) -> dict[str, Any]:
    return dealer_document(dealer, to_staff=True)


def _by_me() -> dict[str, Any]:
    return {"session": db.session(), "actor": caller().actor, "now": business_now()}


def _within(dealer_id: int) -> int:
    if dealer_id > LARGEST_ID:
        raise DealerNotFound
    return dealer_id


def _step(step: DealerStep, *, to_staff: bool) -> dict[str, Any]:
    return {
        "step": step.step,
        "state": step.state,
        "at": instant(step.at),
        "actor": step.actor if to_staff else None,
        "reason": step.reason,
        "licensed_until": step.licensed_until.isoformat() if step.licensed_until else None,
    }
