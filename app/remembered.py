"""What a crowd reads, kept in each process for a second at most; what is dear to read, longer.

Whoever reads needs a connection, and those who wait for him must not hold the last one. So what takes one connection is
read by somebody who had it before he was alone, and what is read as of one instant (``dear``: its transaction is a new
one) is waited for without any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from flask import current_app

from app.db import db
from app.snapshot import FRESH_S, Snapshot

Seen = TypeVar("Seen")


def remembered(key: str, read: Callable[[], Seen], *, fresh_s: float = FRESH_S, dear: bool = False) -> Seen:
    """Return what ``read`` gave this application under ``key``, at most a second ago or as long as ``fresh_s`` says.

    What is ``dear`` (many rows are counted for it, in a transaction of its own) may be older where its reading takes
    long: see Snapshot. Where it is due, what the caller's session has not committed is rolled back.
    """
    extensions = current_app.extensions
    snapshot = extensions.get(key) or extensions.setdefault(
        key, Snapshot(read, fresh_s=fresh_s, dear=dear, prepare=db.session.rollback if dear else db.session.connection)
    )
    return cast("Seen", snapshot.get())
