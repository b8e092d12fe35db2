"""The import of a filing list: every good row goes in once, every other row is named with what is wrong.

An import adds and never overwrites. A filing already stored is compared: the same is left alone, a different one is
reported as «differs» and stays as it was. Rows travel in blocks, each in one transaction, so a list that breaks off
can simply be imported again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import psycopg

from registry.base import Refusal
from registry.filing_rows import HEADERS, Filing, FilingRow, RowChecker
from registry.people import id_index, phone_index
from registry.sealing import Keyring

BLOCK_ROWS = 10_000
KEPT_FINDINGS = 1_000
FindingKind = Literal["refused", "differs", "noted"]


class FilingDiffers(Refusal):
    """A filing with this plate is stored with other content; an import never overwrites it."""

    code = "filing_differs"
    kind = "conflict"
    zh = "号牌 {plate_no} 已有备案，「{header}」和这一行不同。"
    en = "The plate {plate_no} is filed already, with another «{header}» than this row."
    remedy_zh = "系统保留原来的内容；确实要改，请在备案详情里更正。"
    remedy_en = "What was stored is kept; correct the filing itself if it is wrong."


class OwnerNameDiffers(Refusal):
    """The ID number belongs to a known person of another name."""

    code = "owner_name_differs"
    kind = "conflict"
    zh = "这个证件号码已登记在另一个姓名下。"
    en = "This ID number is registered under another name."
    remedy_zh = "请对照证件核对姓名和证件号码，哪一个写错了就改哪一个。"
    remedy_en = "Compare name and ID number with the card and correct the one that is wrong."
    default_field = "owner_name"


class PhoneKept(Refusal):
    """The owner is known with another phone. The filing is stored, the phone stays as it was."""

    code = "phone_kept"
    kind = "conflict"
    zh = "这位车主已登记另一个手机号码，导入不改它。"
    en = "This owner is known with another phone; the import leaves it as it is."
    remedy_zh = "不用处理；车主到店或登录后可以自己更新。"
    remedy_en = "Nothing to do; the owner updates it at a point or after signing in."
    default_field = "phone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is to be said about one cell of one row. It holds no personal data.

    ``kind`` is refused (the row is not stored), differs (a stored filing says otherwise and is kept) or noted (the
    row is stored as it should be, but somebody may want to know).
    """

    line: int
    kind: FindingKind
    refusal: Refusal

    @property
    def header(self) -> str:
        """The column's header in the list."""
        return HEADERS.get(self.refusal.field or "", "")


@dataclass(slots=True, kw_only=True)
class ImportReport:
    """How an import went: rows read = stored + unchanged + differing + refused.

    ``findings`` holds the first thousand, ``counts`` how many there were of each code.
    """

    read: int = 0
    stored: int = 0
    unchanged: int = 0
    differing: int = 0
    refused: int = 0
    new_people: int = 0
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Block:
    """Rows on their way into the database: clean ones by line, and sealed as they are copied."""

    read: int = 0
    refused: int = 0
    filings: dict[int, Filing] = field(default_factory=dict)
    sealed: list[tuple[object, ...]] = field(default_factory=list)
    plates: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def import_filings(
    *,
    connection: psycopg.Connection[Any],
    keyring: Keyring,
    rows: Iterable[FilingRow],
    today: date,
    progress: Callable[[int], None] | None = None,
    on_finding: Callable[[Finding], None] | None = None,
    plate_pattern: str = r"[A-Z]\d{6}",
    dry_run: bool = False,
) -> ImportReport:
    """Validate, seal and store the rows; return how it went.

    ``progress`` hears the number of rows read so far after each block, ``on_finding`` every finding (the report keeps
    the first thousand). ``connection`` must be idle: each block is a transaction of its own, and while PostgreSQL
    stores one, the next is checked and sealed. One import runs at a time in a district; others wait for its block.
    A dry run does the same and rolls all of it back. Raises what reading the rows raises; blocks before stay.
    """
    checker = RowChecker(today=today, plate_pattern=plate_pattern)
    report = ImportReport()
    whole = connection.transaction(force_rollback=True) if dry_run else nullcontext()
    with whole, closing(_ahead(_blocks(rows, checker, keyring))) as blocks:
        for block in blocks:
            with connection.transaction():
                _store(connection, keyring, block, report)
            _tell(block, report, on_finding)
            if progress is not None:
                progress(report.read)
    return report


def _blocks(rows: Iterable[FilingRow], checker: RowChecker, keyring: Keyring) -> Iterator[_Block]:
    """Checked and sealed rows in blocks. A plate stands once in a block, so that a later row meets it as stored."""
    block = _Block()
    for row in rows:
        filing = checker.check(row)
        if isinstance(filing, list):
            block.refused += 1
            block.findings += [Finding(line=row.line, kind="refused", refusal=refusal) for refusal in filing]
        else:
            if filing.plate_no in block.plates:
                yield block
                block = _Block()
            block.plates.add(filing.plate_no)
            block.filings[filing.line] = filing
            block.sealed.append((*_seal(filing, keyring), filing.id_no in block.owners))
            block.owners.add(filing.id_no)
        block.read += 1
        if block.read >= BLOCK_ROWS:
            yield block
            block = _Block()
    if block.read:
        yield block


def _seal(filing: Filing, keyring: Keyring) -> tuple[object, ...]:
    """The row in the order of _COPY_INCOMING."""
    line, plate_no, owner_name, id_no, phone, filed_on, brand, frame_no, sub_district = filing
    return (
        line,
        plate_no,
        filed_on,
        brand,
        frame_no,
        sub_district,
        id_index(keyring=keyring, id_no=id_no),
        keyring.seal(id_no, field="id_no"),
        keyring.seal(owner_name, field="name"),
        keyring.seal(phone, field="phone") if phone else None,
        phone_index(keyring=keyring, phone=phone) if phone else None,
    )


