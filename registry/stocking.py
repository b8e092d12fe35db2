"""Taking a new bike into stock: it and its battery get their registration codes (赋码) here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from registry import audit
from registry.base import Refusal
from registry.batteries import clean_battery_code, code_battery
from registry.bike_models import MADE, BikeModel, models_of, pick_certificate
from registry.bikes import Bike
from registry.codes import (
    clean_paper_number,
    clean_vehicle_code,
    new_registration_code,
    vehicle_code_in_certificate,
)
from registry.compliance import StandardUnknown, known_standards
from registry.filing_earlier import require_not_plated_earlier
from registry.inputs import Inputs

# E-bikes with a vehicle code of 15 digits were not made before.
EARLIEST_MADE_ON = date(2015, 1, 1)
_CODE_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBike:
    """A bike as the dealer types or scans it. Mass in g, speed in m/h, power in W, voltage in mV.

    Either ``certificate_no`` or ``certificate_url`` (the address in the certificate's QR code) is given.
    """

    vehicle_code: str
    certificate_no: str | None = None
    certificate_url: str | None = None
    battery_code: str
    battery_kind: str
    model: str
    standard: str
    made_on: date
    weight_g: int
    top_speed_m_h: int
    motor_w: int
    voltage_mv: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRules:
    """What a bike is checked against: the editions' names, its maker's certificates, and what raises PlatedEarlier."""

    standards: Sequence[str]
    models: Sequence[BikeModel]
    require_unplated: Callable[[str], None]


class BikeAlreadyCoded(Refusal):
    """The vehicle code has a registration code already, here or at another dealer's."""

    code = "bike_already_coded"
    zh = "整车编码 {vehicle_code} 已经赋过码。"
    en = "The vehicle code {vehicle_code} was registered before."
    remedy_zh = "请核对车架上的 15 位编码；一辆车只能赋一次码。"
    remedy_en = "Compare with the frame; one bike is registered once."
    default_field = "vehicle_code"


class BatteryAlreadyCoded(Refusal):
    """The battery code stands on another bike."""

    code = "battery_already_coded"
    zh = "电池编码 {battery_code} 已经登记在别的车上。"
    en = "The battery {battery_code} is registered with another bike."
    remedy_zh = "请核对电池上的编码。"
    remedy_en = "Compare with the code on the battery."
    default_field = "battery_code"


class CertificateDiffers(Refusal):
    """The certificate is another bike's."""

    code = "certificate_differs"
    zh = "合格证是另一辆车的（{in_certificate}）。"
    en = "The certificate belongs to another bike ({in_certificate})."
    remedy_zh = "请扫这辆车自己的合格证。"
    remedy_en = "Scan this bike's own certificate."
    default_field = "certificate_url"


class CertificateMissing(Refusal):
    """A bike without CCC certificate is not taken into stock."""

    code = "certificate_missing"
    zh = "没有合格证。"
    en = "The certificate is missing."
    remedy_zh = "请填合格证编号，或扫合格证上的二维码。"
    remedy_en = "Give the certificate's number or the address in its QR code."
    default_field = "certificate_no"


class MadeOnAbsurd(Refusal):
    """The day of making lies ahead, or before there were such bikes."""

    code = "made_on_absurd"
    zh = "生产日期 {made_on} 不对：{why_zh}。"
    en = "The day of making, {made_on}, cannot be: {why_en}."
    remedy_zh = "请照合格证上的生产日期填写，注意年月日的顺序。"
    remedy_en = "Copy the day from the certificate; mind the order of year, month and day."
    default_field = "made_on"


def stock_in(*, session: Session, dealer_id: int, bike: NewBike, actor: str, today: date) -> Bike:
    """Take a bike into this dealer's stock; it and its battery get their registration codes.

    ``today`` is the business day in Asia/Shanghai. Its model must have been certified on the day it was made; whether
    it may be sold is judged on the day of the sale. The transaction is left to the caller, who gives it up where this
    raises VehicleCodeInvalid, CertificateMissing, CertificateUnreadable, CertificateDiffers, CodeInvalid, MadeOnAbsurd,
    StandardUnknown, ModelNotCertified, PlatedEarlier, BikeAlreadyCoded or BatteryAlreadyCoded.
    """
    rules = StockRules(
        standards=known_standards(session=session),
        models=models_of(session=session, maker_codes=[maker_of(bike.vehicle_code)]),
        require_unplated=lambda vehicle_code: require_not_plated_earlier(session=session, vehicle_code=vehicle_code),
    )
    values = {**check_bike(bike=bike, rules=rules, today=today), "dealer_id": dealer_id}
    battery_code = str(values["battery_code"])
    bike_id = _insert(session=session, values=values)
    stocked = session.get_one(Bike, bike_id)
    if code_battery(session=session, battery_code=battery_code, kind=bike.battery_kind, bike_id=bike_id) is None:
        raise BatteryAlreadyCoded(battery_code=battery_code)
    note_stocked(session=session, bike=stocked, actor=actor)
    session.flush()
    return stocked


def note_stocked(*, session: Session, bike: Bike, actor: str) -> None:
    """Write into the audit that a bike was taken in."""
    detail = {"registration_code": bike.registration_code, "dealer_id": bike.dealer_id}
    subject = f"bike:{bike.vehicle_code}"
    audit.record(session=session, actor=actor, action="bike.stocked", subject=subject, detail=detail)


def check_bike(*, bike: NewBike, rules: StockRules, today: date) -> dict[str, object]:
    """Return the columns of a bike that may be taken in, but for its dealer; raises as ``stock_in`` does."""
    inputs = Inputs()
    vehicle_code = inputs.take("vehicle_code", clean_vehicle_code, bike.vehicle_code)
    battery_code = inputs.take("battery_code", clean_battery_code, bike.battery_code)
    certificate_no = _certificate(inputs, bike, vehicle_code)
    check_facts(inputs=inputs, given=vars_of(bike), rules=rules, today=today)
    inputs.check()
    return {
        "vehicle_code": vehicle_code,
        "battery_code": battery_code,
        "certificate_no": certificate_no,
        **{name: getattr(bike, name) for name in _COPIED},
    }


def vars_of(bike: NewBike) -> dict[str, object]:
    """Return the fields of a bike by their names."""
    return {each.name: getattr(bike, each.name) for each in fields(bike)}


def check_facts(*, inputs: Inputs, given: Mapping[str, Any], rules: StockRules, today: date) -> None:
    """Add to ``inputs`` what is wrong with those fields of a bike that could be read.

    A model is looked for only where everything that names it is sound, a bike on the road only where its code is.
    """
    code_sound = "vehicle_code" in given and not inputs.refused("vehicle_code")
    if "made_on" in given:
        inputs.take("made_on", lambda made_on: require_made_on(made_on, today=today), given["made_on"])
    standard = given.get("standard")
    known = standard in rules.standards
    if standard is not None and not known:
        inputs.refuse(StandardUnknown(standard=standard[:16], known="、".join(rules.standards)))
    if not code_sound:
        return
    vehicle_code = clean_vehicle_code(given["vehicle_code"])
    try:
        rules.require_unplated(vehicle_code)
        if known and "model" in given and "made_on" in given and not inputs.refused("made_on"):
            pick_certificate(
                models=rules.models,
                vehicle_code=vehicle_code,
                model=given["model"],
                standard=given["standard"],
                day=given["made_on"],
                moment=MADE,
            )
    except Refusal as refusal:
        inputs.refuse(refusal)


_COPIED = (
    "battery_kind",
    "model",
    "standard",
    "made_on",
    "weight_g",
    "top_speed_m_h",
    "motor_w",
    "voltage_mv",
)


def list_stock(*, session: Session, dealer_id: int, limit: int = 200) -> list[Bike]:
    """Return the bikes this dealer has in stock, newest first."""
    query = select(Bike).where(Bike.dealer_id == dealer_id, Bike.state == "in_stock").order_by(Bike.id.desc())
    return list(session.scalars(query.limit(limit)))


def maker_of(typed: str) -> str:
    """Return the maker's part of a vehicle code as typed, which may be wrong: then no certificate is found by it."""
    return "".join(letter for letter in typed if letter.isdecimal())[:4]


def require_made_on(made_on: date, *, today: date) -> date:
    """Return a day of making that can be; raises MadeOnAbsurd."""
    if made_on > today:
        raise MadeOnAbsurd(made_on=made_on.isoformat(), why_zh="还没有到", why_en="it lies ahead")
    if made_on < EARLIEST_MADE_ON:
        why_zh, why_en = f"早于 {EARLIEST_MADE_ON.year} 年", f"it lies before {EARLIEST_MADE_ON.year}"
        raise MadeOnAbsurd(made_on=made_on.isoformat(), why_zh=why_zh, why_en=why_en)
    return made_on


def _certificate(inputs: Inputs, bike: NewBike, vehicle_code: str) -> str:
    number = ""
    if not bike.certificate_no and not bike.certificate_url:
        inputs.refuse(CertificateMissing())
    if bike.certificate_no:
        number = inputs.take("certificate_no", clean_paper_number, bike.certificate_no)
    if bike.certificate_url:
        in_certificate = inputs.take("certificate_url", vehicle_code_in_certificate, bike.certificate_url)
        if in_certificate not in (vehicle_code, bike.certificate_url):
            inputs.refuse(CertificateDiffers(in_certificate=in_certificate))
        number = number or in_certificate
    return number


def _insert(*, session: Session, values: dict[str, object]) -> int:
    for _ in range(_CODE_TRIES):
        row = insert(Bike).values(registration_code=new_registration_code(), **values)
        bike_id: int | None = session.scalar(row.on_conflict_do_nothing().returning(Bike.id))
        if bike_id is not None:
            return bike_id
        if session.scalar(select(Bike.id).where(Bike.vehicle_code == values["vehicle_code"])) is not None:
            raise BikeAlreadyCoded(vehicle_code=values["vehicle_code"])
        if session.scalar(select(Bike.id).where(Bike.battery_code == values["battery_code"])) is not None:
            raise BatteryAlreadyCoded(battery_code=values["battery_code"])
    raise RuntimeError(f"{_CODE_TRIES} registration codes in a row were taken")
