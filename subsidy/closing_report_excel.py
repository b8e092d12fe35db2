"""The closing report as a workbook: one sheet of stages, one of accounts by cause. Money in yuan, to the fen."""

from __future__ import annotations

import io
from datetime import datetime
from decimal import Decimal
from typing import Any

import xlsxwriter

from subsidy.closing_report import CAUSES, LOCAL, ClosingReport, Line, account_name

# Text stays text: nothing in a cell is ever run.
OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
MONEY = "#,##0.00"
WIDTH = 15


def closing_workbook(*, report: ClosingReport) -> bytes:
    """Return the report as .xlsx. Sums stand as values, and as formulas beside which Excel can check them."""
    stream = io.BytesIO()
    with xlsxwriter.Workbook(stream, OPTIONS) as book:
        bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1})
        money = book.add_format({"num_format": MONEY})
        total = book.add_format({"num_format": MONEY, "bold": True, "top": 1})
        for name, rows in (("各阶段", stage_rows(report)), ("各账户", account_rows(report))):
            sheet = book.add_worksheet(name)
            sheet.set_column(0, 0, 24)
            sheet.set_column(1, 30, WIDTH)
            sheet.freeze_panes(2, 1)
            sheet.write(0, 0, heading(report))
            sheet.write_row(1, 0, rows[0], bold)
            for number, (label, *fen) in enumerate(rows[1:], start=2):
                sheet.write(number, 0, label)
                for column, value in enumerate(fen, start=1):
                    sheet.write_number(number, column, yuan(value), money)
            last = len(rows)
            sheet.write(last + 1, 0, "合计", bold)
            for column in range(1, len(rows[0])):
                letter = xlsxwriter.utility.xl_col_to_name(column)
                value = sum(row[column] for row in rows[1:])
                formula = f"=SUM({letter}3:{letter}{last + 1})"
                sheet.write_formula(last + 1, column, formula, total, yuan(value))
    return stream.getvalue()


def heading(report: ClosingReport) -> str:
    """Return the report's first line."""
    return f"{report.name_zh}（{report.code}）资金结算表　{span(report)}　单位：元"


def span(report: ClosingReport) -> str:
    """Return the period in words."""
    since = "开始" if report.start is None else _day(report.start)
    return f"{since} 至 {_day(report.end)}（不含）" if report.start else f"{since}至 {_moment(report.end)}"


def stage_rows(report: ClosingReport) -> list[list[Any]]:
    """Return header and one row a purse, in fen: what it had, what came in from and went out to other purses, what it
    has, and in which accounts. Movements between a purse's own accounts cancel."""
    header = [
        "阶段",
        "期初",
        "拨入",
        "结转转入",
        "调减",
        "结转转出",
        "交回拨款",
        "期末",
        "可用",
        "暂留",
        "待发放",
        "已发放",
    ]
    rows: list[list[Any]] = [header]
    for purse, lines in report.purses().items():
        if purse == "appropriation":
            continue
        by_kind = {line.account.partition(":")[0]: line.closing_fen for line in lines}
        free = by_kind.get("stage", 0) + by_kind.get("reserve", 0)
        rows.append(
            [
                account_name(purse) if purse == "reserve" else f"第 {purse} 阶段",
                sum(line.opening_fen for line in lines),
                _sum(lines, "provide"),
                sum(line.came.get("carry", 0) for line in lines),
                _sum(lines, "withdraw"),
                -sum(line.went.get("carry", 0) for line in lines),
                _sum(lines, "give_back"),
                sum(line.closing_fen for line in lines),
                free,
                *(by_kind.get(kind, 0) for kind in ("held", "committed", "paid")),
            ]
        )
    return rows


def account_rows(report: ClosingReport) -> list[list[Any]]:
    """Return header and one row an account, in fen: opening, what came (+) and went (−) by cause, closing."""
    causes = report.causes()
    header = ["账户", "期初"]
    for cause in causes:
        header += [f"{CAUSES.get(cause, cause)}（转入）", f"{CAUSES.get(cause, cause)}（转出）"]
    rows: list[list[Any]] = [[*header, "期末"]]
    for line in report.lines:
        row: list[Any] = [line.name_zh, line.opening_fen]
        for cause in causes:
            row += [line.came.get(cause, 0), -line.went.get(cause, 0)]
        rows.append([*row, line.closing_fen])
    return rows


def yuan(fen: int) -> Decimal:
    """Return fen as yuan, exactly."""
    return Decimal(fen) / 100


def _sum(lines: list[Line], cause: str) -> int:
    """What a cause brought to the lines and took from them."""
    return sum(line.came.get(cause, 0) - line.went.get(cause, 0) for line in lines)


def _day(instant: datetime) -> str:
    return instant.astimezone(LOCAL).date().isoformat()


def _moment(instant: datetime) -> str:
    return instant.astimezone(LOCAL).strftime("%Y-%m-%d %H:%M:%S")
