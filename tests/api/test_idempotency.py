"""The same request again is the same as once: replayed byte for byte, refused where it differs, one effect for two."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import idempotency
from app.clients.plates.fake import FakePolice
from app.clock import real
from app.tables import FirstAnswer
from registry.base import PartnerUnavailable
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from tests.api.conftest import Api, Place, faults, opening, sale, walk
from tests.registry.line import Owner


def test_the_same_request_gets_the_first_answer_byte_for_byte(point: Api, owner: Owner, session: Session) -> None:
    first = point.post("/api/trade-ins", opening(owner), key="one-and-only")
    point.post(f"/api/trade-ins/{first.json['reference']}/withdrawal")
    again = point.post("/api/trade-ins", opening(owner), key="one-and-only")
    assert (again.status_code, again.data, again.content_type) == (201, first.data, first.content_type)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert session.scalar(select(func.count()).select_from(TradeIn)) == 1


def test_a_refusal_is_replayed_too(point: Api, owner: Owner) -> None:
    wrong = {**opening(owner), "owner_phone": "1"}
    first = point.post("/api/trade-ins", wrong, key="one-and-only")
    again = point.post("/api/trade-ins", wrong, key="one-and-only")
    assert first.status_code == again.status_code == 422
    assert (again.data, again.content_type) == (first.data, first.content_type)
    assert point.post("/api/trade-ins", opening(owner)).status_code == 201


def test_another_body_or_address_under_the_key_is_409(place: Place, point: Api, owner: Owner) -> None:
    point.post("/api/trade-ins", opening(owner), key="one-and-only")
    other = point.post("/api/trade-ins", opening(place.district.owner()), key="one-and-only")
    assert (other.status_code, faults(other)) == (409, {"Idempotency-Key": "idempotency_key_reused"})
    elsewhere = point.post("/api/bikes", opening(owner), key="one-and-only")
    assert faults(elsewhere) == {"Idempotency-Key": "idempotency_key_reused"}


def test_keys_of_two_accounts_are_two_keys(place: Place, point: Api) -> None:
    other = place.as_role("dealer", dealer_id=place.district.dealer().id)
    first = point.post("/api/trade-ins", opening(place.district.owner()), key="one-and-only")
    second = other.post("/api/trade-ins", opening(place.district.owner()), key="one-and-only")
    assert first.status_code == second.status_code == 201
    assert first.json["reference"] != second.json["reference"]


@pytest.mark.parametrize("key", [None, "", "short", "x" * 81, "with space in it", "schlüssel-1"])
def test_a_missing_or_malformed_key_is_named(point: Api, key: str | None) -> None:
    headers = {"Authorization": f"Bearer {point.token}"} | ({} if key is None else {"Idempotency-Key": key})
    answer = point.client.post("/api/trade-ins", json={}, headers=headers)
    assert (answer.status_code, faults(answer)) == (422, {"Idempotency-Key": "idempotency_key_missing"})


def together(count: int, act: Any) -> list[Any]:
    """Run ``act(number)`` in threads that start at the same instant."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_a_double_submit_under_one_key_has_one_effect(place: Place, point: Api, owner: Owner, session: Session) -> None:
    apis = [Api(client=place.app.test_client(), token=point.token) for _ in range(6)]
    answers = together(6, lambda number: apis[number].post("/api/trade-ins", opening(owner), key="one-and-only"))
    done = {answer.data for answer in answers if answer.status_code == 201}
    running = [answer for answer in answers if answer.status_code == 409]
    assert len(done) == 1
    assert len(running) == sum(answer.status_code != 201 for answer in answers)
    assert all(answer.headers["Retry-After"] == "1" for answer in running)
    assert session.scalar(select(func.count()).select_from(TradeIn)) == 1


def test_a_double_submit_under_two_keys_has_one_effect(
    place: Place, point: Api, owner: Owner, session: Session, programme: None
) -> None:
    reference = walk(point, place, owner, until="cancelled")
    bikes = [place.district.stock(place.dealer) for _ in range(4)]
    apis = [Api(client=place.app.test_client(), token=point.token) for _ in range(4)]
    at = f"/api/trade-ins/{reference}"
    sales = together(4, lambda number: apis[number].post(f"{at}/sale", sale(bikes[number])))
    assert sorted(answer.status_code for answer in sales) == [200, 409, 409, 409]
    plates = together(4, lambda number: apis[number].post(f"{at}/plate-application"))
    # 503: another of them held the trade-in in that very instant; sending again is safe and finds it done.
    assert {answer.status_code for answer in plates} <= {200, 409, 503}
    assert point.get(at).json["state"] == "completed"
    assert session.scalar(select(func.count()).select_from(Claim)) == 1


def test_a_request_that_died_unanswered_is_taken_over_after_its_lease(
    place: Place, point: Api, owner: Owner, session: Session
) -> None:
    first = point.post("/api/trade-ins", opening(owner), key="one-and-only")
    session.execute(update(FirstAnswer).values(status=0, body=None))
    session.commit()
    running = point.post("/api/trade-ins", opening(owner), key="one-and-only")
    assert (running.status_code, faults(running)) == (409, {"Idempotency-Key": "still_running"})
    old = real() - idempotency.LEASE - timedelta(seconds=1)
    session.execute(update(FirstAnswer).values(created_at=old))
    session.commit()
    taken_over = point.post("/api/trade-ins", opening(owner), key="one-and-only")
    assert taken_over.status_code == 409
    assert first.json["reference"] in taken_over.text


def test_a_completion_that_died_before_it_could_say_so_is_told_after_all(
    place: Place, point: Api, owner: Owner, session: Session, programme: None
) -> None:
    reference = walk(point, place, owner, until="sold")
    path = f"/api/trade-ins/{reference}/plate-application"
    first = point.post(path, key="one-and-only")
    assert first.json["state"] == "completed"
    old = real() - idempotency.LEASE - timedelta(seconds=1)
    mine = FirstAnswer.key == "one-and-only"
    session.execute(update(FirstAnswer).where(mine).values(status=0, body=None, created_at=old))
    session.commit()
    again = point.post(path, key="one-and-only")
    assert (again.status_code, again.json) == (200, first.json)
    assert point.post(path).status_code == 409


def test_a_503_is_not_kept(place: Place, point: Api, owner: Owner, session: Session, programme: None) -> None:
    reference = walk(point, place, owner, until="opened")
    api = place.as_role("owner", person_id=owner.person_id)
    path, body = f"/api/trade-ins/{reference}/wallet", {"wallet_id": "0021000012345678"}
    operator = place.app.extensions["mapai.partners"].operator
    ask = operator.check_wallet

    def away(**_: object) -> None:
        raise PartnerUnavailable(partner="银行", partner_en="the bank")

    operator.check_wallet = away
    assert api.post(path, body, key="one-and-only").status_code == 503
    assert session.scalar(select(func.count()).where(FirstAnswer.key == "one-and-only")) == 0
    session.rollback()
    operator.check_wallet = ask
    assert api.post(path, body, key="one-and-only").status_code == 200


def test_what_breaks_unexpectedly_shows_nothing_and_keeps_nothing(
    place: Place, point: Api, owner: Owner, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(self: FakePolice, **_: object) -> None:
        raise RuntimeError("secret inner words")

    monkeypatch.setattr(FakePolice, "look_up", break_down)
    answer = point.post("/api/trade-ins", opening(owner), key="one-and-only")
    assert (answer.status_code, faults(answer)) == (500, {None: "internal_error"})
    assert "secret" not in answer.text
    assert session.scalar(select(func.count()).select_from(FirstAnswer)) == 0
