"""The closing report over HTTP, and receipts on paper."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from python_calamine import CalamineWorkbook
from sqlalchemy.orm import Session

from app.config import Settings
from app.print.closing import closing_data
from app.print.receipt import receipt_data
from registry.trade_ins import EVERYBODYS, get_trade_in
from subsidy.closing_report import closing_report
from subsidy.log_reading import programme_of
from subsidy.receipts import receipt_of
from tests.api.conftest import Api, Place, faults, walk
from tests.api.test_log import publish_now
from tests.registry.line import Owner

REPORT = "/api/programmes/GS-2026/closing-report"


def test_staff_download_what_adds_up(place: Place, point: Api, owner: Owner, programme: None, session: Session) -> None:
    walk(point, place, owner, until="applied")
    staff = place.as_role("finance")
    answer = staff.get(f"{REPORT}.xlsx")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    book = CalamineWorkbook.from_filelike(io.BytesIO(answer.data))
    header, stage = book.get_sheet_by_name("各阶段").to_python()[1:3]
    told = dict(zip(header, stage, strict=True))
    assert (told["拨入"], told["期末"], told["可用"], told["待发放"]) == (900.0, 900.0, 600.0, 300.0)
    this_month = datetime.now(UTC).strftime("%Y-%m")
    assert staff.get(f"{REPORT}.xlsx", month="2001-01").status_code == 200
    assert staff.get(f"{REPORT}.xlsx", month=this_month).status_code == 200
    assert set(faults(staff.get(f"{REPORT}.xlsx", month="June"))) == {"month"}
    assert staff.get("/api/programmes/none/closing-report.xlsx").status_code == 404
    assert point.get(f"{REPORT}.xlsx").status_code == 403
    assert place.visitor().get(f"{REPORT}.pdf").status_code == 401
    report = closing_report(
        session=session, programme=programme_of(session=session, code="GS-2026"), month=None, now=datetime.now(UTC)
    )
    tables = closing_data(report=report, now=datetime.now(UTC))["tables"]
    assert tables[0]["rows"][1][0] == "第 1 阶段"
    assert tables[0]["rows"][-1][0] == "合计"
    assert ["", "拨入（转出）", "-900.00"] in tables[1]["rows"]


def test_a_report_and_a_receipt_on_paper(
    place: Place, point: Api, owner: Owner, programme: None, settings: Settings, session: Session
) -> None:
    reference = walk(point, place, owner, until="applied")
    publish_now(settings)
    printed = place.as_role("finance").get(f"{REPORT}.pdf")
    assert printed.data.startswith(b"%PDF-"), printed.text
    receipt = place.as_role("owner", person_id=owner.person_id).get(f"/api/my/trade-ins/{reference}/receipt.pdf")
    assert receipt.data.startswith(b"%PDF-"), receipt.text
    trade_in = get_trade_in(session=session, reference=reference, reach=EVERYBODYS)
    data = receipt_data(receipt=receipt_of(session=session, trade_in=trade_in), public_url="http://mapai.test")
    told = {fact["name"]: fact["value"] for fact in data["facts"]}
    assert (told["置换查询号"], told["排队序号"], told["兑付决定"]) == (reference, "1", "给予补贴 300.00 元")
    assert owner.name not in str(data)
