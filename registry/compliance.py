"""Whether a new bike may be sold on a day: the limits of GB 17761 as data, each edition with its dates of validity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, Identity, Integer, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from registry import audit
from registry.base import Base, Instant, Refusal

COMPLIANT = "compliant"
BATTERY_KINDS = ("lead_acid", "lithium", "sodium", "other")
LEAD_ACID = "lead_acid"


class StandardEdition(Base):
    """One edition of the standard. Days are days in Asia/Shanghai, inclusive; None where there is no bound.

    Mass in g, speed in m/h, nominal voltage in mV, continuous rated power in W.
    """

    __tablename__ = "standard_edition"
    __table_args__ = (CheckConstraint("made_from <= made_until AND made_until <= sold_until", name="days_in_order"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    standard: Mapped[str] = mapped_column(String(16), unique=True)
    made_from: Mapped[date | None] = mapped_column(Date)
    made_until: Mapped[date | None] = mapped_column(Date)
    sold_until: Mapped[date | None] = mapped_column(Date)
    weight_g: Mapped[int] = mapped_column(Integer)
    weight_lead_acid_g: Mapped[int] = mapped_column(Integer)
    top_speed_m_h: Mapped[int] = mapped_column(Integer)
    motor_w: Mapped[int] = mapped_column(Integer)
    voltage_mv: Mapped[int] = mapped_column(Integer)
    changed_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an edition allows, as StandardEdition keeps it: same fields, same units."""

    standard: str
    made_from: date | None
    made_until: date | None
    sold_until: date | None
    weight_g: int
    weight_lead_acid_g: int
    top_speed_m_h: int
    motor_w: int
    voltage_mv: int


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


class StandardUnknown(Refusal):
    """No edition of that name is kept."""

    code = "standard_unknown"
    zh = "不认识标准「{standard}」。"
    en = "The standard «{standard}» is not known."
    remedy_zh = "请照合格证填写，现在有：{known}。"
    remedy_en = "Copy it from the certificate; known are: {known}."
    default_field = "standard"


class EditionDaysWrong(Refusal):
    """An edition's days run the wrong way: made from, made until, sold until."""

    code = "edition_days_wrong"
    zh = "日期先后不对：开始生产、停止生产、停止销售要依次不早于前一个。"
    en = "The days are out of order: made from, made until, sold until."
    remedy_zh = "请对照标准公告核对这三个日期。"
    remedy_en = "Compare the three days with the announcement of the standard."
    default_field = "made_until"


def known_editions(*, session: Session) -> tuple[Limits, ...]:
    """Return every edition of the standard, oldest first."""
    rows = session.scalars(select(StandardEdition).order_by(StandardEdition.made_from.nulls_first()))
    return tuple(Limits(**{name: getattr(row, name) for name in Limits.__slots__}) for row in rows)


def known_standards(*, session: Session) -> tuple[str, ...]:
    """Return the names of the editions, oldest first."""
    return tuple(limits.standard for limits in known_editions(session=session))


def require_known_standard(standard: str, *, editions: Sequence[Limits]) -> str:
    """Return the standard stripped; raises StandardUnknown."""
    known = [limits.standard for limits in editions]
    if standard.strip() not in known:
        raise StandardUnknown(standard=standard.strip()[:16], known="、".join(known))
    return standard.strip()


def keep_edition(*, session: Session, limits: Limits, actor: str) -> StandardEdition:
    """Add an edition, or change the one of that name; what it said before is in the audit.

    A change counts for every bike not sold yet. The transaction is left to the caller. Raises EditionDaysWrong.
    """
    days = [day for day in (limits.made_from, limits.made_until, limits.sold_until) if day is not None]
    if days != sorted(days):
        raise EditionDaysWrong
    edition = session.scalar(
        select(StandardEdition).where(StandardEdition.standard == limits.standard).with_for_update()
    )
    values = {name: getattr(limits, name) for name in Limits.__slots__}
    before = {name: getattr(edition, name) if edition else None for name in values}
    changes = {name: [_told(before[name]), _told(new)] for name, new in values.items() if before[name] != new}
    if edition is None:
        edition = StandardEdition(**values)
        session.add(edition)
    for name in changes:
        setattr(edition, name, values[name])
    if changes:
        edition.changed_at = func.clock_timestamp()
        subject = f"standard:{limits.standard}"
        audit.record(session=session, actor=actor, action="standard.kept", subject=subject, detail=changes)
    session.flush()
    return edition


def require_compliant(*, session: Session, bike: Measured, sold_on: date) -> None:
    """Raise BikeNotCompliant naming everything that keeps the bike from being sold on that day (Asia/Shanghai)."""
    faults = faults_on(editions=known_editions(session=session), bike=bike, sold_on=sold_on)
    if faults:
        raise BikeNotCompliant(why_zh="，".join(zh for zh, _ in faults), why_en=", ".join(en for _, en in faults))


def faults_on(*, editions: Sequence[Limits], bike: Measured, sold_on: date) -> list[tuple[str, str]]:
    """Return what is wrong with selling the bike on that day, each in Chinese and English; empty where nothing is."""
    limits = next((edition for edition in editions if edition.standard == bike.standard), None)
    if limits is None:
        return [(f"不认识标准 {bike.standard}", f"the standard {bike.standard} is not known")]
    return _days(bike, limits, sold_on) + _measures(bike, limits)


def _told(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


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
