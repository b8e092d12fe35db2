"""Payment batches, and the bank statement line by line."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    create_payment_batch()
    widen_payout()
    create_statement_line()
    create_wallet_check()
    guard_items()


def instant(name: str, *, nullable: bool = True) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def create_payment_batch() -> None:
    op.create_table(
        "payment_batch",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("state", sa.String(length=12), server_default="cut", nullable=False),
        sa.Column("payouts", sa.Integer(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("needs_second", sa.Boolean(), nullable=False),
        instant("cut_at", nullable=False),
        sa.Column("cut_by", sa.String(length=60), nullable=False),
        sa.Column("first_by", sa.String(length=60), nullable=True),
        instant("first_at"),
        sa.Column("second_by", sa.String(length=60), nullable=True),
        instant("second_at"),
        sa.Column("fund_fen", sa.BigInteger(), nullable=True),
        instant("fund_asked_at"),
        instant("released_at"),
        instant("ended_at"),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.CheckConstraint("payouts > 0 AND total_fen > 0", name="ck_payment_batch_not_empty"),
        sa.CheckConstraint("cut_by <> first_by OR first_by = 'scheduler'", name="ck_payment_batch_approved_by_another"),
        sa.CheckConstraint("second_by <> first_by AND second_by <> cut_by", name="ck_payment_batch_second_is_another"),
        sa.PrimaryKeyConstraint("id", name="pk_payment_batch"),
    )
    op.create_index(
        "ix_payment_batch_open",
        "payment_batch",
        ["id"],
        postgresql_where=sa.text("state NOT IN ('finished', 'cancelled')"),
    )
    op.create_table(
        "payment_batch_item",
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("payout_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["payment_batch.id"], name="fk_payment_batch_item_batch_id"),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name="fk_payment_batch_item_payout_id"),
        sa.PrimaryKeyConstraint("batch_id", "payout_id", name="pk_payment_batch_item"),
    )
    op.create_index("ix_payment_batch_item_payout_id", "payment_batch_item", ["payout_id"])


def widen_payout() -> None:
    op.add_column("payout", sa.Column("batch_id", sa.BigInteger(), nullable=True))
    op.add_column("payout", instant("awaiting_since"))
    op.add_column("payout", sa.Column("reminders", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("payout", instant("reminded_at"))
    op.create_foreign_key("fk_payout_batch_id", "payout", "payment_batch", ["batch_id"], ["id"])
    op.create_index("ix_payout_batch", "payout", ["batch_id", "owed_since"], postgresql_where=sa.text("state = 'owed'"))
    op.add_column("payout_attempt", sa.Column("decided_by", sa.String(length=60), nullable=True))


def create_statement_line() -> None:
    op.create_table(
        "statement_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("bank_number", sa.String(length=80), nullable=False),
        sa.Column("listed", sa.String(length=10), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("payout_id", sa.BigInteger(), nullable=True),
        sa.Column("our_state", sa.String(length=10), nullable=True),
        sa.Column("our_fen", sa.BigInteger(), nullable=True),
        sa.Column("bank_state", sa.String(length=10), nullable=True),
        sa.Column("bank_fen", sa.BigInteger(), nullable=True),
        sa.Column("judged_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("finding", sa.String(length=500), nullable=True),
        sa.Column("resolution", sa.String(length=20), nullable=True),
        sa.Column("document_no", sa.String(length=60), nullable=True),
        sa.Column("written_off_fen", sa.BigInteger(), nullable=True),
        sa.Column("found_by", sa.String(length=60), nullable=True),
        instant("found_at"),
        sa.Column("resolved_by", sa.String(length=60), nullable=True),
        instant("resolved_at"),
        sa.CheckConstraint(
            "resolution <> 'write_off' OR resolved_by <> found_by", name="ck_statement_line_written_off_by_two"
        ),
        sa.ForeignKeyConstraint(["day"], ["bank_statement.day"], name="fk_statement_line_day"),
        sa.PrimaryKeyConstraint("id", name="pk_statement_line"),
        sa.UniqueConstraint("day", "bank_number", "listed", name="uq_statement_line_day_bank_number_listed"),
    )
    op.create_index("ix_statement_line_bank_number", "statement_line", ["bank_number"])
    op.create_index(
        "ix_statement_line_open",
        "statement_line",
        ["day"],
        postgresql_where=sa.text("verdict <> 'same' AND resolved_at IS NULL"),
    )


def create_wallet_check() -> None:
    op.create_table(
        "wallet_check",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_wallet_check"),
    )
    op.create_index("ix_wallet_check_actor_at", "wallet_check", ["actor", "at"])
    op.create_index("ix_wallet_check_trade_in_id_at", "wallet_check", ["trade_in_id", "at"])


def guard_items() -> None:
    """What was approved is never rewritten."""
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_batch_item"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute("REVOKE UPDATE, DELETE ON payment_batch_item FROM mapai_app")
