"""A clerk takes a list in: tries it out, sees it being read, sees what is wrong, carries it out."""

from __future__ import annotations

import io
from datetime import date

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import sessionmaker

from app.db import psycopg_conninfo
from registry.filings import FiledBike
from registry.import_running import run_next_import
from tests.api.test_imports import large_form
from tests.registry.test_import_jobs import filing, listed
from tests.web.markup import check_page
from tests.web.scene import STAFF, Browser, Scene


@pytest.fixture
def clerk(scene: Scene) -> Browser:
    browser = Browser(scene.app())
    browser.sign_in(STAFF)
    return browser


def send(browser: Browser, file: io.BytesIO, kind: str = "filings") -> None:
    browser.open("/imports")
    browser.send(action="/imports", kind=kind, file=(file, "备案.csv"))


def run(scene: Scene) -> None:
    sessions = sessionmaker(scene.session.get_bind(), expire_on_commit=False)
    with psycopg.connect(psycopg_conninfo(scene.settings)) as connection:
        run_next_import(
            connection=connection,
            sessions=sessions,
            keyring=scene.settings.keyring,
            today=date(2026, 6, 1),
            go_on=lambda: True,
        )


def test_a_list_from_the_form_to_the_register(scene: Scene, clerk: Browser) -> None:
    send(clerk, listed(filing(1), filing(2, plate_no="B00<b>")))
    assert clerk.page is not None
    check_page(clerk.page)
    assert "等着开始" in clerk.text
    assert clerk.page.headers["Refresh"] == "2"
    trial = clerk.at
    scene.session.execute(text("UPDATE import_job SET state = 'running', rows_total = 8, counts = '{\"read\": 2}'"))
    scene.session.commit()
    page = clerk.open(trial)
    check_page(page)
    assert "已读 25%" in clerk.text
    assert "Refresh" in page.headers
    scene.session.execute(text("UPDATE import_job SET state = 'queued'"))
    scene.session.commit()
    run(scene)
    page = clerk.open(trial)
    check_page(page)
    assert "Refresh" not in page.headers
    assert "试算完了，还没有写入" in clerk.text
    assert "B00<b>" in clerk.text
    workbook = clerk.client.get(f"{trial}/problems.xlsx")
    assert workbook.data[:2] == b"PK"
    clerk.open(trial)
    clerk.send(action="/carrying-out")
    assert clerk.at != trial
    run(scene)
    check_page(clerk.open(clerk.at))
    assert "导入完了" in clerk.text
    scene.session.rollback()
    assert scene.session.scalar(select(func.count()).select_from(FiledBike)) == 1
    clerk.open(trial)
    assert "已经正式导入" in clerk.text
    check_page(clerk.open("/imports"))
    assert "正式导入" in clerk.text


def test_what_is_missing_is_said_beside_its_field(scene: Scene, clerk: Browser) -> None:
    clerk.open("/imports")
    page = clerk.send(action="/imports", kind="")
    assert page.status_code == 422
    check_page(page)
    assert "还没有选文件" in clerk.text
    assert "还没有选是哪一种名单" in clerk.text
    clerk.open("/imports")
    page = clerk.send(action="/imports", kind="filings", file=(io.BytesIO(), "x.csv"))
    assert page.status_code == 422
    assert "这个文件是空的" in clerk.text


def test_a_list_that_cannot_be_read_says_why(scene: Scene, clerk: Browser) -> None:
    send(clerk, io.BytesIO(b"a,b\n1,2\n"))
    run(scene)
    check_page(clerk.open(clerk.at))
    assert "表头不对" in clerk.text


def test_a_reader_sees_no_form_and_no_workbook(scene: Scene, clerk: Browser) -> None:
    send(clerk, listed(filing(2, plate_no="B00")))
    run(scene)
    scene.account("reader", role="auditor")
    reader = Browser(scene.app())
    reader.sign_in("reader")
    page = reader.open("/imports")
    check_page(page)
    assert 'type="file"' not in page.text
    page = reader.open(clerk.at)
    check_page(page)
    assert "problems.xlsx" not in page.text
    assert reader.open(f"{clerk.at}/problems.xlsx").status_code == 403


def test_a_list_as_large_as_allowed_passes_the_door(scene: Scene, clerk: Browser) -> None:
    """Eleven megabytes are more than any other form may hold."""
    clerk.open("/imports")
    _, hidden = clerk.form(action="/imports")
    answer = clerk.client.post("/imports", **large_form(11 << 20, **hidden, kind="filings"))
    assert answer.status_code == 303
    assert answer.location.startswith("/imports/IM-")
    point = Browser(scene.app())
    point.sign_in("point")
    assert point.client.post("/imports", **large_form(11 << 20, csrf_token="none")).status_code == 413
