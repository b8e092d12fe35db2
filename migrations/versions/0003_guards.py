"""Append-only tables refuse every change; the application's role owns nothing and gets just its rights."""

from alembic import op

revision = "0003"
down_revision = "0002"

APPEND_ONLY = ("queue_event", "decision", "ledger_posting", "programme_version", "audit_entry", "audit_seal")


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'table % is append-only: % refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'restrict_violation';
        END $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    grant_application_rights()


def grant_application_rights() -> None:
    """The role mapai_app exists before migrations run (app/migrate.py creates it with the schema)."""
    op.execute(
        """
        DO $$ BEGIN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO mapai_app', current_schema());
            EXECUTE format(
                'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO mapai_app', current_schema());
            EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO mapai_app', current_schema());
        END $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE ON {table} FROM mapai_app")
    op.execute("REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM mapai_app")
