"""Changes of a programme as one person drafts and another approves them."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    pass
