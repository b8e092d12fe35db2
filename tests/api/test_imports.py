"""Staff send lists, watch them being read, and get what is wrong back as a workbook."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import psycopg
import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import sessionmaker
from werkzeug.test import TestResponse

from app.config import Settings
from app.db import psycopg_conninfo
from registry import import_jobs
from registry.filings import FiledBike
from registry.import_jobs import ImportJob
from registry.import_running import run_next_import
from tests.api.conftest import Api, Place, faults
from tests.registry.test_import_jobs import filing, listed

PATH = "/api/filing-imports"


@pytest.fixture
def staff(place: Place) -> Api:
    return place.as_role("operator")


def send(api: Api, *rows: str, key: str | None = None, **fields: Any) -> TestResponse:
    form = {"file": (listed(*rows), "备案.csv"), **fields}
    return api.post(PATH, key=key, data=form, content_type="multipart/form-data")


def large_form(size: int, **fields: str) -> dict[str, Any]:
    """A form with a file of that size, made by hand: the test client would leave its own copy of it on disk open."""
    parts = [f'--X\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    parts.append('--X\r\nContent-Disposition: form-data; name="file"; filename="x.csv"\r\n\r\n')
    return {
        "data": "".join(parts).encode() + b"x" * size + b"\r\n--X--\r\n",
        "content_type": "multipart/form-data; boundary=X",
    }


def run(settings: Settings, engine: Engine) -> str | None:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        return run_next_import(
            connection=connection,
            sessions=sessionmaker(engine),
            keyring=settings.keyring,
            today=date(2026, 6, 1),
            go_on=lambda: True,
        )


def test_a_list_from_sending_to_its_problems(staff: Api, place: Place, settings: Settings, engine: Engine) -> None:
    sent = send(staff, filing(1), filing(2, plate_no="B00"), dry_run="true")
    assert sent.status_code == 202, sent.text
    at = f"{PATH}/{sent.json['no']}"
    assert (sent.json["state"], sent.json["percent"], sent.json["dry_run"]) == ("queued", 0, True)
    assert faults(staff.post(f"{at}/carrying-out")) == {None: "import_not_repeatable"}
    assert faults(staff.get(f"{at}/problems.xlsx")) == {None: "no_problems_kept"}
    run(settings, engine)
    tried = staff.get(at).json
    assert {name: tried[name] for name in ("state", "percent", "read", "stored", "refused")} == {
        "state": "done",
        "percent": 100,
        "read": 2,
        "stored": 1,
        "refused": 1,
    }
    [problem] = tried["problems"]
    assert (problem["line"], problem["column"], problem["code"]) == (3, "号牌号码", "plate_invalid")
    assert tried["problems_workbook"] is tried["can_be_carried_out"] is True
    carried = staff.post(f"{at}/carrying-out")
    assert carried.status_code == 202
    assert carried.json["dry_run"] is False
    assert place.district.session.scalar(select(func.count()).select_from(FiledBike)) == 0
    run(settings, engine)
    place.district.session.rollback()
    assert place.district.session.scalar(select(func.count()).select_from(FiledBike)) == 1
    book = staff.get(f"{PATH}/{carried.json['no']}/problems.xlsx")
    assert book.headers["Cache-Control"] == "no-store"
    rows = CalamineWorkbook.from_filelike(io.BytesIO(book.data)).get_sheet_by_index(0).to_python()
    assert rows[1][0] == "B00"
    everything = staff.get(PATH, limit="1").json
    assert [row["no"] for row in everything["imports"]] == [carried.json["no"]]
    older = staff.get(PATH, before=str(everything["next_before"])).json
    assert [(row["no"], row["led_to"]) for row in older["imports"]] == [(sent.json["no"], carried.json["no"])]
    assert older["next_before"] is None


def test_the_same_sending_twice_is_one_import(staff: Api, place: Place) -> None:
    first, again = (send(staff, filing(1), key="one-sending") for _ in range(2))
    assert first.json == again.json
    assert place.district.session.scalar(select(func.count()).select_from(ImportJob)) == 1
    assert faults(send(staff, filing(2), key="one-sending")) == {"Idempotency-Key": "idempotency_key_reused"}


def test_the_form_is_checked(staff: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = staff.post(PATH, data={"kind": "x", "dry_run": "yes", "more": "1"}, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert faults(answer) == {
        "file": "required",
        "kind": "not_a_choice",
        "dry_run": "not_yes_or_no",
        "more": "unknown_field",
    }
    empty = staff.post(PATH, data={"file": (io.BytesIO(), "x.csv")}, content_type="multipart/form-data")
    assert faults(empty) == {"file": "import_file_empty"}
    monkeypatch.setattr(import_jobs, "LARGEST_BYTES", 20)
    assert faults(send(staff, filing(1))) == {"file": "import_file_too_large"}
    assert staff.post(PATH, {"file": "text"}).status_code == 422
    assert faults(staff.get(f"{PATH}/IM-NOTHING")) == {None: "import_not_found"}


def test_a_body_beyond_a_list_is_cut_off(staff: Api) -> None:
    assert staff.post(PATH, **large_form(import_jobs.LARGEST_BYTES + 200_000)).status_code == 413


def test_who_may_send_and_who_may_look(place: Place, staff: Api, point: Api) -> None:
    no = send(staff, filing(1)).json["no"]
    for role in ("reviewer", "finance", "auditor"):
        api = place.as_role(role)
        assert send(api, filing(1)).status_code == 403
        assert api.post(f"{PATH}/{no}/carrying-out").status_code == 403
        assert api.get(f"{PATH}/{no}/problems.xlsx").status_code == 403
        assert api.get(f"{PATH}/{no}").status_code == 200
    assert send(point, filing(1)).status_code == point.get(PATH).status_code == 403
    assert send(place.as_role("administrator"), filing(1)).status_code == 202
