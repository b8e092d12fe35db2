"""Faults and their corrections, overrules, appeals, and awards that come back."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    create_marked_fault()
    create_claim_hold()
    create_appeal()
    create_overrule()
    create_return_case()
    create_repayment()


def create_marked_fault() -> None:
    op.create_table(
        "marked_fault",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.String(length=24), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("marked_by", sa.String(length=60), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mended_by", sa.String(length=60), nullable=True),
        sa.Column("mended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_marked_fault_trade_in_id"),
        sa.PrimaryKeyConstraint("id", name="pk_marked_fault"),
    )
    op.create_index(
        "uq_marked_fault_open",
        "marked_fault",
        ["trade_in_id", "field"],
        unique=True,
        postgresql_where=sa.text("mended_at IS NULL"),
    )


def create_claim_hold() -> None:
    op.create_table(
        "claim_hold",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("reason_code", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("held_by", sa.String(length=60), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_by", sa.String(length=60), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_reason", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["programme_id", "position"],
            ["claim.programme_id", "claim.position"],
            name="fk_claim_hold_programme_id_position",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_claim_hold"),
    )
    op.create_index(
        "uq_claim_hold_open",
        "claim_hold",
        ["programme_id", "position"],
        unique=True,
        postgresql_where=sa.text("released_at IS NULL"),
    )


def create_appeal() -> None:
    op.create_table(
        "appeal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reference", sa.String(length=12), nullable=False),
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("decision_event_no", sa.BigInteger(), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.String(length=1000), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=8), server_default="filed", nullable=False),
        sa.Column("answer", sa.String(length=1000), nullable=True),
        sa.Column("answered_by", sa.String(length=60), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["programme_id", "position"],
            ["claim.programme_id", "claim.position"],
            name="fk_appeal_programme_id_position",
        ),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_appeal_trade_in_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_appeal_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_appeal"),
        sa.UniqueConstraint("reference", name="uq_appeal_reference"),
        sa.UniqueConstraint(
            "programme_id", "position", "decision_event_no", name="uq_appeal_programme_id_position_decision_event_no"
        ),
    )
    op.create_index("ix_appeal_person_id", "appeal", ["person_id"], unique=False)
    op.create_index(
        "ix_appeal_due", "appeal", ["due_on"], unique=False, postgresql_where=sa.text("state IN ('filed', 'upheld')")
    )
    op.create_table(
        "appeal_photo",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("appeal_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["appeal_id"], ["appeal.id"], name="fk_appeal_photo_appeal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_appeal_photo"),
        sa.UniqueConstraint("appeal_id", "sha256", name="uq_appeal_photo_appeal_id_sha256"),
    )


def create_overrule() -> None:
    op.create_table(
        "overrule",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reference", sa.String(length=12), nullable=False),
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("appeal_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("proposed_by", sa.String(length=60), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=8), server_default="proposed", nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(length=1000), nullable=True),
        sa.ForeignKeyConstraint(
            ["programme_id", "position"],
            ["claim.programme_id", "claim.position"],
            name="fk_overrule_programme_id_position",
        ),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_overrule_trade_in_id"),
        sa.ForeignKeyConstraint(["appeal_id"], ["appeal.id"], name="fk_overrule_appeal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_overrule"),
        sa.UniqueConstraint("reference", name="uq_overrule_reference"),
    )
    op.create_index(
        "uq_overrule_open",
        "overrule",
        ["programme_id", "position"],
        unique=True,
        postgresql_where=sa.text("state = 'proposed'"),
    )


def create_return_case() -> None:
    op.create_table(
        "return_case",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reference", sa.String(length=12), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("proof_no", sa.String(length=40), nullable=False),
        sa.Column("opened_by", sa.String(length=60), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=8), server_default="proposed", nullable=False),
        sa.Column("decided_by", sa.String(length=60), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(length=1000), nullable=True),
        sa.Column("amount_fen", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.CheckConstraint("(state IN ('demanded', 'repaid')) = (due_on IS NOT NULL)", name="ck_return_case_demand"),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_return_case_trade_in_id"),
        sa.PrimaryKeyConstraint("id", name="pk_return_case"),
        sa.UniqueConstraint("reference", name="uq_return_case_reference"),
    )
    op.create_index(
        "uq_return_case_standing",
        "return_case",
        ["trade_in_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'refused'"),
    )
    op.create_index(
        "ix_return_case_due", "return_case", ["due_on"], unique=False, postgresql_where=sa.text("state = 'demanded'")
    )


def create_repayment() -> None:
    op.create_table(
        "repayment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("return_case_id", sa.BigInteger(), nullable=False),
        sa.Column("document_no", sa.String(length=40), nullable=False),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("entered_by", sa.String(length=60), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name="ck_repayment_amount_positive"),
        sa.ForeignKeyConstraint(["return_case_id"], ["return_case.id"], name="fk_repayment_return_case_id"),
        sa.PrimaryKeyConstraint("id", name="pk_repayment"),
        sa.UniqueConstraint("return_case_id", name="uq_repayment_return_case_id"),
        sa.UniqueConstraint("document_no", name="uq_repayment_document_no"),
    )
