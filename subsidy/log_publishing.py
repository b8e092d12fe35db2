"""Writing the queue into the published log: leaves in event order, the tree above them, and a signed head.

An event has its number under the programme's lock, and numbers have no hole: whatever is committed up to a number is
there, so the log needs neither timestamps nor a second queue. Whoever appends holds the programme's published_log row.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from subsidy.events import EventKind
from subsidy.log_heads import HeadSigner, sign_head
from subsidy.log_leaves import SALT_BYTES, Window, earliest_touched, leaves_of, reclassified, windows_after
from subsidy.merkle import Peaks, leaf_hash, subtrees
from subsidy.queue_rows import named_rows
from subsidy.rules import Rules

EVENTS_AT_ONCE = 2000
# However few have come, nobody waits longer than this for the public log to show his leaf.
LONGEST_UNSEEN = timedelta(days=7)

BEHIND = """
SELECT p.id, p.code FROM programme p LEFT JOIN published_log l ON l.programme_id = p.id
WHERE p.event_no > coalesce(l.event_no, 0) OR l.unseen > 0 ORDER BY p.id
"""
OPEN_LOG = "INSERT INTO published_log (programme_id) VALUES (%s) ON CONFLICT DO NOTHING"
LOCK_LOG = "SELECT event_no, size, unseen, windows FROM published_log WHERE programme_id = %s FOR UPDATE"
EVENTS = """
SELECT q.*, t.reference FROM queue_event q LEFT JOIN trade_in t ON t.id = q.trade_in_id
WHERE q.programme_id = %s AND q.event_no > %s AND q.event_no <= %s ORDER BY q.event_no
"""
DECISIONS = """
SELECT * FROM decision WHERE programme_id = %s AND event_no > %s AND event_no <= %s ORDER BY event_no, position
"""
CLAIMS_BEFORE = """
SELECT event_no, kind, position, effective_at, recorded_at FROM queue_event
WHERE programme_id = %s AND event_no < %s ORDER BY event_no DESC LIMIT %s
"""
TOKENS = "SELECT person_id, token FROM log_token WHERE programme_id = %s AND person_id = ANY(%s)"
ADD_TO_LOG = "INSERT INTO log_token (programme_id, person_id, token) VALUES (%s, %s, %s)"
LAST_PUBLIC = "SELECT coalesce(max(at) FILTER (WHERE is_public), min(at)) FROM log_head WHERE programme_id = %s"
NEW_HEAD = """
INSERT INTO log_head (programme_id, size, root, at, key_id, signature, is_public) VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
KEEP = "UPDATE published_log SET event_no = %s, size = %s, unseen = %s, windows = %s::jsonb WHERE programme_id = %s"
PEAK = """
SELECT sha256 FROM log_node WHERE programme_id = %(programme)s AND level = %(level)s AND number = %(number)s
UNION ALL
SELECT sha256 FROM log_leaf WHERE programme_id = %(programme)s AND leaf = %(number)s AND %(level)s = 0
"""
COPY_LEAVES = "COPY log_leaf (programme_id, leaf, event_no, position, entry, sha256) FROM STDIN"


@dataclass(slots=True)
class Written:
    """What one run adds to a programme's log."""

    programme_id: int
    peaks: Peaks
    leaves: list[tuple[Any, ...]] = field(default_factory=list)
    nodes: list[tuple[Any, ...]] = field(default_factory=list)
    salts: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, *, event_no: int, position: int | None, entry: str, salt: bytes) -> None:
        """Append one leaf and whatever subtrees it completes."""
        leaf, sha256 = self.peaks.size, leaf_hash(entry.encode())
        self.leaves.append((self.programme_id, leaf, event_no, position, entry, sha256))
        self.salts.append((self.programme_id, leaf, salt))
        made = self.peaks.append(sha256)
        self.nodes += [(self.programme_id, level, number, node) for level, number, node in made]


def publish(
    *, connection: Connection[Any], signer: HeadSigner, now: datetime, crowd: int = 1, limit: int = EVENTS_AT_ONCE
) -> int:
    """Write up to ``limit`` events of each programme into its log, sign a head over them, commit; return the leaves.

    A head is public once ``crowd`` events of owners stand under it that no public head covers, at the event ``end``,
    or after a week: until then nobody can tell from the log's growth which leaf is the neighbour's at the counter.
    """
    added = 0
    with named_rows(connection) as cursor:
        behind = cursor.execute(BEHIND).fetchall()
    connection.commit()
    for programme in behind:
        added += _publish_one(connection, programme, signer, now, crowd, limit)
        connection.commit()
    return added


