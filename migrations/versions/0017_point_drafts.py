"""What points keep of their counters, and notices to dealers beside those to people."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "point_draft",
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("typed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("saved_by", sa.String(length=60), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_point_draft_trade_in_id_trade_in"),
        sa.PrimaryKeyConstraint("trade_in_id", "step", name="pk_point_draft"),
    )
    op.alter_column("message", "person_id", existing_type=sa.BigInteger(), nullable=True)
    op.add_column("message", sa.Column("dealer_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key("fk_message_dealer_id_dealer", "message", "dealer", ["dealer_id"], ["id"])
    op.create_index("ix_message_dealer_id", "message", ["dealer_id"], postgresql_where=sa.text("dealer_id IS NOT NULL"))
    op.create_check_constraint(op.f("ck_message_to_one"), "message", "num_nonnulls(person_id, dealer_id) = 1")


def downgrade() -> None:
    op.drop_constraint(op.f("ck_message_to_one"), "message", type_="check")
    op.execute("DELETE FROM message WHERE person_id IS NULL")
    op.drop_index("ix_message_dealer_id", "message")
    op.drop_column("message", "dealer_id")
    op.alter_column("message", "person_id", existing_type=sa.BigInteger(), nullable=False)
    op.drop_table("point_draft")
