"""What was traded in or plated before Mapai goes in once, and neither bike can claim again."""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import psycopg
import pytest
import xlsxwriter

from app.config import Settings
from app.db import psycopg_conninfo
from registry import filing_earlier_import
from registry.filing_earlier import PlatedEarlier, TradedInEarlier
from registry.filing_earlier_import import EarlierReport, import_earlier
from registry.filing_file import FilingColumnsMissing, FilingFileUnreadable, look_through
from registry.trade_ins import TradeIn
from tests.registry.line import District

TRADE_INS = ["旧车号牌,新车整车编码,办结日期", "B000001,118222512345678,2025-06-01", "b000002,,2025/6/2"]
PLATES = [
    "序号,号牌号码,整车编码,发牌日期",
    "1,C000001,118222512345678,2025-06-01",
    "2,C000002,118222512345679,2025-06-02",
]


@pytest.fixture
def connection(settings: Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        yield connection


def bring(
    connection: psycopg.Connection, folder: Path, lines: Sequence[str], *, dry_run: bool = False
) -> EarlierReport:
    path = folder / "earlier.csv"
    path.write_text("\n".join(lines), encoding="gbk")
    return import_earlier(
        connection=connection, file=look_through(path), today=date(2026, 6, 1), actor="x", dry_run=dry_run
    )


def counts(report: EarlierReport) -> tuple[int, int, int, int, int]:
    return report.read, report.stored, report.unchanged, report.differing, report.refused


def said(report: EarlierReport) -> list[tuple[int, str, str]]:
    return [(finding.line, finding.header, finding.refusal.code) for finding in report.findings]


@pytest.mark.parametrize(("lines", "table"), [(TRADE_INS, "earlier_trade_in"), (PLATES, "earlier_plate")])
def test_a_list_goes_in_once(connection: psycopg.Connection, tmp_path: Path, lines: list[str], table: str) -> None:
    assert counts(bring(connection, tmp_path, lines, dry_run=True)) == (2, 2, 0, 0, 0)
    first, again = bring(connection, tmp_path, lines), bring(connection, tmp_path, lines)

    assert (first.kind.table, counts(first), counts(again)) == (table, (2, 2, 0, 0, 0), (2, 0, 2, 0, 0))
    audited = connection.execute("SELECT actor, subject, detail->>'stored' FROM audit_entry").fetchall()
    assert audited == [("x", table, "2")]


def test_wrong_cells_are_named_and_what_is_stored_stays(connection: psycopg.Connection, tmp_path: Path) -> None:
    bring(connection, tmp_path, TRADE_INS)
    report = bring(
        connection,
        tmp_path,
        [
            TRADE_INS[0],
            "B00,118232512345678,2027-01-01",
            ",,",
            ",118222512345677,2025-06-01",
            "B000001,118222512345678,2025-06-09",
            "B000003,118222512345678,2025-06-01",
            "B000004,,2025-06-01",
        ],
    )
    assert counts(report) == (5, 1, 0, 2, 2)
    assert said(report) == [
        (2, "旧车号牌", "plate_invalid"),
        (2, "新车整车编码", "vehicle_code_invalid"),
        (2, "办结日期", "earlier_day_invalid"),
        (4, "旧车号牌", "cell_empty"),
        (5, "旧车号牌", "earlier_differs"),
        (6, "旧车号牌", "earlier_differs"),
    ]
    stored = connection.execute("SELECT done_on FROM earlier_trade_in WHERE old_plate_no = 'B000001'").fetchall()
    assert stored == [(date(2025, 6, 1),)]


def test_blocks_and_excel(connection: psycopg.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing_earlier_import, "BLOCK_ROWS", 3)
    path = tmp_path / "plates.xlsx"
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["号牌号码", "整车编码", "发牌日期"])
        for number in range(1, 11):
            sheet.write_row(number, 0, [f"C{number:06}", 118222500000000 + number, date(2025, 6, 1)])
    report = import_earlier(connection=connection, file=look_through(path), today=date(2026, 6, 1), actor="x")
    assert (counts(report), said(report)) == ((10, 10, 0, 0, 0), [])


def test_what_is_neither_list_is_refused(connection: psycopg.Connection, tmp_path: Path) -> None:
    with pytest.raises(FilingColumnsMissing, match="号牌号码"):
        bring(connection, tmp_path, ["a,b", "1,2"])
    with pytest.raises(FilingFileUnreadable):
        bring(connection, tmp_path, [PLATES[0], '"' + "x" * 200_000])


def test_an_old_bike_traded_in_earlier_cannot_be_opened_again(
    connection: psycopg.Connection, tmp_path: Path, district: District
) -> None:
    owner, dealer = district.owner(), district.dealer()
    bring(connection, tmp_path, [TRADE_INS[0], f"{owner.plate_no},,2025-06-01"])
    with pytest.raises(TradedInEarlier) as refused:
        district.open(owner, dealer)
    assert "2025-06-01" in refused.value.message_zh
    assert district.session.query(TradeIn).count() == 0


@pytest.mark.parametrize("lines", [TRADE_INS, PLATES])
def test_a_bike_plated_earlier_is_no_new_bike(
    connection: psycopg.Connection, tmp_path: Path, district: District, lines: list[str]
) -> None:
    bring(connection, tmp_path, lines)
    dealer = district.dealer()
    with pytest.raises(PlatedEarlier):
        district.stock(dealer, vehicle_code="118222512345678")
    assert district.stock(dealer, vehicle_code="118222512345670").state == "in_stock"
