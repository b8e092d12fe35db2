"""Who asks for an own place, whether it is his, and a stamp of everything it is made of: one statement of look-ups."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import psycopg

from app.auth import digest_of
from app.clock import real
from app.together import NotAnswered, Together
from subsidy.completion_sql import PLAN_LOOK_UPS

# The stamp names every row that app/web/trade_in_record.py and app/web/owner.py read for the part of the page that
# changes, by its number and by the transaction that wrote it (xmin): a row changed, replaced, come or gone makes
# another stamp. Of several rows each is named: the newest transaction alone would hide an older one that committed
# later. Who asks is told as app.auth.account_of and registry.trade_ins.get_trade_in would tell it.
#
# - A trade-in under way foresees its subsidy from the newest programme and the owner's claims in it (subsidy/foreseen),
#   a waiting claim counts those before it: whatever happens in a programme writes its row, so that row stands for both.
# - Of marked faults only the open ones count once there is a claim: mending one takes it away, and none is added.
# - ``+ 0`` keeps the planner from walking a whole table in the order asked for until it finds the rows of this one.
STAMP = """
SELECT asked.number, a.id, ROW(
    t.id, t.xmin, f.xmin, d.xmin, o.xmin, b.xmin, s.xmin, p.id, p.xmin, c.position, c.xmin, y.id, y.xmin, w.id, w.xmin,
    g.id, g.xmin,
    ARRAY(SELECT ROW(x.id, x.xmin) FROM trade_in_photo x WHERE x.trade_in_id = t.id ORDER BY x.id + 0),
    ARRAY(SELECT ROW(x.id, x.xmin) FROM payout_attempt x WHERE x.payout_id = y.id ORDER BY x.id + 0),
    ARRAY(SELECT ROW(x.id, x.xmin) FROM marked_fault x
          WHERE x.trade_in_id = t.id AND x.mended_at IS NULL ORDER BY x.id + 0),
    ARRAY(SELECT ROW(x.id, x.xmin) FROM return_case x WHERE x.trade_in_id = t.id ORDER BY x.id + 0),
    ARRAY(SELECT ROW(x.id, x.xmin) FROM appeal x
          WHERE x.programme_id = c.programme_id AND x.position = c.position ORDER BY x.id + 0),
    (SELECT max(x.event_no) FROM decision x WHERE x.programme_id = c.programme_id AND x.position = c.position),
    ARRAY(SELECT ROW(x.id, x.xmin) FROM message x
          WHERE x.person_id = t.owner_id ORDER BY x.id + 0 DESC LIMIT %(messages)s)
)::text
FROM unnest(%(tokens)s::bytea[], %(references)s::text[]) WITH ORDINALITY AS asked(token_sha256, reference, number)
JOIN sign_in i ON i.token_sha256 = asked.token_sha256 AND i.expires_at > %(at)s
JOIN account a ON a.id = i.account_id AND a.role = 'owner' AND a.disabled_at IS NULL
JOIN trade_in t ON t.reference = asked.reference AND t.owner_id = a.person_id
JOIN filed_bike f ON f.id = t.filed_bike_id
JOIN dealer d ON d.id = t.dealer_id
JOIN person o ON o.id = t.owner_id
LEFT JOIN bike b ON b.id = t.bike_id
LEFT JOIN sale s ON s.id = t.sale_id
LEFT JOIN plate p ON p.bike_id = t.bike_id
LEFT JOIN claim c ON c.trade_in_id = t.id
LEFT JOIN payout y ON y.trade_in_id = t.id
LEFT JOIN wallet w ON w.trade_in_id = t.id AND w.superseded_at IS NULL
LEFT JOIN programme g ON g.id = CASE
    WHEN t.state NOT IN ('completed', 'withdrawn') THEN (SELECT max(id) FROM programme)
    WHEN c.state = 'waiting' THEN c.programme_id END
"""
# A plan is made once a connection. Tables that were all but empty then may be long by and by, so it is made anew.
PLANNED_FOR_S = 60.0
# So many of the newest are shown on the page itself.
MESSAGES_ON_THE_WAY = 2
# Whoever is not answered soon goes on to the ordinary route.
ANSWER_WITHIN_S = 3.0
GIVE_UP_SOON = "SET statement_timeout = '2s'"


class Stamped(NamedTuple):
    """An own place as it stands: the account that asks for it, and the stamp of what it is made of."""

    account_id: int
    stamp: str


class Stamps:
    """Reads stamps for everybody who asks at the same moment by one statement, on a connection of its own."""

    def __init__(self, *, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.Connection | None = None
        self._connected_s = 0.0
        self._together: Together[tuple[bytes, str], Stamped | None] = Together(
            self._read, name="own-places", answer_within_s=ANSWER_WITHIN_S
        )

    def read(self, *, token: str, reference: str) -> Stamped | None:
        """Return the stamp of a trade-in that belongs to whom this token speaks for at this real instant.

        None where it is not his, where nobody is signed in, and where the database does not answer: the page itself
        tells why.
        """
        try:
            return self._together.ask((digest_of(token), reference))
        except NotAnswered:
            return None

    def close(self) -> None:
        """Answer who was taken already, and let go of the connection."""
        self._together.close()
        self._disconnect()

    def _read(self, take: Callable[[], list[tuple[bytes, str]]]) -> list[Stamped | None]:
        try:
            connection = self._connected()
            asked = take()
            tokens, references = map(list, zip(*asked, strict=True))
            given = {"tokens": tokens, "references": references, "at": real(), "messages": MESSAGES_ON_THE_WAY}
            stamped = {number: Stamped(*rest) for number, *rest in connection.execute(STAMP, given, prepare=True)}
        except psycopg.Error:
            self._disconnect()
            raise
        return [stamped.get(number) for number in range(1, len(asked) + 1)]

    def _connected(self) -> psycopg.Connection:
        if self._connection is not None and time.monotonic() - self._connected_s > PLANNED_FOR_S:
            self._disconnect()
        if self._connection is None:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
            self._connection.execute(PLAN_LOOK_UPS)
            self._connection.execute(GIVE_UP_SOON)
            self._connected_s = time.monotonic()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
