"""Imports in the background, erasure and what it locks, kinds of notices, an actor's deeds found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    create_import_job()
    create_import_chunk()
    create_erasure()
    op.add_column("person", sa.Column("locked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "message", sa.Column("kind", sa.String(length=12), server_default=sa.text("'decision'"), nullable=False)
    )
    op.create_index("ix_audit_entry_actor_id", "audit_entry", ["actor", "id"], unique=False)
    # Deeds are written in the order of time: a few bytes for many pages find a day.
    op.create_index("ix_audit_entry_at", "audit_entry", ["at"], unique=False, postgresql_using="brin")


def create_import_job() -> None:
    op.create_table(
        "import_job",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("no", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("file_name", sa.String(length=120), nullable=False),
        sa.Column("file_bytes", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), server_default=sa.text("'queued'"), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("runs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rows_total", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("counts", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("codes", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("problems", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("led_to", sa.String(length=16), nullable=True),
        sa.Column("failure", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("alive_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_import_job"),
        sa.UniqueConstraint("no", name="uq_import_job_no"),
    )
    op.create_index(
        "ix_import_job_due",
        "import_job",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )


def create_import_chunk() -> None:
    op.create_table(
        "import_chunk",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("import_job_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.String(length=8), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["import_job_id"], ["import_job.id"], name="fk_import_chunk_import_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_import_chunk"),
        sa.UniqueConstraint("import_job_id", "part", "place", name="uq_import_chunk_import_job_id_part_place"),
    )
    # Sealed bytes do not compress: trying costs time only.
    op.execute("ALTER TABLE import_chunk ALTER COLUMN body_sealed SET STORAGE EXTERNAL")


def create_erasure() -> None:
    op.create_table(
        "erasure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.String(length=60), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.String(length=12), nullable=False),
        sa.Column("blocked_by", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("removed", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("kept", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("kept_until", sa.Date(), nullable=True),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restored_by", sa.String(length=60), nullable=True),
        sa.Column("restored_reason", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_erasure_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
    )
    op.create_index("ix_erasure_person_id", "erasure", ["person_id"], unique=False)
    op.create_index(
        "uq_erasure_standing",
        "erasure",
        ["person_id"],
        unique=True,
        postgresql_where=sa.text("decision = 'carried_out' AND restored_at IS NULL"),
    )
