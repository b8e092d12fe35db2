"""The fields that a correction gives anew, each judged by itself: a slip is put right, nothing else is exchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.batteries import Battery, clean_battery_code
from registry.bikes import Bike
from registry.codes import clean_paper_number, clean_vehicle_code
from registry.filing_earlier import require_not_plated_earlier
from registry.inputs import Inputs
from registry.name_variants import match_names
from registry.people import Person, clean_name, mask_name, name_index, open_name
from registry.sealing import Keyring
from registry.stocking import BatteryAlreadyCoded, BikeAlreadyCoded
from registry.trade_ins import TradeIn
from registry.uniqueness import refusing_duplicates
from subsidy.faults import PHOTO, Fault, is_slip


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was typed to correct a claim; None where a field was not given."""

    vehicle_code: str | None = None
    certificate_no: str | None = None
    battery_code: str | None = None
    owner_name: str | None = None


class CorrectionMissing(Refusal):
    """A faulty field was not given anew."""

    code = "correction_missing"
    zh = "这一项也要更正。"
    en = "This field has to be corrected too."
    remedy_zh = "请照原件把这一项重新填一次，和别的项一起提交。"
    remedy_en = "Copy it again from the original and send it with the others."


class FieldNotFaulty(Refusal):
    """A field was given that nothing is wrong with."""

    code = "field_not_faulty"
    zh = "这一项没有问题，不能改。"
    en = "Nothing is wrong with this field; it cannot be changed."
    remedy_zh = "只填要更正的项。"
    remedy_en = "Give the faulty fields only."


class VehicleCodeStillDiffers(Refusal):
    """The corrected vehicle code is not the one the plate was issued for."""

    code = "vehicle_code_still_differs"
    zh = "和交警发牌时登记的还是不一样。"
    en = "It still is not the code the plate was issued for."
    remedy_zh = "请对照车架再读一遍。车架上确实是这个编码的，请交警更正登记，再由局里放行。"
    remedy_en = "Read the frame again. If it does say so, the police mend their record and the bureau waives it."
    default_field = "vehicle_code"


class NotASlip(Refusal):
    """The corrected code differs from what stood by more than a slip: that would be another bike's or battery's."""

    code = "correction_is_no_slip"
    zh = "改动太多，不像是录错，不能当更正办。"
    en = "It differs by more than a slip and is no correction."
    remedy_zh = "更正只改录错的一位，或颠倒的两位。请对照原件再看一遍；确实是另一件的，请联系区市场监管局。"
    remedy_en = "A correction changes one character, or two that changed places. Compare again, or ask the bureau."


class NameOfAnother(Refusal):
    """The corrected name is another name, not the same one written otherwise."""

    code = "name_of_another"
    zh = "这是另一个姓名，不是同一个姓名的另一种写法。"
    en = "This is another name, not another spelling of the same one."
    remedy_zh = "请照身份证上的写法填写车主本人的姓名。"
    remedy_en = "Write the owner's own name as on the ID card."
    default_field = "owner_name"


class PhotosNotReplaced(Refusal):
    """A photo that cannot be read has to be sent anew first."""

    code = "photos_not_replaced"
    zh = "还有看不清的照片没有补交。"
    en = "A photo that cannot be read was not replaced yet."
    remedy_zh = "请先补交照片，再提交更正。"
    remedy_en = "Send the photo first, then the correction."
    default_field = "photos"


