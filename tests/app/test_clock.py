"""Business time: the identity by default, exact and monotonic where scaled, refused where it makes no sense."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.clock import Clock, epoch_seconds, real
from app.startup import CannotStart

INSTANTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def test_the_default_is_real_time() -> None:
    instant = datetime(2026, 6, 15, 16, 0, tzinfo=UTC)
    clock = Clock()
    assert clock.is_real
    assert clock.business(instant) == instant == clock.real_for(instant)
    assert abs(clock.now() - real()) < timedelta(seconds=5)


def test_now_is_aware_utc() -> None:
    assert Clock.parse("2026-06-01T00:00:00+08:00@0x1").now().tzinfo is UTC


def test_a_scaled_clock_runs_from_its_origin() -> None:
    clock = Clock.parse("2026-06-01T00:00:00+08:00@1700000000.5x17280")
    origin = datetime.fromtimestamp(1700000000, UTC) + timedelta(milliseconds=500)
    assert clock.business(origin) == datetime(2026, 5, 31, 16, 0, tzinfo=UTC)
    assert clock.business(origin + timedelta(seconds=5)) == datetime(2026, 6, 1, 16, 0, tzinfo=UTC)
    assert clock.real_for(datetime(2026, 6, 1, 16, 0, tzinfo=UTC)) == origin + timedelta(seconds=5)
    assert not clock.is_real


@given(
    first=INSTANTS,
    later=st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=1)),
    factor=st.sampled_from([0.5, 1.0, 60.0, 17280.0]),
)
def test_it_never_runs_backwards(first: datetime, later: timedelta, factor: float) -> None:
    clock = Clock(origin_business=datetime(2026, 6, 1, tzinfo=UTC), origin_real=first, factor=factor)
    assert clock.business(first) == clock.origin_business
    assert clock.business(first) <= clock.business(first + later)
    assert abs(clock.business(first + later) - clock.origin_business - later * factor) <= timedelta(microseconds=1)


@given(business=INSTANTS, origin=INSTANTS, factor=st.floats(min_value=0.01, max_value=100_000))
def test_written_and_read_again_it_is_the_same(business: datetime, origin: datetime, factor: float) -> None:
    clock = Clock(origin_business=business, origin_real=origin, factor=float(f"{factor:.6f}"))
    assert Clock.parse(str(clock)) == clock


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-06-01T00:00:00+08:00",
        "2026-13-01T00:00:00+08:00@0x1",
        "2026-06-01T00:00:00@0x1",
        "2026-06-01T00:00:00+08:00@0x0",
        "2026-06-01T00:00:00+08:00@0x-2",
        "2026-06-01T00:00:00+08:00@nowx1",
    ],
)
def test_nonsense_is_refused_in_words(text: str) -> None:
    with pytest.raises(CannotStart, match="MAPAI_CLOCK"):
        Clock.parse(text)


def test_a_naive_origin_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Clock(origin_business=datetime(2026, 6, 1))  # noqa: DTZ001


def test_epoch_seconds() -> None:
    assert epoch_seconds(datetime(1970, 1, 2, tzinfo=UTC)) == 86_400
