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
# A plate carries the city's Chinese name, in English text as well.
ENGLISH = {
    "330105": Place(
        city="杭州",
        district="Gongshu District",
        bureau="the Market Supervision Bureau of Gongshu District, Hangzhou",
        bureau_short="Gongshu District",
    ),
}
UNNAMED = Place(city="", district="本区", bureau="区市场监督管理局", bureau_short="区市场监管局")
UNNAMED_ENGLISH = Place(
    city="", district="this district", bureau="the district's Market Supervision Bureau", bureau_short="Your district"
)


def place_of(district: str, *, english: bool = False) -> Place:
    """Return the names of the district with this division code; neutral words where it has none yet."""
    return ENGLISH.get(district, UNNAMED_ENGLISH) if english else PLACES.get(district, UNNAMED)
