"""Opening hours are read as people write them, stored one way, and say whether a shop is open now."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from registry.dealer_hours import (
    EVERY_DAY,
    OpeningHoursInvalid,
    Span,
    clean_opening_hours,
    is_open,
    make_span,
    read_hours,
    write_hours,
)
from registry.dealers import LOCAL


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("08:30—18:00", "每天 08:30-18:00"),
        ("8:30–18:00", "每天 08:30-18:00"),
        ("每天 9:00至24:00", "每天 09:00-24:00"),
        ("周一至周五 8:30-18:00；周六、周日 9:00-17:00", "周一至周五 08:30-18:00；周六、周日 09:00-17:00"),
        ("周一到周三，周五 8:30-12:00", "周一至周三、周五 08:30-12:00"),
        ("周一 13:00-18:00;周一 8:00-12:00", "周一 08:00-12:00；周一 13:00-18:00"),
        ("周六天 10:00~16:00", "周六、周日 10:00-16:00"),
    ],
)
def test_hours_are_stored_one_way(typed: str, stored: str) -> None:
    assert clean_opening_hours(typed) == stored
    assert clean_opening_hours(stored) == stored


@pytest.mark.parametrize(
    "typed",
    [
        *("", "9–18", "全天", "18:00-8:30", "08:30-08:30", "25:00-26:00", "08:60-09:00", "周八 08:00-09:00", "08:30"),
        *("周一 08:00-12:00；周一 11:00-13:00", "周五至周一 08:00-09:00"),
    ],
)
def test_what_cannot_be_is_refused(typed: str) -> None:
    with pytest.raises(OpeningHoursInvalid):
        clean_opening_hours(typed)


@given(
    some.lists(
        some.builds(
            lambda days, first, length: Span(
                days=tuple(sorted(days)), opens_min=first, closes_min=min(first + length, 1440)
            ),
            some.sets(some.sampled_from(EVERY_DAY), min_size=1),
            some.integers(0, 1439),
            some.integers(1, 600),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_written_is_read_again(spans: list[Span]) -> None:
    try:
        text = write_hours(spans)
    except OpeningHoursInvalid:
        return
    assert sorted(read_hours(text), key=repr) == sorted(spans, key=repr)


def test_open_now() -> None:
    hours = write_hours([make_span(days=(1, 2, 3, 4, 5), opens="08:30", closes="18:00")])

    def at(day: int, hour: int, minute: int) -> bool | None:
        return is_open(opening_hours=hours, at=datetime(2026, 6, day, hour, minute, tzinfo=LOCAL))

    assert at(22, 8, 30) is True  # a Monday
    assert at(22, 8, 29) is False
    assert at(22, 17, 59) is True
    assert at(22, 18, 0) is False
    assert at(21, 10, 0) is False
    assert is_open(opening_hours="看门口的牌子", at=datetime(2026, 6, 22, tzinfo=LOCAL)) is None


@pytest.mark.parametrize("days", [(), (0,), (8,)])
def test_days_are_one_to_seven(days: tuple[int, ...]) -> None:
    with pytest.raises(OpeningHoursInvalid):
        make_span(days=days, opens="08:00", closes="09:00")
