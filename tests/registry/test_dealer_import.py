"""Lists of dealers and of their accounts: good rows go in with history, the others are named by line and column."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from python_calamine import load_workbook
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.commands_dealers import run_command
from app.config import Settings
from app.district.dealers import DEALERS, LICENSED, generate_dealers, write_dealers_csv
from app.district.numbers import credit_code
from app.startup import CannotStart
from registry.accounts import Account
from registry.audit import AuditEntry
from registry.cases import Case
from registry.dealer_commitments import CommitmentSignature
from registry.dealer_import import import_dealer_list
from registry.dealer_inputs import masked_mobile
from registry.dealer_licences import next_point_no
from registry.dealer_report import RowsReport
from registry.dealer_rows import ACCOUNT_HEADERS, DEALER_HEADERS
from registry.dealer_rules import EnrolmentRules
from registry.dealer_steps import DealerStep, steps_of
from registry.dealer_training import TrainingAttempt
from registry.dealers import Dealer, require_licensed
from registry.filing_file import FilingColumnsMissing, look_through
from tests.registry.line import NOW

LICENSED_ON = date(2026, 5, 1)


def row(number: int, **changed: str) -> dict[str, str]:
    """A dealer of a list, licensed and everything before it done."""
    return {
        "name": f"名单第{number}车行",
        "credit_code": credit_code(70_000 + number),
        "sub_district": "小河街道",
        "address": f"小河路 {number} 号",
        "phone": "0571-88000001",
        "opening_hours": "8:30-18:00",
        "representative": "周海燕",
        "mobile": f"136{number:08d}",
        "signed_on": "2026/3/1",
        "trained_on": "2026年3月8日",
        "correct": "9",
        "enrolled": "已开通",
        "point_no": str(number),
        "licensed_on": "2026-04-01",
        "licensed_until": "2027-03-31",
        "standing": "",
        **changed,
    }


def take(session: Session, settings: Settings, path: Path) -> RowsReport:
    report = import_dealer_list(
        session=session,
        keyring=settings.keyring,
        file=look_through(path),
        rules=EnrolmentRules(),
        actor="command:test",
        now=NOW,
        password_hash="none",
    )
    session.commit()
    return report


def dealers_file(folder: Path, *rows: dict[str, str]) -> Path:
    path = folder / "dealers.csv"
    write_dealers_csv(path, rows)
    return path


def accounts_file(folder: Path, *rows: tuple[str, str, str, str]) -> Path:
    path = folder / "accounts.csv"
    with path.open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows([list(ACCOUNT_HEADERS.values()), *rows])
    return path


def counts(report: RowsReport) -> tuple[int, int, int, int, int, int]:
    return report.read, report.stored, report.unchanged, report.corrected, report.differing, report.refused


def said(report: RowsReport) -> set[tuple[int, str, str]]:
    return {(finding.line, finding.header, finding.refusal.code) for finding in report.findings}


def test_the_whole_district_goes_in_with_its_history(session: Session, settings: Settings, tmp_path: Path) -> None:
    path = dealers_file(tmp_path, *generate_dealers(seed=3, licensed_on=LICENSED_ON))
    report = take(session, settings, path)
    assert (counts(report), report.findings) == ((DEALERS, DEALERS, 0, 0, 0, 0), [])
    by_state = dict(session.execute(select(Dealer.state, func.count()).group_by(Dealer.state)).all())
    assert by_state == {
        "licensed": LICENSED,
        "suspended": 1,
        "enrolled": 30,
        "trained": 3,
        "committed": 2,
        "accepted": 2,
    }
    assert session.scalar(select(func.count()).select_from(CommitmentSignature)) == DEALERS - 2
    assert session.scalar(select(func.count()).select_from(TrainingAttempt)) == DEALERS - 4
    first = session.scalars(select(Dealer).where(Dealer.point_no == "0001")).one()
    require_licensed(dealer=first, now=NOW)
    assert (first.licensed_until, first.opening_hours[:2]) == (date(2027, 4, 30), "每天")
    steps = steps_of(session=session, dealer_id=first.id)
    assert [step.step for step in steps] == ["accept", "commit", "train", "enrol", "license"]
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    assert masked_mobile(dealer=first, keyring=settings.keyring) is not None
    assert next_point_no(session=session) == f"{LICENSED + 2:04d}"
    rows = [session.scalar(select(func.count()).select_from(each)) for each in (Dealer, DealerStep, AuditEntry)]
    again = take(session, settings, path)
    assert counts(again) == (DEALERS, 0, DEALERS, 0, 0, 0)
    assert rows == [session.scalar(select(func.count()).select_from(each)) for each in (Dealer, DealerStep, AuditEntry)]


def test_bad_rows_are_named_by_line_and_column(session: Session, settings: Settings, tmp_path: Path) -> None:
    report = take(
        session,
        settings,
        dealers_file(
            tmp_path,
            row(1),
            row(2, name="", credit_code="913301", phone="88", opening_hours="全天", mobile="12"),
            row(3, signed_on="2026-09-01", correct="11", enrolled="也许", point_no="A1", standing="关门"),
            row(4, trained_on="", correct=""),
            row(5, licensed_on=""),
            row(6, trained_on="2026-05-01"),
            row(7, point_no="1"),
            row(8, name="名单第1车行"),
            row(1, point_no="9"),
            row(10, signed_on="2024-12-31"),
            row(11, correct="7"),
            row(12, enrolled="", point_no="", licensed_on="", licensed_until="", standing="暂停"),
        ),
    )
    assert counts(report) == (12, 1, 0, 0, 0, 11)
    assert said(report) == {
        (3, "商户名称", "cell_empty"),
        (3, "统一社会信用代码", "credit_code_invalid"),
        (3, "店铺电话", "telephone_invalid"),
        (3, "营业时间", "opening_hours_invalid"),
        (3, "签署手机", "mobile_invalid"),
        (4, "承诺书签署日期", "dealer_day_invalid"),
        (4, "培训得分", "dealer_cell_invalid"),
        (4, "置换功能", "dealer_cell_invalid"),
        (4, "授牌编号", "dealer_cell_invalid"),
        (4, "状态", "dealer_cell_invalid"),
        (5, "置换功能", "dealer_history_broken"),
        (6, "授牌有效期至", "dealer_history_broken"),
        (7, "授牌日期", "dealer_history_broken"),
        (8, "授牌编号", "dealer_taken"),
        (9, "商户名称", "dealer_taken"),
        (10, "统一社会信用代码", "dealer_taken"),
        (11, "承诺书签署日期", "signed_too_early"),
        (12, "培训得分", "dealer_cell_invalid"),
        (13, "状态", "dealer_history_broken"),
    }


def test_a_known_dealer_is_corrected_and_keeps_its_licence(
    session: Session, settings: Settings, tmp_path: Path
) -> None:
    take(session, settings, dealers_file(tmp_path, row(1)))
    moved = row(1, address="登云路 1 号", mobile="13600009999")
    report = take(session, settings, dealers_file(tmp_path, moved))
    assert counts(report) == (1, 0, 0, 1, 0, 0)
    assert said(report) == {(2, "地址", "dealer_corrected"), (2, "签署手机", "dealer_corrected")}
    entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "dealer.corrected")).one()
    assert entry.detail == {
        "address": {"old": "小河路 1 号", "new": "登云路 1 号"},
        "mobile": {"old": "136****0001", "new": "136****9999"},
    }
    other = {**moved, "point_no": "88", "licensed_until": "2030-01-01"}
    report = take(session, settings, dealers_file(tmp_path, other))
    assert counts(report) == (1, 0, 0, 0, 1, 0)
    assert {code for _, _, code in said(report)} == {"dealer_history_kept"}
    dealer = session.scalars(select(Dealer)).one()
    assert (dealer.point_no, dealer.licensed_until) == ("0001", date(2027, 3, 31))


def test_a_doubtful_credit_code_goes_in_and_to_a_person(session: Session, settings: Settings, tmp_path: Path) -> None:
    code = credit_code(70_001)
    wrong = code[:-1] + ("1" if code[-1] != "1" else "2")
    report = take(session, settings, dealers_file(tmp_path, row(1, credit_code=wrong)))
    assert (report.stored, said(report)) == (1, {(2, "统一社会信用代码", "credit_code_doubtful")})
    case = session.scalars(select(Case)).one()
    assert (case.kind, case.subject) == ("dealer_credit_code", f"dealer:{session.scalars(select(Dealer.id)).one()}")


def test_a_corrected_credit_code_is_the_same_dealers_and_closes_its_case(
    session: Session, settings: Settings, tmp_path: Path
) -> None:
    code = credit_code(70_001)
    wrong = code[:-1] + ("1" if code[-1] != "1" else "2")
    take(session, settings, dealers_file(tmp_path, row(1, credit_code=wrong)))
    report = take(session, settings, dealers_file(tmp_path, row(1, credit_code=code)))
    assert counts(report) == (1, 0, 0, 1, 0, 0)
    assert said(report) == {(2, "统一社会信用代码", "dealer_corrected")}
    assert session.scalars(select(Dealer.credit_code)).all() == [code]
    case = session.scalars(select(Case)).one()
    assert (case.closed_by, case.outcome) == ("command:test", f"credit code corrected from {wrong} to {code}")
    report = take(session, settings, dealers_file(tmp_path, row(1, credit_code=code)))
    assert counts(report) == (1, 0, 1, 0, 0, 0), "the same list again changes nothing"


def test_a_sound_credit_code_is_not_changed_by_a_list(session: Session, settings: Settings, tmp_path: Path) -> None:
    take(session, settings, dealers_file(tmp_path, row(1)))
    report = take(session, settings, dealers_file(tmp_path, row(1, credit_code=credit_code(70_099))))
    assert report.refused == 1
    assert session.scalars(select(Dealer.credit_code)).all() == [credit_code(70_001)]


def test_counter_accounts(session: Session, settings: Settings, tmp_path: Path) -> None:
    take(session, settings, dealers_file(tmp_path, row(1), row(2)))
    one, two = credit_code(70_001), credit_code(70_002)
    path = accounts_file(
        tmp_path,
        ("point-0001", "王店长", one, "是"),
        ("point-0001b", "小李", one, ""),
        ("x", "小张", two, "也许"),
        ("point-0002", "小张", credit_code(70_003), "是"),
        ("point-0001", "别人", two, "是"),
    )
    report = take(session, settings, path)
    assert counts(report) == (5, 2, 0, 0, 1, 2)
    assert said(report) == {
        (4, "登录名", "dealer_cell_invalid"),
        (4, "店内管理员", "dealer_cell_invalid"),
        (5, "统一社会信用代码", "account_of_no_dealer"),
        (6, "登录名", "account_differs"),
    }
    accounts = {each.login: each for each in session.scalars(select(Account))}
    assert {login: each.dealer_manager for login, each in accounts.items()} == {
        "point-0001": True,
        "point-0001b": False,
    }
    assert counts(take(session, settings, path)) == (5, 0, 2, 0, 1, 2)


def test_the_command_tries_reports_and_stores(
    session: Session, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The command runs in the present: the list says what was done before.
    assert datetime.now(UTC).date() > date(2026, 4, 1)
    path = dealers_file(tmp_path, row(1), row(2, phone="=1+1"))
    problems = tmp_path / "problems.xlsx"
    assert run_command(settings, path, dry_run=True, problems=problems) == 1
    assert "这是试算" in capsys.readouterr().out
    assert session.scalar(select(func.count()).select_from(Dealer)) == 0
    session.rollback()
    cells = load_workbook(problems).get_sheet_by_index(0).to_python()
    assert cells[0][: len(DEALER_HEADERS)] == list(DEALER_HEADERS.values())
    assert (cells[1][0], cells[1][4], len(cells)) == ("名单第2车行", "=1+1", 2)
    assert "未导入" in cells[1]
    assert run_command(settings, path, dry_run=False, problems=None) == 1
    assert "新增 1，" in capsys.readouterr().out
    assert session.scalar(select(func.count()).select_from(Dealer)) == 1
    with pytest.raises(CannotStart, match="problems"):
        run_command(settings, path, dry_run=True, problems=path)
    bare = tmp_path / "bare.csv"
    bare.write_text("商户名称\n车行\n", encoding="utf-8")
    with pytest.raises(CannotStart, match="统一社会信用代码"):
        run_command(settings, bare, dry_run=True, problems=None)
    with pytest.raises(FilingColumnsMissing):
        take(session, settings, bare)
