"""Changes of a programme as one person drafts and another approves them, and what owners were told of its stages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "programme_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), server_default="drafted", nullable=False),
        sa.Column("base_version_no", sa.Integer(), nullable=False),
        sa.Column("rules", JSONB(), nullable=True),
        sa.Column("grace_reserves", sa.Boolean(), nullable=True),
        sa.Column("reason_zh", sa.String(length=200), nullable=True),
        sa.Column("reason_en", sa.String(length=200), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("effect", JSONB(), nullable=True),
        sa.Column("drafted_by", sa.String(length=60), nullable=False),
        sa.Column("drafted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_note", sa.String(length=300), nullable=True),
        sa.Column("event_no", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('version', 'pause', 'resume')", name="ck_programme_change_known_kind"),
        sa.CheckConstraint(
            "state IN ('drafted', 'approved', 'refused', 'withdrawn')", name="ck_programme_change_known_state"
        ),
        sa.CheckConstraint("(kind = 'version') = (rules IS NOT NULL)", name="ck_programme_change_rules_of_a_version"),
        sa.CheckConstraint(
            "(kind = 'version') = (reason_zh IS NULL) AND (kind = 'version') = (reason_en IS NULL)",
            name="ck_programme_change_public_reason",
        ),
        sa.CheckConstraint("(state = 'drafted') = (decided_by IS NULL)", name="ck_programme_change_decided"),
        sa.CheckConstraint("(state = 'approved') = (event_no IS NOT NULL)", name="ck_programme_change_in_the_queue"),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'refused') OR decided_by <> drafted_by", name="ck_programme_change_two_persons"
        ),
        sa.ForeignKeyConstraint(["programme_id"], ["programme.id"], name="fk_programme_change_programme_id_programme"),
        sa.PrimaryKeyConstraint("id", name="pk_programme_change"),
    )
    op.create_index("ix_programme_change_programme", "programme_change", ["programme_id", "id"])
    op.create_table(
        "stage_notice",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("stage_no", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("occasion", sa.String(length=32), nullable=False),
        sa.Column("body", sa.String(length=500), nullable=False),
        sa.Column("opened_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("kind IN ('closing_soon', 'run_out', 'closed')", name="ck_stage_notice_known_kind"),
        sa.ForeignKeyConstraint(["programme_id"], ["programme.id"], name="fk_stage_notice_programme_id_programme"),
        sa.PrimaryKeyConstraint("programme_id", "stage_no", "kind", "occasion", name="pk_stage_notice"),
    )
