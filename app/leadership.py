"""Who leads among the scheduler processes of one district: whoever holds an advisory lock on its own connection.

PostgreSQL frees the lock when the session ends, however the leader ends, so nobody has to time a dead leader out.
Where a machine vanishes without closing its connection, keep-alives on both sides end the session within seconds.
"""

from __future__ import annotations

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_log = structlog.get_logger()

KEY = "SELECT hashtextextended('mapai-scheduler:' || current_schema(), 0)"
TAKE = "SELECT pg_try_advisory_lock(%s)"
HELD = """
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32) | objid::bigint = %s
)
"""
SERVER_OPTIONS = (
    " -c statement_timeout=2000 -c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2"
)


class Leadership:
    """Holds or seeks the lead. Not for use by several threads; ``leads`` alone may be read from anywhere."""

    def __init__(self, *, conninfo: str) -> None:
        known = conninfo_to_dict(conninfo)
        self._conninfo = make_conninfo(
            conninfo,
            connect_timeout=2,
            keepalives_idle=1,
            keepalives_interval=1,
            keepalives_count=2,
            tcp_user_timeout=3000,
            options=f"{known.get('options') or ''}{SERVER_OPTIONS}",
        )
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._key: object = None
        self.leads = False

    def check(self) -> bool:
        """Take the lead where it is free, or make sure that it is still held; return whether this process leads."""
        try:
            self.leads = self._ask(HELD if self.leads else TAKE)
        except psycopg.Error as error:
            self.leads = False
            self.give_up()
            _log.warning("leadership.no_connection", error=str(error).strip())
        return self.leads

    def give_up(self) -> None:
        """Stop leading and let go of the connection, and with it of the lock."""
        self.leads = False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ask(self, question: str) -> bool:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
            self._key = self._one(KEY)
        return bool(self._one(question, self._key))

    def _one(self, question: str, *values: object) -> object:
        assert self._connection is not None
        row = self._connection.execute(question, values or None).fetchone()
        assert row is not None
        return row[0]
