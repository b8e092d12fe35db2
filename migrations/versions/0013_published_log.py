"""The queue as an append-only Merkle log with signed heads."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"

# Salts and tokens stand outside: what opens a leaf to a person can be erased, the leaf cannot.
APPEND_ONLY = ("log_leaf", "log_node", "log_head")


def upgrade() -> None:
    op.create_table(
        "published_log",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("event_no", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unseen", sa.Integer(), server_default="0", nullable=False),
        sa.Column("windows", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(["programme_id"], ["programme.id"], name="fk_published_log_programme_id_programme"),
        sa.PrimaryKeyConstraint("programme_id", name="pk_published_log"),
    )
    create_tree()
    op.create_table(
        "log_salt",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("programme_id", "leaf", name="pk_log_salt"),
    )
    op.create_table(
        "log_token",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("programme_id", "person_id", name="pk_log_token"),
        sa.UniqueConstraint("programme_id", "token", name="uq_log_token_programme_id_token"),
    )
    # Decisions stand in the table as their events came: a few pages of ranges find those of some events.
    op.create_index(
        "ix_decision_event",
        "decision",
        ["event_no"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM mapai_app")


def create_tree() -> None:
    op.create_table(
        "log_leaf",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.BigInteger(), nullable=False),
        sa.Column("event_no", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("programme_id", "leaf", name="pk_log_leaf"),
    )
    op.create_index(
        "ix_log_leaf_position",
        "log_leaf",
        ["programme_id", "position", "leaf"],
        postgresql_where=sa.text("position IS NOT NULL"),
    )
    op.create_table(
        "log_node",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("programme_id", "level", "number", name="pk_log_node"),
    )
    op.create_table(
        "log_head",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("programme_id", "size", "is_public", name="pk_log_head"),
    )
    op.create_index("ix_log_head_public", "log_head", ["programme_id", "size"], postgresql_where=sa.text("is_public"))
