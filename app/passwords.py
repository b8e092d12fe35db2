"""Looking at passwords, never many at a time: each look takes a core for some 30 ms, and everything else shares it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.security import check_password_hash

from app.refusals import TooManySigningIn

AT_ONCE = 2
# So many more may stand in line, and so long: whoever waits holds a thread of the server.
MAY_WAIT = 8
WAIT_S = 1.5
_slots = threading.BoundedSemaphore(AT_ONCE)
_line = threading.BoundedSemaphore(AT_ONCE + MAY_WAIT)


@contextmanager
def one_of_few() -> Iterator[None]:
    """Hold one of the two places of this process in which a password is looked at.

    Raises TooManySigningIn: at once where eight wait already, else after a second and a half.
    """
    if not _line.acquire(blocking=False):
        raise TooManySigningIn
    try:
        if not _slots.acquire(timeout=WAIT_S):
            raise TooManySigningIn
        try:
            yield
        finally:
            _slots.release()
    finally:
        _line.release()


def is_right(password_hash: str, password: str) -> bool:
    """Say whether this is the password; for whoever holds ``one_of_few``."""
    return check_password_hash(password_hash, password)
