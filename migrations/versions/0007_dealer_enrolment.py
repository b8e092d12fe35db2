"""Dealers on their way to a licence: applications, commitments, training, licences, hand-overs."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from migrations.dealer_texts import COMMITMENT_ZH, EFFECTIVE_AT, MATERIAL_TITLE, MATERIAL_ZH, QUESTIONS, sha256_of

revision = "0007"
down_revision = "0006"

APPEND_ONLY = ("dealer_step", "commitment_signature", "trade_in_handover")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    widen_dealer()
    op.add_column("account", sa.Column("dealer_manager", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("one_time_code", sa.Column("purpose", sa.String(length=20), server_default="sign_in", nullable=False))
    create_steps()
    create_application()
    create_commitment()
    create_training()
    create_handover()
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM mapai_app")
    insert_first_versions()


def widen_dealer() -> None:
    op.alter_column("dealer", "opening_hours", type_=sa.String(length=120), existing_nullable=False)
    op.add_column("dealer", sa.Column("licensed_until", sa.Date(), nullable=True))
    op.add_column("dealer", sa.Column("mobile_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("dealer", sa.Column("mobile_index", sa.LargeBinary(), nullable=True))
    op.add_column("dealer", sa.Column("representative_sealed", sa.LargeBinary(), nullable=True))


def create_steps() -> None:
    op.create_table(
        "dealer_step",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("licensed_until", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_dealer_step_dealer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_dealer_step"),
    )
    op.create_index("ix_dealer_step_dealer_id", "dealer_step", ["dealer_id"], unique=False)
    op.create_table(
        "dealer_revocation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("proposed_by", sa.String(length=60), nullable=False),
        sa.Column("proposed_at", INSTANT, nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.Column("approved", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_dealer_revocation_dealer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_dealer_revocation"),
    )
    op.create_index(
        "uq_dealer_revocation_open",
        "dealer_revocation",
        ["dealer_id"],
        unique=True,
        postgresql_where=sa.text("decided_at IS NULL"),
    )


def create_application() -> None:
    op.create_table(
        "dealer_application",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reference", sa.String(length=16), nullable=False),
        sa.Column("dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), server_default="waiting", nullable=False),
        sa.Column("doubt", sa.String(length=200), nullable=True),
        sa.Column("licence_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("licence_photo", sa.LargeBinary(), nullable=True),
        sa.Column("phone_proof", sa.String(length=32), nullable=False),
        sa.Column("submitted_at", INSTANT, nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_dealer_application_dealer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_dealer_application"),
        sa.UniqueConstraint("reference", name="uq_dealer_application_reference"),
    )
    op.create_index("ix_dealer_application_state", "dealer_application", ["state"], unique=False)
    op.create_index(
        "uq_dealer_application_waiting",
        "dealer_application",
        ["dealer_id"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
    )


def create_commitment() -> None:
    op.create_table(
        "commitment_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text_zh", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("effective_at", INSTANT, nullable=False),
        sa.Column("sign_by", sa.Date(), nullable=True),
        sa.Column("drafted_by", sa.String(length=60), nullable=False),
        sa.Column("drafted_at", INSTANT, nullable=False),
        sa.Column("approved_by", sa.String(length=60), nullable=True),
        sa.Column("approved_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("version", name="pk_commitment_version"),
    )
    op.create_table(
        "commitment_signature",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("phone_masked", sa.String(length=20), nullable=True),
        sa.Column("evidence", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("signed_at", INSTANT, nullable=False),
        sa.CheckConstraint("method IN ('code', 'paper')", name="ck_commitment_signature_method"),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_commitment_signature_dealer_id"),
        sa.ForeignKeyConstraint(["version"], ["commitment_version.version"], name="fk_commitment_signature_version"),
        sa.PrimaryKeyConstraint("id", name="pk_commitment_signature"),
        sa.UniqueConstraint("dealer_id", "version", name="uq_commitment_signature_dealer_id_version"),
    )


def create_training() -> None:
    op.create_table(
        "training_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("title", sa.String(length=60), nullable=False),
        sa.Column("text_zh", sa.Text(), nullable=False),
        sa.Column("effective_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_training_version"),
    )
    op.create_table(
        "training_question",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(length=200), nullable=False),
        sa.Column("options", JSONB(), nullable=False),
        sa.Column("answer", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["training_version.version"], name="fk_training_question_version"),
        sa.PrimaryKeyConstraint("id", name="pk_training_question"),
    )
    op.create_index("ix_training_question_version", "training_question", ["version"], unique=False)
    op.create_table(
        "training_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("question_ids", JSONB(), nullable=False),
        sa.Column("pass_mark", sa.Integer(), nullable=False),
        sa.Column("drawn_at", INSTANT, nullable=False),
        sa.Column("answers", JSONB(), nullable=True),
        sa.Column("correct", sa.Integer(), nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=True),
        sa.Column("submitted_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_training_attempt_dealer_id"),
        sa.ForeignKeyConstraint(["version"], ["training_version.version"], name="fk_training_attempt_version"),
        sa.PrimaryKeyConstraint("id", name="pk_training_attempt"),
    )
    op.create_index("ix_training_attempt_dealer", "training_attempt", ["dealer_id", "drawn_at"], unique=False)


def create_handover() -> None:
    op.create_table(
        "trade_in_handover",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("from_dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("to_dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_trade_in_handover_trade_in_id"),
        sa.ForeignKeyConstraint(["from_dealer_id"], ["dealer.id"], name="fk_trade_in_handover_from_dealer_id"),
        sa.ForeignKeyConstraint(["to_dealer_id"], ["dealer.id"], name="fk_trade_in_handover_to_dealer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_trade_in_handover"),
    )
    op.create_index("ix_trade_in_handover_trade_in_id", "trade_in_handover", ["trade_in_id"], unique=False)


def insert_first_versions() -> None:
    """Every district begins with the same first commitment, material and questions."""
    at = datetime.fromisoformat(EFFECTIVE_AT).astimezone(UTC)
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "INSERT INTO commitment_version"
            " (version, text_zh, sha256, effective_at, drafted_by, drafted_at, approved_by, approved_at)"
            " VALUES (1, :text_zh, :sha256, :at, 'mapai', :at, 'mapai', :at)"
        ),
        {"text_zh": COMMITMENT_ZH, "sha256": sha256_of(COMMITMENT_ZH), "at": at},
    )
    connection.execute(
        sa.text("INSERT INTO training_version (version, title, text_zh, effective_at) VALUES (1, :title, :text, :at)"),
        {"title": MATERIAL_TITLE, "text": MATERIAL_ZH, "at": at},
    )
    questions = sa.table(
        "training_question",
        sa.column("version", sa.Integer()),
        sa.column("question", sa.String()),
        sa.column("options", JSONB()),
        sa.column("answer", sa.Integer()),
    )
    rows = [
        {"version": 1, "question": question, "options": list(options), "answer": answer}
        for question, options, answer in QUESTIONS
    ]
    op.bulk_insert(questions, rows)
