"""Excel workbooks as tables of text: the first sheet that shows, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from python_calamine import CalamineError, CalamineSheet, SheetTypeEnum, SheetVisibleEnum, load_workbook

# A zip archive (.xlsx) and an OLE2 document (.xls): what the first bytes of the two are.
_SIGNATURES = (b"PK\x03\x04", bytes.fromhex("D0CF11E0A1B11AE1"))


class NoWorkbook(Exception):
    """The file is damaged, protected by a password, or holds no sheet that shows."""


def is_workbook(path: Path) -> bool:
    """Say whether the file begins as an Excel workbook does (.xlsx or .xls), whatever it is called."""
    with path.open("rb") as stream:
        return stream.read(8).startswith(_SIGNATURES)


def count_rows(path: Path) -> int:
    """Return how many rows the sheet has, the header included; raises NoWorkbook."""
    end = _sheet(path).end
    return end[0] + 1 if end else 0


def read_cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each row, as Excel counts, and its cells as text; raises NoWorkbook.

    A day comes as 2021-03-18 and a whole number without a point, whatever format shows it. What Excel rounded to 15
    digits comes with the zeros it put behind them, so that an ID number kept as a quantity is known for what it is.
    """
    for number, cells in enumerate(_sheet(path).iter_rows(), start=1):
        yield number, [cell if isinstance(cell, str) else _text(cell) for cell in cells]


def _sheet(path: Path) -> CalamineSheet:
    try:
        book = load_workbook(path)
        for place, sheet in enumerate(book.sheets_metadata):
            if sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible:
                return book.get_sheet_by_index(place)
    except CalamineError as error:
        raise NoWorkbook(str(error)) from error
    raise NoWorkbook("no sheet shows")


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        digits = str(int(cell))
        return digits if len(digits) <= 15 else digits[:15] + "0" * (len(digits) - 15)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    return cell.isoformat() if isinstance(cell, date) else str(cell)
