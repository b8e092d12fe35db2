"""Whether a new bike may be sold on a day: the limits of GB 17761 as data, each edition with its dates of validity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from registry.base import Refusal

COMPLIANT = "compliant"
BATTERY_KINDS = ("lead_acid", "lithium", "sodium", "other")
LEAD_ACID = "lead_acid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """One edition of the standard. Days are days in Asia/Shanghai, inclusive; None where there is no bound.

    Mass in g, speed in m/h, nominal voltage in mV, continuous rated power in W.
    """

    standard: str
    made_from: date | None
    made_until: date | None
    sold_until: date | None
    weight_g: int
    weight_lead_acid_g: int
    top_speed_m_h: int
    motor_w: int
    voltage_mv: int


EDITIONS = (
    Limits(
        standard="GB 17761-2018",
        made_from=None,
        made_until=date(2025, 8, 31),
        sold_until=date(2025, 11, 30),
        weight_g=55_000,
        weight_lead_acid_g=55_000,
        top_speed_m_h=25_000,
        motor_w=400,
        voltage_mv=48_000,
    ),
    Limits(
        standard="GB 17761-2024",
        made_from=date(2025, 9, 1),
        made_until=None,
        sold_until=None,
        weight_g=55_000,
        weight_lead_acid_g=63_000,
        top_speed_m_h=25_000,
        motor_w=400,
        voltage_mv=48_000,
    ),
)
STANDARDS = tuple(edition.standard for edition in EDITIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the certificate says of a bike: mass in g, speed in m/h, nominal voltage in mV, rated power in W."""

    standard: str
    made_on: date
    battery_kind: str
    weight_g: int
    top_speed_m_h: int
    motor_w: int
    voltage_mv: int


class BikeNotCompliant(Refusal):
    """The bike exceeds a limit of its standard, or the standard does not cover its day of making or sale."""

    code = "bike_not_compliant"
    zh = "这辆车不能卖：{why_zh}。"
    en = "This bike cannot be sold: {why_en}."
    remedy_zh = "请换一辆合格的车；合格证抄错了的，请先更正入库资料。"
    remedy_en = "Take a compliant bike; if the certificate was copied wrongly, correct the stock entry first."
    default_field = "vehicle_code"


def require_compliant(*, bike: Measured, sold_on: date) -> None:
    """Raise BikeNotCompliant naming everything that keeps the bike from being sold on that day (Asia/Shanghai)."""
    faults = faults_on(bike=bike, sold_on=sold_on)
    if faults:
        raise BikeNotCompliant(why_zh="，".join(zh for zh, _ in faults), why_en=", ".join(en for _, en in faults))


def faults_on(*, bike: Measured, sold_on: date) -> list[tuple[str, str]]:
    """Return what is wrong with selling the bike on that day, each in Chinese and English; empty where nothing is."""
    limits = next((edition for edition in EDITIONS if edition.standard == bike.standard), None)
    if limits is None:
        return [(f"不认识标准 {bike.standard}", f"the standard {bike.standard} is not known")]
    return _days(bike, limits, sold_on) + _measures(bike, limits)


def _days(bike: Measured, limits: Limits, sold_on: date) -> list[tuple[str, str]]:
    faults = []
    if limits.made_from is not None and bike.made_on < limits.made_from:
        faults.append(
            (
                f"{limits.standard} 只适用于 {limits.made_from} 起生产的车",
                f"{limits.standard} starts {limits.made_from}",
            )
        )
    if limits.made_until is not None and bike.made_on > limits.made_until:
        faults.append(
            (f"{limits.made_until} 以后生产的车要符合新国标", f"made after {limits.made_until}, the last day")
        )
    if limits.sold_until is not None and sold_on > limits.sold_until:
        faults.append((f"旧国标车只能卖到 {limits.sold_until}", f"off sale since {limits.sold_until}"))
    if bike.made_on > sold_on:
        faults.append(("生产日期晚于销售日期", "made after the day of the sale"))
    return faults


def _measures(bike: Measured, limits: Limits) -> list[tuple[str, str]]:
    weight_g = limits.weight_lead_acid_g if bike.battery_kind == LEAD_ACID else limits.weight_g
    measures = (
        ("整车质量", "mass", bike.weight_g, weight_g, 1000, "kg"),
        ("最高车速", "top speed", bike.top_speed_m_h, limits.top_speed_m_h, 1000, "km/h"),
        ("电机功率", "motor power", bike.motor_w, limits.motor_w, 1, "W"),
        ("标称电压", "nominal voltage", bike.voltage_mv, limits.voltage_mv, 1000, "V"),
    )
    return [
        (
            f"{zh} {value / per:g} {unit} 超过 {limit / per:g} {unit}",
            f"{en} {value / per:g} over {limit / per:g} {unit}",
        )
        for zh, en, value, limit, per, unit in measures
        if value > limit
    ]
