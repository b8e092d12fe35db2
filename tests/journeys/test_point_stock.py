"""A point takes its new bikes in from a list: what is wrong is told row by row, corrected, and goes in once."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
import xlsxwriter
from playwright.sync_api import expect
from python_calamine import CalamineWorkbook
from sqlalchemy import func, select

from app.demo import DEALER_LOGIN
from registry.accounts import Account
from registry.bike_models import BikeModel
from registry.bikes import Bike
from registry.stock_import import COLUMNS
from tests.journeys.ground import STEP_MS, TABLET, Ground

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HEADERS = [column.header for column in COLUMNS]


def rows_of(model: BikeModel) -> list[list[str]]:
    """Three bikes of one certified model, the second and the third mistyped."""

    def row(number: int, **wrong: str) -> list[str]:
        right = {
            "vehicle_code": f"{model.maker_code}2990770000{number}",
            "certificate_no": f"CCC20269900{number}",
            "battery_code": f"JOURNEY0000{number}",
            "battery_kind": "锂",
            "model": model.name,
            "standard": model.standard,
            "made_on": model.valid_from.isoformat(),
            "weight_g": "54",
            "top_speed_m_h": "25",
            "motor_w": "400",
            "voltage_mv": "48",
        }
        return [{**right, **wrong}[column.field] for column in COLUMNS]

    return [row(1), row(2, battery_kind="煤", weight_g="五十"), row(3, vehicle_code="12345")]


def workbook(path: Path, rows: list[list[str]]) -> Path:
    with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([HEADERS, *rows]):
            sheet.write_row(number, 0, row)
    return path


def test_a_list_with_errors_is_tried_corrected_and_taken_in(ground: Ground, tmp_path: Path) -> None:
    with ground.session() as session:
        model = session.scalars(
            select(BikeModel).where(BikeModel.withdrawn_on.is_(None)).order_by(BikeModel.id)
        ).first()
        dealer_id = session.scalars(select(Account.dealer_id).where(Account.login == DEALER_LOGIN)).one()
        assert model is not None
        rows = rows_of(model)

    def stored() -> int:
        mine = (Bike.dealer_id == dealer_id, Bike.battery_code.startswith("JOURNEY"))
        with ground.session() as session:
            return session.scalar(select(func.count()).select_from(Bike).where(*mine)) or 0

    with ground.visitor(TABLET, accept_downloads=True) as point:
        point.sign_in(DEALER_LOGIN)
        page = point.page
        page.get_by_role("link", name="新车入库").first.click()
        page.get_by_role("link", name="用表格一次入库多辆").click()
        with page.expect_download() as template:
            page.get_by_role("link", name="下载模板").click()
        sheet = CalamineWorkbook.from_path(template.value.path()).get_sheet_by_index(0).to_python()
        assert sheet[0] == HEADERS, "the template is what the import reads"

        # Tried: two rows are wrong, each told with everything that is wrong with it; nothing is in stock.
        page.get_by_label("填好的表格").set_input_files(workbook(tmp_path / "first.xlsx", rows))
        point.press("试算，先不入库", "1 辆可以入库，2 行不对")
        expect(point.main).to_contain_text("没有「煤」这种电池")
        expect(point.main).to_contain_text("「五十」不对")
        expect(point.main).to_contain_text("应是 15 位数字")
        assert stored() == 0

        # The wrong rows come back as a list of their own, and the good one goes in at once.
        with page.expect_download() as problems:
            page.get_by_role("link", name="下载这些行").click()
        wrong = CalamineWorkbook.from_filelike(BytesIO(Path(problems.value.path()).read_bytes()))
        assert len(wrong.get_sheet_by_index(0).to_python()) >= 3
        page.get_by_label("把同一份表格再选一次").set_input_files(tmp_path / "first.xlsx")
        page.get_by_role("button", name="正式入库", exact=True).click()
        expect(point.main).to_contain_text("入库了 1 辆", timeout=STEP_MS)
        assert stored() == 1

        # Corrected, the whole list goes in; what is in stock already is not taken in twice.
        fixed = [rows[0], rows_of(model)[1], rows_of(model)[2]]
        fixed[1][3], fixed[1][7], fixed[2][0] = "锂", "54", rows[0][0][:-1] + "3"
        page.get_by_role("link", name="改好了，再传一次").click()
        page.get_by_label("填好的表格").set_input_files(workbook(tmp_path / "second.xlsx", fixed))
        point.press("试算，先不入库", "2 辆可以入库，每一行都对")
        page.get_by_label("把同一份表格再选一次").set_input_files(tmp_path / "second.xlsx")
        page.get_by_role("button", name="正式入库", exact=True).dblclick()
        expect(point.main).to_contain_text("入库了 2 辆", timeout=STEP_MS)
        assert stored() == 3

        # What went in is at the counter: typed into the scan field, its code answers.
        page.goto("/point")
        page.get_by_label("号牌、整车编码或查询号").fill(fixed[2][0])
        page.get_by_role("button", name="打开").click()
        expect(point.main).to_contain_text("在库")
