"""Which bikes of a dealer's stock get a label."""

import pytest
from sqlalchemy import select

from registry.batteries import Battery
from registry.bikes import Bike
from registry.labels import Coded, LabelsNotInStock, NoLabels, TooManyLabels, coded_in_stock


def choose(district, dealer, codes: str = "", newest: int = 24) -> list[Coded]:
    return coded_in_stock(session=district.session, dealer_id=dealer.id, codes=codes, newest=newest)


def codes_of(district, bike: Bike) -> Coded:
    """What is to be printed for the bike, read on its own."""
    battery = district.session.scalars(select(Battery).where(Battery.bike_id == bike.id)).one()
    return Coded(
        registration_code=bike.registration_code,
        vehicle_code=bike.vehicle_code,
        battery_code=bike.battery_code,
        battery_registration_code=battery.registration_code,
    )


def test_by_code_in_the_order_named_each_once_else_the_newest(district):
    dealer = district.dealer()
    first, second, third = (codes_of(district, district.stock(dealer)) for _ in range(3))
    typed = f" {second.registration_code.lower()}，{first.registration_code}\n{second.battery_registration_code}"
    assert choose(district, dealer, typed) == [second, first]
    assert choose(district, dealer, newest=2) == [third, second]


def test_only_of_the_dealers_own_stock(district):
    dealer, other = district.dealer(), district.dealer()
    with pytest.raises(NoLabels):
        choose(district, dealer)
    mine, sold, theirs = district.stock(dealer), district.stock(dealer), district.stock(other)
    sold.state = "sold"
    district.session.commit()
    for bike in (sold, theirs):
        with pytest.raises(LabelsNotInStock) as refused:
            choose(district, dealer, f"{mine.registration_code},{bike.registration_code}")
        assert bike.registration_code in refused.value.message_zh
        assert mine.registration_code not in refused.value.message_zh
    with pytest.raises(LabelsNotInStock, match="not in your stock: NOWHERE"):
        choose(district, dealer, "NOWHERE")
    with pytest.raises(TooManyLabels, match="these are 501"):
        choose(district, dealer, ",".join(f"CODE{number}" for number in range(501)))
