"""Runs migrations on the connection handed in (``config.attributes["connection"]``), search path already set."""

from alembic import context

from migrations.tables import metadata

config = context.config
connection = config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table_schema=config.attributes["schema"],
    compare_server_default=False,
)
with context.begin_transaction():
    context.run_migrations()
