"""The public list of points: who stands on it, what is open, how busy a counter is."""

from datetime import UTC, date, datetime, timedelta

import pytest

from registry.points import PointNotFound, choose_points, get_public_point, list_public_points
from registry.trade_ins import TradeIn

# Saturday, 20 June 2026, ten in the morning in Hangzhou.
NOW = datetime(2026, 6, 20, 2, 0, tzinfo=UTC)


def at(hour: int, minute: int = 0, *, day: int = 20) -> datetime:
    """An instant of June 2026 by the district's wall clock."""
    return datetime(2026, 6, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


def point_with(district, **changed):
    dealer = district.dealer()
    for name, value in changed.items():
        setattr(dealer, name, value)
    district.session.commit()
    return dealer


def names(points) -> set[str]:
    return {point.name for point in points}


HOURS = (
    ("8:30–18:00", at(8, 29), False, None),
    ("8:30–18:00", at(8, 30), True, "18:00"),
    ("8:30–18:00", at(17, 59), True, "18:00"),
    ("8:30–18:00", at(18), False, None),
    ("08:00—18:00", at(9), True, "18:00"),
    ("周一至周五 08:30-18:00", at(10), False, None),
    ("周一至周五 08:30-18:00；周六、周日 09:00-12:00", at(10), True, "12:00"),
    ("每天 08:30-12:00；每天 13:30-24:00", at(12, 30), False, None),
    ("每天 08:30-12:00；每天 13:30-24:00", at(23, 59), True, "24:00"),
    ("每天 00:00-08:00", at(1, day=21), True, "08:00"),
    ("看老板心情", at(10), None, None),
)


def test_open_now_goes_by_the_districts_wall_clock(district):
    dealer = point_with(district)
    for hours, instant, open_now, until in HOURS:
        dealer.opening_hours = hours
        point = get_public_point(session=district.session, point_no=dealer.point_no, now=instant)
        assert (point.open_now, point.open_until) == (open_now, until), (hours, instant)


def test_the_list_holds_licensed_points_only_and_by_number(district):
    good = [point_with(district) for _ in range(2)]
    for changed in ({"state": "suspended"}, {"state": "revoked"}, {"licensed_until": date(2026, 6, 19)}):
        point_with(district, **changed)
    point_with(district, state="enrolled", point_no=None)
    last_day = point_with(district, licensed_until=date(2026, 6, 20))
    listed = list_public_points(session=district.session, now=NOW)
    assert [point.name for point in listed] == [dealer.name for dealer in (*good, last_day)]
    assert [point.point_no for point in listed] == sorted(point.point_no for point in listed)


def test_a_point_that_lost_its_licence_is_still_found_by_its_plaque(district):
    for changed in ({"state": "suspended"}, {"licensed_until": date(2026, 6, 19)}, {"trade_in_on": False}):
        dealer = point_with(district, **changed)
        point = get_public_point(session=district.session, point_no=dealer.point_no, now=NOW)
        assert point.trade_in_on is False
        assert point.licensed is ("trade_in_on" in changed)
    with pytest.raises(PointNotFound):
        get_public_point(session=district.session, point_no="9999", now=NOW)


def test_another_dealers_point_is_told_as_none(district):
    mine, other = point_with(district), point_with(district)
    session = district.session
    assert get_public_point(session=session, point_no=mine.point_no, now=NOW, dealer_id=mine.id).name == mine.name
    with pytest.raises(PointNotFound):
        get_public_point(session=session, point_no=other.point_no, now=NOW, dealer_id=mine.id)


def test_what_is_asked_has_to_hold_all_together(district):
    here = point_with(district, sub_district="祥符街道", opening_hours="08:00-20:00", address="祥园路 8 号")
    closed = point_with(district, sub_district="祥符街道", opening_hours="12:00-20:00")
    unknown = point_with(district, sub_district="祥符街道", opening_hours="看情况")
    off = point_with(district, sub_district="半山街道", trade_in_on=False)
    listed = list_public_points(session=district.session, now=NOW)
    everybody = {dealer.name for dealer in (here, closed, unknown, off)}
    for asked, expected in (
        ({}, everybody),
        ({"sub_district": "祥符街道"}, everybody - {off.name}),
        ({"open_now": True}, {here.name, off.name}),
        ({"trade_in_on": True, "open_now": True}, {here.name}),
        ({"words": "祥园路"}, {here.name}),
        ({"words": f"  {off.point_no} "}, {off.name}),
        ({"words": "祥符 车行"}, everybody - {off.name}),
        ({"words": "祥符 月球"}, set()),
        ({"words": "%"}, set()),
        ({"sub_district": "月球街道"}, set()),
    ):
        assert names(choose_points(points=listed, **asked)) == expected, asked


def test_how_busy_a_counter_is_counts_todays_unfinished_trade_ins(district):
    dealer, other = point_with(district), point_with(district)

    def busy(now: datetime) -> list[int]:
        listed = {point.name: point for point in list_public_points(session=district.session, now=now)}
        return [listed[each.name].under_way_today for each in (dealer, other)]

    trade_ins = [opened(district, dealer, now) for now in (at(23, 59, day=19), at(0), at(9), at(9, 30))]
    assert busy(NOW) == [3, 0]
    trade_ins[1].state = "completed"
    trade_ins[2].state = "withdrawn"
    district.session.commit()
    assert busy(NOW) == [1, 0]
    assert busy(at(10, day=21)) == [0, 0]


def opened(district, dealer, now: datetime):
    """A trade-in opened there at this instant."""
    owner = district.owner()
    trade_in = TradeIn(
        reference=f"T-{owner.filed_bike_id}",
        dealer_id=dealer.id,
        filed_bike_id=owner.filed_bike_id,
        owner_id=owner.person_id,
        opened_at=now,
    )
    district.session.add(trade_in)
    district.session.commit()
    return trade_in
