"""People: one-time codes, who looked at what, what was consented to, and who acts for whom."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

APPEND_ONLY = ("unmasking", "consent")


def upgrade() -> None:
    create_one_time_code()
    create_unmasking()
    create_consent()
    create_proxy()
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM mapai_app")


def create_one_time_code() -> None:
    op.create_table(
        "one_time_code",
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("phone_index", sa.LargeBinary(), nullable=False),
        sa.Column("code_index", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_one_time_code"),
    )
    op.create_index("ix_one_time_code_phone", "one_time_code", ["phone_index", "created_at"], unique=False)
    op.create_index("ix_one_time_code_address", "one_time_code", ["address", "created_at"], unique=False)
    op.create_index("ix_one_time_code_device", "one_time_code", ["device", "created_at"], unique=False)
    op.create_index("ix_one_time_code_created_at", "one_time_code", ["created_at"], unique=False)


def create_unmasking() -> None:
    op.create_table(
        "unmasking",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_unmasking_account_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_unmasking_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_unmasking"),
    )
    op.create_index("ix_unmasking_account_id", "unmasking", ["account_id"], unique=False)
    op.create_index("ix_unmasking_person_id", "unmasking", ["person_id"], unique=False)


def create_consent() -> None:
    op.create_table(
        "consent",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=24), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_consent_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
    )
    op.create_index("ix_consent_person", "consent", ["person_id", "purpose", "id"], unique=False)


def create_proxy() -> None:
    op.create_table(
        "proxy",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("relation", sa.String(length=16), nullable=False),
        sa.Column("authority_no", sa.String(length=32), nullable=False),
        sa.Column("recorded_by", sa.String(length=60), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_by", sa.String(length=60), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_proxy_person_id"),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_proxy_trade_in_id"),
        sa.PrimaryKeyConstraint("id", name="pk_proxy"),
    )
    op.create_index("ix_proxy_person_id", "proxy", ["person_id"], unique=False)
    op.create_index("ix_proxy_trade_in_id", "proxy", ["trade_in_id"], unique=False)
    op.create_index(
        "uq_proxy_live", "proxy", ["trade_in_id"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )
