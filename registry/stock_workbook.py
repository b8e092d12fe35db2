"""The workbooks of stock-in: the empty template, and the rows of an import that have to be corrected."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import xlsxwriter

from registry.stock_import import COLUMNS, StockImport
from registry.stock_sheet import Column

# Text stays text: nothing in a cell is ever run, followed or counted, whoever typed it.
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_BEHIND = ("原行号", "问题", "怎么办")


def template_workbook(columns: Sequence[Column] = COLUMNS) -> bytes:
    """Return an .xlsx with the headers and one example row, every column set to text."""
    body = BytesIO()
    with xlsxwriter.Workbook(body, _OPTIONS) as book:
        sheet, plain = _sheet(book, columns, ())
        for place, column in enumerate(columns):
            sheet.write_string(1, place, column.example, plain)
    return body.getvalue()


def problem_rows_workbook(done: StockImport) -> bytes:
    """Return the rows that did not go in as an .xlsx, the cells in question marked, which is a list again."""
    body = BytesIO()
    with xlsxwriter.Workbook(body, _OPTIONS) as book:
        sheet, plain = _sheet(book, COLUMNS, _BEHIND)
        mark = book.add_format({"num_format": "@", "bg_color": "#FFC7CE", "font_color": "#9C0006"})
        for number, problem in enumerate(done.problems, start=1):
            marked = {finding["field"] for finding in problem["findings"]}
            for place, (column, cell) in enumerate(zip(COLUMNS, problem["cells"], strict=True)):
                sheet.write_string(number, place, cell, mark if column.field in marked else plain)
            words = (
                str(problem["line"]),
                "\n".join(_said(finding) for finding in problem["findings"]),
                "\n".join(dict.fromkeys(finding["remedy_zh"] for finding in problem["findings"])),
            )
            for place, text in enumerate(words, start=len(COLUMNS)):
                sheet.write_string(number, place, text, plain)
    return body.getvalue()


def _said(finding: dict[str, Any]) -> str:
    return f"「{finding['header']}」{finding['zh']}" if finding["header"] else str(finding["zh"])


def _sheet(book: Any, columns: Sequence[Column], behind: tuple[str, ...]) -> tuple[Any, Any]:
    sheet = book.add_worksheet("新车入库" if columns is COLUMNS else "车型目录")
    plain, bold = book.add_format({"num_format": "@"}), book.add_format({"bold": True})
    sheet.freeze_panes(1, 0)
    for place, header in enumerate((*(column.header for column in columns), *behind)):
        sheet.set_column(place, place, 20 if place < len(columns) else 50, plain)
        sheet.write_string(0, place, header, bold)
    return sheet, plain
