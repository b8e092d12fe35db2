"""Trade-ins: opening, looking at, listing, withdrawing them, and the owner's wallet."""

from __future__ import annotations

from typing import Any

from app.access import STAFF, requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant, rows_document, trade_in_document
from app.auth import caller
from app.context import business_now, keyring, partners, reach_of, settings
from app.db import db
from app.idempotency import idempotent
from app.schemas.answers import TradeInAnswer, TradeInList, WalletAnswer
from app.schemas.requests import OpenTradeInRequest, TradeInQuery, WalletRequest
from registry.codes import ReferenceInvalid, clean_reference
from registry.opening import open_trade_in, verify_old_bike, withdraw
from registry.trade_ins import (
    WAITS_FOR,
    TradeIn,
    TradeInNotFound,
    count_trade_ins,
    get_trade_in,
    list_trade_ins,
)
from subsidy.foreseen import no_subsidy
from subsidy.wallets import confirm_wallet

blueprint = ApiBlueprint("trade-ins", __name__, url_prefix="/api/trade-ins", description="Trade-ins and their steps")


def reference_in(path: str) -> str:
    """Return the reference in an address; raises TradeInNotFound where it cannot be one."""
    try:
        return clean_reference(path)
    except ReferenceInvalid:
        raise TradeInNotFound from None


def shown(trade_in: TradeIn) -> dict[str, Any]:
    """Return the trade-in as the API tells it."""
    return trade_in_document(session=db.session(), keyring=keyring(), trade_in=trade_in, repay_to=settings().repay_to)


@blueprint.route("", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(OpenTradeInRequest)
@blueprint.response(201, TradeInAnswer)
def open_one(typed: dict[str, Any]) -> dict[str, Any]:
    """Open a trade-in

    Checks the filing and its owner, then asks the traffic police. The state is ``old_bike_verified``, or ``opened``
    where the police could not be reached: then ask for the verification again. A refusal by the police leaves the
    trade-in opened; its reference stands in the problem. ``foreseen`` says what speaks against a subsidy: tell the
    owner before taking the old bike.
    """
    account = caller()
    assert account.dealer_id is not None, "a dealer's account has its dealer"
    trade_in = open_trade_in(
        session=db.session(),
        keyring=keyring(),
        plates=partners().plates,
        district=settings().district,
        dealer_id=account.dealer_id,
        actor=account.actor,
        now=business_now(),
        most_overdue=settings().most_overdue,
        outlook=no_subsidy,
        **typed,
    )
    return shown(trade_in)


@blueprint.route("", methods=["GET"])
@requires("dealer", "owner", *STAFF)
@described(blueprint, 404, 422)
@blueprint.arguments(TradeInQuery, location="query")
@blueprint.response(200, TradeInList)
def list_all(query: dict[str, Any]) -> dict[str, Any]:
    """List trade-ins

    A point sees its own, an owner theirs, staff all; newest first.
    """
    reach, session, limit = reach_of(caller()), db.session(), query["limit"]
    before = query.get("before")
    found = list_trade_ins(
        session=session,
        reach=reach,
        states=_states(query),
        before_id=get_trade_in(session=session, reference=reference_in(before), reach=reach).id if before else None,
        limit=limit + 1,
    )
    page = found[:limit]
    return {
        "trade_ins": rows_document(session=session, keyring=keyring(), trade_ins=page),
        "counts": count_trade_ins(session=session, reach=reach),
        "next_before": page[-1].reference if len(found) > limit else None,
    }


@blueprint.route("/<reference>", methods=["GET"])
@requires("dealer", "owner", *STAFF)
@described(blueprint, 404)
@blueprint.response(200, TradeInAnswer)
def look_at(reference: str) -> dict[str, Any]:
    """Look at a trade-in

    With its steps, place in the queue, payout and who acts next.
    """
    return shown(get_trade_in(session=db.session(), reference=reference_in(reference), reach=reach_of(caller())))


@blueprint.route("/<reference>/verification", methods=["POST"])
@requires("dealer")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, TradeInAnswer)
def verify(reference: str) -> dict[str, Any]:
    """Ask the traffic police about the old bike again

    For a trade-in still ``opened``: they could not be reached, or what they objected to was put right.
    """
    account = caller()
    return shown(
        verify_old_bike(
            session=db.session(),
            keyring=keyring(),
            plates=partners().plates,
            district=settings().district,
            reference=reference_in(reference),
            reach=reach_of(account),
            actor=account.actor,
            now=business_now(),
            outlook=no_subsidy,
        )
    )


@blueprint.route("/<reference>/withdrawal", methods=["POST"])
@requires("dealer", "owner")
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, TradeInAnswer)
def withdraw_one(reference: str) -> dict[str, Any]:
    """Withdraw a trade-in

    Free before the old bike is received. The bike may be traded in again later.
    """
    account = caller()
    trade_in = withdraw(
        session=db.session(),
        reference=reference_in(reference),
        reach=reach_of(account),
        actor=account.actor,
        now=business_now(),
    )
    return shown(trade_in)


@blueprint.route("/<reference>/wallet", methods=["POST"])
@requires("owner", "operator", "administrator")
@idempotent
@described(blueprint, 404, 429, writes=True)
@blueprint.arguments(WalletRequest)
@blueprint.response(200, WalletAnswer)
def take_wallet(typed: dict[str, Any], reference: str) -> dict[str, Any]:
    """Confirm the wallet the subsidy goes to

    At any time after opening; it never changes the place in the queue. The bank checks the holder's name.
    """
    session = db.session()
    trade_in = get_trade_in(session=session, reference=reference_in(reference), reach=reach_of(caller()))
    wallet = confirm_wallet(
        session=session,
        keyring=keyring(),
        operator=partners().operator,
        trade_in=trade_in,
        actor=caller().actor,
        now=business_now(),
        **typed,
    )
    return {"reference": trade_in.reference, "tail": wallet.tail, "confirmed_at": instant(wallet.confirmed_at)}


def _states(query: dict[str, Any]) -> tuple[str, ...] | None:
    waiter, state = query.get("waiting_for"), query.get("state")
    if waiter is None:
        return (state,) if state is not None else None
    states = tuple(one for one, party in WAITS_FOR.items() if party == waiter)
    return states if state is None else tuple(one for one in states if one == state)
