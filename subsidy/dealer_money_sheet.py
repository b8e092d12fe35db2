"""A point's monthly settlement statement (商户结算单) as an Excel workbook; what it says stands in dealer_money.py."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO

import xlsxwriter

from subsidy.dealer_money import SHANGHAI, PointMoney, PointSale

# A cell that begins with = or + must stay what it is: text.
OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
HEADERS = (
    ("查询号", 14),
    ("销售时间", 18),
    ("标价（元）", 12),
    ("车企让利（元）", 14),
    ("回收抵扣（元）", 14),
    ("让利与抵扣合计（元）", 20),
    ("车主实付（元）", 14),
    ("序号", 8),
    ("车主补贴（元）", 14),
    ("补贴状态", 22),
    ("等待起始", 18),
    ("预计到账日", 12),
    ("到账时间", 18),
)
FIRST_ROW = 4


def settlement_workbook(*, money: PointMoney, point: str) -> bytes:
    """Return the month as a workbook: one sale a row, amounts in yuan to the fen, sums below."""
    body = BytesIO()
    with xlsxwriter.Workbook(body, OPTIONS) as book:
        sheet = book.add_worksheet("结算单")
        bold = book.add_format({"bold": True})
        yuan = book.add_format({"num_format": "#,##0.00"})
        yuan_bold = book.add_format({"num_format": "#,##0.00", "bold": True})
        sheet.write_string(0, 0, f"{point} {money.month:%Y-%m} 结算单", bold)
        sheet.write_string(1, 0, f"截至 {_minute(money.as_of)}。补贴由区里直接发到车主的数字人民币钱包，不经过商户。")
        for place, (header, width) in enumerate(HEADERS):
            sheet.set_column(place, place, width)
            sheet.write_string(FIRST_ROW - 1, place, header, bold)
        sheet.freeze_panes(FIRST_ROW, 1)
        row = FIRST_ROW
        for sale in money.sales:
            _write_sale(sheet, row, sale, yuan)
            row += 1
        totals = money.totals
        sheet.write_string(row, 0, f"合计 {totals['sales']} 笔", bold)
        sums = (
            (3, totals["discount_fen"]),
            (4, totals["deduction_fen"]),
            (5, totals["fronted_fen"]),
            (8, totals["subsidy_owed_fen"] + totals["subsidy_paid_fen"]),
        )
        for place, fen in sums:
            sheet.write_number(row, place, fen / 100, yuan_bold)
        for offset, (words, name) in enumerate(
            (("其中已到账", "subsidy_paid_fen"), ("其中未到账", "subsidy_owed_fen")), 1
        ):
            sheet.write_string(row + offset, 7, words, bold)
            sheet.write_number(row + offset, 8, totals[name] / 100, yuan_bold)
    return body.getvalue()


def _write_sale(sheet: xlsxwriter.worksheet.Worksheet, row: int, sale: PointSale, yuan: object) -> None:
    sheet.write_string(row, 0, sale.reference)
    sheet.write_string(row, 1, _minute(sale.sold_at))
    amounts = (sale.list_price_fen, sale.discount_fen, sale.deduction_fen, sale.fronted_fen, sale.paid_fen)
    for place, fen in enumerate(amounts, 2):
        sheet.write_number(row, place, fen / 100, yuan)
    if sale.position is not None:
        sheet.write_number(row, 7, sale.position)
    sheet.write_number(row, 8, sale.subsidy_fen / 100, yuan)
    sheet.write_string(row, 9, sale.state_zh)
    sheet.write_string(row, 10, _minute(sale.waiting_since))
    sheet.write_string(row, 11, sale.expected_on.isoformat() if sale.expected_on else "")
    sheet.write_string(row, 12, _minute(sale.settled_at))


def _minute(instant: datetime | None) -> str:
    return instant.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M") if instant is not None else ""
