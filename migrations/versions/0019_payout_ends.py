"""How frozen payouts are to end, asked for by one person and decided by another."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "payout_end",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("payout_id", sa.BigInteger(), nullable=False),
        sa.Column("resolution", sa.String(length=24), nullable=False),
        sa.Column("finding", sa.String(length=500), nullable=False),
        sa.Column("document_no", sa.String(length=60), nullable=False),
        sa.Column("asked_by", sa.String(length=60), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.Column("opinion", sa.String(length=500), nullable=True),
        sa.CheckConstraint("(outcome IS NULL) = (decided_at IS NULL)", name="outcome_has_its_time"),
        sa.CheckConstraint("outcome <> 'approved' OR decided_by <> asked_by", name="decided_by_another"),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name="fk_payout_end_payout_id_payout"),
        sa.PrimaryKeyConstraint("id", name="pk_payout_end"),
    )
    op.create_index(
        "uq_payout_end_open",
        "payout_end",
        ["payout_id"],
        unique=True,
        postgresql_where=sa.text("outcome IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("payout_end")
