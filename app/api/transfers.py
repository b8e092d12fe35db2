"""过户: a filed bike changes hands before a witness, confirmed by both parties' codes."""

from __future__ import annotations

from typing import Any

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller
from app.client_address import counted_address
from app.clock import real
from app.context import business_now, keyring, partners
from app.db import db
from app.idempotency import idempotent
from app.schemas.answers import OneTimeCodeAnswer
from app.schemas.bikes import TransferAnswer, TransferCodeRequest, TransferConfirmation, TransferRequest
from registry.code_limits import MINUTE, Asker
from registry.filings import FiledBike
from registry.one_time_codes import LIVES
from registry.people import Person, mask_name, open_name
from registry.transferring import confirm_transfer, open_transfer, send_transfer_code, withdraw_transfer
from registry.transfers import TRANSFER, Transfer, find_transfer

blueprint = ApiBlueprint("transfers", __name__, url_prefix="/api/transfers", description="Filed bikes changing hands")
WITNESSES = ("dealer", "operator")


@blueprint.route("", methods=["POST"])
@requires(*WITNESSES)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(TransferRequest)
@blueprint.response(201, TransferAnswer)
def open_one(typed: dict[str, Any]) -> dict[str, Any]:
    """Open the transfer of a filed bike

    By a point or staff, with both people's cards at hand. Both then confirm by one-time code within 7 days. Refused
    while a trade-in of the bike stands.
    """
    account = caller()
    transfer = open_transfer(
        session=db.session(),
        keyring=keyring(),
        dealer_id=account.dealer_id,
        actor=account.actor,
        now=business_now(),
        **typed,
    )
    return _told(transfer)


@blueprint.route("/<transfer_no>", methods=["GET"])
@requires("owner", *WITNESSES)
@described(blueprint, 404, 503)
@blueprint.response(200, TransferAnswer)
def show(transfer_no: str) -> dict[str, Any]:
    """One transfer

    A point sees those it opened, an owner those he is a party to.
    """
    return _told(find_transfer(session=db.session(), transfer_no=transfer_no, **_reach()))


@blueprint.route("/<transfer_no>/codes", methods=["POST"])
@requires("owner", *WITNESSES)
@idempotent
@described(blueprint, 404, 429, writes=True)
@blueprint.arguments(TransferCodeRequest)
@blueprint.response(201, OneTimeCodeAnswer)
def send(typed: dict[str, Any], transfer_no: str) -> dict[str, Any]:
    """Send the seller or the buyer a code

    To the phone on file; the message says what it is for, and the code is good for nothing else.
    """
    send_transfer_code(
        session=db.session(),
        keyring=keyring(),
        gateway=partners().sms,
        transfer_no=transfer_no,
        party=typed["party"],
        asker=Asker(address=counted_address(), device=None),
        real_now=real(),
        **_reach(),
    )
    return {"lives_s": int(LIVES.total_seconds()), "again_in_s": int(MINUTE.total_seconds())}


@blueprint.route("/<transfer_no>/confirmations", methods=["POST"])
@requires("owner", *WITNESSES)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.arguments(TransferConfirmation)
@blueprint.response(201, TransferAnswer)
def confirm(typed: dict[str, Any], transfer_no: str) -> dict[str, Any]:
    """Confirm a transfer as seller or buyer

    With the code the party's phone received; typed before the witness, or by the party signed in. The second
    confirmation completes the transfer.
    """
    transfer = confirm_transfer(
        session=db.session(),
        keyring=keyring(),
        transfer_no=transfer_no,
        party=typed["party"],
        code=typed["code"],
        actor=caller().actor,
        now=business_now(),
        real_now=real(),
        **_reach(),
    )
    return _told(transfer)


@blueprint.route("/<transfer_no>/withdrawal", methods=["POST"])
@requires("owner", *WITNESSES)
@idempotent
@described(blueprint, 404, writes=True)
@blueprint.response(200, TransferAnswer)
def withdraw(transfer_no: str) -> dict[str, Any]:
    """Withdraw a transfer that is not completed"""
    transfer = withdraw_transfer(
        session=db.session(), transfer_no=transfer_no, actor=caller().actor, now=business_now(), **_reach()
    )
    return _told(transfer)


def _reach() -> dict[str, int | None]:
    account = caller()
    return {"dealer_id": account.dealer_id, "party_id": account.person_id}


def _told(transfer: Transfer) -> dict[str, Any]:
    session = db.session()
    seller, buyer = (session.get_one(Person, each) for each in (transfer.seller_id, transfer.buyer_id))
    moments = ("opened_at", "expires_at", "seller_confirmed_at", "buyer_confirmed_at", "ended_at")
    return {
        "transfer_no": transfer.transfer_no,
        "plate_no": session.get_one(FiledBike, transfer.filed_bike_id).plate_no,
        "seller": mask_name(open_name(person=seller, keyring=keyring())),
        "buyer": mask_name(open_name(person=buyer, keyring=keyring())),
        "state": transfer.state,
        "state_zh": TRANSFER.words[transfer.state],
        **{name: instant(getattr(transfer, name)) for name in moments},
    }
