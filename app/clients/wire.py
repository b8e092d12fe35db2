"""How partners' documents are spelled on the wire."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


def as_bytes(document: dict[str, Any]) -> bytes:
    """Return the document as UTF-8 JSON without spaces."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def read_instant(text: Any) -> datetime | None:
    """Return the aware UTC instant of an ISO 8601 text with offset, None for None; ValueError or TypeError else."""
    if text is None:
        return None
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant carries its offset")
    return instant.astimezone(UTC)
