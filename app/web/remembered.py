"""What a crowd reads, kept in each process for a second at most; what is dear to read, longer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from flask import current_app

from app.snapshot import Snapshot

Seen = TypeVar("Seen")


def remembered(key: str, read: Callable[[], Seen], *, dear: bool = False) -> Seen:
    """Return what ``read`` gave this application under ``key``, at most a second ago.

    What is ``dear`` (many rows are counted for it) may be older where its reading takes long: see Snapshot.
    """
    snapshot = current_app.extensions.get(key) or current_app.extensions.setdefault(key, Snapshot(read, dear=dear))
    return cast("Seen", snapshot.get())
