"""The closing report (资金结算表) on paper: A4 across, the stages and then every account by cause."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.print.typesetting import typeset
from subsidy.closing_report import ClosingReport
from subsidy.closing_report_excel import account_rows, span, stage_rows, yuan

TEMPLATE = "closing.typ"


def closing_pdf(*, report: ClosingReport, now: datetime) -> bytes:
    """Return the report as PDF; ``now`` is the instant it says it was made. Raises FontsMissing and PrinterBusy."""
    return typeset(TEMPLATE, closing_data(report=report, now=now), now=now)[0]


def closing_data(*, report: ClosingReport, now: datetime) -> dict[str, Any]:
    """Return what the template prints: the workbook's figures, in yuan with two decimals."""
    return {
        "title": f"{report.name_zh}资金结算表",
        "code": report.code,
        "span": span(report),
        "tables": [
            {
                "name": "各阶段（元）",
                "rows": [[_cell(cell) for cell in row] for row in _with_total(stage_rows(report))],
            },
            {"name": "各账户（元）", "rows": [[_cell(cell) for cell in row] for row in _upright(account_rows(report))]},
        ],
    }


def _with_total(rows: list[list[Any]]) -> list[list[Any]]:
    return [*rows, ["合计", *(sum(row[column] for row in rows[1:]) for column in range(1, len(rows[0])))]]


def _upright(rows: list[list[Any]]) -> list[list[Any]]:
    """The accounts' table with accounts across would be too wide: causes become rows of account, cause and amount."""
    header, *lines = rows
    told: list[list[Any]] = [["账户", "事由", "金额"]]
    for account, *amounts in lines:
        named = [(name, fen) for name, fen in zip(header[1:], amounts, strict=True) if fen or name in ("期初", "期末")]
        told += [[account if name == "期初" else "", name, fen] for name, fen in named]
    return told


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else f"{yuan(value):,.2f}"
