"""Ends our own process, in effect, at a chosen moment of its talk with the database.

A crash is raised out of a statement or a commit, before it or after it. Whatever was not committed is rolled back,
as PostgreSQL does for a process that was killed, and nobody gets an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine, event


class Crash(BaseException):
    """The process ends here."""


class Fuse:
    """Counts moments; the one it is set to crashes. Unset it does nothing."""

    def __init__(self) -> None:
        self._left: int | None = None

    @property
    def is_set(self) -> bool:
        """Whether a crash is still to come."""
        return self._left is not None

    @contextmanager
    def burning(self, moments: int | None) -> Iterator[None]:
        """Crash at the ``moments``-th moment from now, unless the block ends before; None crashes nowhere."""
        self._left = moments
        try:
            yield
        finally:
            self._left = None

    def moment(self) -> None:
        """A moment at which a process may end."""
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0:
            self._left = None
            raise Crash


class FusedCursor(psycopg.Cursor[Any]):
    """A cursor whose every statement is a moment."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        _fuse_of(self.connection).moment()
        return super().execute(*args, **kwargs)


class FusedConnection(psycopg.Connection[Any]):
    """A connection whose statements and commits are moments; before a commit and after it are two."""

    fuse: Fuse

    def commit(self) -> None:
        self.fuse.moment()
        super().commit()
        self.fuse.moment()


def connect(conninfo: str, fuse: Fuse) -> FusedConnection:
    """Open a connection that crashes when the fuse says so."""
    connection = FusedConnection.connect(conninfo, cursor_factory=FusedCursor)
    connection.fuse = fuse
    return connection


def fuse_engine(engine: Engine, fuse: Fuse) -> None:
    """Make every statement and commit through the engine a moment."""
    commit = engine.dialect.do_commit

    @event.listens_for(engine, "before_cursor_execute")
    def statement(*_: Any) -> None:
        fuse.moment()

    def do_commit(connection: Any) -> None:
        fuse.moment()
        commit(connection)
        fuse.moment()

    engine.dialect.do_commit = do_commit  # type: ignore[method-assign]


def _fuse_of(connection: Any) -> Fuse:
    fuse: Fuse = connection.fuse
    return fuse
