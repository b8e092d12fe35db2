"""Batteries: never in two bikes, never back once retired, and swapped by one counter at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.batteries import Battery, BatterySwap, BikeNotFound, BikeNotSoldYet, swap_battery
from registry.bikes import Bike
from registry.dealers import Dealer
from registry.inputs import SeveralRefused
from tests.registry.line import NOW, District

Swap = Callable[..., BatterySwap]
CODES = ("BATNEW01", "BATNEW02", "BATNEW03")


@pytest.fixture
def dealer(district: District) -> Dealer:
    return district.dealer()


@pytest.fixture
def bikes(district: District, dealer: Dealer) -> list[Bike]:
    """Two bikes that somebody rides."""
    stocked = [district.stock(dealer) for _ in range(2)]
    for bike in stocked:
        bike.state = "plated"
    district.session.commit()
    return stocked


def swapping(session: Session, dealer: Dealer, *, code: str, new: str, **changed: str) -> BatterySwap:
    """Swap what is in the bike for another and commit; what is refused leaves nothing."""
    old = session.scalar(
        select(Bike.battery_code).where((Bike.vehicle_code == code) | (Bike.registration_code == code))
    )
    facts = {"battery_kind": "lithium", "reason": "changed", "old_battery_code": old or "BATNONE1", **changed}
    facts.setdefault("proof_no", f"WX{code[-6:]}{new}{session.query(BatterySwap).count()}")
    try:
        swap = swap_battery(
            session=session,
            code=code,
            dealer_id=dealer.id,
            new_battery_code=new,
            actor="account:1",
            now=NOW,
            **facts,
        )
        session.commit()
    except Refusal:
        session.rollback()
        raise
    return swap


def test_a_swap_codes_the_new_battery_and_keeps_the_history(
    district: District, dealer: Dealer, bikes: list[Bike]
) -> None:
    session, bike = district.session, bikes[0]
    before = bike.battery_code
    swapping(session, dealer, code=bike.registration_code, new="BATNEW01", reason="worn")
    session.refresh(bike)
    assert bike.battery_code == "BATNEW01"
    old, new = (
        session.scalars(select(Battery).where(Battery.battery_code == code)).one() for code in (before, "BATNEW01")
    )
    assert (old.bike_id, old.retired_at, new.bike_id, new.retired_at) == (None, NOW, bike.id, None)
    assert old.registration_code != new.registration_code
    with pytest.raises(DBAPIError, match="permission denied"):
        session.execute(BatterySwap.__table__.update().values(reason="changed"))
    session.rollback()


def test_what_a_swap_refuses(district: District, dealer: Dealer, bikes: list[Bike]) -> None:
    session, (first, second) = district.session, bikes
    code = first.vehicle_code
    elsewhere = district.stock(district.dealer())

    def refused(**changed: str) -> str:
        with pytest.raises(Refusal) as told:
            swapping(session, dealer, **{"code": code, "new": "BATNEW01", **changed})
        return told.value.code

    assert refused(code="119999999999999") == BikeNotFound.code
    assert refused(code=elsewhere.vehicle_code) == BikeNotSoldYet.code
    assert refused(old_battery_code="BATOTHER") == "old_battery_differs"
    assert refused(battery_kind="lead_acid") == "battery_kind_differs"
    assert refused(new=second.battery_code) == "battery_in_another_bike"
    assert refused(new=first.battery_code) == "battery_in_another_bike"
    with pytest.raises(SeveralRefused) as several:
        swapping(session, dealer, code=code, new="电", proof_no="!")
    assert {each.field for each in several.value.each} == {"new_battery_code", "proof_no"}
    worn = first.battery_code
    swapping(session, dealer, code=code, new="BATNEW01", reason="worn", proof_no="WX0001")
    assert refused(code=second.vehicle_code, new=worn) == "battery_retired"
    assert refused(new="BATNEW02", proof_no="WX0001") == "swap_proof_used"
    swapping(session, dealer, code=code, new="BATNEW02", reason="changed")
    swapping(session, dealer, code=second.vehicle_code, new="BATNEW01")
    session.refresh(second)
    assert second.battery_code == "BATNEW01"


def test_two_counters_fit_one_battery_into_two_bikes_and_one_wins(
    district: District, dealer: Dealer, bikes: list[Bike], engine: Engine
) -> None:
    codes = [bike.vehicle_code for bike in bikes]
    district.session.rollback()

    def fit(code: str) -> str:
        with Session(engine) as mine:
            try:
                swapping(mine, dealer, code=code, new="BATNEW01", proof_no=f"WX{code}")
            except Refusal as refusal:
                return refusal.code
            return "fitted"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(fit, codes)) == ["battery_in_another_bike", "fitted"]
    fitted = district.session.scalars(select(Bike.vehicle_code).where(Bike.battery_code == "BATNEW01")).all()
    assert len(fitted) == 1


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(CODES), st.sampled_from(["changed", "worn"])), max_size=6
    )
)
def test_any_row_of_swaps_is_what_a_simple_model_says(
    district: District, dealer: Dealer, bikes: list[Bike], steps: list[tuple[int, str, str]]
) -> None:
    """The model: a bike holds one code, a code is in one bike, and what was retired stays out."""
    session = district.session
    # Codes of this example alone: what an earlier example retired is another battery.
    example = session.query(BatterySwap).count()
    holds = [session.scalars(select(Bike.battery_code).where(Bike.id == bike.id)).one() for bike in bikes]
    retired: set[str] = set()
    for which, name, reason in steps:
        code = f"{name}X{example}"
        free = code not in holds and code not in retired
        if not free:
            expected = "battery_in_another_bike" if code in holds else "battery_retired"
            with pytest.raises(Refusal, match=expected):
                swapping(session, dealer, code=bikes[which].vehicle_code, new=code, reason=reason)
            continue
        swapping(session, dealer, code=bikes[which].vehicle_code, new=code, reason=reason)
        if reason == "worn":
            retired.add(holds[which])
        holds[which] = code
    for bike, code in zip(bikes, holds, strict=True):
        fitted = session.scalars(select(Battery).where(Battery.bike_id == bike.id)).one()
        stands = session.scalars(select(Bike.battery_code).where(Bike.id == bike.id)).one()
        assert fitted.battery_code == stands == code
