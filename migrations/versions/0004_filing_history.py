"""Filings: the history of corrected rows, and what was there before Mapai."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Nothing yet."""
