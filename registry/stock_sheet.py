"""Lists of new bikes and of models as files: their columns, their cells cleaned, and what is wrong with a row."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from registry.base import Refusal
from registry.filing_excel import is_workbook
from registry.filing_file import FilingFileUnreadable, look_through, read_columns
from registry.inputs import Inputs, SeveralRefused

MOST_ROWS = 2_000
# What a workbook may unfold to: far more than any list of so many rows, far less than memory.
LARGEST_UNFOLDED_BYTES = 100_000_000
KINDS = {"铅酸": "lead_acid", "锂": "lithium", "钠": "sodium", "其他": "other"}
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?: 00:00:00)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its header, the field it fills, how its text is read, and an example for the template."""

    header: str
    field: str
    read: Callable[[str], Any]
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
    """One row as typed: the line it stands on, and its cells in the order of the columns."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFinding:
    """What is to be said about one cell of one row. ``header`` is empty where it is about the row as a whole."""

    line: int
    header: str
    refusal: Refusal


class TooManyRows(Refusal):
    """A list taken in at once has at most so many rows."""

    code = "too_many_rows"
    zh = "这份表有 {rows} 行，一次最多 {most} 行。"
    en = "The list has {rows} rows; {most} at most at once."
    remedy_zh = "请拆成几份，分别导入。"
    remedy_en = "Split it and import the parts one after the other."
    default_field = "file"


class CellMissing(Refusal):
    """A cell that is needed is empty."""

    code = "cell_missing"
    zh = "没有填。"
    en = "The cell is empty."
    remedy_zh = "请补上这一格。"
    remedy_en = "Fill this cell in."


class CellDayInvalid(Refusal):
    """The text is no day of the calendar."""

    code = "cell_day_invalid"
    zh = "日期「{typed}」不对。"
    en = "«{typed}» is not a date."
    remedy_zh = "请写成 2026-01-15。"
    remedy_en = "Write it as 2026-01-15."


class CellNumberInvalid(Refusal):
    """The text is no number, has more digits than the unit below it, or lies out of range."""

    code = "cell_number_invalid"
    zh = "「{typed}」不对，应是大于 0 的数，单位 {unit}。"
    en = "«{typed}» is not a number above 0, in {unit}."
    remedy_zh = "请照合格证填写数字，不带单位。"
    remedy_en = "Copy the number from the certificate, without its unit."


class CellKindInvalid(Refusal):
    """The text is no kind of battery."""

    code = "cell_kind_invalid"
    zh = "没有「{typed}」这种电池。"
    en = "«{typed}» is not a kind of battery."
    remedy_zh = "请填：铅酸、锂、钠、其他。"
    remedy_en = "Write one of the four words of the template."


def read_text(typed: str) -> str:
    """Return the cell stripped; raises CellMissing."""
    if not typed.strip():
        raise CellMissing
    return typed.strip()


def read_day(typed: str) -> date:
    """Return the day in a cell, however its parts are separated; raises CellMissing and CellDayInvalid."""
    found = _DAY.fullmatch(read_text(typed))
    try:
        if found is not None:
            return date(*map(int, found.groups()))
    except ValueError:
        pass
    raise CellDayInvalid(typed=typed.strip()[:20])


def read_kind(typed: str) -> str:
    """Return the kind of battery; «锂电池» is taken as «锂». Raises CellMissing and CellKindInvalid."""
    word = read_text(typed)
    kind = KINDS.get(re.sub(r"(离子)?(蓄)?电池$", "", word))
    if kind is None:
        raise CellKindInvalid(typed=word[:20])
    return kind


def in_thousandths(unit: str, *, high: int) -> Callable[[str], int]:
    """Return a reader of numbers in ``unit`` (kg, km/h, V) that gives thousandths of it, up to ``high``."""
    return lambda typed: _scaled(typed, by=1000, unit=unit, high=high)


def in_ones(unit: str, *, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers in ``unit`` up to ``high``."""
    return lambda typed: _scaled(typed, by=1, unit=unit, high=high)


def _scaled(typed: str, *, by: int, unit: str, high: int) -> int:
    text = read_text(typed)
    try:
        number = Decimal(text) * by
    except ArithmeticError:  # no number, or beyond any
        number = Decimal(0)
    if not number.is_finite() or number != number.to_integral_value() or not 0 < number <= high:
        raise CellNumberInvalid(typed=text[:20], unit=unit)
    return int(number)


MEASURE_COLUMNS = (
    Column(header="整车质量(kg)", field="weight_g", read=in_thousandths("kg", high=500_000), example="47.8"),
    Column(header="最高车速(km/h)", field="top_speed_m_h", read=in_thousandths("km/h", high=200_000), example="25"),
    Column(header="电机功率(W)", field="motor_w", read=in_ones("W", high=20_000), example="400"),
    Column(header="标称电压(V)", field="voltage_mv", read=in_thousandths("V", high=500_000), example="48"),
)


def read_sheet(path: Path, columns: tuple[Column, ...]) -> Iterator[SheetRow]:
    """Yield the rows of a CSV or Excel file, columns matched by header.

    Raises FilingFileUnreadable and FilingColumnsMissing, and TooManyRows beyond MOST_ROWS.
    """
    _require_small(path)
    file = look_through(path)
    headers = tuple(column.header for column in columns)
    for number, (line, cells) in enumerate(read_columns(file, headers), start=1):
        if number > MOST_ROWS:
            raise TooManyRows(rows=max(file.rows, number), most=MOST_ROWS)
        yield SheetRow(line=line, cells=tuple(cells))


def _require_small(path: Path) -> None:
    """A workbook of a few kilobytes can unfold to gigabytes."""
    if not is_workbook(path) or not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if sum(each.file_size for each in archive.infolist()) > LARGEST_UNFOLDED_BYTES:
            raise FilingFileUnreadable(why_zh="工作簿展开以后太大", why_en="the workbook unfolds to too much")


def clean_row(row: SheetRow, columns: tuple[Column, ...]) -> dict[str, Any]:
    """Return the fields of a row; raises the refusals of its cells, several at once, each naming its field."""
    inputs = Inputs()
    values = read_cells_of(row, columns, inputs=inputs)
    inputs.check()
    return values


def read_cells_of(row: SheetRow, columns: tuple[Column, ...], *, inputs: Inputs) -> dict[str, Any]:
    """Return those fields of a row that can be read; ``inputs`` takes the refusals of the others."""
    values = {
        column.field: inputs.take(column.field, column.read, cell)
        for column, cell in zip(columns, row.cells, strict=True)
    }
    return {name: value for name, value in values.items() if not inputs.refused(name)}


def findings_of(*, line: int, refusal: Refusal, headers: Mapping[str, str]) -> list[RowFinding]:
    """Return what a refusal says of a row, one finding a cell."""
    each = refusal.each if isinstance(refusal, SeveralRefused) else (refusal,)
    return [RowFinding(line=line, header=headers.get(one.field or "", ""), refusal=one) for one in each]
