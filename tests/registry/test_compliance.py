"""GB 17761 as data: both sides of every limit and of every day, as the migration seeds it and as staff keep it."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.audit import AuditEntry
from registry.compliance import (
    BikeNotCompliant,
    EditionDaysWrong,
    Limits,
    Measured,
    faults_on,
    keep_edition,
    known_editions,
    require_compliant,
)

EDITION = Limits(
    standard="GB 17761-2018",
    made_from=None,
    made_until=date(2025, 8, 31),
    sold_until=date(2025, 11, 30),
    weight_g=55_000,
    weight_lead_acid_g=55_000,
    top_speed_m_h=25_000,
    motor_w=400,
    voltage_mv=48_000,
)
LATER = replace(
    EDITION,
    standard="GB 17761-2024",
    made_from=date(2025, 9, 1),
    made_until=None,
    sold_until=None,
    weight_lead_acid_g=63_000,
)
EDITIONS = (EDITION, LATER)

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
    assert not faults_on(editions=EDITIONS, bike=NEW, sold_on=LATE)
    heavy = replace(NEW, battery_kind="lead_acid", weight_g=63_000)
    assert not faults_on(editions=EDITIONS, bike=heavy, sold_on=LATE)
    assert not faults_on(editions=EDITIONS, bike=OLD, sold_on=date(2025, 11, 30))


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
    faults = faults_on(editions=EDITIONS, bike=replace(NEW, **changed), sold_on=LATE)  # type: ignore[arg-type]
    assert len(faults) == 1
    assert named in faults[0][0]


def test_the_old_edition_ends_on_its_days() -> None:
    assert faults_on(editions=EDITIONS, bike=OLD, sold_on=date(2025, 12, 1))
    assert faults_on(editions=EDITIONS, bike=replace(OLD, made_on=date(2025, 9, 1)), sold_on=date(2025, 11, 30))
    assert faults_on(
        editions=EDITIONS, bike=replace(OLD, battery_kind="lead_acid", weight_g=55_001), sold_on=date(2025, 11, 30)
    )


def test_every_fault_is_named_at_once() -> None:
    assert len(faults_on(editions=EDITIONS, bike=replace(NEW, weight_g=80_000, motor_w=1_000), sold_on=LATE)) == 2


def test_staff_change_the_limits_and_every_later_sale_is_judged_by_them(session: Session) -> None:
    assert known_editions(session=session) == EDITIONS, "the migration seeds what the standard says"
    require_compliant(session=session, bike=NEW, sold_on=LATE)
    closed = replace(LATER, made_until=date(2026, 12, 31), sold_until=date(2027, 3, 31))
    keep_edition(session=session, limits=closed, actor="account:1")
    coming = replace(LATER, standard="GB 17761-2027", made_from=date(2027, 1, 1), weight_g=50_000)
    keep_edition(session=session, limits=coming, actor="account:1")
    keep_edition(session=session, limits=coming, actor="account:1")
    session.commit()
    require_compliant(session=session, bike=NEW, sold_on=date(2027, 3, 31))
    with pytest.raises(BikeNotCompliant) as refused:
        require_compliant(session=session, bike=NEW, sold_on=date(2027, 4, 1))
    assert "2027-03-31" in refused.value.message_zh
    assert refused.value.field == "vehicle_code"
    made = replace(NEW, standard="GB 17761-2027", made_on=date(2027, 1, 1), weight_g=50_001)
    with pytest.raises(BikeNotCompliant, match=r"50\.001 over 50 kg"):
        require_compliant(session=session, bike=made, sold_on=date(2027, 1, 2))
    told = session.scalars(select(AuditEntry).where(AuditEntry.action == "standard.kept").order_by(AuditEntry.id)).all()
    assert [entry.subject for entry in told] == ["standard:GB 17761-2024", "standard:GB 17761-2027"]
    assert told[0].detail == {"made_until": [None, "2026-12-31"], "sold_until": [None, "2027-03-31"]}
    with pytest.raises(EditionDaysWrong):
        keep_edition(session=session, limits=replace(closed, sold_until=date(2026, 1, 1)), actor="account:1")
