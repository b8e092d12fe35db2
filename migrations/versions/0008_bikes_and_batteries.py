"""New bikes' models, batteries, transfers of ownership, and the ends of old bikes."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from registry.codes import new_registration_code

revision = "0008"
down_revision = "0007"

APPEND_ONLY = ("battery_swap", "destruction")
MEASURES = ("weight_g", "top_speed_m_h", "motor_w", "voltage_mv")
# GB 17761-2018 and -2024 (policy: formats): days of Asia/Shanghai, mass in g, speed in m/h, power in W, voltage in mV.
EDITIONS = (
    ("GB 17761-2018", None, date(2025, 8, 31), date(2025, 11, 30), 55_000, 55_000, 25_000, 400, 48_000),
    ("GB 17761-2024", date(2025, 9, 1), None, None, 55_000, 63_000, 25_000, 400, 48_000),
)


def upgrade() -> None:
    create_standard_edition()
    create_bike_model()
    create_battery()
    create_transfer()
    create_destruction()
    create_stock_import()
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM mapai_app")
    carry_over()


def id_column() -> sa.Column[Any]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def instant(name: str, *, empty: bool = False, stamped: bool = False) -> sa.Column[Any]:
    default = sa.text("clock_timestamp()") if stamped else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=empty)


def wholes(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Integer(), nullable=False) for name in names]


def create_standard_edition() -> None:
    table = op.create_table(
        "standard_edition",
        id_column(),
        sa.Column("standard", sa.String(length=16), nullable=False),
        sa.Column("made_from", sa.Date(), nullable=True),
        sa.Column("made_until", sa.Date(), nullable=True),
        sa.Column("sold_until", sa.Date(), nullable=True),
        *wholes("weight_g", "weight_lead_acid_g", "top_speed_m_h", "motor_w", "voltage_mv"),
        instant("changed_at", stamped=True),
        sa.CheckConstraint(
            "made_from <= made_until AND made_until <= sold_until", name="ck_standard_edition_days_in_order"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_standard_edition"),
        sa.UniqueConstraint("standard", name="uq_standard_edition_standard"),
    )
    names = ("standard", "made_from", "made_until", "sold_until", "weight_g", "weight_lead_acid_g", *MEASURES[1:])
    op.bulk_insert(table, [dict(zip(names, row, strict=True)) for row in EDITIONS])


def create_bike_model() -> None:
    op.create_table(
        "bike_model",
        id_column(),
        sa.Column("maker_code", sa.String(length=4), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("ccc_no", sa.String(length=40), nullable=False),
        sa.Column("standard", sa.String(length=16), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("withdrawn_on", sa.Date(), nullable=True),
        sa.Column("battery_kind", sa.String(length=12), nullable=False),
        *wholes(*MEASURES),
        instant("created_at", stamped=True),
        sa.CheckConstraint("valid_from <= valid_until", name="ck_bike_model_days_in_order"),
        sa.PrimaryKeyConstraint("id", name="pk_bike_model"),
        sa.UniqueConstraint("maker_code", "name", "ccc_no", name="uq_bike_model_maker_code_name_ccc_no"),
    )


def create_battery() -> None:
    op.create_table(
        "battery",
        id_column(),
        sa.Column("battery_code", sa.String(length=40), nullable=False),
        sa.Column("registration_code", sa.String(length=12), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("bike_id", sa.BigInteger(), nullable=True),
        instant("retired_at", empty=True),
        instant("coded_at", stamped=True),
        sa.ForeignKeyConstraint(["bike_id"], ["bike.id"], name="fk_battery_bike_id"),
        sa.PrimaryKeyConstraint("id", name="pk_battery"),
        sa.UniqueConstraint("battery_code", name="uq_battery_battery_code"),
        sa.UniqueConstraint("bike_id", name="uq_battery_bike_id"),
        sa.UniqueConstraint("registration_code", name="uq_battery_registration_code"),
    )
    op.create_table(
        "battery_swap",
        id_column(),
        sa.Column("bike_id", sa.BigInteger(), nullable=False),
        sa.Column("out_id", sa.BigInteger(), nullable=False),
        sa.Column("in_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=12), nullable=False),
        sa.Column("proof_no", sa.String(length=40), nullable=False),
        sa.Column("dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        instant("at"),
        sa.ForeignKeyConstraint(["bike_id"], ["bike.id"], name="fk_battery_swap_bike_id"),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_battery_swap_dealer_id"),
        sa.ForeignKeyConstraint(["in_id"], ["battery.id"], name="fk_battery_swap_in_id"),
        sa.ForeignKeyConstraint(["out_id"], ["battery.id"], name="fk_battery_swap_out_id"),
        sa.PrimaryKeyConstraint("id", name="pk_battery_swap"),
        sa.UniqueConstraint("proof_no", name="uq_battery_swap_proof_no"),
    )
    op.create_index("ix_battery_swap_bike_id", "battery_swap", ["bike_id"], unique=False)


def create_transfer() -> None:
    op.create_table(
        "transfer",
        id_column(),
        sa.Column("transfer_no", sa.String(length=32), nullable=False),
        sa.Column("filed_bike_id", sa.BigInteger(), nullable=False),
        sa.Column("seller_id", sa.BigInteger(), nullable=False),
        sa.Column("buyer_id", sa.BigInteger(), nullable=False),
        sa.Column("dealer_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=12), server_default="opened", nullable=False),
        sa.Column("opened_by", sa.String(length=60), nullable=False),
        instant("opened_at"),
        instant("expires_at"),
        instant("seller_confirmed_at", empty=True),
        instant("buyer_confirmed_at", empty=True),
        instant("ended_at", empty=True),
        sa.ForeignKeyConstraint(["buyer_id"], ["person.id"], name="fk_transfer_buyer_id"),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_transfer_dealer_id"),
        sa.ForeignKeyConstraint(["filed_bike_id"], ["filed_bike.id"], name="fk_transfer_filed_bike_id"),
        sa.ForeignKeyConstraint(["seller_id"], ["person.id"], name="fk_transfer_seller_id"),
        sa.PrimaryKeyConstraint("id", name="pk_transfer"),
        sa.UniqueConstraint("transfer_no", name="uq_transfer_transfer_no"),
    )
    for column in ("buyer_id", "filed_bike_id", "seller_id"):
        op.create_index(f"ix_transfer_{column}", "transfer", [column], unique=False)
    op.create_index(
        "uq_transfer_open", "transfer", ["filed_bike_id"], unique=True, postgresql_where=sa.text("state = 'opened'")
    )


def create_destruction() -> None:
    op.create_table(
        "destruction",
        id_column(),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.String(length=8), nullable=False),
        sa.Column("firm", sa.String(length=80), nullable=False),
        sa.Column("document_no", sa.String(length=40), nullable=False),
        sa.Column("done_on", sa.Date(), nullable=False),
        sa.Column("photo", sa.LargeBinary(), nullable=False),
        sa.Column("photo_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        instant("recorded_at"),
        sa.CheckConstraint("part IN ('bike', 'battery')", name="ck_destruction_known_part"),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_destruction_trade_in_id"),
        sa.PrimaryKeyConstraint("id", name="pk_destruction"),
        sa.UniqueConstraint("part", "document_no", name="uq_destruction_part_document_no"),
        sa.UniqueConstraint("photo_sha256", name="uq_destruction_photo_sha256"),
        sa.UniqueConstraint("trade_in_id", "part", name="uq_destruction_trade_in_id_part"),
    )


def create_stock_import() -> None:
    op.create_table(
        "stock_import",
        id_column(),
        sa.Column("dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        instant("at"),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        *wholes("rows_read", "rows_stored", "rows_unchanged", "rows_refused"),
        sa.Column("problems", JSONB(), server_default="[]", nullable=False),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_stock_import_dealer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_stock_import"),
    )
    op.create_index("ix_stock_import_dealer_id", "stock_import", ["dealer_id"], unique=False)


def carry_over() -> None:
    """What was taken into stock before there was a catalogue was accepted: its models stay certified for five years
    from their first bike, for staff to put right, and its batteries get their codes."""
    op.execute(
        "INSERT INTO bike_model (maker_code, name, ccc_no, standard, valid_from, valid_until, battery_kind, weight_g,"
        " top_speed_m_h, motor_w, voltage_mv)"
        " SELECT left(vehicle_code, 4), model, 'CARRIED-OVER-' || substr(standard, 10), standard, min(made_on),"
        " (min(made_on) + interval '5 years')::date, min(battery_kind), max(weight_g), max(top_speed_m_h),"
        " max(motor_w), max(voltage_mv) FROM bike GROUP BY 1, 2, 3, 4"
    )
    connection = op.get_bind()
    bikes = connection.execute(sa.text("SELECT id, battery_code, battery_kind FROM bike ORDER BY id")).all()
    codes: set[str] = set()
    while len(codes) < len(bikes):
        codes.add(new_registration_code())
    rows = [
        {"id": bike.id, "code": bike.battery_code, "ours": code, "kind": bike.battery_kind}
        for bike, code in zip(bikes, codes, strict=True)
    ]
    if rows:
        coded = "INSERT INTO battery (battery_code, registration_code, kind, bike_id) VALUES (:code, :ours, :kind, :id)"
        connection.execute(sa.text(coded), rows)
