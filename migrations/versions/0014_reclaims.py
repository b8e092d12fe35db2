"""Money claimed back through the operator; effects of drafts reckoned in the background."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "reclaim_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("return_case_id", sa.BigInteger(), nullable=False),
        sa.Column("payout_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt_no", sa.Integer(), nullable=False),
        sa.Column("bank_number", sa.String(length=32), nullable=False),
        sa.Column("transfer_number", sa.String(length=32), nullable=False),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), server_default="due", nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("asked_by", sa.String(length=60), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ask_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("asked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.CheckConstraint("amount_fen > 0", name="ck_reclaim_attempt_amount_positive"),
        sa.CheckConstraint("(state = 'due') = (sent_at IS NULL) OR state = 'rejected'", name="ck_reclaim_attempt_sent"),
        sa.ForeignKeyConstraint(["return_case_id"], ["return_case.id"], name="fk_reclaim_attempt_return_case_id"),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name="fk_reclaim_attempt_payout_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reclaim_attempt"),
        sa.UniqueConstraint("bank_number", name="uq_reclaim_attempt_bank_number"),
    )
    op.create_index("ix_reclaim_attempt_return_case_id", "reclaim_attempt", ["return_case_id"])
    # One live reclaim a return: a second could take the money twice.
    op.create_index(
        "uq_reclaim_attempt_live",
        "reclaim_attempt",
        ["return_case_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'rejected'"),
    )
    op.create_index(
        "ix_reclaim_attempt_ask",
        "reclaim_attempt",
        ["ask_at"],
        postgresql_where=sa.text("state IN ('due', 'sent', 'unknown')"),
    )
    op.create_index(
        "ix_reclaim_attempt_reclaimed",
        "reclaim_attempt",
        ["finished_at"],
        postgresql_where=sa.text("state = 'reclaimed'"),
    )
    create_effect_run()


def create_effect_run() -> None:
    op.create_table(
        "effect_run",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("change_id", sa.BigInteger(), nullable=True),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("said", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("asked_by", sa.String(length=60), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("effect", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("refusal_zh", sa.String(length=400), nullable=True),
        sa.Column("refusal_en", sa.String(length=400), nullable=True),
        sa.CheckConstraint("effect IS NULL OR refusal_zh IS NULL", name="ck_effect_run_one_outcome"),
        sa.ForeignKeyConstraint(["programme_id"], ["programme.id"], name="fk_effect_run_programme_id"),
        sa.ForeignKeyConstraint(["change_id"], ["programme_change.id"], name="fk_effect_run_change_id"),
        sa.PrimaryKeyConstraint("id", name="pk_effect_run"),
        sa.UniqueConstraint("change_id", name="uq_effect_run_change_id"),
    )
    op.create_index(
        "ix_effect_run_open",
        "effect_run",
        ["id"],
        postgresql_where=sa.text("effect IS NULL AND refusal_zh IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("effect_run")
    op.drop_table("reclaim_attempt")
