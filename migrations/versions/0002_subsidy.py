"""Programmes, the queue, claims, decisions, the ledger, wallets and payouts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    create_account_balance()
    create_bank_statement()
    create_decision()
    create_ledger_posting()
    create_programme()
    create_queue_event()
    create_programme_version()
    create_claim()
    create_payout()
    create_wallet()
    create_payout_attempt()


def create_account_balance() -> None:
    op.create_table(
        "account_balance",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(length=24), nullable=False),
        sa.Column("balance_fen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("programme_id", "account", name="pk_account_balance"),
    )


def create_bank_statement() -> None:
    op.create_table(
        "bank_statement",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("settled_count", sa.Integer(), nullable=False),
        sa.Column("settled_fen", sa.BigInteger(), nullable=False),
        sa.Column("findings", postgresql.JSONB(), nullable=False),
        sa.Column(
            "compared_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("day", name="pk_bank_statement"),
    )


def create_decision() -> None:
    op.create_table(
        "decision",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("event_no", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("stage_no", sa.Integer(), nullable=True),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("account", sa.String(length=24), nullable=True),
        sa.Column("fault", sa.String(length=40), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("overruled", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("programme_id", "position", "event_no", name="pk_decision"),
    )


def create_ledger_posting() -> None:
    op.create_table(
        "ledger_posting",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("event_no", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("payout_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("debit", sa.String(length=24), nullable=False),
        sa.Column("credit", sa.String(length=24), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name="ck_ledger_posting_amount_positive"),
        sa.CheckConstraint("debit <> credit", name="ck_ledger_posting_two_accounts"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_posting"),
    )
    op.create_index("ix_ledger_posting_event", "ledger_posting", ["programme_id", "event_no"], unique=False)
    op.create_index(
        "uq_ledger_posting_payout",
        "ledger_posting",
        ["payout_id", "kind"],
        unique=True,
        postgresql_where=sa.text("payout_id IS NOT NULL"),
    )


def create_programme() -> None:
    op.create_table(
        "programme",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("name_zh", sa.String(length=80), nullable=False),
        sa.Column("name_en", sa.String(length=80), nullable=False),
        sa.Column("version_no", sa.Integer(), server_default="0", nullable=False),
        sa.Column("event_no", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("head", postgresql.JSONB(), nullable=True),
        sa.Column("last_instant", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_programme"),
        sa.UniqueConstraint("code", name="uq_programme_code"),
        postgresql_with={"fillfactor": "20"},
    )


def create_queue_event() -> None:
    op.create_table(
        "queue_event",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("event_no", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stage_no", sa.Integer(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusal", sa.String(length=40), nullable=True),
        sa.Column("fault", sa.String(length=40), nullable=True),
        sa.Column("evidence_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("detail", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("programme_id", "event_no", name="pk_queue_event"),
    )
    op.create_index(
        "uq_queue_event_position",
        "queue_event",
        ["programme_id", "position"],
        unique=True,
        postgresql_where=sa.text("kind = 'claim'"),
    )


def create_programme_version() -> None:
    op.create_table(
        "programme_version",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("version_no", sa.Integer(), nullable=False),
        sa.Column("rules", postgresql.JSONB(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("event_no", sa.BigInteger(), nullable=False),
        sa.Column("drafted_by", sa.String(length=60), nullable=False),
        sa.Column("approved_by", sa.String(length=60), nullable=False),
        sa.ForeignKeyConstraint(["programme_id"], ["programme.id"], name="fk_programme_version_programme_id"),
        sa.PrimaryKeyConstraint("programme_id", "version_no", name="pk_programme_version"),
    )


def create_claim() -> None:
    op.create_table(
        "claim",
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("filed_bike_id", sa.BigInteger(), nullable=False),
        sa.Column("bike_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("stage_no", sa.Integer(), nullable=True),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id", "trade_in_id", "filed_bike_id", "bike_id"],
            ["trade_in.owner_id", "trade_in.id", "trade_in.filed_bike_id", "trade_in.bike_id"],
            name="fk_claim_trade_in",
        ),
        sa.PrimaryKeyConstraint("programme_id", "position", name="pk_claim"),
        sa.UniqueConstraint("bike_id", name="uq_claim_bike_id"),
        sa.UniqueConstraint("filed_bike_id", name="uq_claim_filed_bike_id"),
        sa.UniqueConstraint("trade_in_id", name="uq_claim_trade_in_id"),
    )
    op.create_index(
        "ix_claim_open",
        "claim",
        ["programme_id", "position"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'held')"),
    )
    op.create_index("ix_claim_person", "claim", ["person_id", "programme_id"], unique=False)


def create_payout() -> None:
    op.create_table(
        "payout",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("programme_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("stage_no", sa.Integer(), nullable=False),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("problem", sa.String(length=40), nullable=True),
        sa.Column("owed_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_payout_trade_in_id"),
        sa.PrimaryKeyConstraint("id", name="pk_payout"),
        sa.UniqueConstraint("trade_in_id", name="uq_payout_trade_in_id"),
    )
    op.create_index(
        "ix_payout_owed", "payout", ["owed_since"], unique=False, postgresql_where=sa.text("state = 'owed'")
    )
    op.create_index(
        "ix_payout_awaiting_wallet",
        "payout",
        ["trade_in_id"],
        unique=False,
        postgresql_where=sa.text("state = 'awaiting_wallet'"),
    )
    op.create_index("uq_payout_claim", "payout", ["programme_id", "position"], unique=True)


def create_wallet() -> None:
    op.create_table(
        "wallet",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("wallet_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("wallet_index", sa.LargeBinary(), nullable=False),
        sa.Column("tail", sa.String(length=4), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_wallet_person_id"),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_wallet_trade_in_id"),
        sa.PrimaryKeyConstraint("id", name="pk_wallet"),
    )
    op.create_index("ix_wallet_trade_in_id", "wallet", ["trade_in_id"], unique=False)
    op.create_index(
        "uq_wallet_current",
        "wallet",
        ["trade_in_id"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_index("ix_wallet_wallet_index", "wallet", ["wallet_index"], unique=False)


def create_payout_attempt() -> None:
    op.create_table(
        "payout_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("payout_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt_no", sa.Integer(), nullable=False),
        sa.Column("bank_number", sa.String(length=32), nullable=False),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), server_default="sent", nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ask_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name="fk_payout_attempt_payout_id"),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_payout_attempt_wallet_id"),
        sa.PrimaryKeyConstraint("id", name="pk_payout_attempt"),
        sa.UniqueConstraint("bank_number", name="uq_payout_attempt_bank_number"),
    )
    op.create_index(
        "ix_payout_attempt_ask",
        "payout_attempt",
        ["ask_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('sent', 'unknown')"),
    )
    op.create_index(
        "ix_payout_attempt_settled",
        "payout_attempt",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("state = 'settled'"),
    )
    op.create_index("ix_payout_attempt_payout_id", "payout_attempt", ["payout_id"], unique=False)
    op.create_index(
        "uq_payout_attempt_live",
        "payout_attempt",
        ["payout_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'rejected'"),
    )
