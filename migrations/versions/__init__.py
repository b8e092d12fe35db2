"""Alembic's numbered migrations: the schema of one district."""
