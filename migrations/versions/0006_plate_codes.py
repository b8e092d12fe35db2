"""Plates: the signed codes on them, and what became of each."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "plate_code",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("plate_id", sa.BigInteger(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("payload", sa.String(length=200), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("state", sa.String(length=12), server_default="valid", nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('valid', 'stolen', 'replaced', 'cancelled')", name="ck_plate_code_known_state"),
        sa.CheckConstraint("edition BETWEEN 1 AND 255 AND key_id BETWEEN 1 AND 255", name="ck_plate_code_a_byte"),
        sa.ForeignKeyConstraint(["plate_id"], ["plate.id"], name="fk_plate_code_plate_id_plate"),
        sa.PrimaryKeyConstraint("id", name="pk_plate_code"),
        sa.UniqueConstraint("payload", name="uq_plate_code_payload"),
        sa.UniqueConstraint("plate_id", "edition", name="uq_plate_code_plate_id_edition"),
    )
    op.create_index(
        "uq_plate_code_live",
        "plate_code",
        ["plate_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('valid', 'stolen')"),
    )
