"""What the district is called on its pages, by division code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Names of one district: the city as it stands on plates, the district, its bureau in full and in short."""

    city: str
    district: str
    bureau: str
    bureau_short: str


PLACES = {
    "330105": Place(
        city="杭州", district="拱墅区", bureau="杭州市拱墅区市场监督管理局", bureau_short="拱墅区市场监管局"
    ),
}
UNNAMED = Place(city="", district="本区", bureau="区市场监督管理局", bureau_short="区市场监管局")


def place_of(district: str) -> Place:
    """Return the names of the district with this division code; neutral words where it has none yet."""
    return PLACES.get(district, UNNAMED)
