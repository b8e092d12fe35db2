"""Filing lists as a bureau would hand them in, made from a seed: any size, the same every time."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

from app.district.names import GIVEN_FIRST, GIVEN_SECOND, OLD_MAKES, SUB_DISTRICTS, SURNAMES, pick
from app.district.numbers import frame_number, id_number, mobile, plate_number
from registry.filing_rows import HEADERS, FilingRow

FILED_UNTIL = date(2025, 12, 31)
DAYS_BACK = 2_556
SECOND_BIKE = 0.06


def generate_filings(*, seed: int, count: int, filed_until: date = FILED_UNTIL) -> Iterator[FilingRow]:
    """Yield ``count`` filings: every row good, plates and frame numbers unique, one owner in sixteen with two bikes.

    They were filed in the seven years up to ``filed_until``.
    """
    dice = random.Random(seed).random  # noqa: S311  (a demo district, no secret)
    names = tuple(SUB_DISTRICTS)
    days = [(filed_until - timedelta(days=back)).isoformat() for back in range(DAYS_BACK)]
    people = seed % 1000 * 20_000
    owner = ("", "", "")
    for index in range(count):
        if index == 0 or dice() >= SECOND_BIKE:
            people += 1
            owner = made_person(people, dice)
        name, id_no, phone = owner
        make = pick(OLD_MAKES, dice())
        yield FilingRow(
            index + 2,
            plate_number(index + seed % 1000),
            name,
            id_no,
            phone,
            days[int(DAYS_BACK * dice())],
            make,
            frame_number(index),
            names[int(len(names) * dice())],
        )


def made_person(index: int, dice: Callable[[], float]) -> tuple[str, str, str]:
    """Return name, ID number and mobile of the made-up person ``index``."""
    name = pick(SURNAMES, dice()) + pick(GIVEN_FIRST, dice())
    if dice() < 0.8:
        name += pick(GIVEN_SECOND, dice())
    return name, id_number(index), mobile(index)


def write_filings_csv(path: Path, rows: Iterable[FilingRow]) -> None:
    """Write a list as the CSV file that the import reads."""
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(HEADERS.values())
        table.writerows(row[1:9] for row in rows)
