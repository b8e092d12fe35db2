"""Who asks for an own place, whether it is his, and a stamp of everything it is made of: one statement of look-ups."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.auth import digest_of

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
SELECT a.id, ROW(
    t.id, t.xmin, f.xmin, d.xmin, o.xmin, b.xmin, s.xmin, p.id, p.xmin, c.position, c.xmin, y.id, y.xmin, w.id, w.xmin,
    r.id, r.xmin, g.id, g.xmin,
    ARRAY(SELECT ROW(x.id, x.xmin) FROM trade_in_photo x WHERE x.trade_in_id = t.id ORDER BY x.id + 0),
    ARRAY(SELECT ROW(x.id, x.xmin) FROM payout_attempt x WHERE x.payout_id = y.id ORDER BY x.id + 0),
    ARRAY(SELECT ROW(x.id, x.xmin) FROM marked_fault x
          WHERE x.trade_in_id = t.id AND x.mended_at IS NULL ORDER BY x.id + 0),
    ARRAY(SELECT ROW(x.id, x.xmin) FROM appeal x
          WHERE x.programme_id = c.programme_id AND x.position = c.position ORDER BY x.id + 0),
    (SELECT max(x.event_no) FROM decision x WHERE x.programme_id = c.programme_id AND x.position = c.position),
    ARRAY(SELECT ROW(x.id, x.xmin) FROM message x WHERE x.person_id = t.owner_id ORDER BY x.id + 0 DESC LIMIT 2)
)::text
FROM sign_in i
JOIN account a ON a.id = i.account_id AND a.role = 'owner' AND a.disabled_at IS NULL
JOIN trade_in t ON t.reference = %(reference)s AND t.owner_id = a.person_id
JOIN filed_bike f ON f.id = t.filed_bike_id
JOIN dealer d ON d.id = t.dealer_id
JOIN person o ON o.id = t.owner_id
LEFT JOIN bike b ON b.id = t.bike_id
LEFT JOIN sale s ON s.id = t.sale_id
LEFT JOIN plate p ON p.bike_id = t.bike_id
LEFT JOIN claim c ON c.trade_in_id = t.id
LEFT JOIN payout y ON y.trade_in_id = t.id
LEFT JOIN wallet w ON w.trade_in_id = t.id AND w.superseded_at IS NULL
LEFT JOIN return_case r ON r.trade_in_id = t.id AND r.state <> 'refused'
LEFT JOIN programme g ON g.id = CASE
    WHEN t.state NOT IN ('completed', 'withdrawn') THEN (SELECT max(id) FROM programme)
    WHEN c.state = 'waiting' THEN c.programme_id END
WHERE i.token_sha256 = %(token_sha256)s AND i.expires_at > %(at)s
"""


class Stamped(NamedTuple):
    """An own place as it stands: the account that asks for it, and the stamp of what it is made of."""

    account_id: int
    stamp: str


def read_stamp(*, engine: Engine, token: str, reference: str, at: datetime) -> Stamped | None:
    """Return the stamp of a trade-in that belongs to whom this token speaks for at the real instant ``at``.

    None where it is not his, where nobody is signed in, and where the database does not answer: the page itself tells
    why.
    """
    given = {"token_sha256": digest_of(token), "reference": reference, "at": at}
    try:
        pooled = engine.raw_connection()
    except SQLAlchemyError:
        return None
    try:
        connection = pooled.driver_connection
        assert isinstance(connection, psycopg.Connection), "the tables are kept in PostgreSQL through psycopg"
        row = connection.execute(STAMP, given, prepare=True).fetchone()
    except psycopg.Error:
        pooled.invalidate()
        return None
    finally:
        pooled.close()
    return None if row is None else Stamped(*row)
