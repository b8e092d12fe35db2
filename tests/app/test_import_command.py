"""`mapai import-filings` on a real database, in words and exit codes."""

import csv
from pathlib import Path

import pytest

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
