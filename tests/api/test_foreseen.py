"""What the API says of a subsidy before the old bike is given away, and that it is heeded."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select

from registry.filings import FiledBike
from registry.messages import Message
from registry.plate_authority import PlateRecord
from tests.api.conftest import Api, Place, faults, opening, photo, receipt, walk
from tests.registry.line import DISTRICT, Owner


def file_again(place: Place, owner: Owner, **changes: date | int) -> None:
    session = place.district.session
    bike = session.get_one(FiledBike, owner.filed_bike_id)
    for name, value in changes.items():
        setattr(bike, name, value)
    session.commit()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"filed_on": date(2025, 1, 1)}, "filed_after_cut_off"),
        ({"filed_on": date(2005, 1, 1)}, "filed_too_long_ago"),
        ({"transferred_on": date(2025, 1, 1)}, "transferred_after_cut_off"),
    ],
)
@pytest.mark.usefixtures("programme")
def test_what_is_known_at_the_opening_is_said_and_heeded(
    point: Api, place: Place, owner: Owner, changes: dict[str, date], code: str
) -> None:
    file_again(place, owner, **changes)
    opened = point.post("/api/trade-ins", opening(owner)).json
    assert (opened["foreseen"]["code"], opened["foreseen"]["no_subsidy"]) == (code, True)
    assert opened["state"] == "old_bike_verified", "it may go on all the same"
    at = f"/api/trade-ins/{opened['reference']}"
    for kind in ("frame_no", "plate", "whole"):
        point.post(f"{at}/photos", photo(kind))
    assert faults(point.post(f"{at}/receipt", receipt(owner))) == {"owner_knows": "owner_not_told"}
    wrong = {**receipt(owner), "frame_no": "WRONG1"}
    assert faults(point.post(f"{at}/receipt", wrong)) == {
        "owner_knows": "owner_not_told",
        "frame_no": "frame_no_differs",
    }
    taken = point.post(f"{at}/receipt", {**receipt(owner), "owner_knows": True})
    assert (taken.status_code, taken.json["state"]) == (200, "old_bike_received")


@pytest.mark.usefixtures("programme")
def test_the_second_bike_of_one_person_gets_nothing(point: Api, place: Place, owner: Owner) -> None:
    reference = walk(point, place, owner, until="applied")
    assert point.get(f"/api/trade-ins/{reference}").json["foreseen"] is None, "the claim has been decided"
    second = place.district.owner()
    file_again(place, second, owner_id=owner.person_id)
    record = PlateRecord(
        plate_no=second.plate_no,
        status="normal",
        district_code=DISTRICT,
        owner_name=owner.name,
        owner_id_no=owner.id_no,
    )
    place.police.load([record])
    opened = point.post("/api/trade-ins", {**opening(owner), "plate_no": second.plate_no}).json
    assert (opened["foreseen"]["code"], opened["foreseen"]["no_subsidy"]) == ("limit_reached", True)
    query = select(Message.body).where(Message.dedupe_key.like("verified:%")).order_by(Message.id)
    bodies = place.district.session.scalars(query)
    assert "已经领到规定的份数" in list(bodies)[-1]


def test_without_a_programme_it_is_said_and_nothing_has_to_be_confirmed(point: Api, place: Place, owner: Owner) -> None:
    reference = walk(point, place, owner, until="received")
    foreseen = point.get(f"/api/trade-ins/{reference}").json["foreseen"]
    assert (foreseen["code"], foreseen["no_subsidy"]) == ("no_programme", False)
