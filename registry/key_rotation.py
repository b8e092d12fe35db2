"""Rotation of the data keys: what older keys sealed is sealed again under the active one, block by block, online.

It only seals again. Blind indexes and person_ids are not touched, so nobody can be split in two or lost. A run that
was cut off has lost nothing but its last block; the next run finds what is left by the key id each value begins with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, LargeBinary, Table, bindparam, column, func, or_, select, update
from sqlalchemy.orm import Session, sessionmaker

from registry.audit import record
from registry.base import table_of
from registry.people import Person
from registry.sealing import Keyring, Unsealable

BLOCK = 1000
# A value may be written under an older key while a pass goes by, and a row another transaction holds is left for the
# next pass. Whoever still writes under an older key after this many passes was not restarted with the new one.
PASSES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedTable:
    """A table with an ``id`` and sealed columns: ``fields`` maps each to the field it is bound to.

    ``block`` rows are done in a transaction at most, where its values are large.
    """

    table: Table
    fields: Mapping[str, str]
    block: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a run did: rows sealed again and rows still under older keys, by table."""

    rotated: Mapping[str, int]
    left: Mapping[str, int]

    @property
    def complete(self) -> bool:
        """Whether the older keys open nothing any more and may be removed."""
        return not any(self.left.values())


PEOPLE = SealedTable(
    table=table_of(Person),
    fields={"id_sealed": "id_no", "name_sealed": "name", "phone_sealed": "phone"},
)


def rotate(
    *,
    sessions: sessionmaker[Session],
    keyring: Keyring,
    tables: Sequence[SealedTable],
    actor: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
    block: int = BLOCK,
) -> Rotation:
    """Seal every value of ``tables`` under the active key, ``block`` rows a transaction; ``progress`` gets (done, all).

    Commits block by block. Nothing waits for it and it waits for nobody: rows that others hold are passed over and
    met again. Running it again changes nothing. Raises Unsealable naming the row where a value does not open.
    """
    total = sum(_left(sessions, keyring, sealed) for sealed in tables)
    rotated: Counter[str] = Counter()
    for _ in range(PASSES):
        for sealed in tables:
            after: int | None = 0
            while after is not None:
                with sessions.begin() as session:
                    most = min(block, sealed.block or block)
                    count, after = _rotate_block(session, keyring, sealed, after=after, block=most)
                rotated[sealed.table.name] += count
                progress(sum(rotated.values()), max(total, sum(rotated.values())))
        left = {sealed.table.name: _left(sessions, keyring, sealed) for sealed in tables}
        if not any(left.values()):
            break
    result = Rotation(rotated=dict(rotated), left=left)
    if total or any(rotated.values()):
        detail = {"active_key": keyring.active, "rotated": dict(rotated), "left": left}
        with sessions.begin() as session:
            record(session=session, actor=actor, action="keys_rotated", subject="keyring", detail=detail)
    return result


def keys_in_use(*, session: Session, sealed: SealedTable) -> dict[int, int]:
    """Return how many values of the table stand under each key id."""
    counts: Counter[int] = Counter()
    for name in sealed.fields:
        value = sealed.table.c[name]
        key_id = func.get_byte(value, 0)
        rows = session.execute(select(key_id, func.count()).where(value.is_not(None)).group_by(key_id))
        counts.update({int(number): int(many) for number, many in rows})
    return dict(sorted(counts.items()))


def _rotate_block(
    session: Session, keyring: Keyring, sealed: SealedTable, *, after: int, block: int
) -> tuple[int, int | None]:
    """Rotate the next rows behind ``after``; return how many, and behind which id to go on, None at the end."""
    table = sealed.table
    names = list(sealed.fields)
    # FOR NO KEY UPDATE lets rows that refer to a person be inserted meanwhile.
    due = (
        select(table.c.id, *(table.c[name] for name in names))
        .where(table.c.id > after, _is_older(sealed, keyring))
        .order_by(table.c.id)
        .limit(block)
        .with_for_update(key_share=True, skip_locked=True)
    )
    rows = session.execute(due).all()
    if not rows:
        return 0, None
    fresh = [[row[0], *_sealed_again(keyring, sealed, row)] for row in rows]
    _store(session, table, names, fresh)
    return len(rows), rows[-1][0] if len(rows) == block else None


def _sealed_again(keyring: Keyring, sealed: SealedTable, row: Any) -> list[bytes | None]:
    try:
        return [
            None if value is None else keyring.reseal(value, field=field)
            for value, field in zip(row[1:], sealed.fields.values(), strict=True)
        ]
    except Unsealable as error:
        raise Unsealable(f"{sealed.table.name} {row[0]}: {error}") from error


def _store(session: Session, table: Table, names: list[str], rows: list[list[Any]]) -> None:
    columns: list[Column[Any]] = [column("id", BigInteger), *(column(name, LargeBinary) for name in names)]  # type: ignore[list-item]
    arrays = [
        bindparam(f"all_{each.name}", [row[place] for row in rows], ARRAY(each.type))
        for place, each in enumerate(columns)
    ]
    fresh = func.unnest(*arrays).table_valued(*columns, name="fresh").render_derived()
    session.execute(update(table).where(table.c.id == fresh.c.id).values({name: fresh.c[name] for name in names}))


def _left(sessions: sessionmaker[Session], keyring: Keyring, sealed: SealedTable) -> int:
    with sessions() as session:
        count = select(func.count()).select_from(sealed.table).where(_is_older(sealed, keyring))
        return session.scalar(count) or 0


def _is_older(sealed: SealedTable, keyring: Keyring) -> Any:
    key_id = bytes([keyring.active])
    return or_(*(func.substring(sealed.table.c[name], 1, 1) != key_id for name in sealed.fields))
