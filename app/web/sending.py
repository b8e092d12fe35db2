"""A form sent twice has one effect: the first sending's way on is remembered and given again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping

from flask import redirect
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.idempotency import Reservation, keep, release, reserve
from app.refusals import StillRunning

# Longer than the lease of a key: whoever sends a form again that a dead process took along gets through.
WAIT_S = 17.0
PAUSE_S = 0.1
SEE_OTHER = 303


def send_once(
    *, session: Session, actor: str, submission: str, content: Mapping[str, str], work: Callable[[], str]
) -> Response:
    """Run ``work`` for the first of equal sendings and redirect each of them to the path it returned; commits.

    ``work`` leaves its last transaction open. ``content`` is what the form held: the same submission with other
    content is another sending. A refusal raised by ``work`` is raised on, and the form may be sent again. Raises
    StillRunning when the first takes too long.
    """
    said = json.dumps([submission, sorted(content.items())], ensure_ascii=False).encode("utf-8", "replace")
    reservation = _reserve(session, actor, hashlib.sha256(said).digest())
    if reservation.answer is not None:
        return redirect(reservation.answer[1].decode(), SEE_OTHER)
    try:
        target = work()
        keep(session=session, reservation=reservation, status=SEE_OTHER, body=target.encode())
        session.commit()
    except BaseException:
        release(session=session, reservation=reservation)
        raise
    return redirect(target, SEE_OTHER)


def _reserve(session: Session, actor: str, digest: bytes) -> Reservation:
    """A browser shows the answer to the last click only, so the second click waits for the first one's answer."""
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            return reserve(session=session, actor=actor, key=f"page:{digest.hex()[:40]}", request_sha256=digest)
        except StillRunning:
            session.rollback()
            if time.monotonic() > give_up:
                raise
            time.sleep(PAUSE_S)
