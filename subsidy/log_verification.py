"""Verification of the published log: every leaf made again from the queue, every root from the leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from psycopg import Connection

from subsidy.events import EventKind
from subsidy.log_heads import Head
from subsidy.log_leaves import Draft, Window, canonical, leaves_of
from subsidy.log_publishing import adopt_version
from subsidy.merkle import Peaks, leaf_hash
from subsidy.queue_rows import named_rows, stream_rows
from subsidy.verification import Difference, rows_by_event

EVENTS = """
SELECT q.*, t.reference, k.token FROM queue_event q LEFT JOIN trade_in t ON t.id = q.trade_in_id
LEFT JOIN log_token k ON k.programme_id = q.programme_id AND k.person_id = q.person_id
WHERE q.programme_id = %s AND q.event_no <= %s ORDER BY q.event_no
"""
DECISIONS = """
SELECT * FROM decision WHERE programme_id = %s AND event_no <= %s ORDER BY event_no, position
"""
LEAVES = """
SELECT l.*, s.salt FROM log_leaf l LEFT JOIN log_salt s ON s.programme_id = l.programme_id AND s.leaf = l.leaf
WHERE l.programme_id = %s ORDER BY l.leaf
"""
NODES = "SELECT level, number, sha256 FROM log_node WHERE programme_id = %s"
HEADS = "SELECT * FROM log_head WHERE programme_id = %s ORDER BY size"


def verify_log(
    *, connection: Connection[Any], programme: Any, is_signed: Callable[[Head], bool] | None = None
) -> Iterator[Difference]:
    """Yield every difference between one programme's published log and its queue (``programme``: a row, by name).

    A leaf whose salt or token was erased is compared in everything else. Signatures are checked where ``is_signed`` is
    given.
    """
    with named_rows(connection) as cursor:
        log = cursor.execute("SELECT * FROM published_log WHERE programme_id = %s", (programme.id,)).fetchone()
        heads = cursor.execute(HEADS, (programme.id,)).fetchall()
        nodes = {(row.level, row.number): bytes(row.sha256) for row in cursor.execute(NODES, (programme.id,))}
    if log is None:
        return
    roots: dict[int, bytes] = {}
    sizes = {head.size for head in heads}
    peaks = Peaks()
    expected = _expected(connection, programme.id, log.event_no)
    for row in stream_rows(connection, "verify_leaves", LEAVES, programme.id):
        subject = f"leaf {row.leaf}"
        if row.leaf != peaks.size:
            yield Difference(subject=f"leaf {peaks.size}", what="row", stored="missing", replayed="a log without holes")
            return
        draft = next(expected, None)
        told = None if draft is None else _entry(draft, row)
        if row.entry != told:
            yield Difference(subject=subject, what="entry", stored=row.entry, replayed=told)
        if draft is not None and (row.event_no, row.position) != (draft.event_no, draft.position):
            stored = (row.event_no, row.position)
            yield Difference(
                subject=subject, what="event, position", stored=stored, replayed=(draft.event_no, draft.position)
            )
        sha256 = leaf_hash(row.entry.encode())
        if bytes(row.sha256) != sha256:
            yield Difference(subject=subject, what="hash", stored=bytes(row.sha256).hex(), replayed=sha256.hex())
        for level, number, node in peaks.append(sha256):
            if nodes.pop((level, number), None) != node:
                yield Difference(subject=f"node {level}/{number}", what="hash", stored="changed", replayed=node.hex())
        if peaks.size in sizes:
            roots[peaks.size] = peaks.root()
    missing = next(expected, None)
    if missing is not None:
        yield Difference(subject=f"event {missing.event_no}", what="leaf", stored="missing", replayed="published")
    for at in nodes:
        yield Difference(subject=f"node {at[0]}/{at[1]}", what="node without leaves", stored="there", replayed=None)
    if log.size != peaks.size:
        yield Difference(subject=programme.code, what="size of the log", stored=log.size, replayed=peaks.size)
    yield from _compare_heads(programme, heads, roots, is_signed)


def _compare_heads(
    programme: Any, heads: list[Any], roots: dict[int, bytes], is_signed: Callable[[Head], bool] | None
) -> Iterator[Difference]:
    for row in heads:
        root, subject = roots.get(row.size), f"head {row.size}"
        if root != bytes(row.root):
            replayed = root.hex() if root else None
            yield Difference(subject=subject, what="root", stored=bytes(row.root).hex(), replayed=replayed)
        head = Head(
            programme=programme.code,
            size=row.size,
            root=bytes(row.root),
            at=row.at,
            key_id=row.key_id,
            signature=bytes(row.signature),
        )
        if is_signed is not None and not is_signed(head):
            yield Difference(subject=subject, what="signature", stored="not ours", replayed="signed by a key of ours")


def _expected(connection: Connection[Any], programme_id: int, last_no: int) -> Iterator[Draft]:
    """The leaves as the queue says they must be; a token that was erased stands as an empty one."""
    decisions = rows_by_event(connection, "verify_log_decisions", DECISIONS, programme_id, last_no)
    next(decisions)
    windows: list[Window] = []
    for event in stream_rows(connection, "verify_log_events", EVENTS, programme_id, last_no):
        changed: list[list[int]] = []
        if event.kind == EventKind.VERSION:
            changed, windows = adopt_version(connection=connection, event=event, windows=windows)
        elif event.kind == EventKind.SETTLING:
            windows[event.stage_no - 1].settled = True
        yield from leaves_of(
            event=event,
            decisions=decisions.send(event.event_no),
            windows=windows,
            token=event.token or "",
            changed=changed,
        )


def _entry(draft: Draft, row: Any) -> str:
    """The leaf's text as it must be; what was erased is taken from the leaf itself, which its root guards."""
    stored = json.loads(row.entry)
    public = draft.public
    if public.get("token") == "":
        public = {**public, "token": stored.get("token")}
    if row.salt is not None:
        return Draft(event_no=draft.event_no, position=draft.position, public=public, rest=draft.rest).entry(row.salt)
    return canonical({**public, "commitment": stored.get("commitment")})
