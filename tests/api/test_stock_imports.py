"""Lists over the API: sent as a form, answered at once, their problems fetched as a workbook."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from registry.bikes import Bike
from registry.filing_excel import read_cells
from registry.stock_import import COLUMNS
from tests.api.conftest import Api, Place, faults

HEADER = ",".join(column.header for column in COLUMNS)
GOOD = "118222680000001,CCC2026800001,BATT800001,锂,TDT-26,GB 17761-2024,2026-01-15,54,25,400,48"
BAD = "118222680000002,CCC2026800002,BATT800002,煤,TDT-26,GB 17761-2024,2026-01-15,54,25,400,48"


def send(api: Api, body: bytes, *, path: str = "/api/stock-imports", key: str | None = None, **query: str) -> Any:
    data = {"file": (BytesIO(body), "list.csv")}
    return api.post(path, key=key, data=data, content_type="multipart/form-data", query_string=query)


def listed(*rows: str) -> bytes:
    return "\n".join((HEADER, *rows)).encode("gbk")


def test_a_list_is_tried_then_taken_in_and_its_problems_fetched(place: Place, point: Api, tmp_path: Path) -> None:
    tried = send(point, listed(GOOD, BAD), dry_run="true")
    assert tried.status_code == 201, tried.text
    done = send(point, listed(GOOD, BAD), key="stock-list-1")
    for answer, dry_run in ((tried, True), (done, False)):
        counts = {name: answer.json[name] for name in ("dry_run", "read", "stored", "unchanged", "refused")}
        assert counts == {"dry_run": dry_run, "read": 2, "stored": 1, "unchanged": 0, "refused": 1}
        (finding,) = answer.json["findings"]
        assert (finding["line"], finding["header"], finding["code"]) == (3, "电池种类", "cell_kind_invalid")
    assert send(point, listed(GOOD, BAD), key="stock-list-1").json == done.json
    assert send(point, listed(GOOD)).json["unchanged"] == 1
    assert place.district.session.scalar(select(func.count()).select_from(Bike)) == 1
    book = point.get(done.json["problems"])
    assert book.status_code == 200
    path = tmp_path / "problems.xlsx"
    path.write_bytes(book.data)
    assert [row[3] for _, row in read_cells(path)] == ["电池种类", "煤"]
    other = place.as_role("dealer", dealer_id=place.district.dealer().id)
    assert faults(other.get(done.json["problems"])) == {None: "stock_import_not_found"}
    assert place.as_role("auditor").get(done.json["problems"]).status_code == 200
    for nowhere in ("x", "0", "9" * 30):
        assert point.get(f"/api/stock-imports/{nowhere}/problems.xlsx").status_code == 404
    template = point.get("/api/stock-imports/template.xlsx")
    path.write_bytes(template.data)
    assert next(row for _, row in read_cells(path)) == HEADER.split(",")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"\xff\xfe\x00", {"file": "filing_file_unreadable"}),
        (b"PK\x03\x04 no workbook", {"file": "filing_file_unreadable"}),
        (b"1,2\n3,4\n", {"file": "filing_columns_missing"}),
        (b"", {"file": "filing_columns_missing"}),
        (listed(*["1,,,,,,,,,,"] * 2_001), {"file": "too_many_rows"}),
    ],
)
def test_files_that_are_refused_whole(point: Api, body: bytes, told: dict[str, str]) -> None:
    answer = send(point, body)
    assert (answer.status_code, faults(answer)) == (422, told)


def test_a_nul_in_any_cell_refuses_its_row_and_breaks_nothing(point: Api) -> None:
    cells = GOOD.split(",")
    rows = [",".join([*cells[:place], f"{cell}\0", *cells[place + 1 :]]) for place, cell in enumerate(cells)]
    answer = send(point, listed(*rows), dry_run="true")
    assert answer.status_code == 201, answer.text
    assert (answer.json["read"], answer.json["stored"]) == (len(rows), 0)
    assert point.get(answer.json["problems"]).status_code == 200


def test_what_is_no_list_and_who_may_not_send_one(place: Place, point: Api) -> None:
    assert faults(point.post("/api/stock-imports", data={}, content_type="multipart/form-data")) == {"file": "required"}
    assert point.post("/api/stock-imports", {}).status_code == 422
    # Written out by hand: the test client would leave a file of this size open.
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="l"\r\n\r\n%s\r\n--b--\r\n' % bytes(5 << 20)
    large = point.post("/api/stock-imports", data=form, content_type="multipart/form-data; boundary=b")
    assert large.status_code == 413
    assert faults(send(point, listed(GOOD), dry_run="maybe")) == {"dry_run": "not_a_choice"}
    for role in ("operator", "auditor"):
        assert send(place.as_role(role), listed(GOOD)).status_code == 403
    assert send(point, listed(GOOD), path="/api/bike-model-imports").status_code == 403


def test_staff_bring_the_catalogue_in_as_a_list(place: Place) -> None:
    clerk = place.as_role("operator")
    template = clerk.get("/api/bike-model-imports/template.xlsx")
    assert template.status_code == 200
    tried = send(clerk, template.data, path="/api/bike-model-imports", dry_run="true").json
    assert (tried["dry_run"], tried["added"]) == (True, 1)
    assert send(clerk, template.data, path="/api/bike-model-imports").json["added"] == 1
    assert send(clerk, template.data, path="/api/bike-model-imports").json["unchanged"] == 1
    assert [each["name"] for each in clerk.get("/api/bike-models", maker_code="1182", name="TDT2601Z").json["models"]]
