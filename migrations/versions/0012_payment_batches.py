"""Payment batches, and the bank statement line by line."""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    pass
