"""Stock-in from a file: the template, dry runs, good and bad rows, and the same file again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from registry.audit import AuditEntry
from registry.batteries import Battery
from registry.bikes import Bike
from registry.dealers import Dealer
from registry.filing_excel import read_cells
from registry.filing_file import FilingColumnsMissing
from registry.stock_import import COLUMNS, StockImport, StockImportNotFound, get_stock_import, import_stock
from registry.stock_sheet import (
    CellNumberInvalid,
    TooManyRows,
    in_ones,
    in_thousandths,
    read_day,
    read_kind,
)
from registry.stock_workbook import problem_rows_workbook, template_workbook
from tests.registry.line import LOCAL, NOW, District

ACTOR = "account:1"
HEADER = ",".join(column.header for column in COLUMNS)
GOOD = "1182226700000{n:02d},CCC2026700{n:03d},BATT7000{n:02d},锂电池,TDT-26,GB 17761-2024,2026/1/15,54,25,400,48"

Import = Callable[..., StockImport]


@pytest.fixture
def dealer(district: District) -> Dealer:
    return district.dealer()


@pytest.fixture
def take(district: District, dealer: Dealer, tmp_path: Path) -> Import:
    """Imports rows as this dealer."""

    def imported(*rows: str, dry_run: bool = False, body: bytes | None = None) -> StockImport:
        path = tmp_path / "stock"
        path.write_bytes(body or "\n".join((HEADER, *rows)).encode())
        done = import_stock(
            session=district.session,
            path=path,
            dealer_id=dealer.id,
            dry_run=dry_run,
            actor=ACTOR,
            today=NOW.astimezone(LOCAL).date(),
            now=NOW,
        )
        district.session.commit()
        return done

    return imported


def counts(done: StockImport) -> tuple[int, int, int, int]:
    return done.rows_read, done.rows_stored, done.rows_unchanged, done.rows_refused


def test_good_rows_go_in_once_and_bad_ones_are_told_by_cell(district: District, take: Import, tmp_path: Path) -> None:
    session = district.session
    bad = (
        "118232670000003,CCC2026700003,BATT700003,煤,TDT-26,GB 17761-2024,明天,5.0005,0,400.5,48",
        "118222670000004,CCC2026700004,BATT700001,锂,TDT-26,GB 17761-2024,2026-01-15,54,25,400,48",
        "118222670000005,CCC2026700005,BATT700005,锂,TDT-27,GB 17761-2024,2026-01-15,54,25,400,48",
        "118222670000006,CCC2026700006,BATT700006,锂,TDT-26,GB 17761-2024,2031-01-15,54,25,400,48",
    )
    rows = (GOOD.format(n=1), *bad, GOOD.format(n=2))
    tried = take(*rows, dry_run=True)
    assert counts(tried) == (6, 2, 0, 4)
    assert session.scalar(select(func.count()).select_from(Bike)) == 0
    done = take(*rows)
    assert counts(done) == (6, 2, 0, 4)
    assert done.problems == tried.problems, "a dry run says what the run will say"
    told = {(row["line"], finding["header"]): finding["code"] for row in done.problems for finding in row["findings"]}
    assert told == {
        (3, "整车编码"): "vehicle_code_invalid",
        (3, "电池种类"): "cell_kind_invalid",
        (3, "生产日期"): "cell_day_invalid",
        (3, "整车质量(kg)"): "cell_number_invalid",
        (3, "最高车速(km/h)"): "cell_number_invalid",
        (3, "电机功率(W)"): "cell_number_invalid",
        (4, "电池编码"): "battery_already_coded",
        (5, "型号"): "model_not_certified",
        (6, "生产日期"): "made_on_absurd",
    }
    assert session.scalar(select(func.count()).select_from(Battery)) == 2
    bikes = session.scalars(select(Bike).order_by(Bike.id)).all()
    assert [bike.vehicle_code for bike in bikes] == ["118222670000001", "118222670000002"]
    assert (bikes[0].weight_g, bikes[0].voltage_mv, bikes[0].battery_kind) == (54_000, 48_000, "lithium")
    stocked = select(func.count()).where(AuditEntry.action == "bike.stocked")
    assert session.scalar(stocked) == 2
    assert counts(take(*rows)) == (6, 0, 2, 4)
    assert session.scalar(stocked) == 2
    problems = tmp_path / "problems.xlsx"
    problems.write_bytes(problem_rows_workbook(done))
    cells = [row for _, row in read_cells(problems)]
    assert cells[0][: len(COLUMNS)] == HEADER.split(",")
    assert [row[len(COLUMNS)] for row in cells[1:]] == ["3", "4", "5", "6"]
    assert "「电池种类」" in cells[1][len(COLUMNS) + 1]
    assert counts(take(body=problems.read_bytes()))[0] == 4, "the workbook is a list again"


def test_a_row_is_told_everything_that_is_wrong_with_it(district: District, take: Import) -> None:
    take(GOOD.format(n=1))
    done = take("118222670000009,!!,BATT700001,锂,TDT-27,GB 17761-1999,2013-01-15,五十,25,400,48")
    told = {finding["header"]: finding["code"] for finding in done.problems[0]["findings"]}
    assert told == {
        "合格证编号": "code_invalid",
        "电池编码": "battery_already_coded",
        "执行标准": "standard_unknown",
        "生产日期": "made_on_absurd",
        "整车质量(kg)": "cell_number_invalid",
    }
    assert len(done.problems[0]["findings"]) == len(told), "each cell is named once"


def test_a_row_that_says_something_else_of_a_stocked_bike_changes_nothing(district: District, take: Import) -> None:
    take(GOOD.format(n=1))
    differing = take(GOOD.format(n=1).replace(",54,", ",53,"))
    assert counts(differing) == (1, 0, 0, 1)
    (finding,) = differing.problems[0]["findings"]
    assert (finding["code"], finding["header"]) == ("stock_differs", "整车质量(kg)")
    assert district.session.scalars(select(Bike.weight_g)).one() == 54_000
    twice = take(GOOD.format(n=2), GOOD.format(n=2))
    assert counts(twice) == (2, 1, 0, 1)
    assert twice.problems[0]["findings"][0]["code"] == "bike_already_coded"


def test_another_dealers_bike_and_import_are_not_this_ones(district: District, take: Import) -> None:
    mine = take(GOOD.format(n=1))
    district.session.scalars(select(Bike)).one().dealer_id = district.dealer().id
    district.session.commit()
    assert take(GOOD.format(n=1)).problems[0]["findings"][0]["code"] == "bike_already_coded"
    assert get_stock_import(session=district.session, import_id=mine.id, dealer_id=None).id == mine.id
    with pytest.raises(StockImportNotFound):
        get_stock_import(session=district.session, import_id=mine.id, dealer_id=mine.dealer_id + 1)


def test_two_counters_send_the_same_list_at_once_and_every_bike_goes_in_once(
    district: District, dealer: Dealer, tmp_path: Path, engine: Engine
) -> None:
    rows = [GOOD.format(n=n) for n in range(10, 40)]
    paths = tmp_path / "forth", tmp_path / "back"
    for path, listed in zip(paths, (rows, rows[::-1]), strict=True):
        path.write_text("\n".join((HEADER, *listed)), encoding="utf-8")
    dealer_id, today = dealer.id, NOW.astimezone(LOCAL).date()
    district.session.rollback()
    together = Barrier(2)

    def send(path: Path) -> tuple[int, int, int, int]:
        with Session(engine) as mine:
            together.wait(timeout=30)
            done = import_stock(
                session=mine, path=path, dealer_id=dealer_id, dry_run=False, actor=ACTOR, today=today, now=NOW
            )
            mine.commit()
            return counts(done)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(send, paths)) == [(30, 0, 30, 0), (30, 30, 0, 0)]
    for table in (Bike, Battery):
        assert district.session.scalar(select(func.count()).select_from(table)) == 30


def test_lists_that_are_refused_whole(district: District, take: Import) -> None:
    with pytest.raises(TooManyRows):
        take(*(["x" * 15 + ",,,,,,,,,,"] * 2_001))
    with pytest.raises(FilingColumnsMissing):
        take(body=b"\xd5\xfb\xb3\xb5\xb1\xe0\xc2\xeb\n1\n")
    assert district.session.scalar(select(func.count()).select_from(StockImport)) == 0


def test_the_template_is_a_list_of_one_row(take: Import) -> None:
    done = take(body=template_workbook())
    assert counts(done) == (1, 0, 0, 1)
    assert done.problems[0]["findings"][0]["code"] == "model_not_certified"


def test_cells_are_read_as_people_write_them() -> None:
    days = ("2026-01-15", "2026/1/15", "2026.01.15", "2026年1月15日", "2026-01-15 00:00:00")
    assert {read_day(text).isoformat() for text in days} == {"2026-01-15"}
    assert [read_kind(text) for text in ("铅酸", "锂离子电池", "钠电池", "其他")] == [
        "lead_acid",
        "lithium",
        "sodium",
        "other",
    ]
    kilograms = in_thousandths("kg", high=500_000)
    assert [kilograms(text) for text in ("47.8", "500", "0.001", "5e1")] == [47_800, 500_000, 1, 50_000]
    for text in ("0", "-1", "500.001", "1.0005", "ein", "NaN", "Infinity", "1e999999"):
        with pytest.raises(CellNumberInvalid):
            kilograms(text)
    with pytest.raises(CellNumberInvalid):
        in_ones("W", high=20_000)("400.5")
