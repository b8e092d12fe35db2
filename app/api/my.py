"""What owners see and decide about their own data."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from app.access import requires
from app.api.blueprints import ApiBlueprint
from app.api.description import described
from app.api.documents import instant
from app.auth import caller
from app.context import business_now, keyring
from app.db import db
from app.idempotency import idempotent
from app.schemas.people import ConsentAnswer, ConsentRequest, MyDataAnswer, WordingsAnswer
from registry.consent import WORDINGS, Consent, answer_consent, standing_consents
from registry.holdings import holdings_of
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.payouts import Payout
from subsidy.wallets import Wallet

blueprint = ApiBlueprint("my", __name__, url_prefix="/api/my", description="What is held on the owner who asks")


@blueprint.route("/data")
@requires("owner")
@described(blueprint, 503)
@blueprint.response(200, MyDataAnswer)
def mine() -> dict[str, Any]:
    """Download what is held on me

    In clear, for the owner alone. Photos are counted and not sent; wallets are told by their last four characters.
    """
    return data_document(_person_id())


def data_document(person_id: int) -> dict[str, Any]:
    """Return everything held on a person, in clear, for that person alone."""
    session = db.session()
    held = holdings_of(session=session, keyring=keyring(), person_id=person_id)
    followed = _followed(session, person_id)
    bike_columns = ("plate_no", "brand", "frame_no", "sub_district", "state")
    return {
        "name": held.name,
        "id_no": held.id_no,
        "document": held.document,
        "phone": held.phone,
        "known_since": instant(held.known_since),
        "filed_bikes": [
            {name: getattr(bike, name) for name in bike_columns} | {"filed_on": bike.filed_on.isoformat()}
            for bike in held.filed_bikes
        ],
        "trade_ins": [
            {
                "reference": trade_in.reference,
                "state": trade_in.state,
                "opened_at": instant(trade_in.opened_at),
                "photos": photos,
                **followed[trade_in.id],
            }
            for trade_in, photos in held.trade_ins
        ],
        "plates": [{"plate_no": plate.plate_no, "issued_at": instant(plate.issued_at)} for plate in held.plates],
        "messages": [
            {"body": message.body, "state": message.state, "created_at": instant(message.created_at)}
            for message in held.messages
        ],
        "consents": [_consent(consent) for consent in held.consents],
        "looks": [{"at": instant(look.at), "field": look.field, "role": look.role} for look in held.looks],
    }


@blueprint.route("/consents")
@requires("owner")
@described(blueprint, 503)
@blueprint.response(200, WordingsAnswer)
def wordings() -> dict[str, Any]:
    """What I may consent to

    The current wording for each purpose, and whether consent stands. Nothing here is needed for a trade-in.
    """
    stands = standing_consents(session=db.session(), person_id=_person_id())
    return {
        "wordings": [
            {
                "purpose": purpose,
                "version": versions[-1].version,
                "zh": versions[-1].zh,
                "en": versions[-1].en,
                "given": purpose in stands and stands[purpose].given,
            }
            for purpose, versions in WORDINGS.items()
        ]
    }


@blueprint.route("/consents", methods=["POST"])
@requires("owner")
@idempotent
@described(blueprint, writes=True)
@blueprint.arguments(ConsentRequest)
@blueprint.response(201, ConsentAnswer)
def decide(answer: dict[str, Any]) -> dict[str, Any]:
    """Give or withdraw consent

    Kept with version, purpose and time; nothing is overwritten. The same answer again returns the one that stands.
    """
    consent = answer_consent(
        session=db.session(), person_id=_person_id(), actor=caller().actor, now=business_now(), **answer
    )
    return _consent(consent)


@blueprint.after_request  # type: ignore[untyped-decorator]
def keep_nowhere(answer: Response) -> Response:
    """Nothing on the way may keep what is told here."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _person_id() -> int:
    person_id = caller().person_id
    assert person_id is not None, "an owner's account without a person"
    return person_id


def _consent(consent: Consent) -> dict[str, Any]:
    names = ("purpose", "version", "given")
    return {name: getattr(consent, name) for name in names} | {"at": instant(consent.at)}


def _followed(session: Session, person_id: int) -> dict[int, dict[str, Any]]:
    """What followed from each of the person's trade-ins, by its id."""
    rows = session.execute(
        select(
            TradeIn.id,
            Wallet.tail.label("wallet_tail"),
            Claim.position,
            Claim.state.label("decision"),
            Claim.amount_fen,
            Payout.state.label("payout"),
        )
        .outerjoin(Wallet, and_(Wallet.trade_in_id == TradeIn.id, Wallet.superseded_at.is_(None)))
        .outerjoin(Claim, Claim.trade_in_id == TradeIn.id)
        .outerjoin(Payout, Payout.trade_in_id == TradeIn.id)
        .where(TradeIn.owner_id == person_id)
    )
    return {row.id: {name: value for name, value in row._mapping.items() if name != "id"} for row in rows}
