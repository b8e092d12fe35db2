"""`mapai import-filings` on a real database, in words and exit codes."""

import csv
import re
import zipfile
from pathlib import Path

import pytest
from python_calamine import load_workbook

from app.commands_earlier import run_command as import_earlier
from app.commands_import import run_command
from app.config import Settings
from app.district.filings import generate_filings, write_filings_csv
from app.startup import CannotStart


def test_a_good_list_then_the_same_again(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "list.csv"
    write_filings_csv(listed, generate_filings(seed=1, count=300))

    assert run_command(settings, listed, dry_run=True, problems=None) == 0
    assert "什么都没有写入" in capsys.readouterr().out
    assert run_command(settings, listed, dry_run=False, problems=None) == 0
    assert "共 300 行：新增 300，已有且相同 0" in capsys.readouterr().out
    assert run_command(settings, listed, dry_run=False, problems=None) == 0
    assert "共 300 行：新增 0，已有且相同 300" in capsys.readouterr().out


def test_wrong_rows_are_named_and_listed(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed, problems = tmp_path / "list.csv", tmp_path / "problems.csv"
    rows = [
        row._replace(phone="123") if number >= 10 else row
        for number, row in enumerate(generate_filings(seed=1, count=40))
    ]
    write_filings_csv(listed, rows)

    assert run_command(settings, listed, dry_run=False, problems=problems) == 1
    out = capsys.readouterr().out
    assert "第 12 行「手机号码」未导入：手机号码不对。" in out
    assert "还有 10 处" in out
    assert "新增 10" in out
    with problems.open(encoding="utf-8-sig", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["行"] for row in table] == [str(line) for line in range(12, 42)]
    assert {row["code"] for row in table} == {"mobile_invalid"}
    assert all(row["怎么办"] and row["remedy"] for row in table)


def test_what_is_no_list_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(CannotStart, match="表头不对"):
        run_command(settings, listed, dry_run=False, problems=None)


def test_the_workbook_of_problems_is_corrected_and_goes_in(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed, problems = tmp_path / "list.csv", tmp_path / "problems.xlsx"
    rows = list(generate_filings(seed=1, count=40))
    bad = [
        row._replace(phone="123", brand='=HYPERLINK("#Sheet2","x")' + "牌" * 60) if row.line in (12, 30) else row
        for row in rows
    ]
    write_filings_csv(listed, bad)

    assert run_command(settings, listed, dry_run=False, problems=problems) == 1
    capsys.readouterr()
    assert problems.stat().st_mode & 0o077 == 0
    header, *cells = load_workbook(problems).get_sheet_by_index(0).iter_rows()
    assert header[:4] == ["号牌号码", "车主姓名", "证件号码", "手机号码"]
    assert [row[0] for row in cells] == [rows[10].plate_no, rows[28].plate_no]
    assert cells[0][2:4] == [rows[10].id_no, "123"]
    assert cells[0][8:10] == ["12", "未导入"]
    assert "「手机号码」手机号码不对" in str(cells[0][10])
    with zipfile.ZipFile(problems) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "HYPERLINK" in sheet
    styles = dict(re.findall(r'<c r="([A-Z]+2)" s="(\d+)"', sheet))
    assert styles["D2"] == styles["F2"] != styles["A2"] == styles["C2"]

    assert run_command(settings, problems, dry_run=True, problems=None) == 1
    assert "第 2 行「手机号码」未导入" in capsys.readouterr().out


def test_a_corrected_list_in_excel_corrects_and_says_so(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed, problems = tmp_path / "list.csv", tmp_path / "said.XLSX"
    rows = list(generate_filings(seed=1, count=5))
    write_filings_csv(listed, rows)
    run_command(settings, listed, dry_run=False, problems=None)
    write_filings_csv(listed, [rows[0]._replace(brand="云雀"), *rows[1:]])
    capsys.readouterr()

    assert run_command(settings, listed, dry_run=False, problems=problems) == 0
    assert "已有且相同 4，按名单更正 1，与已有不同 0" in capsys.readouterr().out
    _, *cells = load_workbook(problems).get_sheet_by_index(0).iter_rows()
    assert [(row[0], row[5], row[9]) for row in cells] == [(rows[0].plate_no, "云雀", "已更正")]


def test_the_list_itself_is_never_written_over(settings: Settings, tmp_path: Path) -> None:
    listed = tmp_path / "list.csv"
    write_filings_csv(listed, generate_filings(seed=1, count=2))
    with pytest.raises(CannotStart, match="overwrite"):
        run_command(settings, listed, dry_run=False, problems=listed)


def test_earlier_trade_ins_go_in_by_command(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "earlier.csv"
    listed.write_text("旧车号牌,新车整车编码,办结日期\nB000001,,2025-06-01\nB00,,2025-06-01\n", encoding="utf-8")

    assert import_earlier(settings, listed, dry_run=True) == 1
    assert "什么都没有写入" in capsys.readouterr().out
    assert import_earlier(settings, listed, dry_run=False) == 1
    out = capsys.readouterr().out
    assert "第 3 行「旧车号牌」：号牌号码「B00」不对。" in out
    assert "以前的淘汰置换，共 2 行：新增 1，" in out
    with pytest.raises(CannotStart, match="overwrite"):
        import_earlier(settings, listed, dry_run=True, problems=listed)
    listed.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(CannotStart, match="表头不对"):
        import_earlier(settings, listed, dry_run=False)


@pytest.mark.parametrize("name", ["problems.xlsx", "problems.csv"])
def test_the_problems_of_an_earlier_list_are_written_down(settings: Settings, tmp_path: Path, name: str) -> None:
    listed, problems = tmp_path / "earlier.csv", tmp_path / name
    listed.write_text("旧车号牌,新车整车编码,办结日期\nB000001,,2025-06-01\nB00,1,2025-06-01\n", encoding="utf-8")
    assert import_earlier(settings, listed, dry_run=False, problems=problems) == 1
    if name.endswith(".xlsx"):
        header, row = load_workbook(problems).get_sheet_by_index(0).iter_rows()
        assert header[:4] == ["旧车号牌", "新车整车编码", "办结日期", "原行号"]
        assert row[:5] == ["B00", "1", "2025-06-01", "3", "未导入"]
    else:
        with problems.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [(row["行"], row["code"]) for row in rows] == [("3", "plate_invalid"), ("3", "vehicle_code_invalid")]
