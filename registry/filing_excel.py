"""Excel workbooks as tables of text: the first sheet that shows, row by row."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

from python_calamine import CalamineError, CalamineSheet, SheetTypeEnum, SheetVisibleEnum, load_workbook

# A zip archive (.xlsx) and an OLE2 document (.xls): what the first bytes of the two are.
# What a list of 40 MB may unfold to; beyond it somebody packed zeros.
_MOST_UNFOLDED_BYTES = 1 << 30
# What reading one may take. A sheet is held whole, as wide and as long as its farthest cell: two cells at its corners
# ask for half a terabyte, and being refused it ends the process that reads, whichever that is.
_MOST_MEMORY_BYTES = 1 << 30
_MOST_SECONDS = 60
_TRIAL = """
import resource, sys
from python_calamine import SheetTypeEnum, SheetVisibleEnum, load_workbook
memory, seconds = int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
book = load_workbook(sys.argv[1])
for place, sheet in enumerate(book.sheets_metadata):
    if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
        book.get_sheet_by_index(place)
        break
"""
_SIGNATURES = (b"PK\x03\x04", bytes.fromhex("D0CF11E0A1B11AE1"))


class NoWorkbook(Exception):
    """The file is damaged, protected by a password, or holds no sheet that shows."""


def is_workbook(path: Path) -> bool:
    """Say whether the file begins as an Excel workbook does (.xlsx or .xls), whatever it is called."""
    with path.open("rb") as stream:
        return stream.read(8).startswith(_SIGNATURES)


def count_rows(path: Path) -> int:
    """Return how many rows the sheet has, the header included; raises NoWorkbook.

    Ask this before ``read_cells``: a workbook that would take this process with it is found out here.
    """
    _try_out(path)
    end = _sheet(path).end
    return end[0] + 1 if end else 0


def read_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each row, as Excel counts, and its cells as text; raises NoWorkbook.

    A day comes as 2021-03-18 and a whole number without a point, whatever format shows it. What Excel rounded to 15
    digits comes with the zeros it put behind them, so that an ID number kept as a quantity is known for what it is.
    """
    for number, cells in enumerate(_sheet(path).iter_rows(), start=1):
        yield number, [cell.replace("\0", "\1") if isinstance(cell, str) else _text(cell) for cell in cells]


def _sheet(path: Path) -> CalamineSheet:
    try:
        if is_zipfile(path):
            with ZipFile(path) as archive:
                if sum(part.file_size for part in archive.infolist()) > _MOST_UNFOLDED_BYTES:
                    raise NoWorkbook("it unfolds to more than 1 GB")
        book = load_workbook(path)
        for place, sheet in enumerate(book.sheets_metadata):
            if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
                return book.get_sheet_by_index(place)
    except (CalamineError, BadZipFile) as error:
        raise NoWorkbook(str(error)) from error
    raise NoWorkbook("no sheet shows")


def _try_out(path: Path) -> None:
    """Read the workbook once in a process of its own, which it may end; raises NoWorkbook."""
    limits = (str(_MOST_MEMORY_BYTES), str(_MOST_SECONDS))
    trial = [sys.executable, "-I", "-c", _TRIAL, str(path), *limits]
    try:
        ended = subprocess.run(trial, check=False, capture_output=True, timeout=3 * _MOST_SECONDS)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise NoWorkbook("reading it takes too long") from error
    if ended.returncode:
        raise NoWorkbook("it cannot be read within bounds")


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        digits = str(int(cell))
        return digits if len(digits) <= 15 else digits[:15] + "0" * (len(digits) - 15)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    return cell.isoformat() if isinstance(cell, date) else str(cell)
