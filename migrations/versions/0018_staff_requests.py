"""What gives powers to a staff account, asked for by one and decided by another; resets of authenticators among it."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

OPEN = sa.text("outcome IS NULL")
# What was asked before keeps its time and its end; whoever had not decided yet may still.
TAKE_OVER = """
INSERT INTO staff_request (kind, account_id, reason, asked_by, asked_at, decided_by, decided_at, outcome)
SELECT 'authenticator', account_id, reason, asked_by, asked_at, decided_by, decided_at,
       CASE WHEN decided_at IS NULL THEN NULL WHEN approved THEN 'approved' ELSE 'refused' END
FROM second_factor_reset ORDER BY id
"""
GIVE_BACK = """
INSERT INTO second_factor_reset (account_id, reason, asked_by, asked_at, decided_by, decided_at, approved)
SELECT account_id, reason, asked_by, asked_at, decided_by, decided_at, outcome = 'approved'
FROM staff_request WHERE kind = 'authenticator' AND outcome IS DISTINCT FROM 'withdrawn' ORDER BY id
"""


def upgrade() -> None:
    op.create_table(
        "staff_request",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("login", sa.String(length=40), nullable=True),
        sa.Column("display_name", sa.String(length=40), nullable=True),
        sa.Column("old_role", sa.String(length=16), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=True),
        sa.Column("half_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("asked_by", sa.String(length=60), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name="outcome_has_its_time"),
        sa.CheckConstraint("(outcome = 'withdrawn') = (decided_by = asked_by)", name="decided_by_another"),
        sa.CheckConstraint("kind = 'add' OR account_id IS NOT NULL", name="has_its_account"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_staff_request_account_id_account"),
        sa.PrimaryKeyConstraint("id", name="pk_staff_request"),
    )
    for name, column in (("account", "account_id"), ("login", "login")):
        op.create_index(f"uq_staff_request_open_{name}", "staff_request", [column], unique=True, postgresql_where=OPEN)
    op.execute(TAKE_OVER)
    op.drop_table("second_factor_reset")


def downgrade() -> None:
    op.create_table(
        "second_factor_reset",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("asked_by", sa.String(length=60), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved", sa.Boolean(), nullable=True),
        sa.CheckConstraint("decided_by <> asked_by", name="decided_by_another"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_second_factor_reset_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_second_factor_reset"),
    )
    op.create_index(
        "uq_second_factor_reset_open",
        "second_factor_reset",
        ["account_id"],
        unique=True,
        postgresql_where=sa.text("decided_at IS NULL"),
    )
    op.execute(GIVE_BACK)
    op.drop_table("staff_request")
