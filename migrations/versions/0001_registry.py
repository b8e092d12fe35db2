"""People, dealers, bikes, plates, trade-ins, accounts, outbox, audit and the edge's memory."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_audit_entry()
    create_audit_seal()
    create_dealer()
    create_first_answer()
    create_job_run()
    create_person()
    create_staff_case()
    create_account()
    create_bike()
    create_filed_bike()
    create_message()
    create_plate()
    create_sale()
    create_sign_in()
    create_sign_in_attempt()
    create_trade_in()
    create_trade_in_photo()


def create_audit_entry() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("detail", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
    )
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject"], unique=False)


def create_audit_seal() -> None:
    op.create_table(
        "audit_seal",
        sa.Column("seal_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seal_no", name="pk_audit_seal"),
        sa.UniqueConstraint("entry_id", name="uq_audit_seal_entry_id"),
    )


def create_dealer() -> None:
    op.create_table(
        "dealer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("credit_code", sa.String(length=18), nullable=False),
        sa.Column("sub_district", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=120), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("opening_hours", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), server_default="applied", nullable=False),
        sa.Column("point_no", sa.String(length=8), nullable=True),
        sa.Column("licensed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trade_in_on", sa.Boolean(), server_default="false", nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dealer"),
        sa.UniqueConstraint("credit_code", name="uq_dealer_credit_code"),
        sa.UniqueConstraint("name", name="uq_dealer_name"),
        sa.UniqueConstraint("point_no", name="uq_dealer_point_no"),
    )
    op.create_index("ix_dealer_sub_district", "dealer", ["sub_district"], unique=False)


def create_first_answer() -> None:
    op.create_table(
        "first_answer",
        sa.Column("actor", sa.String(length=60), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), server_default="0", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("actor", "key", name="pk_first_answer"),
    )
    op.create_index("ix_first_answer_created_at", "first_answer", ["created_at"], unique=False)


def create_job_run() -> None:
    op.create_table(
        "job_run",
        sa.Column("job", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leader", sa.String(length=80), nullable=False),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("job", "slot", name="pk_job_run"),
    )


def create_person() -> None:
    op.create_table(
        "person",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("id_index", sa.LargeBinary(), nullable=False),
        sa.Column("id_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("phone_index", sa.LargeBinary(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name="pk_person"),
        sa.UniqueConstraint("id_index", name="uq_person_id_index"),
    )
    op.create_index("ix_person_phone_index", "person", ["phone_index"], unique=False)


def create_staff_case() -> None:
    op.create_table(
        "staff_case",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("detail", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(length=60), nullable=True),
        sa.Column("outcome", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_staff_case"),
    )
    op.create_index(
        "uq_staff_case_open",
        "staff_case",
        ["kind", "subject"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def create_account() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("display_name", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("dealer_id", sa.BigInteger(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint(
            "(role = 'owner') = (person_id IS NOT NULL) AND (role = 'dealer') = (dealer_id IS NOT NULL)",
            name="ck_account_role_has_its_subject",
        ),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_account_dealer_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_account_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("login", name="uq_account_login"),
    )


def create_bike() -> None:
    op.create_table(
        "bike",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("vehicle_code", sa.String(length=15), nullable=False),
        sa.Column("registration_code", sa.String(length=12), nullable=False),
        sa.Column("battery_code", sa.String(length=40), nullable=False),
        sa.Column("certificate_no", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=False),
        sa.Column("standard", sa.String(length=16), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("battery_kind", sa.String(length=12), nullable=False),
        sa.Column("weight_g", sa.Integer(), nullable=False),
        sa.Column("top_speed_m_h", sa.Integer(), nullable=False),
        sa.Column("motor_w", sa.Integer(), nullable=False),
        sa.Column("voltage_mv", sa.Integer(), nullable=False),
        sa.Column("dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), server_default="in_stock", nullable=False),
        sa.Column(
            "stocked_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_bike_dealer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_bike"),
        sa.UniqueConstraint("battery_code", name="uq_bike_battery_code"),
        sa.UniqueConstraint("registration_code", name="uq_bike_registration_code"),
        sa.UniqueConstraint("vehicle_code", name="uq_bike_vehicle_code"),
        # Sold and plated, a row is written anew: with room beside it none of its indexes has to be.
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index("ix_bike_dealer_id", "bike", ["dealer_id"], unique=False)


def create_filed_bike() -> None:
    op.create_table(
        "filed_bike",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("plate_no", sa.String(length=16), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("filed_on", sa.Date(), nullable=False),
        sa.Column("transferred_on", sa.Date(), nullable=True),
        sa.Column("brand", sa.String(length=64), nullable=False),
        sa.Column("frame_no", sa.String(length=40), nullable=False),
        sa.Column("sub_district", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), server_default="filed", nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"], name="fk_filed_bike_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_filed_bike"),
        sa.UniqueConstraint("plate_no", name="uq_filed_bike_plate_no"),
    )
    op.create_index("ix_filed_bike_owner", "filed_bike", ["owner_id"], unique=False)


def create_message() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("dedupe_key", sa.String(length=64), nullable=False),
        sa.Column("body", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=8), server_default="owed", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_message_person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.UniqueConstraint("dedupe_key", name="uq_message_dedupe_key"),
    )
    op.create_index("ix_message_owed", "message", ["next_at"], unique=False, postgresql_where=sa.text("state = 'owed'"))
    op.create_index("ix_message_person_id", "message", ["person_id"], unique=False)


def create_plate() -> None:
    op.create_table(
        "plate",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("plate_no", sa.String(length=16), nullable=False),
        sa.Column("bike_id", sa.BigInteger(), nullable=False),
        sa.Column("holder_id", sa.BigInteger(), nullable=False),
        sa.Column("application_no", sa.String(length=32), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["bike_id"], ["bike.id"], name="fk_plate_bike_id"),
        sa.ForeignKeyConstraint(["holder_id"], ["person.id"], name="fk_plate_holder_id"),
        sa.PrimaryKeyConstraint("id", name="pk_plate"),
        sa.UniqueConstraint("application_no", name="uq_plate_application_no"),
        sa.UniqueConstraint("bike_id", name="uq_plate_bike_id"),
        sa.UniqueConstraint("plate_no", name="uq_plate_plate_no"),
    )


def create_sale() -> None:
    op.create_table(
        "sale",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("bike_id", sa.BigInteger(), nullable=False),
        sa.Column("buyer_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_no", sa.String(length=24), nullable=False),
        sa.Column("list_price_fen", sa.Integer(), nullable=False),
        sa.Column("discount_fen", sa.Integer(), nullable=False),
        sa.Column("deduction_fen", sa.Integer(), nullable=False),
        sa.Column("paid_fen", sa.Integer(), nullable=False),
        sa.Column("sold_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "paid_fen = list_price_fen - discount_fen - deduction_fen AND paid_fen >= 0 AND discount_fen >= 0"
            " AND deduction_fen >= 0",
            name="ck_sale_price_adds_up",
        ),
        sa.ForeignKeyConstraint(["bike_id"], ["bike.id"], name="fk_sale_bike_id"),
        sa.ForeignKeyConstraint(["buyer_id"], ["person.id"], name="fk_sale_buyer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sale"),
        sa.UniqueConstraint("bike_id", name="uq_sale_bike_id"),
        sa.UniqueConstraint("invoice_no", name="uq_sale_invoice_no"),
    )


def create_sign_in() -> None:
    op.create_table(
        "sign_in",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_sign_in_account_id"),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_sign_in"),
    )
    op.create_index("ix_sign_in_account_id", "sign_in", ["account_id"], unique=False)


def create_sign_in_attempt() -> None:
    op.create_table(
        "sign_in_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("login", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_attempt"),
    )
    op.create_index("ix_sign_in_attempt_at", "sign_in_attempt", ["at"], unique=False)
    op.create_index("ix_sign_in_attempt_login_address", "sign_in_attempt", ["login", "address"], unique=False)


def create_trade_in() -> None:
    op.create_table(
        "trade_in",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("reference", sa.String(length=16), nullable=False),
        sa.Column("dealer_id", sa.BigInteger(), nullable=False),
        sa.Column("filed_bike_id", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), server_default="opened", nullable=False),
        sa.Column("opening", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("recycling_certificate_no", sa.String(length=32), nullable=True),
        sa.Column("cancellation_no", sa.String(length=32), nullable=True),
        sa.Column("bike_id", sa.BigInteger(), nullable=True),
        sa.Column("sale_id", sa.BigInteger(), nullable=True),
        sa.Column("compliance", sa.String(length=200), nullable=True),
        sa.Column("application_no", sa.String(length=32), nullable=True),
        sa.Column("refusal", sa.String(length=200), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("old_plate_cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sold_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("plate_applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("plate_issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["bike_id"], ["bike.id"], name="fk_trade_in_bike_id"),
        sa.ForeignKeyConstraint(["dealer_id"], ["dealer.id"], name="fk_trade_in_dealer_id"),
        sa.ForeignKeyConstraint(["filed_bike_id"], ["filed_bike.id"], name="fk_trade_in_filed_bike_id"),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"], name="fk_trade_in_owner_id"),
        sa.ForeignKeyConstraint(["sale_id"], ["sale.id"], name="fk_trade_in_sale_id"),
        sa.PrimaryKeyConstraint("id", name="pk_trade_in"),
        sa.UniqueConstraint("application_no", name="uq_trade_in_application_no"),
        sa.UniqueConstraint("bike_id", name="uq_trade_in_bike_id"),
        sa.UniqueConstraint("cancellation_no", name="uq_trade_in_cancellation_no"),
        sa.UniqueConstraint("recycling_certificate_no", name="uq_trade_in_recycling_certificate_no"),
        sa.UniqueConstraint("owner_id", "id", "filed_bike_id", "bike_id", name="uq_trade_in_claimed"),
        sa.UniqueConstraint("reference", name="uq_trade_in_reference"),
        sa.UniqueConstraint("sale_id", name="uq_trade_in_sale_id"),
    )
    op.create_index("ix_trade_in_dealer_state", "trade_in", ["dealer_id", "state"], unique=False)
    op.create_index(
        "ix_trade_in_waiting_for_police",
        "trade_in",
        ["state"],
        unique=False,
        postgresql_where=sa.text("state IN ('cancel_requested', 'plate_applied')"),
    )
    op.create_index(
        "uq_trade_in_open_filed_bike",
        "trade_in",
        ["filed_bike_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'withdrawn'"),
    )


def create_trade_in_photo() -> None:
    op.create_table(
        "trade_in_photo",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("trade_in_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("image", sa.LargeBinary(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("kind IN ('frame_no', 'plate', 'whole')", name="ck_trade_in_photo_kind"),
        sa.ForeignKeyConstraint(["trade_in_id"], ["trade_in.id"], name="fk_trade_in_photo_trade_in_id"),
        sa.PrimaryKeyConstraint("id", name="pk_trade_in_photo"),
        sa.UniqueConstraint("sha256", name="uq_trade_in_photo_sha256"),
    )
    op.create_index("ix_trade_in_photo_trade_in_id", "trade_in_photo", ["trade_in_id"], unique=False)
