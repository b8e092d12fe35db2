"""Magic app ids of the sandbox: what stands after the last full stop picks what WeChat does with that account."""

from __future__ import annotations

from app.clients.faults import Fault

MAGIC: dict[str, Fault] = {
    "slow": Fault.SLOW,
    "unavailable": Fault.UNAVAILABLE,
    "unavailable_once": Fault.UNAVAILABLE_ONCE,
    "error_after": Fault.ERROR_AFTER,
    "silent": Fault.SILENT,
    "lost": Fault.LOST,
}
# WeChat's own ways of saying no: the code it answers, with 200.
BUSY, ADDRESS_NOT_LISTED, TOKEN_OVER = "busy", "address_not_listed", "token_over"


def word_of(app_id: str) -> str:
    """Return what an app id provokes, empty for the ordinary."""
    return app_id.rpartition(".")[2] if "." in app_id else ""
