"""The catalogue of models: what it takes, what it refuses, and that stock-in and sale ask it by the day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from registry.audit import AuditEntry
from registry.batteries import Battery
from registry.bike_model_import import MODEL_COLUMNS, import_models
from registry.bike_models import (
    BikeModel,
    ModelFacts,
    ModelNotCertified,
    ModelNotCompliant,
    ModelWithdrawn,
    keep_model,
    withdraw_model,
)
from registry.codes import is_checked
from registry.inputs import SeveralRefused
from registry.selling import PriceMissing, sell_new_bike
from registry.stock_workbook import template_workbook
from registry.stocking import MadeOnAbsurd, stock_in
from registry.trade_ins import TradeIn
from tests.registry.line import LOCAL, NOW, PRICE, REACH, District, new_bike

TODAY = NOW.astimezone(LOCAL).date()
ACTOR = "account:1"
FACTS = ModelFacts(
    maker_code="1199",
    name="TDT-99",
    ccc_no="2025011119990001",
    standard="GB 17761-2024",
    valid_from=date(2025, 9, 1),
    valid_until=TODAY,
    battery_kind="lithium",
    weight_g=54_000,
    top_speed_m_h=25_000,
    motor_w=400,
    voltage_mv=48_000,
)


def test_a_model_is_added_corrected_and_withdrawn_and_the_audit_keeps_it(district: District) -> None:
    session = district.session
    model, became = keep_model(session=session, facts=FACTS, actor=ACTOR)
    assert became == "added"
    assert keep_model(session=session, facts=FACTS, actor=ACTOR) == (model, "unchanged")
    heavier = replace(FACTS, weight_g=55_000)
    assert keep_model(session=session, facts=heavier, actor=ACTOR) == (model, "changed")
    withdraw_model(session=session, model_id=model.id, withdrawn_on=TODAY, reason="证书撤销", actor=ACTOR)
    with pytest.raises(ModelWithdrawn):
        keep_model(session=session, facts=FACTS, actor=ACTOR)
    with pytest.raises(ModelWithdrawn):
        withdraw_model(session=session, model_id=model.id, withdrawn_on=TODAY, reason="证书撤销", actor=ACTOR)
    session.commit()
    entries = session.scalars(
        select(AuditEntry).where(AuditEntry.subject == f"model:{model.id}").order_by(AuditEntry.id)
    ).all()
    assert [entry.action for entry in entries] == ["model.added", "model.changed", "model.withdrawn"]
    assert entries[1].detail == {"weight_g": [54_000, 55_000]}


def test_what_is_wrong_with_a_model_is_told_field_by_field(district: District) -> None:
    wrong = replace(FACTS, maker_code="12", ccc_no="证", standard="GB 1", valid_until=date(2025, 8, 31))
    with pytest.raises(SeveralRefused) as refused:
        keep_model(session=district.session, facts=wrong, actor=ACTOR)
    assert {each.field: each.code for each in refused.value.each} == {
        "maker_code": "maker_code_invalid",
        "ccc_no": "code_invalid",
        "standard": "standard_unknown",
        "valid_until": "model_days_wrong",
    }
    with pytest.raises(ModelNotCompliant, match=r"mass 55\.001 over 55 kg"):
        keep_model(session=district.session, facts=replace(FACTS, weight_g=55_001), actor=ACTOR)


def test_stock_in_asks_for_a_certificate_on_the_day_of_making(district: District) -> None:
    session, dealer = district.session, district.dealer()
    keep_model(session=session, facts=FACTS, actor=ACTOR)
    made = new_bike(vehicle_code="119922600000001", model="TDT-99")

    def take_in(**changed: object) -> None:
        bike = replace(made, **changed)  # type: ignore[arg-type]
        stock_in(session=session, dealer_id=dealer.id, bike=bike, actor=ACTOR, today=TODAY)

    for changed in (
        {"model": "TDT-98"},
        {"vehicle_code": "119822600000001"},
        {"made_on": date(2025, 8, 31)},
        {"standard": "GB 17761-2018"},
    ):
        with pytest.raises(ModelNotCertified) as refused:
            take_in(**changed)
        assert refused.value.field == "model"
    for made_on in (TODAY + timedelta(days=1), date(2014, 12, 31)):
        with pytest.raises(MadeOnAbsurd) as absurd:
            take_in(made_on=made_on)
        assert absurd.value.field == "made_on"
    take_in(made_on=date(2025, 9, 1))
    session.commit()
    battery = session.scalars(select(Battery)).one()
    assert battery.battery_code == made.battery_code
    assert battery.bike_id is not None
    assert len(battery.registration_code) == 10
    assert is_checked(battery.registration_code)


def ready_to_buy(district: District, dealer_id: int) -> str:
    """A trade-in whose owner may buy."""
    owner = district.owner()
    trade_in = TradeIn(
        reference="GS-2222-22",
        dealer_id=dealer_id,
        filed_bike_id=owner.filed_bike_id,
        owner_id=owner.person_id,
        state="old_plate_cancelled",
        opened_at=NOW,
    )
    district.session.add(trade_in)
    district.session.commit()
    return trade_in.reference


def test_a_sale_asks_again_on_its_own_day_and_takes_no_price_of_zero(district: District) -> None:
    session, dealer = district.session, district.dealer()
    model, _ = keep_model(session=session, facts=FACTS, actor=ACTOR)
    made = new_bike(vehicle_code="119922600000001", model="TDT-99")
    stock_in(session=session, dealer_id=dealer.id, bike=made, actor=ACTOR, today=TODAY)
    reference = ready_to_buy(district, dealer.id)

    def sell(**changed: object) -> None:
        facts = {"now": NOW, "price": PRICE, "vehicle_code": made.vehicle_code, **changed}
        sell_new_bike(
            session=session,
            reference=reference,
            reach=REACH,
            invoice_no="25330000000000000001",
            actor=ACTOR,
            **facts,  # type: ignore[arg-type]
        )

    with pytest.raises(ModelNotCertified) as refused:
        sell(now=NOW + timedelta(days=1))
    assert refused.value.field == "vehicle_code"
    assert "销售日" in refused.value.message_zh
    for price, field in (
        (replace(PRICE, list_price_fen=0, discount_fen=0, deduction_fen=0, paid_fen=0), "list_price_fen"),
        (replace(PRICE, discount_fen=289_900, paid_fen=0), "paid_fen"),
    ):
        with pytest.raises(PriceMissing) as free:
            sell(price=price)
        assert free.value.field == field
    withdraw_model(session=session, model_id=model.id, withdrawn_on=TODAY, reason="证书撤销", actor=ACTOR)
    with pytest.raises(ModelNotCertified):
        sell()
    keep_model(session=session, facts=replace(FACTS, ccc_no="2026011119990002"), actor=ACTOR)
    sell()


def test_the_template_is_a_list_and_the_same_list_again_changes_nothing(district: District, tmp_path: Path) -> None:
    session = district.session
    path = tmp_path / "models.xlsx"
    path.write_bytes(template_workbook(MODEL_COLUMNS))
    tried = import_models(session=session, path=path, dry_run=True, actor=ACTOR)
    assert (tried.read, tried.added, tried.findings) == (1, 1, [])
    assert session.scalar(select(func.count()).select_from(BikeModel)) == 0
    for became in ("added", "unchanged"):
        report = import_models(session=session, path=path, dry_run=False, actor=ACTOR)
        assert (report.read, getattr(report, became)) == (1, 1)
    header = ",".join(column.header for column in MODEL_COLUMNS)
    bad = tmp_path / "models.csv"
    bad.write_bytes(f"{header}\n1182,TDT-1,,GB 1,2025/9/1,2030-13-01,煤,60,25,400,48\n".encode("gbk"))
    report = import_models(session=session, path=bad, dry_run=False, actor=ACTOR)
    assert (report.read, report.refused) == (1, 1)
    assert {(each.line, each.header): each.refusal.code for each in report.findings} == {
        (2, "CCC证书编号"): "cell_missing",
        (2, "有效期止"): "cell_day_invalid",
        (2, "电池种类"): "cell_kind_invalid",
    }
