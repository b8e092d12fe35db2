"""The end of the chain: two papers, fifteen days, and a point that owes too many opens nothing new."""

from __future__ import annotations

from datetime import timedelta

import pytest

from registry.base import Refusal
from registry.dealers import Dealer
from registry.destruction import (
    DUE_WITHIN,
    Destruction,
    OldBikeNotReceived,
    TooManyOverdue,
    confirm_destruction,
    overdue_destructions,
)
from registry.filings import FiledBike
from registry.inputs import SeveralRefused
from registry.trade_ins import Reach
from tests.registry.line import ACTOR, LOCAL, NOW, REACH, District, Owner, picture

TODAY = NOW.astimezone(LOCAL).date()


@pytest.fixture
def dealer(district: District) -> Dealer:
    return district.dealer()


def confirm(district: District, reference: str, part: str, **changed: object) -> Destruction:
    facts: dict[str, object] = {
        "firm": "杭州再生资源有限公司",
        "document_no": f"CJ{reference}{part}".upper(),
        "done_on": TODAY,
        "image": picture(),
        "now": NOW,
        "reach": REACH,
        **changed,
    }
    try:
        done = confirm_destruction(
            session=district.session,
            reference=reference,
            part=part,
            actor=ACTOR,
            **facts,  # type: ignore[arg-type]
        )
    except Refusal:
        district.session.rollback()
        raise
    district.session.commit()
    return done


def state(district: District, owner: Owner) -> str:
    district.session.expire_all()
    return district.session.get_one(FiledBike, owner.filed_bike_id).state


@pytest.mark.parametrize("plate_first", [True, False])
def test_both_papers_and_the_cancelled_plate_make_it_destroyed(
    district: District, dealer: Dealer, plate_first: bool
) -> None:
    owner = district.owner()
    reference = district.receive(owner, dealer)
    if plate_first:
        district.cancel(reference)
    bike = confirm(district, reference, "bike")
    assert confirm(district, reference, "bike").id == bike.id, "the same paper again"
    with pytest.raises(Refusal, match="destruction_recorded"):
        confirm(district, reference, "bike", document_no="CJ0000")
    assert state(district, owner) != "destroyed"
    confirm(district, reference, "battery")
    if not plate_first:
        assert state(district, owner) == "received"
        district.cancel(reference)
    assert state(district, owner) == "destroyed"


def test_what_a_confirmation_refuses(district: District, dealer: Dealer) -> None:
    used = picture()
    reference = district.receive(district.owner(), dealer, last_photo=used)
    with pytest.raises(SeveralRefused) as several:
        confirm(district, reference, "bike", firm="x", document_no="!", done_on=TODAY + timedelta(days=1), image=b"no")
    assert {each.field: each.code for each in several.value.each} == {
        "firm": "firm_missing",
        "document_no": "code_invalid",
        "done_on": "destroyed_on_wrong",
        "image": "photo_unreadable",
    }
    with pytest.raises(Refusal, match="destroyed_on_wrong"):
        confirm(district, reference, "bike", done_on=TODAY - timedelta(days=1))
    with pytest.raises(Refusal, match="photo_used_before"):
        confirm(district, reference, "bike", image=used)
    mine = picture()
    confirm(district, reference, "bike", document_no="CJ-0001", image=mine)
    other = district.receive(district.owner(), dealer)
    with pytest.raises(Refusal, match="destruction_paper_used"):
        confirm(district, other, "bike", document_no="CJ-0001")
    with pytest.raises(Refusal, match="photo_used_before"):
        confirm(district, other, "battery", image=mine)
    with pytest.raises(Refusal, match="trade_in_not_found"):
        confirm(district, other, "battery", reach=Reach(dealer_id=dealer.id + 1))
    with pytest.raises(OldBikeNotReceived):
        confirm(district, district.open(district.owner(), dealer).reference, "bike")


def test_what_is_overdue_and_what_follows_for_the_point(district: District, dealer: Dealer) -> None:
    session, elsewhere = district.session, district.dealer()
    owner = district.owner()
    half, bare = district.receive(district.owner(), dealer), district.receive(owner, dealer)
    confirm(district, half, "bike")

    def late(**changed: object) -> list[tuple[str, tuple[str, ...]]]:
        facts = {"now": NOW + DUE_WITHIN + timedelta(seconds=1), **changed}
        return [
            (each.reference, each.missing)
            for each in overdue_destructions(session=session, **facts)  # type: ignore[arg-type]
        ]

    assert late(now=NOW + DUE_WITHIN) == []
    assert late() == late(dealer_id=dealer.id) == [(half, ("battery",)), (bare, ("bike", "battery"))]
    assert late(dealer_id=elsewhere.id) == []
    now = NOW + DUE_WITHIN + timedelta(days=1)
    with pytest.raises(TooManyOverdue) as refused:
        district.open(district.owner(), dealer, now=now, most_overdue=1)
    assert refused.value.facts == {"count": 2, "days": 15, "most": 1}
    session.rollback()
    assert district.open(district.owner(), elsewhere, now=now, most_overdue=0)
    confirm(district, half, "battery", now=now)
    assert late() == [(bare, ("bike", "battery"))], "complete, though the plate is not cancelled yet"
    assert district.open(district.owner(), dealer, now=now, most_overdue=1)
    assert state(district, owner) == "received"
