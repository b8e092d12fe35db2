"""How a block of checked rows gets into the database: people, filings, and what is already known of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from registry.base import Refusal
from registry.filing_findings import (
    HEADERS_EN,
    FilingCorrected,
    FilingInUse,
    FilingNeedsTransfer,
    Finding,
    ImportReport,
    OwnerNameDiffers,
    PhoneKept,
    PlateTwiceInList,
)
from registry.filing_rows import HEADERS, Filing
from registry.sealing import Keyring


@dataclass(slots=True, kw_only=True)
class Block:
    """Rows on their way into the database: clean ones by line, and sealed as they are copied."""

    read: int = 0
    refused: int = 0
    filings: dict[int, Filing] = field(default_factory=dict)
    sealed: list[tuple[object, ...]] = field(default_factory=list)
    plates: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def begin_import(connection: psycopg.Connection[Any]) -> datetime:
    """Make room on this connection for the rows of one list; return the database's clock before the first of them."""
    with connection.transaction():
        connection.execute(_CREATE_INCOMING)
        connection.execute(_CREATE_MET)
        connection.execute("TRUNCATE incoming_filing, met_filing")
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    begun_at: datetime = row[0]
    return begun_at


def store_block(
    *,
    connection: psycopg.Connection[Any],
    keyring: Keyring,
    block: Block,
    report: ImportReport,
    actor: str,
    begun_at: datetime,
) -> None:
    """Store one block in the caller's transaction, and add to the report and to the block's findings.

    ``begun_at`` is what ``begin_import`` returned; ``actor`` is who corrects what a row says otherwise than a filing.
    """
    report.read += block.read
    report.refused += block.refused
    if not block.sealed:
        return
    _copy(connection, block.sealed)
    report.new_people += connection.execute(_INSERT_PEOPLE).rowcount
    namesakes = _compare_people(connection, keyring, block)
    stored = connection.execute(_INSERT_FILINGS).rowcount
    known = len(block.sealed) - namesakes - stored
    corrected: list[int] = []
    differing = 0
    if known:
        corrected, differing = _compare_filings(connection, block, begun_at)
        _correct(connection, corrected, actor)
        connection.execute(_NOTE_MET, (begun_at,))
        connection.execute(_INDEX_NAMES)
        report.new_people -= connection.execute(_FORGET_PEOPLE).rowcount
    report.refused += namesakes
    report.stored += stored
    report.corrected += len(corrected)
    report.differing += differing
    report.unchanged += known - differing - len(corrected)


def _copy(connection: psycopg.Connection[Any], sealed: list[tuple[object, ...]]) -> None:
    connection.execute(_ONE_AT_A_TIME)
    connection.execute("TRUNCATE incoming_filing")
    with connection.cursor() as cursor, cursor.copy(_COPY_INCOMING) as copy:
        copy.set_types(_INCOMING_TYPES)
        for row in sealed:
            copy.write_row(row)


def _compare_people(connection: psycopg.Connection[Any], keyring: Keyring, block: Block) -> int:
    """Take out the rows whose owner is known by another name, and return how many; note where the phone is another."""
    namesakes: list[int] = []
    for line, name_sealed, other_phone in connection.execute(_KNOWN_PEOPLE).fetchall():
        if keyring.open(name_sealed, field="name") != block.filings[line].owner_name:
            namesakes.append(line)
            block.findings.append(Finding(line=line, kind="refused", refusal=OwnerNameDiffers()))
        elif other_phone:
            block.findings.append(Finding(line=line, kind="noted", refusal=PhoneKept()))
    if namesakes:
        connection.execute("DELETE FROM incoming_filing WHERE line = ANY(%s)", (namesakes,))
    connection.execute(_FIND_PEOPLE)
    return len(namesakes)


def _compare_filings(connection: psycopg.Connection[Any], block: Block, begun_at: datetime) -> tuple[list[int], int]:
    """Judge the rows that say something else than the filing stored under their plate.

    Return the lines that correct theirs, and how many do not.
    """
    corrected: list[int] = []
    differing = 0
    connection.execute(_LOCK_DIFFERENT)
    for line, again, in_use, *differences in connection.execute(_DIFFERENT_FILINGS, (begun_at,)):
        fields = [name for name, differs in zip(_COMPARED, differences, strict=True) if differs]
        verdict: type[Refusal] = FilingCorrected
        if again:
            verdict = PlateTwiceInList
        elif "id_no" in fields:
            verdict, fields = FilingNeedsTransfer, ["id_no"]
        elif in_use:
            verdict = FilingInUse
        if verdict is FilingCorrected:
            corrected.append(line)
        else:
            differing += 1
        block.findings += [_finding(block, line, verdict, name) for name in fields]
    return corrected, differing


def _finding(block: Block, line: int, verdict: type[Refusal], name: str) -> Finding:
    plate_no = block.filings[line].plate_no
    refusal = verdict(field=name, plate_no=plate_no, header=HEADERS[name], header_en=HEADERS_EN[name])
    return Finding(line=line, kind="corrected" if verdict is FilingCorrected else "differs", refusal=refusal)


def _correct(connection: psycopg.Connection[Any], lines: list[int], actor: str) -> None:
    if lines:
        connection.execute(_KEEP_HISTORY, {"actor": actor, "lines": lines})
        connection.execute(_CORRECT_FILINGS, (lines,))


