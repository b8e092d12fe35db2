"""New bikes' models, batteries, transfers of ownership, and the ends of old bikes."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    pass
