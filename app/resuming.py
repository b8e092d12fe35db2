"""Coming back to a trade-in by its reference (查询号) and a code sent to the owner's phone, without a password.

Neither asking, how often one may ask, nor a wrong code tells a stranger whether a reference exists, or whose phone
stands behind it; only while the message gateway is away does an existing one say so.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.auth import sign_in_owner
from app.clock import real
from registry.codes import clean_reference
from registry.one_time_codes import Asker, CodeWrong, count_unsent, prove_phone, send_code
from registry.people import Person, open_phone
from registry.sealing import Keyring
from registry.sms_gateway import SmsGateway
from registry.trade_ins import EVERYBODYS, TradeInNotFound, get_trade_in

PURPOSE = "resume"


def send_resume_code(*, session: Session, keyring: Keyring, gateway: SmsGateway, reference: str, asker: Asker) -> str:
    """Send a code to the phone of the owner of this trade-in, where there is one; return the clean reference. Commits.

    Raises ReferenceInvalid for what can be no reference, CodesTooOften, and PartnerUnavailable.
    """
    clean = clean_reference(reference)
    person = _owner_of(session, clean)
    phone = open_phone(person=person, keyring=keyring) if person is not None else None
    if phone is not None:
        send_code(
            session=session,
            keyring=keyring,
            gateway=gateway,
            phone=phone,
            asker=asker,
            now=real(),
            purpose=PURPOSE,
            about=clean,
        )
    else:
        count_unsent(session=session, keyring=keyring, asker=asker, now=real(), purpose=PURPOSE, about=clean)
    return clean


def sign_in_by_reference(*, session: Session, keyring: Keyring, reference: str, code: str) -> str:
    """Return a new token for the owner of this trade-in, who has the code sent to his phone; commits.

    Raises ReferenceInvalid, CodeWrong (also where there is no such trade-in) and AccountClosed.
    """
    clean = clean_reference(reference)
    person = _owner_of(session, clean)
    phone = open_phone(person=person, keyring=keyring) if person is not None else None
    if person is None or phone is None:
        raise CodeWrong
    prove_phone(session=session, keyring=keyring, phone=phone, purpose=PURPOSE, code=code, now=real(), about=clean)
    return sign_in_owner(session=session, keyring=keyring, person=person)


def _owner_of(session: Session, reference: str) -> Person | None:
    try:
        trade_in = get_trade_in(session=session, reference=reference, reach=EVERYBODYS)
    except TradeInNotFound:
        return None
    return session.get(Person, trade_in.owner_id)
