"""Imports that run in the background, and what a person asked to have erased."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    pass
