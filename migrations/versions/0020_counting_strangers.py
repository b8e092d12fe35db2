"""What the limits tell apart: wrong passwords, tries at a code from elsewhere, and looks at one person alone."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("sign_in_attempt", sa.Column("wrong", sa.Boolean(), server_default="false", nullable=False))
    op.create_index("ix_sign_in_attempt_address_at", "sign_in_attempt", ["address", "at"])
    op.add_column("one_time_code", sa.Column("tries_elsewhere", sa.Integer(), server_default="0", nullable=False))
    op.add_column("unmasking", sa.Column("in_list", sa.Boolean(), server_default="false", nullable=False))
    op.drop_index("ix_unmasking_account_id", "unmasking")
    op.create_index("ix_unmasking_account_id_at", "unmasking", ["account_id", "at"])


def downgrade() -> None:
    op.drop_index("ix_unmasking_account_id_at", "unmasking")
    op.create_index("ix_unmasking_account_id", "unmasking", ["account_id"])
    op.drop_column("unmasking", "in_list")
    op.drop_column("one_time_code", "tries_elsewhere")
    op.drop_index("ix_sign_in_attempt_address_at", "sign_in_attempt")
    op.drop_column("sign_in_attempt", "wrong")