def _publish_one(
    connection: Connection[Any], programme: Any, signer: HeadSigner, now: datetime, crowd: int, limit: int
) -> int:
    connection.execute(OPEN_LOG, (programme.id,))
    with named_rows(connection) as cursor:
        log: Any = cursor.execute(LOCK_LOG, (programme.id,)).fetchone()
        span = (programme.id, log.event_no, log.event_no + limit)
        events = cursor.execute(EVENTS, span).fetchall()
        decisions = defaultdict(list)
        for decision in cursor.execute(DECISIONS, span).fetchall() if events else ():
            decisions[decision.event_no].append(decision)
    windows = [Window.from_json(plain) for plain in log.windows]
    tokens = _tokens(connection, programme.id, events)
    written = Written(programme.id, read_peaks(connection=connection, programme_id=programme.id, size=log.size))
    last_no = log.event_no
    for event in events:
        assert event.event_no == last_no + 1, f"event {last_no + 1} of programme {programme.code} is missing"
        last_no = event.event_no
        changed: list[list[int]] = []
        if event.kind == EventKind.VERSION:
            changed, windows = adopt_version(connection=connection, event=event, windows=windows)
        elif event.kind == EventKind.SETTLING:
            windows[event.stage_no - 1].settled = True
        for draft in leaves_of(
            event=event,
            decisions=decisions[event.event_no],
            windows=windows,
            token=tokens.get(event.person_id, ""),
            changed=changed,
        ):
            salt = secrets.token_bytes(SALT_BYTES)
            written.add(event_no=event.event_no, position=draft.position, entry=draft.entry(salt), salt=salt)
    unseen = log.unseen + sum(event.position is not None for event in events)
    ended = any(event.kind == EventKind.END for event in events)
    if not events and not _unseen_for_long(connection, programme.id, now):
        return 0
    is_public = unseen == 0 or unseen >= crowd or ended or not events
    _store(connection, written)
    head = sign_head(
        signer=signer, programme=programme.code, size=written.peaks.size, root=written.peaks.root(), at=now
    )
    signed = (head.size, head.root, head.at, head.key_id, head.signature)
    connection.execute(NEW_HEAD, (programme.id, *signed, is_public))
    plain = json.dumps([window.to_json() for window in windows])
    connection.execute(KEEP, (last_no, head.size, 0 if is_public else unseen, plain, programme.id))
    return len(written.leaves)


def adopt_version(
    *, connection: Connection[Any], event: Any, windows: Sequence[Window]
) -> tuple[list[list[int]], list[Window]]:
    """Return the claims that a version's event puts elsewhere (log_leaves.reclassified), and the windows after it."""
    after = windows_after(windows, Rules.from_json(event.detail["rules"]))
    since = earliest_touched(windows, after)
    claims = [] if since is None else list(_claims_since(connection, event, since))
    return reclassified(claims, windows, after), after


def read_peaks(*, connection: Connection[Any], programme_id: int, size: int) -> Peaks:
    """Return the right edge of the programme's tree of ``size`` leaves, from the stored hashes."""
    hashes = []
    for level, number in subtrees((0, size)):
        at = {"programme": programme_id, "level": level, "number": number}
        row = connection.execute(PEAK, at).fetchone()
        assert row is not None, f"the log of programme {programme_id} lacks a node"
        hashes.append(bytes(row[0]))
    return Peaks(size, hashes)


def _claims_since(connection: Connection[Any], event: Any, since: datetime) -> Iterator[Any]:
    """Yield the claims before ``event`` recorded since an instant. Instants never run back, so the walk ends there."""
    before = event.event_no
    while before:
        with named_rows(connection) as cursor:
            rows = cursor.execute(CLAIMS_BEFORE, (event.programme_id, before, EVENTS_AT_ONCE)).fetchall()
        for row in rows:
            if row.recorded_at < since:
                return
            if row.kind == EventKind.CLAIM:
                yield row
        before = rows[-1].event_no if rows else 0


def _tokens(connection: Connection[Any], programme_id: int, events: Sequence[Any]) -> dict[int, str]:
    """Return each person's token, made now for those who have none."""
    persons = sorted({event.person_id for event in events if event.person_id is not None})
    tokens = dict(connection.execute(TOKENS, (programme_id, persons)).fetchall())
    new = [(programme_id, person, secrets.token_hex(16)) for person in persons if person not in tokens]
    if new:
        with connection.cursor() as cursor:
            cursor.executemany(ADD_TO_LOG, new)
    return tokens | {person: token for _, person, token in new}


def _unseen_for_long(connection: Connection[Any], programme_id: int, now: datetime) -> bool:
    row = connection.execute(LAST_PUBLIC, (programme_id,)).fetchone()
    return row is not None and row[0] is not None and now - row[0] >= LONGEST_UNSEEN


def _store(connection: Connection[Any], written: Written) -> None:
    tables = (
        (COPY_LEAVES, written.leaves),
        ("COPY log_node (programme_id, level, number, sha256) FROM STDIN", written.nodes),
        ("COPY log_salt (programme_id, leaf, salt) FROM STDIN", written.salts),
    )
    with connection.cursor() as cursor:
        for statement, rows in tables:
            if rows:
                with cursor.copy(statement) as copy:
                    for row in rows:
                        copy.write_row(row)
