"""The scheduler's part in the published log: committed events become leaves, and a head is signed over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.log_keys import LogKeysMissing, signing_log_keys
from subsidy.log_publishing import publish

if TYPE_CHECKING:
    from app.jobs import Equipment

# One run takes so many batches at most; the rest waits for the next slot.
MOST_BATCHES = 10


def publish_log(equipment: Equipment) -> str | None:
    """Append the leaves of what was committed since, programme by programme."""
    terms = equipment.log
    if terms is None:
        return None
    try:
        signer = signing_log_keys(terms.settings).must_sign()
    except LogKeysMissing:
        return "no signing key: nothing published"
    added = 0
    connection = equipment.engine.raw_connection()
    try:
        driver = connection.driver_connection
        assert driver is not None
        for _ in range(MOST_BATCHES):
            if not equipment.leads():
                break
            leaves = publish(connection=driver, signer=signer, now=equipment.clock.now(), crowd=terms.crowd)
            added += leaves
            if not leaves:
                break
    finally:
        connection.close()
    return f"{added} leaves" if added else None
