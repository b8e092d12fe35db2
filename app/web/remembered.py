"""What a crowd reads, kept for a second at most in each process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from flask import current_app

from app.snapshot import Snapshot

Seen = TypeVar("Seen")


def remembered(key: str, read: Callable[[], Seen]) -> Seen:
    """Return what ``read`` gave this application under ``key``, at most a second ago."""
    snapshot = current_app.extensions.get(key) or current_app.extensions.setdefault(key, Snapshot(read))
    return cast("Seen", snapshot.get())
