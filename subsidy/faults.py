"""Faults an owner or a point can correct (law 9): what looks like a slip of the hand is no refusal.

Of the nine eligibility rules two rest on what people copy by hand, the bike's codes («bike_not_compliant») and the
name («persons_differ»); and the evidence rests on photos. These alone may yield a fault. What a person cannot put right
by copying anew (dates, ownership, the licence, the plate's status) is judged by its rule and never becomes a fault.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

VEHICLE_CODE = "vehicle_code_mistyped"
CERTIFICATE_NO = "certificate_no_mistyped"
BATTERY_CODE = "battery_code_mistyped"
OWNER_NAME = "name_variant"
PHOTO = "unreadable_photo"


class Fault(NamedTuple):
    """One correctable fault. ``field`` is what has to be given anew; ``seen`` what the police say it is, where known.

    For a photo the field is ``photo:`` and the kind of photo.
    """

    code: str
    field: str
    seen: str | None = None

    def document(self) -> dict[str, str]:
        """Return the fault as the claim's evidence keeps it."""
        plain = {"code": self.code, "field": self.field}
        return plain if self.seen is None else plain | {"seen": self.seen}


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWords:
    """What is wrong, and what to do about it."""

    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


FAULTS = {
    VEHICLE_CODE: FaultWords(
        zh="整车编码和交警发牌时登记的不一样，像是录错了",
        en="The vehicle code is not the one the police issued the plate for; it looks mistyped",
        remedy_zh="请代办点照车架上的 15 位编码重新填一次",
        remedy_en="The point copies the 15 digits from the frame again",
    ),
    CERTIFICATE_NO: FaultWords(
        zh="合格证编号像是录错了",
        en="The certificate number looks mistyped",
        remedy_zh="请代办点照合格证重新填一次编号",
        remedy_en="The point copies the number from the certificate again",
    ),
    BATTERY_CODE: FaultWords(
        zh="电池编码像是录错了",
        en="The battery code looks mistyped",
        remedy_zh="请代办点照电池上的标签重新填一次编码",
        remedy_en="The point copies the code from the battery's label again",
    ),
    OWNER_NAME: FaultWords(
        zh="姓名的写法和交警登记的不一样（异体字或间隔号）",
        en="The name is written otherwise at the police (a variant character or a dot)",
        remedy_zh="请照身份证上的写法把姓名重新填一次",
        remedy_en="Write the name anew exactly as on the ID card",
    ),
    PHOTO: FaultWords(
        zh="有一张旧车照片看不清",
        en="A photo of the old bike cannot be read",
        remedy_zh="请代办点补交一张看得清的照片",
        remedy_en="The point sends a photo that can be read",
    ),
}
# What somebody at the bureau, or a check of pictures, may mark as faulty while the trade-in runs.
MARKABLE = {
    "certificate_no": CERTIFICATE_NO,
    "battery_code": BATTERY_CODE,
    "photo:frame_no": PHOTO,
    "photo:plate": PHOTO,
    "photo:whole": PHOTO,
}


def find_faults(
    *,
    vehicle_code: str | None,
    police_vehicle_code: str,
    police_name: str | None,
    marked: Iterable[str] = (),
) -> tuple[Fault, ...]:
    """Return the correctable faults of one completed trade-in, the first being the one its decision names.

    ``police_name`` is how the police's name of the owner matched ours when the trade-in was opened
    (registry/name_variants.py); ``marked`` the fields marked as faulty and not put right, see MARKABLE.
    """
    found = []
    if vehicle_code is not None and is_slip(typed=vehicle_code, seen=police_vehicle_code):
        found.append(Fault(VEHICLE_CODE, "vehicle_code", police_vehicle_code))
    found += [Fault(MARKABLE[field], field) for field in marked]
    if police_name == "variant":
        found.append(Fault(OWNER_NAME, "owner_name"))
    return tuple(found)


def is_slip(*, typed: str, seen: str) -> bool:
    """Say whether two different codes differ as by a slip: one wrong character, or two neighbours changed places."""
    if typed == seen or len(typed) != len(seen):
        return False
    wrong = [place for place, (one, other) in enumerate(zip(typed, seen, strict=True)) if one != other]
    if len(wrong) == 1:
        return True
    first, last = wrong[0], wrong[-1]
    return last == first + 1 and typed[first] == seen[last] and typed[last] == seen[first]


def faults_in(evidence: dict[str, Any]) -> tuple[Fault, ...]:
    """Return the faults that a claim's evidence keeps."""
    return tuple(Fault(**fault) for fault in evidence.get("faults", ()))
