"""Plates: the signed codes on them, and what became of each."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Nothing yet."""