def _ahead(blocks: Iterator[_Block]) -> Generator[_Block, None, None]:
    """Yield the same blocks, the next ones being made by a thread meanwhile; at most one waits."""
    waiting: queue.Queue[_Block | BaseException | None] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def make() -> None:
        try:
            for block in blocks:
                waiting.put(block)
                if stopped.is_set():
                    return
            waiting.put(None)
        except BaseException as error:  # handed on to whoever takes the blocks
            waiting.put(error)

    maker = threading.Thread(target=make, name="filing-import", daemon=True)
    maker.start()
    try:
        while (block := waiting.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block
    finally:
        stopped.set()
        while maker.is_alive():
            with suppress(queue.Empty):
                waiting.get(timeout=0.02)


def _store(connection: psycopg.Connection[Any], keyring: Keyring, block: _Block, report: ImportReport) -> None:
    """Store one block in the caller's transaction, and add to the report and to the block's findings."""
    report.read += block.read
    report.refused += block.refused
    if not block.sealed:
        return
    _copy(connection, block.sealed)
    report.new_people += connection.execute(_INSERT_PEOPLE).rowcount
    namesakes = _compare_people(connection, keyring, block)
    stored = connection.execute(_INSERT_FILINGS).rowcount
    known = len(block.sealed) - namesakes - stored
    differing = 0
    if known:
        differing = _compare_filings(connection, block)
        report.new_people -= connection.execute(_FORGET_PEOPLE).rowcount
    report.refused += namesakes
    report.stored += stored
    report.differing += differing
    report.unchanged += known - differing


def _copy(connection: psycopg.Connection[Any], sealed: list[tuple[object, ...]]) -> None:
    connection.execute(_ONE_AT_A_TIME)
    connection.execute(_CREATE_INCOMING)
    connection.execute("TRUNCATE incoming_filing")
    with connection.cursor() as cursor, cursor.copy(_COPY_INCOMING) as copy:
        copy.set_types(_INCOMING_TYPES)
        for row in sealed:
            copy.write_row(row)


def _compare_people(connection: psycopg.Connection[Any], keyring: Keyring, block: _Block) -> int:
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


def _compare_filings(connection: psycopg.Connection[Any], block: _Block) -> int:
    """Report the rows that say something else than the filing stored under their plate; return how many."""
    differing = 0
    for line, *differences in connection.execute(_DIFFERENT_FILINGS):
        differing += 1
        for name, differs in zip(_COMPARED, differences, strict=True):
            if differs:
                plate_no = block.filings[line].plate_no
                refusal = FilingDiffers(field=name, plate_no=plate_no, header=HEADERS[name])
                block.findings.append(Finding(line=line, kind="differs", refusal=refusal))
    return differing


def _tell(block: _Block, report: ImportReport, on_finding: Callable[[Finding], None] | None) -> None:
    for finding in sorted(block.findings, key=lambda finding: finding.line):
        code = finding.refusal.code
        report.counts[code] = report.counts.get(code, 0) + 1
        if len(report.findings) < KEPT_FINDINGS:
            report.findings.append(finding)
        if on_finding is not None:
            on_finding(finding)


_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('filing_import'))"
_COPY_INCOMING = """
    COPY incoming_filing (line, plate_no, filed_on, brand, frame_no, sub_district,
                          id_index, id_sealed, name_sealed, phone_sealed, phone_index, again)
    FROM STDIN (FORMAT binary)
"""
_INCOMING_TYPES = ("int4", "text", "date", "text", "text", "text", *["bytea"] * 5, "bool")
# ``again``: a row of this block has brought the same owner already. ``owner_id`` is found below.
_CREATE_INCOMING = """
    CREATE TEMPORARY TABLE IF NOT EXISTS incoming_filing (
        line integer, plate_no text, filed_on date, brand text, frame_no text, sub_district text,
        id_index bytea, id_sealed bytea, name_sealed bytea, phone_sealed bytea, phone_index bytea,
        again boolean, owner_id bigint
    )
"""
_INSERT_PEOPLE = """
    WITH made AS (
        INSERT INTO person (id_index, id_sealed, name_sealed, phone_sealed, phone_index)
        SELECT id_index, id_sealed, name_sealed, phone_sealed, phone_index
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
_COMPARED = ("id_no", "filed_on", "brand", "frame_no", "sub_district")
_DIFFERENT_FILINGS = """
    SELECT i.line, i.owner_id <> f.owner_id, i.filed_on <> f.filed_on, i.brand <> f.brand, i.frame_no <> f.frame_no,
           i.sub_district <> f.sub_district
    FROM incoming_filing i JOIN filed_bike f USING (plate_no)
    WHERE (i.owner_id, i.filed_on, i.brand, i.frame_no, i.sub_district)
       <> (f.owner_id, f.filed_on, f.brand, f.frame_no, f.sub_district)
"""
# A row that was not stored leaves nobody behind whom it alone had brought. Every sealing is different, so a person
# made by this very row holds this very sealed number.
_FORGET_PEOPLE = """
    DELETE FROM person p USING incoming_filing i
    WHERE p.id = i.owner_id AND p.id_sealed = i.id_sealed
      AND NOT EXISTS (SELECT FROM filed_bike f WHERE f.owner_id = p.id)
"""
