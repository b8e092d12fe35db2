"""Filing lists as files: CSV with Chinese headers, in UTF-8 (with or without a mark) or GBK, read as a stream."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry.base import Refusal
from registry.filing_rows import HEADERS, FilingRow

_CHUNK = 1 << 20


class _Table(Protocol):
    """What csv.reader returns; its own type has no public name."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


class FilingFileUnreadable(Refusal):
    """The file is neither UTF-8 nor GBK text, or no table of commas."""

    code = "filing_file_unreadable"
    zh = "读不了这个文件：{why_zh}。"
    en = "The file cannot be read: {why_en}."
    remedy_zh = "请在表格软件里另存为「CSV UTF-8（逗号分隔）」，再导入一次。"
    remedy_en = "Save it from the spreadsheet as «CSV UTF-8 (comma delimited)» and import it again."
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
    """A file that was looked through once: how its text is written, and about how many rows it has."""

    path: Path
    encoding: str
    rows: int


def look_through(path: Path) -> FilingFile:
    """Read the file once, in pieces, to learn its encoding and size; raises FilingFileUnreadable."""
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
    with file.path.open(encoding=file.encoding, newline="") as stream:
        table = csv.reader(stream)
        try:
            yield from _rows(table)
        except csv.Error as error:
            raise FilingFileUnreadable(
                why_zh=f"第 {table.line_num} 行附近的引号或分隔不对", why_en=f"near line {table.line_num}: {error}"
            ) from error


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


def _places(header: list[str]) -> list[int]:
    """Where each of our columns stands."""
    named = [cell.strip() for cell in header]
    wrong = [name for name in HEADERS.values() if named.count(name) != 1]
    if wrong:
        raise FilingColumnsMissing(missing="、".join(wrong), wanted="、".join(HEADERS.values()))
    return [named.index(name) for name in HEADERS.values()]


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
