"""The demo district's 272 dealers, 234 of them licensed points, and the compliant bikes they have in stock."""

from __future__ import annotations

import csv
import random
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import Settings
from app.district.filings import made_person
from app.district.names import OPENING_HOURS, SHOP_KINDS, SHOP_WORDS, SUB_DISTRICTS
from app.district.numbers import credit_code, mobile
from registry.bike_models import ModelFacts
from registry.dealer_import import import_dealer_list
from registry.dealer_rows import DEALER_HEADERS
from registry.dealers import Dealer
from registry.filing_file import look_through
from registry.stocking import NewBike

DEALERS = 272
LICENSED = 234
STATES = ("accepted", "committed", "trained", "enrolled", "licensed")
# The rest by state; the trade-in function is on for the enrolled ones too, 97 % of all.
OTHERS = (*["enrolled"] * 30, *["trained"] * 3, *["committed"] * 2, *["accepted"] * 2, "suspended")
FIRST_PERSON = 19_000_000
MODELS = ("TDT2601Z", "TDT2608Z", "TDR2612Z", "TDR2620Z", "TDT2633Z")
MAKER = "1085"
NEW_STANDARD_FROM = date(2025, 9, 1)
BIKES_A_POINT = 4
BIKES_DEMO_POINT = 12


def generate_dealers(*, seed: int, licensed_on: date) -> Iterator[dict[str, str]]:
    """Yield the cells of each dealer's row by column, points first in the order of their plaque numbers from 0001.

    All signed 40 days before they were licensed and were trained ten days later, as a bureau's list would tell it.
    """
    dice = random.Random(seed)  # noqa: S311  (a demo district, no secret)
    districts = list(SUB_DISTRICTS)
    names: set[str] = set()
    for index, state in enumerate([*["licensed"] * LICENSED, *OTHERS]):
        sub_district = districts[index % len(districts)]
        name = _name(dice, sub_district, names)
        yield {
            "name": name,
            "credit_code": credit_code(seed * 1_000 + index),
            "sub_district": sub_district,
            "address": f"{sub_district}{dice.choice(SUB_DISTRICTS[sub_district])} {dice.randrange(1, 480)} 号",
            "phone": f"0571-88{dice.randrange(10**6):06d}",
            "opening_hours": dice.choice(OPENING_HOURS),
            "representative": made_person(FIRST_PERSON + index, dice.random)[0],
            "mobile": mobile(FIRST_PERSON + index),
            **_history(state, index, licensed_on),
        }


def _history(state: str, index: int, licensed_on: date) -> dict[str, str]:
    """What a dealer in this state has done; nothing yet where it was accepted only."""
    reached = STATES.index("licensed" if state == "suspended" else state)
    point_no = index + 1 if state == "licensed" else LICENSED + 1
    until = licensed_on + timedelta(days=364)
    return {
        "signed_on": str(licensed_on - timedelta(days=40)) if reached >= STATES.index("committed") else "",
        "trained_on": str(licensed_on - timedelta(days=30)) if reached >= STATES.index("trained") else "",
        "correct": str(8 + index % 3) if reached >= STATES.index("trained") else "",
        "enrolled": "已开通" if reached >= STATES.index("enrolled") else "",
        "point_no": f"{point_no:04d}" if reached >= STATES.index("licensed") else "",
        "licensed_on": str(licensed_on) if reached >= STATES.index("licensed") else "",
        "licensed_until": str(until) if reached >= STATES.index("licensed") else "",
        "standing": "暂停" if state == "suspended" else "",
    }


def write_dealers_csv(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """Write a list as the CSV file that the import reads."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(DEALER_HEADERS.values())
        table.writerows([row[name] for name in DEALER_HEADERS] for row in rows)


def import_made_dealers(
    *, session: Session, settings: Settings, seed: int, licensed_on: date, actor: str, now: datetime
) -> list[int]:
    """Write the list as a file, as a bureau hands it in, and import it; return the points' ids by plaque number.

    The transaction is left to the caller. Raises AssertionError for a row that is refused.
    """
    with tempfile.TemporaryDirectory(prefix="mapai-dealers-") as folder:
        path = Path(folder) / "dealers.csv"
        write_dealers_csv(path, generate_dealers(seed=seed, licensed_on=licensed_on))
        report = import_dealer_list(
            session=session,
            keyring=settings.keyring,
            file=look_through(path),
            rules=settings.enrolment,
            actor=actor,
            now=now,
            password_hash="",
        )
    if report.stored != DEALERS:
        raise AssertionError(f"of {DEALERS} made dealers {report.stored} are stored: {report.counts()}")
    points = select(Dealer.id).where(Dealer.state == "licensed", Dealer.trade_in_on).order_by(Dealer.point_no)
    return list(session.scalars(points))


def _name(dice: random.Random, sub_district: str, taken: set[str]) -> str:
    """A shop's name nobody has yet: word, kind, and the branch after its sub-district."""
    branch = sub_district.removesuffix("街道")
    for _ in range(10_000):
        name = f"{dice.choice(SHOP_WORDS)}{dice.choice(SHOP_KINDS)}（{branch}店）"
        if name not in taken:
            taken.add(name)
            return name
    raise AssertionError("more dealers than names")


def made_models(*, today: date, makers: Iterable[str] = (MAKER,)) -> Iterator[ModelFacts]:
    """Yield the catalogue's entries for every bike ``made_bike`` makes around ``today``, for each of the makers."""
    for maker_code in makers:
        for place, name in enumerate(MODELS):
            lead_acid = place == 0
            yield ModelFacts(
                maker_code=maker_code,
                name=name,
                ccc_no=f"2025011119{maker_code}{place:02d}",
                standard="GB 17761-2024",
                valid_from=NEW_STANDARD_FROM,
                valid_until=date(today.year + 5, 8, 31),
                battery_kind="lead_acid" if lead_acid else "lithium",
                weight_g=58_500 if lead_acid else 47_800,
                top_speed_m_h=25_000,
                motor_w=400,
                voltage_mv=48_000,
            )


def made_bike(index: int, *, today: date) -> NewBike:
    """Return the compliant new bike ``index``, made two months before ``today``. No magic vehicle code among them."""
    made_on = max(today - timedelta(days=60), NEW_STANDARD_FROM)
    lead_acid = index % 5 == 0
    return NewBike(
        vehicle_code=f"{MAKER}2{made_on:%y}{index:08d}",
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
