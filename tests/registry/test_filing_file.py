"""Filing lists as files: any common encoding, columns in any order, odd shapes named instead of guessed."""

from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path

import pytest
import xlsxwriter

from app.district.filings import generate_filings, write_filings_csv
from registry import filing_excel
from registry.filing_file import EXCEL, FilingColumnsMissing, FilingFileUnreadable, look_through, read_rows
from registry.filing_rows import Filing, FilingRow, RowChecker

HEADER = "号牌号码,车主姓名,证件号码,手机号码,备案日期,品牌,车架号,街道"
ROW = "B382617,陈建英,330105199003070018,13800138000,2021-03-18,凌风,LX0001,祥符街道"
READ = FilingRow(2, *ROW.split(","))


def rows_of(folder: Path, text: str, encoding: str = "utf-8") -> list[FilingRow]:
    path = folder / "list.csv"
    path.write_bytes(text.encode(encoding))
    return list(read_rows(look_through(path)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    assert rows_of(tmp_path, f"{HEADER}{end}{ROW}{end}", encoding) == [READ]


def test_columns_are_matched_by_name(tmp_path: Path) -> None:
    names, cells = HEADER.split(","), ROW.split(",")
    header = ",".join(["序号", *reversed(names), "备注"])
    assert rows_of(tmp_path, f"{header}\n1,{','.join(reversed(cells))},无\n") == [READ]


def test_missing_and_doubled_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(FilingColumnsMissing) as missing:
        rows_of(tmp_path, HEADER.replace("车架号", "号牌号码") + "\n")
    assert missing.value.facts["missing"] == "号牌号码、车架号"
    with pytest.raises(FilingColumnsMissing):
        rows_of(tmp_path, "")


def test_empty_rows_are_left_out_and_lines_still_counted(tmp_path: Path) -> None:
    text = f"{HEADER}\n\n,,,,,,,\n{ROW}\n{ROW.replace('凌风', chr(34) + '凌' + chr(10) + '风' + chr(34))}\n{ROW}"
    assert [row.line for row in rows_of(tmp_path, text)] == [4, 5, 7]


def test_short_rows_get_empty_cells_and_long_ones_show_their_surplus(tmp_path: Path) -> None:
    short, long = rows_of(tmp_path, f"{HEADER}\nB382617,陈建英\n{ROW},路,3\n")
    assert short == FilingRow(2, "B382617", "陈建英", "", "", "", "", "", "")
    assert long == READ._replace(line=3, surplus="路3")


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"PK\x03\x04\xff\xff\xff")
    with pytest.raises(FilingFileUnreadable):
        look_through(path)


def test_a_quote_that_never_closes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FilingFileUnreadable):
        rows_of(tmp_path, f'{HEADER}\nB382617,"陈建英\n' + f"{ROW}\n" * 4_000)


def test_a_made_list_is_the_same_every_time_and_reads_back(tmp_path: Path) -> None:
    write_filings_csv(tmp_path / "a.csv", generate_filings(seed=5, count=500))
    write_filings_csv(tmp_path / "b.csv", generate_filings(seed=5, count=500))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    file = look_through(tmp_path / "a.csv")
    assert (file.rows, file.encoding) == (500, "utf-8-sig")
    assert list(read_rows(file)) == list(generate_filings(seed=5, count=500))
    assert list(generate_filings(seed=6, count=500)) != list(generate_filings(seed=5, count=500))


def workbook(folder: Path, rows: Sequence[Sequence[object]], *, first_row: int = 0) -> Path:
    path = folder / "list.xlsx"
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy/m/d"}) as book:
        book.add_worksheet("目录").hide()
        sheet = book.add_worksheet("名单")
        sheet.activate()
        for number, row in enumerate(rows, start=first_row):
            sheet.write_row(number, 0, row)
    return path


def test_a_workbook_reads_like_the_csv_of_its_first_visible_sheet(tmp_path: Path) -> None:
    path = workbook(tmp_path, [HEADER.split(","), [], ROW.split(",")])
    file = look_through(path)
    assert (file.encoding, file.rows) == (EXCEL, 2)
    assert list(read_rows(file)) == [READ._replace(line=3)]


def test_rows_are_counted_as_excel_shows_them_and_surplus_is_told(tmp_path: Path) -> None:
    path = workbook(tmp_path, [["备注", *HEADER.split(",")], ["", *ROW.split(","), "路"]], first_row=3)
    assert list(read_rows(look_through(path))) == [READ._replace(line=5, surplus="路")]


# A workbook's days know no time zone.
@pytest.mark.parametrize("day", [date(2021, 3, 18), datetime.combine(date(2021, 3, 18), time(9, 30)), 20210318])
def test_typed_cells_are_understood(tmp_path: Path, day: object) -> None:
    cells: list[object] = ROW.split(",")
    cells[3], cells[4] = 13800138000, day
    (row,) = read_rows(look_through(workbook(tmp_path, [HEADER.split(","), cells])))
    assert row.phone == "13800138000"
    filing = RowChecker(today=date(2026, 6, 1)).check(row)
    assert isinstance(filing, Filing)
    assert filing.filed_on == date(2021, 3, 18)


def test_an_id_number_kept_as_a_quantity_is_named(tmp_path: Path) -> None:
    cells: list[object] = ROW.split(",")
    cells[2] = 330105199003070018
    (row,) = read_rows(look_through(workbook(tmp_path, [HEADER.split(","), cells])))
    refusals = RowChecker(today=date(2026, 6, 1)).check(row)
    assert isinstance(refusals, list)
    assert [(each.code, each.field) for each in refusals] == [("id_number_rounded", "id_no")]


def test_a_workbook_without_our_columns_is_refused(tmp_path: Path) -> None:
    for rows in ([], [["号牌号码"], ["B382617"]]):
        with pytest.raises(FilingColumnsMissing):
            list(read_rows(look_through(workbook(tmp_path, rows))))


@pytest.mark.parametrize("content", [b"PK\x03\x04", bytes.fromhex("D0CF11E0A1B11AE1") + bytes(600)])
def test_a_damaged_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.xls"
    path.write_bytes(content)
    with pytest.raises(FilingFileUnreadable, match="workbook"):
        look_through(path)


def test_a_workbook_that_unfolds_beyond_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write_row(0, 0, HEADER.split(","))
    monkeypatch.setattr(filing_excel, "_MOST_UNFOLDED_BYTES", 100)
    with pytest.raises(FilingFileUnreadable, match="unfolded"):
        look_through(path)


def test_a_sheet_as_wide_and_long_as_can_be_is_refused_before_it_takes_the_process_with_it(tmp_path: Path) -> None:
    path = tmp_path / "list.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER.split(","))
        sheet.write_string(1_048_575, 16_383, "x")
    with pytest.raises(FilingFileUnreadable):
        look_through(path)
