"""The demo district's 272 dealers, 234 of them licensed points, and the compliant bikes they have in stock."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from app.district.names import OPENING_HOURS, SHOP_KINDS, SHOP_WORDS, SUB_DISTRICTS
from app.district.numbers import credit_code
from registry.stocking import NewBike

DEALERS = 272
LICENSED = 234
# The rest by state; the trade-in function is on for the enrolled ones too: 264 of 272, or 97 %.
OTHERS = (*["enrolled"] * 30, *["trained"] * 3, *["committed"] * 2, *["applied"] * 2, "suspended")
TRADE_IN_ON = ("licensed", "enrolled")
MODELS = ("TDT2601Z", "TDT2608Z", "TDR2612Z", "TDR2620Z", "TDT2633Z")
NEW_STANDARD_FROM = date(2025, 9, 1)
BIKES_A_POINT = 4
BIKES_DEMO_POINT = 12


def generate_dealers(*, seed: int, licensed_at: datetime) -> Iterator[dict[str, Any]]:
    """Yield the columns of each dealer, points first in the order of their plaque numbers 0001 to 0234."""
    dice = random.Random(seed)  # noqa: S311  (a demo district, no secret)
    districts = list(SUB_DISTRICTS)
    names: set[str] = set()
    for index, state in enumerate([*["licensed"] * LICENSED, *OTHERS]):
        sub_district = districts[index % len(districts)]
        name = _name(dice, sub_district, names)
        has_plaque = state in ("licensed", "suspended")
        yield {
            "name": name,
            "credit_code": credit_code(seed * 1_000 + index),
            "sub_district": sub_district,
            "address": f"{sub_district}{dice.choice(SUB_DISTRICTS[sub_district])} {dice.randrange(1, 480)} 号",
            "phone": f"0571-88{dice.randrange(10**6):06d}",
            "opening_hours": dice.choice(OPENING_HOURS),
            "state": state,
            "point_no": f"{index + 1 if state == 'licensed' else LICENSED + 1:04d}" if has_plaque else None,
            "licensed_at": licensed_at + timedelta(minutes=index) if has_plaque else None,
            "trade_in_on": state in TRADE_IN_ON,
        }


def _name(dice: random.Random, sub_district: str, taken: set[str]) -> str:
    """A shop's name nobody has yet: word, kind, and the branch after its sub-district."""
    branch = sub_district.removesuffix("街道")
    for _ in range(10_000):
        name = f"{dice.choice(SHOP_WORDS)}{dice.choice(SHOP_KINDS)}（{branch}店）"
        if name not in taken:
            taken.add(name)
            return name
    raise AssertionError("more dealers than names")


def made_bike(index: int, *, today: date) -> NewBike:
    """Return the compliant new bike ``index``, made two months before ``today``. No magic vehicle code among them."""
    made_on = max(today - timedelta(days=60), NEW_STANDARD_FROM)
    lead_acid = index % 5 == 0
    return NewBike(
        vehicle_code=f"10852{made_on:%y}{index:08d}",
        certificate_no=f"{made_on:%Y}011119{index:06d}",
        battery_code=f"{'PB' if lead_acid else 'LI'}48{made_on:%y%m}{index:08d}",
        battery_kind="lead_acid" if lead_acid else "lithium",
        model=MODELS[index % len(MODELS)],
        standard="GB 17761-2024",
        made_on=made_on,
        weight_g=58_500 if lead_acid else 47_800,
        top_speed_m_h=25_000,
        motor_w=400,
        voltage_mv=48_000,
    )
