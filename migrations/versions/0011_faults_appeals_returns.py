"""Faults and their corrections, overrules, appeals, and awards that come back."""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    pass
