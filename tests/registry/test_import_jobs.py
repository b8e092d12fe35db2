"""Lists are imported in the background: sealed while they wait, taken by one runner, begun again after a crash."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from app.config import Settings
from app.db import psycopg_conninfo
from registry import filing_import, import_jobs
from registry.accounts import Account
from registry.audit import AuditEntry
from registry.dealer_rules import EnrolmentRules
from registry.filing_earlier import EarlierTradeIn
from registry.filing_rows import HEADERS
from registry.filings import FiledBike
from registry.import_jobs import (
    LIST,
    ImportChunk,
    ImportFileEmpty,
    ImportFileTooLarge,
    ImportJob,
    ImportNotRepeatable,
    NoProblemsKept,
    carry_out,
    get_import,
    has_problems,
    queue_import,
    read_part,
    read_problems,
)
from registry.import_kinds import DealerTerms
from registry.import_running import run_next_import
from registry.import_turns import LEASE, MOST_RUNS, TakenOver, forget_files, show_progress, take_next
from tests.registry.cutting import kill_at
from tests.registry.line import id_number, make_district

TODAY = date(2026, 6, 1)
RUN = """
import sys
from datetime import date
import psycopg
from sqlalchemy.orm import sessionmaker
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from registry import filing_import
from registry.import_running import run_next_import
filing_import.BLOCK_ROWS = 50
settings = Settings.from_env()
run_next_import(
    connection=psycopg.connect(psycopg_conninfo(settings)), sessions=sessionmaker(engine_for(settings)),
    keyring=settings.keyring, today=date(2026, 6, 1), go_on=lambda: True,
)
"""


def filing(number: int, **changed: str) -> str:
    cells = {
        "plate_no": f"B{number:06d}",
        "owner_name": "陈建英",
        "id_no": id_number(number),
        "phone": f"138{number:08d}",
        "filed_on": "2021-03-18",
        "brand": "凌风",
        "frame_no": f"LX{number:06d}",
        "sub_district": "祥符街道",
    }
    return ",".join({**cells, **changed}.values())


def listed(*rows: str) -> io.BytesIO:
    return io.BytesIO("\n".join([",".join(HEADERS.values()), *rows]).encode("gbk"))


class Desk:
    """Somebody who sends lists, and the process that runs them."""

    def __init__(self, settings: Settings, engine: Engine, session: Session, folder: Path) -> None:
        self.settings, self.session, self.folder = settings, session, folder
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        self.keyring = settings.keyring

    def send(self, file: io.BytesIO, *, kind: str = "filings", dry_run: bool = False) -> ImportJob:
        job = queue_import(
            session=self.session,
            keyring=self.keyring,
            kind=kind,
            file=file,
            file_name="C:\\lists\\备案.csv",
            dry_run=dry_run,
            actor="account:7",
        )
        self.session.commit()
        return job

    def run(self, go_on: Callable[[], bool] = lambda: True) -> str | None:
        with psycopg.connect(psycopg_conninfo(self.settings)) as connection:
            return run_next_import(
                connection=connection,
                sessions=self.sessions,
                keyring=self.keyring,
                today=TODAY,
                go_on=go_on,
                folder=self.folder,
            )

    def now(self, job: ImportJob) -> ImportJob:
        self.session.rollback()
        return get_import(session=self.session, no=job.no)

    def count(self, table: type) -> int:
        self.session.rollback()
        return self.session.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def desk(settings: Settings, engine: Engine, session: Session, tmp_path: Path) -> Desk:
    return Desk(settings, engine, session, tmp_path)


def test_a_list_is_read_in_the_background(desk: Desk) -> None:
    job = desk.send(listed(filing(1), filing(2, plate_no="B00"), filing(3), filing(4, brand="")))
    assert (job.state, job.percent, job.file_name) == ("queued", 0, "备案.csv")
    assert desk.run() == f"{job.no} done"
    job = desk.now(job)
    assert (job.state, job.percent, job.rows_total) == ("done", 100, 4)
    assert job.counts == {"read": 4, "stored": 2, "unchanged": 0, "changed": 0, "differing": 0, "refused": 2}
    assert job.codes == {"plate_invalid": 1, "cell_empty": 1}
    first = job.problems[0]
    assert (first["line"], first["column"], first["result"]) == (3, "号牌号码", "refused")
    assert all(first[name] for name in ("zh", "en", "remedy_zh", "remedy_en", "result_zh"))
    assert desk.count(FiledBike) == 2
    assert desk.run() is None
    assert list(desk.folder.iterdir()) == []


def test_the_workbook_is_the_list_of_problems_again(desk: Desk) -> None:
    job = desk.send(listed(filing(1), filing(2, plate_no="B00")))
    desk.run()
    body = b"".join(read_problems(session=desk.session, keyring=desk.keyring, no=job.no, actor="account:8"))
    desk.session.commit()
    rows = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python()
    assert rows[0][:8] == list(HEADERS.values())
    assert (rows[1][0], rows[1][2], rows[1][8]) == ("B00", id_number(2), "3")
    taken = desk.session.scalars(select(AuditEntry).where(AuditEntry.action == "import.problems_taken")).one()
    assert (taken.actor, taken.subject) == ("account:8", f"import:{job.no}")
    clean = desk.send(listed(filing(3)))
    desk.run()
    assert not has_problems(session=desk.session, job=desk.now(clean))
    with pytest.raises(NoProblemsKept):
        read_problems(session=desk.session, keyring=desk.keyring, no=clean.no, actor="account:8")


def test_lists_lie_sealed_and_a_carried_out_one_is_gone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_jobs, "CHUNK_BYTES", 64)
    file = listed(*map(filing, range(1, 6)))
    job = desk.send(file)
    pieces = desk.session.scalars(select(ImportChunk.body_sealed)).all()
    assert len(pieces) > 5
    assert not any(secret.encode("gbk") in b"".join(pieces) for secret in ("陈建英", id_number(1), "13800000001"))
    kept = read_part(session=desk.session, keyring=desk.keyring, job_id=job.id, part=LIST)
    assert b"".join(kept) == file.getvalue()
    desk.run()
    assert desk.count(ImportChunk) == 0


def test_a_trial_is_carried_out_once(desk: Desk) -> None:
    trial = desk.send(listed(filing(1), filing(2)), dry_run=True)
    with pytest.raises(ImportNotRepeatable):
        carry_out(session=desk.session, no=trial.no, actor="account:7")
    desk.session.rollback()
    assert desk.run() == f"{trial.no} tried out"
    assert (desk.count(FiledBike), desk.now(trial).counts["stored"]) == (0, 2)
    first = carry_out(session=desk.session, no=trial.no, actor="account:7")
    desk.session.commit()
    again = carry_out(session=desk.session, no=trial.no, actor="account:9")
    assert (first.no, desk.now(trial).led_to) == (again.no, first.no)
    assert desk.run() == f"{first.no} done"
    assert desk.run() is None
    assert desk.count(FiledBike) == 2
    with pytest.raises(ImportNotRepeatable):
        carry_out(session=desk.session, no=first.no, actor="account:7")


def test_earlier_trade_ins_come_in_by_the_same_door(desk: Desk) -> None:
    rows = "旧车号牌,新车整车编码,办结日期\nB000001,118222512345678,2025-06-01\nB00,,2025-06-01\n"
    job = desk.send(io.BytesIO(rows.encode()), kind="earlier")
    desk.run()
    assert desk.now(job).counts == {
        "read": 2,
        "stored": 1,
        "unchanged": 0,
        "changed": 0,
        "differing": 0,
        "refused": 1,
    }
    assert desk.count(EarlierTradeIn) == 1
    body = b"".join(read_problems(session=desk.session, keyring=desk.keyring, no=job.no, actor="account:8"))
    [header, row] = CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python()
    assert header[:3] == ["旧车号牌", "新车整车编码", "办结日期"]
    assert row[:4] == ["B00", "", "2025-06-01", "3"]


def test_what_is_no_list_fails_in_words(desk: Desk) -> None:
    job = desk.send(io.BytesIO(b"a,b\n1,2\n"))
    desk.run()
    failed = desk.now(job)
    assert failed.state == "failed"
    assert failed.failure is not None
    assert failed.failure["code"] == "filing_columns_missing"
    assert desk.count(ImportChunk) == 0


def test_an_empty_and_a_too_large_list_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImportFileEmpty):
        desk.send(io.BytesIO())
    monkeypatch.setattr(import_jobs, "LARGEST_BYTES", 100)
    monkeypatch.setattr(import_jobs, "CHUNK_BYTES", 40)
    desk.session.rollback()
    with pytest.raises(ImportFileTooLarge):
        desk.send(io.BytesIO(b"x" * 101))
    desk.session.rollback()
    assert desk.send(io.BytesIO(b"x" * 100)).file_bytes == 100


def test_a_silent_runner_is_replaced_and_finds_out(desk: Desk) -> None:
    job = desk.send(listed(filing(1)))
    with desk.sessions.begin() as session:
        mine = take_next(session=session)
    assert mine is not None
    with desk.sessions.begin() as session:
        assert take_next(session=session) is None, "it is alive"
        session.execute(update(ImportJob).values(alive_at=func.clock_timestamp() - LEASE - LEASE))
    assert desk.run() == f"{job.no} done"
    with desk.sessions.begin() as session, pytest.raises(TakenOver):
        show_progress(session=session, job=mine, counts={}, rows_total=1)
    assert desk.now(job).runs == 2


def test_two_runners_never_take_one_import(desk: Desk) -> None:
    jobs = {desk.send(listed(filing(number))).id for number in (1, 2)}
    with desk.sessions() as first, desk.sessions() as second, desk.sessions() as third:
        taken = [take_next(session=session) for session in (first, second, third)]
        assert {job.id for job in taken if job is not None} == jobs
        assert taken[2] is None


def test_a_process_that_stops_puts_it_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing_import, "BLOCK_ROWS", 2)
    job = desk.send(listed(*map(filing, range(1, 8))))
    answers = iter([True, True, False])
    assert desk.run(lambda: next(answers)) == f"{job.no} put back"
    assert (desk.now(job).state, desk.now(job).runs, desk.count(FiledBike)) == ("queued", 0, 4)
    assert desk.run() == f"{job.no} done"
    assert (desk.now(job).counts["stored"], desk.now(job).counts["unchanged"]) == (3, 4)


def test_what_breaks_off_again_and_again_is_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    job = desk.send(listed(filing(1)))
    monkeypatch.setattr("registry.import_running.look_through", lambda path: 1 / 0)
    for _ in range(MOST_RUNS):
        with pytest.raises(ZeroDivisionError):
            desk.run()
        desk.session.execute(text("UPDATE import_job SET alive_at = alive_at - interval '1 hour'"))
        desk.session.commit()
    assert desk.run() is None
    assert desk.now(job).failure["code"] == "import_broke_off"  # type: ignore[index]


def test_a_killed_import_is_begun_again(desk: Desk) -> None:
    job = desk.send(listed(*map(filing, range(1, 181))))
    where = {"table": "filed_bike", "event": "INSERT", "when": "NEW.plate_no = 'B000120'"}
    kill_at(desk.settings, "-c", RUN, **where, TMPDIR=str(desk.folder))
    assert (desk.now(job).state, desk.count(FiledBike)) == ("running", 100)
    assert desk.now(job).percent == 55
    left = desk.folder / f"mapai-{job.no}"
    assert (left / "list").stat().st_size
    assert left.stat().st_mode & 0o077 == 0
    desk.session.execute(update(ImportJob).values(alive_at=func.clock_timestamp() - LEASE - LEASE))
    desk.session.commit()
    assert desk.run() == f"{job.no} done"
    assert desk.count(FiledBike) == 180
    assert (desk.now(job).counts["stored"], desk.now(job).counts["unchanged"]) == (80, 100)
    assert list(desk.folder.iterdir()) == []


def test_files_are_forgotten_in_time(desk: Desk) -> None:
    trial = desk.send(listed(filing(1, brand="")), dry_run=True)
    desk.run()
    kept = desk.count(ImportChunk)
    for hours, left in ((23, kept), (25, kept - 1), (24 * 7 + 1, 0)):
        finished = func.clock_timestamp() - text(f"interval '{hours} hours'")
        desk.session.execute(update(ImportJob).values(finished_at=finished))
        forget_files(session=desk.session)
        desk.session.commit()
        assert desk.count(ImportChunk) == left, hours
    assert desk.now(trial).counts["refused"] == 1


def test_what_cannot_be_stored_in_a_cell_fails_its_row_and_not_the_import(desk: Desk) -> None:
    job = desk.send(listed(filing(1), filing(2, filed_on="2021\x0003"), filing(3, plate_no="B\x00"), filing(4)))
    assert desk.run() == f"{job.no} done"
    job = desk.now(job)
    assert (job.counts["stored"], job.counts["refused"]) == (2, 2)


class TestListsOfDealers:
    """Dealers and their counter accounts come the same way, under the same rules as by the command."""

    HEADER = "登录名,姓名,统一社会信用代码,店内管理员\n"

    def run(self, desk: Desk) -> str | None:
        terms = DealerTerms(rules=EnrolmentRules(), now=datetime(2026, 6, 1, tzinfo=UTC), password_hash="of none")
        with psycopg.connect(psycopg_conninfo(desk.settings)) as connection:
            return run_next_import(
                connection=connection,
                sessions=desk.sessions,
                keyring=desk.keyring,
                today=TODAY,
                go_on=lambda: True,
                folder=desk.folder,
                dealers=terms,
            )

    def test_accounts_are_tried_out_then_imported_and_told_row_by_row(self, desk: Desk) -> None:
        dealer = make_district(desk.session, desk.keyring).dealer()
        rows = f"shop.one,李敏,{dealer.credit_code},是\nx,王,{dealer.credit_code},也许\n"
        body = (self.HEADER + rows).encode()
        trial = desk.send(io.BytesIO(body), kind="dealers", dry_run=True)
        assert self.run(desk) == f"{trial.no} tried out"
        assert desk.count(Account) == 0
        job = desk.send(io.BytesIO(body), kind="dealers")
        assert self.run(desk) == f"{job.no} done"
        job = desk.now(job)
        assert job.counts == {"read": 2, "stored": 1, "unchanged": 0, "changed": 0, "differing": 0, "refused": 1}
        assert {problem["line"] for problem in job.problems} == {3}
        assert {"登录名", "店内管理员"} <= {problem["column"] for problem in job.problems}
        account = desk.session.scalars(select(Account)).one()
        assert (account.login, account.dealer_manager, account.password_hash) == ("shop.one", True, "of none")
        book = b"".join(read_problems(session=desk.session, keyring=desk.keyring, no=job.no, actor="account:7"))
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0).to_python()
        assert sheet[0][:4] == self.HEADER.strip().split(",")
        assert sheet[1][:2] == ["x", "王"]

    def test_the_same_list_again_changes_nothing(self, desk: Desk) -> None:
        dealer = make_district(desk.session, desk.keyring).dealer()
        body = (self.HEADER + f"shop.one,李敏,{dealer.credit_code},否\n").encode()
        for stored, unchanged in ((1, 0), (0, 1)):
            job = desk.send(io.BytesIO(body), kind="dealers")
            self.run(desk)
            counts = desk.now(job).counts
            assert (counts["stored"], counts["unchanged"]) == (stored, unchanged)

    def test_another_list_is_refused_as_a_whole(self, desk: Desk) -> None:
        job = desk.send(io.BytesIO("甲,乙\n1,2\n".encode()), kind="dealers")
        self.run(desk)
        job = desk.now(job)
        assert job.state == "failed"
        assert job.failure is not None
        assert job.failure["en"]
