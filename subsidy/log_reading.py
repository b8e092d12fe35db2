"""Reading the published log: heads, leaves, proofs. What no public head covers yet, the public does not get."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from registry.base import Refusal
from subsidy.log_heads import Head
from subsidy.log_tables import LogHead, LogLeaf, LogNode
from subsidy.merkle import Range, consistency_ranges, inclusion_ranges, joined, subtrees
from subsidy.programme import Programme, ProgrammeNotFound, ProgrammeVersion

MOST_ENTRIES = 1000
MOST_HEADS = 200


class LogEmpty(Refusal):
    """No public head of this programme has been signed yet."""

    code = "log_empty"
    kind = "not_found"
    zh = "这个活动的公开日志还没有发布。"
    en = "The log of this programme has not been published yet."
    remedy_zh = "请过一会儿再来。"
    remedy_en = "Come back a little later."


class BeyondTheLog(Refusal):
    """A leaf or a size was asked for that the public log does not hold, or not yet."""

    code = "beyond_the_log"
    zh = "公开日志现在有 {size} 条记录，没有您要的这一部分。"
    en = "The public log holds {size} leaves; what you ask for is not among them."
    remedy_zh = "请先查最新的签名树头，再按它的大小查询。"
    remedy_en = "Ask for the newest head first, and keep within its size."


def programme_of(*, session: Session, code: str) -> Programme:
    """Return the programme with this code; raises ProgrammeNotFound."""
    # PostgreSQL holds no NUL: no programme is called so.
    programme = None if "\0" in code else session.scalar(select(Programme).where(Programme.code == code))
    if programme is None:
        raise ProgrammeNotFound(programme=code)
    return programme


def public_head(*, session: Session, programme: Programme) -> Head:
    """Return the newest public head; raises LogEmpty."""
    return public_heads(session=session, programme=programme, before=None, limit=1)[0]


def public_heads(*, session: Session, programme: Programme, before: int | None, limit: int) -> list[Head]:
    """Return public heads, largest first, those smaller than ``before`` where it is given; raises LogEmpty."""
    query = select(LogHead).where(LogHead.programme_id == programme.id, LogHead.is_public)
    if before is not None:
        query = query.where(LogHead.size < before)
    rows = session.scalars(query.order_by(LogHead.size.desc()).limit(min(limit, MOST_HEADS))).all()
    if not rows and before is None:
        raise LogEmpty
    return [head_of(row, programme) for row in rows]


def newest_head(*, session: Session, programme: Programme) -> Head:
    """Return the newest head of all, public or not, for receipts; raises LogEmpty."""
    row = session.scalar(
        select(LogHead).where(LogHead.programme_id == programme.id).order_by(LogHead.size.desc()).limit(1)
    )
    if row is None:
        raise LogEmpty
    return head_of(row, programme)


def head_of(row: LogHead, programme: Programme) -> Head:
    """Return the head that a row holds."""
    return Head(
        programme=programme.code,
        size=row.size,
        root=bytes(row.root),
        at=row.at,
        key_id=row.key_id,
        signature=bytes(row.signature),
    )


def entries(*, session: Session, programme: Programme, start: int, end: int) -> list[dict[str, Any]]:
    """Return the public leaves from ``start`` up to ``end`` (excluded), at most 1,000; raises BeyondTheLog, LogEmpty.

    Fewer where the public log ends before.
    """
    size = public_head(session=session, programme=programme).size
    if not 0 <= start < size or end <= start:
        raise BeyondTheLog(size=size, field="start" if not 0 <= start < size else "end")
    last = min(end, size, start + MOST_ENTRIES)
    rows = session.scalars(
        select(LogLeaf.entry)
        .where(LogLeaf.programme_id == programme.id, LogLeaf.leaf >= start, LogLeaf.leaf < last)
        .order_by(LogLeaf.leaf)
    )
    return [json.loads(row) for row in rows]


def versions(*, session: Session, programme: Programme) -> list[dict[str, Any]]:
    """Return every version of the rules: number, event, hash, the rules whole."""
    rows = session.scalars(
        select(ProgrammeVersion)
        .where(ProgrammeVersion.programme_id == programme.id)
        .order_by(ProgrammeVersion.version_no)
    )
    return [
        {
            "version_no": row.version_no,
            "event_no": row.event_no,
            "rules_sha256": bytes(row.sha256).hex(),
            "rules": row.rules,
        }
        for row in rows
    ]


def public_inclusion(*, session: Session, programme: Programme, leaf: int, size: int) -> tuple[bytes, list[bytes]]:
    """Return the hash of a public leaf and its proof in the tree of ``size`` leaves; raises BeyondTheLog, LogEmpty."""
    known = public_head(session=session, programme=programme).size
    if not 0 < size <= known:
        raise BeyondTheLog(size=known, field="size")
    if not 0 <= leaf < size:
        raise BeyondTheLog(size=known, field="leaf")
    proof = range_hashes(session=session, programme=programme, ranges=inclusion_ranges(leaf, size))
    return range_hashes(session=session, programme=programme, ranges=[(leaf, leaf + 1)])[0], proof


def public_consistency(*, session: Session, programme: Programme, first: int, second: int) -> list[bytes]:
    """Return the proof that the tree of ``first`` leaves begins that of ``second``; raises BeyondTheLog, LogEmpty."""
    known = public_head(session=session, programme=programme).size
    if not 0 < second <= known:
        raise BeyondTheLog(size=known, field="second")
    if not 0 < first <= second:
        raise BeyondTheLog(size=known, field="first")
    return range_hashes(session=session, programme=programme, ranges=consistency_ranges(first, second))


def range_hashes(*, session: Session, programme: Programme, ranges: Sequence[Range]) -> list[bytes]:
    """Return the hash over each range of leaves, from the stored hashes in two questions."""
    wanted = {at for span in ranges for at in subtrees(span)}
    leaves = [number for level, number in wanted if level == 0]
    nodes = [and_(LogNode.level == level, LogNode.number == number) for level, number in sorted(wanted) if level > 0]
    found = {
        (0, leaf): bytes(sha256)
        for leaf, sha256 in session.execute(
            select(LogLeaf.leaf, LogLeaf.sha256).where(LogLeaf.programme_id == programme.id, LogLeaf.leaf.in_(leaves))
        )
    }
    if nodes:
        rows = session.execute(
            select(LogNode.level, LogNode.number, LogNode.sha256).where(
                LogNode.programme_id == programme.id, or_(*nodes)
            )
        )
        found |= {(level, number): bytes(sha256) for level, number, sha256 in rows}
    return [joined([found[at] for at in subtrees(span)]) for span in ranges]


def leaves_of_position(*, session: Session, programme: Programme, position: int, size: int) -> list[LogLeaf]:
    """Return the leaves under ``size`` that name a position, oldest first."""
    return list(
        session.scalars(
            select(LogLeaf)
            .where(LogLeaf.programme_id == programme.id, LogLeaf.position == position, LogLeaf.leaf < size)
            .order_by(LogLeaf.leaf)
        )
    )
