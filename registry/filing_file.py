"""Filing lists as files, read as a stream: Excel, or CSV in UTF-8 (with or without a mark) or GBK; Chinese headers."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

from registry.base import Refusal
from registry.filing_excel import NoWorkbook, count_rows, is_workbook, read_cells
from registry.filing_rows import HEADERS, FilingRow

EXCEL = "excel"
_CHUNK = 1 << 20


class _Table(Protocol):
    """What csv.reader returns; its own type has no public name."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


class FilingFileUnreadable(Refusal):
    """The file is neither a workbook nor UTF-8 or GBK text, or no table of commas."""

    code = "filing_file_unreadable"
    zh = "读不了这个文件：{why_zh}。"
    en = "The file cannot be read: {why_en}."
    remedy_zh = "请在表格软件里去掉密码，另存为 Excel 工作簿（.xlsx）或「CSV UTF-8（逗号分隔）」，再导入一次。"
    remedy_en = "Save it from the spreadsheet, without password, as .xlsx or «CSV UTF-8», and import it again."
    default_field = "file"


class FilingColumnsMissing(Refusal):
    """The header row does not name every column exactly once."""

    code = "filing_columns_missing"
    zh = "表头不对：{missing}要各有一列。"
    en = "The header is wrong: {missing} must each be there once."
    remedy_zh = "第一行要有这些列，顺序不限：{wanted}。"
    remedy_en = "The first row holds these columns, in any order: {wanted}."
    default_field = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilingFile:
    """A file that was looked through once: how it is written, and about how many rows it has.

    ``encoding`` is that of the text, EXCEL for a workbook.
    """

    path: Path
    encoding: str
    rows: int


def look_through(path: Path) -> FilingFile:
    """Read the file once, in pieces, to learn its encoding and size; raises FilingFileUnreadable."""
    if is_workbook(path):
        with _refusing_damaged():
            return FilingFile(path=path, encoding=EXCEL, rows=max(count_rows(path) - 1, 0))
    for encoding in ("utf-8-sig", "gb18030"):
        lines = _count_lines(path, encoding)
        if lines is not None:
            return FilingFile(path=path, encoding=encoding, rows=max(lines - 1, 0))
    raise FilingFileUnreadable(why_zh="文字编码既不是 UTF-8 也不是 GBK", why_en="its text is neither UTF-8 nor GBK")


def read_rows(file: FilingFile) -> Iterator[FilingRow]:
    """Yield the rows one by one, columns matched by name, empty rows left out, unknown columns ignored.

    A row with fewer cells than the header gets empty ones; raises FilingColumnsMissing before the first row and
    FilingFileUnreadable where the table breaks off.
    """
    if file.encoding == EXCEL:
        with _refusing_damaged():
            yield from _sheet_rows(read_cells(file.path))
        return
    with file.path.open(encoding=file.encoding, newline="") as stream:
        table = csv.reader(_without_nul(stream))
        try:
            yield from _rows(table)
        except csv.Error as error:
            raise FilingFileUnreadable(
                why_zh=f"第 {table.line_num} 行附近的引号或分隔不对", why_en=f"near line {table.line_num}: {error}"
            ) from error


def read_header(file: FilingFile) -> list[str]:
    """Return the first row that holds anything, stripped; raises FilingFileUnreadable."""
    with _refusing_damaged():
        return next(([cell.strip() for cell in cells] for _, cells in _cells(file) if any(cells)), [])


def read_columns(file: FilingFile, headers: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield the line of each row and its cells under ``headers``, in their order; for lists other than filings.

    Raises FilingColumnsMissing before the first row and FilingFileUnreadable where the table breaks off.
    """
    with _refusing_damaged():
        table = _cells(file)
        places = _places(next((cells for _, cells in table if any(cells)), []), headers)
        for line, cells in table:
            if any(cells):
                yield line, [cells[place] if place < len(cells) else "" for place in places]


def _without_nul(stream: TextIO) -> Iterator[str]:
    """The lines with another control character for each NUL, which no database holds: its cell is refused in words."""
    for line in stream:
        yield line.replace("\0", "\1")


def _cells(file: FilingFile) -> Iterator[tuple[int, list[str]]]:
    if file.encoding == EXCEL:
        yield from read_cells(file.path)
        return
    with file.path.open(encoding=file.encoding, newline="") as stream:
        table = csv.reader(_without_nul(stream))
        line = 1
        for cells in table:
            yield line, cells
            line = table.line_num + 1


def _rows(table: _Table) -> Iterator[FilingRow]:
    header = next(table, [])
    places, width = _places(header), len(header)
    straight = places == list(range(width))
    line = table.line_num + 1
    for cells in table:
        if len(cells) == width and straight and cells[0]:
            yield FilingRow(line, *cells)
        elif any(cells):
            surplus = "".join(cells[width:]).strip()
            cells += [""] * (width - len(cells))
            yield FilingRow._make([line, *(cells[place] for place in places), surplus])
        line = table.line_num + 1


def _sheet_rows(table: Iterator[tuple[int, list[str]]]) -> Iterator[FilingRow]:
    """The same of a workbook, where every row is as wide as the sheet and empty rows may stand before the header."""
    header = next((cells for _, cells in table if any(cells)), [])
    places, width = _places(header), max((place for place, cell in enumerate(header, start=1) if cell), default=0)
    for line, cells in table:
        if any(cells):
            surplus = "".join(cells[width:]).strip()
            yield FilingRow._make([line, *(cells[place] for place in places), surplus])


@contextmanager
def _refusing_damaged() -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise FilingFileUnreadable(why_zh="引号或分隔不对", why_en=str(error)) from error
    except NoWorkbook as error:
        raise FilingFileUnreadable(
            why_zh="Excel 工作簿已损坏、加了密码、展开后太大，或者没有可见的工作表",
            why_en="the workbook is damaged, protected by a password, too large when unfolded, or shows no sheet",
        ) from error


def _places(header: list[str], wanted: tuple[str, ...] = tuple(HEADERS.values())) -> list[int]:
    """Where each of our columns stands."""
    named = [cell.strip() for cell in header]
    wrong = [name for name in wanted if named.count(name) != 1]
    if wrong:
        raise FilingColumnsMissing(missing="、".join(wrong), wanted="、".join(wanted))
    return [named.index(name) for name in wanted]


def _count_lines(path: Path, encoding: str) -> int | None:
    """The file's lines, None where it is not written in this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = 0
    last = "\n"
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                text = decoder.decode(chunk)
                lines += text.count("\n")
                last = text[-1:] or last
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return lines if last == "\n" else lines + 1
