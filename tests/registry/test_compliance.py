"""GB 17761 as data: both sides of every limit and of every day."""

from dataclasses import replace
from datetime import date

import pytest

from registry.compliance import BikeNotCompliant, Measured, faults_on, require_compliant

OLD = Measured(
    standard="GB 17761-2018",
    made_on=date(2025, 8, 31),
    battery_kind="lithium",
    weight_g=55_000,
    top_speed_m_h=25_000,
    motor_w=400,
    voltage_mv=48_000,
)
NEW = replace(OLD, standard="GB 17761-2024", made_on=date(2025, 9, 1))
LATE = date(2026, 6, 20)


def test_a_bike_at_every_limit_is_compliant() -> None:
    require_compliant(bike=NEW, sold_on=LATE)
    require_compliant(bike=replace(NEW, battery_kind="lead_acid", weight_g=63_000), sold_on=LATE)
    require_compliant(bike=OLD, sold_on=date(2025, 11, 30))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"weight_g": 55_001}, "整车质量 55.001 kg 超过 55 kg"),
        ({"weight_g": 63_001, "battery_kind": "lead_acid"}, "超过 63 kg"),
        ({"top_speed_m_h": 25_001}, "最高车速"),
        ({"motor_w": 401}, "电机功率 401 W 超过 400 W"),
        ({"voltage_mv": 48_001}, "标称电压"),
        ({"made_on": date(2025, 8, 31)}, "2025-09-01 起生产"),
        ({"made_on": date(2026, 6, 21)}, "生产日期晚于销售日期"),
        ({"standard": "GB 1"}, "不认识标准"),
    ],
)
def test_one_step_over_a_limit_is_refused_and_named(changed: dict[str, object], named: str) -> None:
    with pytest.raises(BikeNotCompliant) as refused:
        require_compliant(bike=replace(NEW, **changed), sold_on=LATE)  # type: ignore[arg-type]
    assert named in refused.value.message_zh
    assert refused.value.field == "vehicle_code"


def test_the_old_edition_ends_on_its_days() -> None:
    assert faults_on(bike=OLD, sold_on=date(2025, 12, 1))
    assert faults_on(bike=replace(OLD, made_on=date(2025, 9, 1)), sold_on=date(2025, 11, 30))
    assert faults_on(bike=replace(OLD, battery_kind="lead_acid", weight_g=55_001), sold_on=date(2025, 11, 30))


def test_every_fault_is_named_at_once() -> None:
    assert len(faults_on(bike=replace(NEW, weight_g=80_000, motor_w=1_000), sold_on=LATE)) == 2
