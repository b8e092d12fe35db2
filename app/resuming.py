"""Coming back to a trade-in by its reference (查询号) and a code sent to the owner's phone, without a password.

Neither asking, how long the answer takes, how often one may ask, nor a wrong code tells a stranger whether a reference
exists, or whose phone stands behind it: asking counts for the reference, and the message leaves while everybody waits
equally long.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy.orm import Session

from app.auth import sign_in_owner
from app.clock import real
from registry.base import PartnerUnavailable
from registry.code_limits import Asker, CodesTooOften
from registry.codes import clean_reference
from registry.one_time_codes import CodeWrong, count_asking, prove_phone, write_code
from registry.people import Person, open_phone
from registry.sealing import Keyring
from registry.sms_gateway import SmsGateway
from registry.trade_ins import EVERYBODYS, TradeInNotFound, get_trade_in

PURPOSE = "resume"
# Every answer takes so long; a gateway that works has the message by then.
EVEN_S = 0.25
_log = structlog.get_logger()


def send_resume_code(*, session: Session, keyring: Keyring, gateway: SmsGateway, reference: str, asker: Asker) -> str:
    """Send a code to the phone of the owner of this trade-in, where there is one; return the clean reference. Commits.

    The message leaves beside the answer, so one that the gateway does not take is not told: whoever gets none asks
    again after a minute. Raises ReferenceInvalid for what can be no reference, and CodesTooOften.
    """
    until_s = time.monotonic() + EVEN_S
    clean = clean_reference(reference)
    count_asking(session=session, keyring=keyring, asker=asker, now=real(), purpose=PURPOSE, about=clean)
    person = _owner_of(session, clean)
    phone = open_phone(person=person, keyring=keyring) if person is not None else None
    if phone is not None:
        # A phone that gets no more codes today is not told either: a reference that is none has no phone.
        with contextlib.suppress(CodesTooOften):
            send = write_code(
                session=session,
                keyring=keyring,
                gateway=gateway,
                phone=phone,
                asker=asker,
                now=real(),
                purpose=PURPOSE,
                about=clean,
            )
            threading.Thread(target=_send, args=(send,), name="resume-code", daemon=True).start()
    session.rollback()  # no connection is held while nothing is done
    time.sleep(max(0.0, until_s - time.monotonic()))
    return clean


def _send(send: Callable[[], None]) -> None:
    try:
        send()
    except PartnerUnavailable as away:
        _log.warning("resume_code.not_sent", error=str(away))


def sign_in_by_reference(*, session: Session, keyring: Keyring, reference: str, code: str, address: str) -> str:
    """Return a new token for the owner of this trade-in, who has the code sent to his phone; commits.

    ``address`` is where the code was typed. Raises ReferenceInvalid, CodeWrong (also where there is no such trade-in)
    and AccountClosed.
    """
    clean = clean_reference(reference)
    person = _owner_of(session, clean)
    phone = open_phone(person=person, keyring=keyring) if person is not None else None
    if person is None or phone is None:
        raise CodeWrong
    prove_phone(
        session=session,
        keyring=keyring,
        phone=phone,
        purpose=PURPOSE,
        code=code,
        now=real(),
        about=clean,
        address=address,
    )
    return sign_in_owner(session=session, keyring=keyring, person=person)


def _owner_of(session: Session, reference: str) -> Person | None:
    try:
        trade_in = get_trade_in(session=session, reference=reference, reach=EVERYBODYS)
    except TradeInNotFound:
        return None
    return session.get(Person, trade_in.owner_id)
