"""A unique constraint of the database told in words: the last word on «used before», also between two at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry.base import Refusal


@contextmanager
def refusing_duplicates(session: Session, refusals: dict[str, Refusal]) -> Iterator[None]:
    """Flush what the block changed inside a savepoint; a broken constraint raises the refusal named for it."""
    try:
        with session.begin_nested():
            yield
            session.flush()
    except IntegrityError as error:
        constraint = error.orig.diag.constraint_name if isinstance(error.orig, psycopg.Error) else None
        if constraint in refusals:
            raise refusals[constraint] from None
        raise
