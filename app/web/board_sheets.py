"""Claims as a file: Excel or CSV, written row by row. What is text stays text: nothing in a cell is ever run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

import xlsxwriter

from app.web.board_filter import STATES, stage_words
from app.web.language import _, _l, in_english
from app.web.standing import PAYOUTS
from app.web.wording import local
from subsidy.eligibility import WORDING

Cell = str | int | Decimal | datetime
HEADER = (
    (_l("序号"), 8),
    (_l("现在"), 26),
    (_l("阶段"), 10),
    (_l("补贴（元）"), 10),
    (_l("不予补贴的理由"), 30),
    (_l("办完时间"), 19),
    (_l("记入队列"), 19),
    (_l("街道"), 14),
    (_l("代办点号"), 10),
    (_l("代办点"), 28),
    (_l("查询号"), 13),
    (_l("旧号牌"), 11),
    (_l("整车编码"), 17),
    (_l("新号牌"), 11),
    (_l("车主"), 10),
    (_l("发放"), 16),
)
# One row is in memory at a time; text that looks like a formula, an address or a number stays as it was typed.
EXCEL = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
# How a spreadsheet that opens a text file would take a cell for a formula.
# A full-width sign counts as the sign itself.
SIGNS = "=+-@"
DANGEROUS = (*SIGNS, *(chr(ord(sign) + 0xFEE0) for sign in SIGNS), "\t", "\r", "\n")


def cells_of(row: Any, owner: str) -> tuple[Cell, ...]:
    """Return one claim's cells in the order of HEADER, in the reader's language; ``owner`` as he may see it."""
    return (
        row.position,
        _("扣下核对，名额保留") if row.staff_held and row.state == "held" else str(STATES.get(row.state, row.state)),
        "" if row.stage_no is None else stage_words(row.stage_no),
        Decimal(row.amount_fen) / 100,
        _why(row.reason),
        _there(row.effective_at),
        _there(row.recorded_at),
        row.sub_district,
        row.point_no or "",
        row.dealer,
        row.reference,
        row.old_plate,
        row.vehicle_code,
        row.new_plate or "",
        owner,
        str(PAYOUTS[row.payout_state][1]) if row.payout_state in PAYOUTS else "",
    )


def write_csv(stream: IO[bytes], rows: Iterable[Sequence[Cell]]) -> int:
    """Write header and rows as UTF-8 with its mark, so that Excel reads Chinese; return how many rows."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow([str(word) for word, _width in HEADER])
    written = 0
    for row in rows:
        writer.writerow([plain(cell) for cell in row])
        written += 1
    text.detach()
    return written


def write_excel(stream: IO[bytes], rows: Iterator[Sequence[Cell]]) -> int:
    """Write header and rows as a workbook of one sheet; return how many rows."""
    written = 0
    with xlsxwriter.Workbook(stream, EXCEL) as book:
        bold = book.add_format({"bold": True, "bottom": 1})
        money = book.add_format({"num_format": "#,##0.00"})
        instant = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet = book.add_worksheet(_("补贴申领"))
        sheet.freeze_panes(1, 1)
        for column, (word, width) in enumerate(HEADER):
            sheet.set_column(column, column, width)
            sheet.write_string(0, column, str(word), bold)
        for row in rows:
            written += 1
            for column, cell in enumerate(row):
                if isinstance(cell, datetime):
                    sheet.write_datetime(written, column, cell, instant)
                elif isinstance(cell, str):
                    sheet.write_string(written, column, cell)
                else:
                    sheet.write_number(written, column, cell, money if isinstance(cell, Decimal) else None)
    return written


def plain(cell: Cell) -> str:
    """Return a cell for a text file: text that a spreadsheet would run gets an apostrophe before it."""
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds")
    if isinstance(cell, Decimal):
        return f"{cell:.2f}"
    text = str(cell)
    return f"'{text}" if isinstance(cell, str) and text.startswith(DANGEROUS) else text


def _why(reason: str | None) -> str:
    if reason is None or reason not in WORDING:
        return reason or ""
    return WORDING[reason].en if in_english() else WORDING[reason].zh


def _there(instant: datetime) -> datetime:
    """The district's wall clock to the second, without a zone: what a spreadsheet can hold."""
    return local(instant).replace(tzinfo=None, microsecond=0)