_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('filing_import'))"
_COPY_INCOMING = """
    COPY incoming_filing (line, plate_no, filed_on, brand, frame_no, sub_district,
                          id_index, id_sealed, name_sealed, name_index, phone_sealed, phone_index, again)
    FROM STDIN (FORMAT binary)
"""
_INCOMING_TYPES = ("int4", "text", "date", "text", "text", "text", *["bytea"] * 6, "bool")
# ``again``: a row of this block has brought the same owner already. ``owner_id`` is found below.
_CREATE_INCOMING = """
    CREATE TEMPORARY TABLE IF NOT EXISTS incoming_filing (
        line integer, plate_no text, filed_on date, brand text, frame_no text, sub_district text,
        id_index bytea, id_sealed bytea, name_sealed bytea, name_index bytea, phone_sealed bytea, phone_index bytea,
        again boolean, owner_id bigint
    )
"""
_INSERT_PEOPLE = """
    WITH made AS (
        INSERT INTO person (id_index, id_sealed, name_sealed, name_index, phone_sealed, phone_index)
        SELECT id_index, id_sealed, name_sealed, name_index, phone_sealed, phone_index
        FROM incoming_filing WHERE NOT again ORDER BY line
        ON CONFLICT (id_index) DO NOTHING RETURNING id, id_index
    )
    UPDATE incoming_filing i SET owner_id = made.id FROM made WHERE made.id_index = i.id_index AND NOT i.again
"""
_KNOWN_PEOPLE = """
    SELECT i.line, p.name_sealed, i.phone_index IS NOT NULL AND i.phone_index IS DISTINCT FROM p.phone_index
    FROM incoming_filing i JOIN person p USING (id_index) WHERE i.owner_id IS NULL
"""
_FIND_PEOPLE = """
    UPDATE incoming_filing i SET owner_id = p.id FROM person p WHERE p.id_index = i.id_index AND i.owner_id IS NULL
"""
_INSERT_FILINGS = """
    INSERT INTO filed_bike (plate_no, owner_id, filed_on, brand, frame_no, sub_district)
    SELECT plate_no, owner_id, filed_on, brand, frame_no, sub_district FROM incoming_filing ORDER BY line
    ON CONFLICT (plate_no) DO NOTHING
"""
# The plates of this list that were stored before it came. Those it has brought itself are younger than its beginning.
_CREATE_MET = "CREATE TEMPORARY TABLE IF NOT EXISTS met_filing (plate_no text PRIMARY KEY)"
_NOTE_MET = """
    INSERT INTO met_filing SELECT plate_no FROM incoming_filing JOIN filed_bike f USING (plate_no)
    WHERE f.created_at < %s ON CONFLICT DO NOTHING
"""
_COMPARED = ("id_no", "filed_on", "brand", "frame_no", "sub_district")
_DIFFERS = """
    (i.owner_id, i.filed_on, i.brand, i.frame_no, i.sub_district)
    <> (f.owner_id, f.filed_on, f.brand, f.frame_no, f.sub_district)
"""
# Before they are compared, so that nobody opens a trade-in on what is about to change.
_LOCK_DIFFERENT = f"""
    SELECT f.id FROM filed_bike f JOIN incoming_filing i USING (plate_no) WHERE {_DIFFERS} ORDER BY f.id FOR UPDATE OF f
"""  # noqa: S608
_DIFFERENT_FILINGS = f"""
    SELECT i.line, f.created_at >= %s OR EXISTS (SELECT FROM met_filing m WHERE m.plate_no = i.plate_no),
           f.state <> 'filed' OR EXISTS (
               SELECT FROM trade_in t WHERE t.filed_bike_id = f.id AND t.state <> 'withdrawn'),
           i.owner_id <> f.owner_id, i.filed_on <> f.filed_on, i.brand <> f.brand, i.frame_no <> f.frame_no,
           i.sub_district <> f.sub_district
    FROM incoming_filing i JOIN filed_bike f USING (plate_no) WHERE {_DIFFERS}
"""  # noqa: S608
_KEEP_HISTORY = """
    WITH changed AS (
        INSERT INTO filing_change (filed_bike_id, actor, field, old, new)
        SELECT f.id, %(actor)s, c.field, c.old, c.new
        FROM incoming_filing i JOIN filed_bike f USING (plate_no)
        CROSS JOIN LATERAL (VALUES ('filed_on', f.filed_on::text, i.filed_on::text), ('brand', f.brand, i.brand),
            ('frame_no', f.frame_no, i.frame_no), ('sub_district', f.sub_district, i.sub_district)
        ) c (field, old, new)
        WHERE i.line = ANY(%(lines)s) AND c.old <> c.new ORDER BY i.line
        RETURNING filed_bike_id, field, old, new
    )
    INSERT INTO audit_entry (actor, action, subject, detail)
    SELECT %(actor)s, 'filing.corrected', 'filing:' || f.plate_no,
           jsonb_object_agg(c.field, jsonb_build_array(c.old, c.new))
    FROM changed c JOIN filed_bike f ON f.id = c.filed_bike_id GROUP BY f.id ORDER BY f.id
"""
_CORRECT_FILINGS = """
    UPDATE filed_bike f
    SET filed_on = i.filed_on, brand = i.brand, frame_no = i.frame_no, sub_district = i.sub_district
    FROM incoming_filing i WHERE i.plate_no = f.plate_no AND i.line = ANY(%s)
"""
# People stored before names could be searched for.
_INDEX_NAMES = """
    UPDATE person p SET name_index = i.name_index
    FROM incoming_filing i WHERE p.id = i.owner_id AND p.name_index IS NULL
"""
# A row that was not stored leaves nobody behind whom it alone had brought. Every sealing is different, so a person
# made by this very row holds this very sealed number.
_FORGET_PEOPLE = """
    DELETE FROM person p USING incoming_filing i
    WHERE p.id = i.owner_id AND p.id_sealed = i.id_sealed
      AND NOT EXISTS (SELECT FROM filed_bike f WHERE f.owner_id = p.id)
"""