def correct_fields(
    *, session: Session, keyring: Keyring, trade_in: TradeIn, faults: tuple[Fault, ...], given: Given
) -> dict[str, list[str]]:
    """Put right what ``faults`` name and return what changed: field → [old, new], names masked.

    Raises CorrectionMissing, FieldNotFaulty, PhotosNotReplaced, VehicleCodeInvalid, VehicleCodeStillDiffers,
    PlatedEarlier, BikeAlreadyCoded, CodeInvalid, NotASlip, BatteryAlreadyCoded, NameInvalid and NameOfAnother; several
    at once where several are wrong. Nothing is changed unless everything is right.
    """
    bike = session.get_one(Bike, trade_in.bike_id, with_for_update=True, populate_existing=True)
    owner = session.get_one(Person, trade_in.owner_id)
    judges = _judges(session, keyring, bike, owner, {fault.field: fault for fault in faults})
    inputs = Inputs()
    if any(fault.code == PHOTO for fault in faults):
        inputs.refuse(PhotosNotReplaced())
    clean = {}
    for item in fields(Given):
        typed = getattr(given, item.name)
        if item.name in judges and typed is None:
            inputs.refuse(CorrectionMissing(field=item.name))
        elif item.name in judges:
            clean[item.name] = inputs.take(item.name, judges[item.name], typed)
        elif typed is not None:
            inputs.refuse(FieldNotFaulty(field=item.name))
    inputs.check()
    return _apply(session, keyring, bike, owner, clean)


def _judges(
    session: Session, keyring: Keyring, bike: Bike, owner: Person, faulty: Mapping[str, Fault]
) -> dict[str, Callable[[str], str]]:
    def vehicle_code(typed: str) -> str:
        code = clean_vehicle_code(typed)
        if code != faulty["vehicle_code"].seen:
            raise VehicleCodeStillDiffers
        if session.scalar(select(Bike.id).where(Bike.vehicle_code == code, Bike.id != bike.id)) is not None:
            raise BikeAlreadyCoded(vehicle_code=code)
        require_not_plated_earlier(session=session, vehicle_code=code)
        return code

    def certificate_no(typed: str) -> str:
        return _slip_of(bike.certificate_no, clean_paper_number(typed))

    def battery_code(typed: str) -> str:
        code = _slip_of(bike.battery_code, clean_battery_code(typed))
        if session.scalar(select(Battery.id).where(Battery.battery_code == code)) is not None:
            raise BatteryAlreadyCoded(battery_code=code)
        return code

    def owner_name(typed: str) -> str:
        name = clean_name(typed)
        if match_names(open_name(person=owner, keyring=keyring), name) == "other":
            raise NameOfAnother
        return name

    judges = {
        "vehicle_code": vehicle_code,
        "certificate_no": certificate_no,
        "battery_code": battery_code,
        "owner_name": owner_name,
    }
    return {field: judge for field, judge in judges.items() if field in faulty}


def _slip_of(stands: str, typed: str) -> str:
    if not is_slip(typed=stands, seen=typed):
        raise NotASlip
    return typed


def _apply(
    session: Session, keyring: Keyring, bike: Bike, owner: Person, clean: dict[str, Any]
) -> dict[str, list[str]]:
    changed: dict[str, list[str]] = {}
    duplicates: dict[str, Refusal] = {
        "uq_bike_vehicle_code": BikeAlreadyCoded(vehicle_code=clean.get("vehicle_code", "")),
        "uq_bike_battery_code": BatteryAlreadyCoded(battery_code=clean.get("battery_code", "")),
        "uq_battery_battery_code": BatteryAlreadyCoded(battery_code=clean.get("battery_code", "")),
    }
    with refusing_duplicates(session, duplicates):
        for field in ("vehicle_code", "certificate_no", "battery_code"):
            if field in clean:
                changed[field] = [getattr(bike, field), clean[field]]
                setattr(bike, field, clean[field])
        if "battery_code" in clean:
            battery = session.scalar(select(Battery).where(Battery.bike_id == bike.id).with_for_update())
            if battery is not None:
                battery.battery_code = clean["battery_code"]
    if "owner_name" in clean:
        name = clean["owner_name"]
        changed["owner_name"] = [mask_name(open_name(person=owner, keyring=keyring)), mask_name(name)]
        owner.name_sealed = keyring.seal(name, field="name")
        owner.name_index = name_index(keyring=keyring, name=name)
    session.flush()
    return changed
