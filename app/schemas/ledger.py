"""What the routes of the ledger take. Months are of Asia/Shanghai."""

from __future__ import annotations

from app.schemas.fields import StrictSchema
from app.schemas.payouts import Month


class ClosingQuery(StrictSchema):
    """Which period is asked for."""

    month = Month("month of the report, Asia/Shanghai; everything up to now without it")
