"""What owners have typed and not yet sent."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "owner_draft",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("answers_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_owner_draft_trade_in_id_trade_in"),
        sa.PrimaryKeyConstraint("id", name="pk_owner_draft"),
        sa.UniqueConstraint("trade_in_id", "kind", name="uq_owner_draft_trade_in_id_kind"),
    )
    op.create_index("ix_owner_draft_saved_at", "owner_draft", ["saved_at"])
    op.create_table(
        "owner_draft_photo",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("draft_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["draft_id"], ["owner_draft.id"], name="fk_owner_draft_photo_draft_id_owner_draft", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_owner_draft_photo"),
        sa.UniqueConstraint("draft_id", "sha256", name="uq_owner_draft_photo_draft_id_sha256"),
    )
