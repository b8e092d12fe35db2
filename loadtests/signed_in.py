"""People signed in beforehand, without passwords and codes."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from psycopg import Connection

from app.auth import LASTS
from app.clock import real


def make_account(
    connection: Connection[Any],
    *,
    login: str,
    role: str,
    password_hash: str = "!",
    person_id: int | None = None,
    dealer_id: int | None = None,
) -> int:
    """Insert an account in the caller's transaction and return its id."""
    row = connection.execute(
        "INSERT INTO account (login, password_hash, display_name, role, person_id, dealer_id)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (login, password_hash, login, role, person_id, dealer_id),
    ).fetchone()
    assert row is not None
    return int(row[0])


def sign_in(connection: Connection[Any], account_id: int) -> str:
    """Sign the account in, in the caller's transaction, and return its token."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        "INSERT INTO sign_in (token_sha256, account_id, expires_at) VALUES (%s, %s, %s)",
        (hashlib.sha256(token.encode()).digest(), account_id, real() + LASTS),
    )
    return token
