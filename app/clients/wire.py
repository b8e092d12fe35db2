"""How partners' documents are spelled on the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

# What a partner can mean. Nearer the ends of the calendar an instant cannot be shown in another zone.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def as_bytes(document: dict[str, Any]) -> bytes:
    """Return the document as UTF-8 JSON without spaces."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def read_instant(text: Any) -> datetime | None:
    """Return the aware UTC instant of an ISO 8601 text with offset, None for None.

    Raises ValueError or TypeError for anything else, and for an instant outside the years 2000 to 2099.
    """
    if text is None:
        return None
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant carries its offset")
    # Before it is converted: the conversion itself overflows at the ends of the calendar.
    if not EARLIEST <= instant < LATEST:
        raise ValueError("an instant lies in the years 2000 to 2099")
    return instant.astimezone(UTC)


def is_number(value: Any) -> bool:
    """Say whether this can be a plate, an ID or a message number: printable text, no space at its ends."""
    return isinstance(value, str) and value.isprintable() and value == value.strip() != ""


def read_reason(text: Any) -> str | None:
    """Return a partner's reason on one printable line, None for None; raises TypeError for what is no text."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError("a reason is text")
    return "".join(sign if sign.isprintable() else " " for sign in text)
