"""Filings: the history of corrected rows, a name that can be searched for, and what was there before Mapai."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

APPEND_ONLY = ("filing_change",)


def upgrade() -> None:
    op.add_column("person", sa.Column("name_index", sa.LargeBinary(), nullable=True))
    op.create_index("ix_person_name_index", "person", ["name_index"], unique=False)
    create_filing_change()
    create_earlier("earlier_trade_in", plate="old_plate_no", code_known=False)
    create_earlier("earlier_plate", plate="plate_no", code_known=True)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM mapai_app")


def create_filing_change() -> None:
    op.create_table(
        "filing_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("filed_bike_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("field", sa.String(length=16), nullable=False),
        sa.Column("old", sa.String(length=64), nullable=False),
        sa.Column("new", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["filed_bike_id"], ["filed_bike.id"], name="fk_filing_change_filed_bike_id"),
        sa.PrimaryKeyConstraint("id", name="pk_filing_change"),
    )
    op.create_index("ix_filing_change_filed_bike_id", "filing_change", ["filed_bike_id"], unique=False)


def create_earlier(table: str, *, plate: str, code_known: bool) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column(plate, sa.String(length=16), nullable=False),
        sa.Column("vehicle_code", sa.String(length=15), nullable=not code_known),
        sa.Column("done_on", sa.Date(), nullable=False),
        sa.Column("imported_by", sa.String(length=60), nullable=False),
        sa.Column(
            "imported_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint(plate, name=f"uq_{table}_{plate}"),
        sa.UniqueConstraint("vehicle_code", name=f"uq_{table}_vehicle_code"),
    )
