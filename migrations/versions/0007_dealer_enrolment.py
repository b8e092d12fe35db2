"""Dealers on their way to a licence: applications, commitments, training, licences, hand-overs."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    pass
