"""People: one-time codes, proxies, consent, and who looked at what."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing yet."""
