"""Owners sign in by phone and one-time code: the way in, the limits, and what a stranger learns (nothing)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import func, select, text, update
from werkzeug.test import TestResponse

from app.auth import account_of
from app.clock import real
from app.jobs import FORGET_CODES
from registry.accounts import Account
from registry.code_limits import Asker, CodesTooOften, OneTimeCode
from registry.one_time_codes import LIVES, TRIES, send_code
from registry.people import know_person
from tests.api.conftest import Api, Place, faults
from tests.registry.line import id_number

PHONE, STRANGER = "13800138000", "13900139000"
_serials = count(5000)


@pytest.fixture
def filed(place: Place) -> int:
    """The person_id of the one owner filed with PHONE."""
    return file_person(place, PHONE)


@pytest.fixture
def visitor(place: Place) -> Api:
    return place.visitor()


def file_person(place: Place, phone: str, *, id_no: str | None = None) -> int:
    session, keyring = place.district.session, place.district.keyring
    number = id_no or id_number(next(_serials))
    person_id = know_person(session=session, keyring=keyring, id_no=number, name="陈建英", phone=phone)
    session.commit()
    return person_id


def ask(api: Api, phone: str = PHONE, *, address: str = "10.0.0.1", **body: str) -> TestResponse:
    environ = {"REMOTE_ADDR": address}
    return api.client.post("/api/one-time-codes", json={"phone": phone, **body}, environ_overrides=environ)


def sign_in(api: Api, code: str, phone: str = PHONE, **body: str) -> TestResponse:
    return api.client.post("/api/sign-ins/by-code", json={"phone": phone, "code": code, **body})


def received(place: Place, phone: str = PHONE) -> Iterator[str]:
    """The codes that reached the phone, oldest first."""
    gateway = place.app.extensions["mapai.partners"].sms.gateway
    for message in gateway.messages(phone=phone):
        found = re.search(r"验证码 (\d{6})，", message.text)
        assert found
        yield found[1]


def newest(place: Place, phone: str = PHONE) -> str:
    return list(received(place, phone))[-1]


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def earlier(place: Place, by: timedelta) -> None:
    """Let every code be that much older."""
    session = place.district.session
    session.execute(
        text("UPDATE one_time_code SET created_at = created_at - :by, expires_at = expires_at - :by"), {"by": by}
    )
    session.commit()


def test_an_owner_signs_in_and_sees_what_is_theirs(place: Place, visitor: Api, filed: int) -> None:
    asked = ask(visitor)
    assert (asked.status_code, asked.json) == (201, {"lives_s": 300, "again_in_s": 60})
    code = newest(place)
    answer = sign_in(visitor, code)
    assert answer.status_code == 201, answer.text
    assert (answer.json["role"], answer.json["display_name"]) == ("owner", "陈*英")
    visitor.token = answer.json["token"]
    assert visitor.get("/api/trade-ins").json["trade_ins"] == []
    account = account_of(session=place.district.session, token=answer.json["token"], at=real())
    assert account is not None
    assert account.person_id == filed
    assert faults(sign_in(visitor, code)) == {"code": "code_wrong"}


def test_the_second_sign_in_finds_the_same_account(place: Place, visitor: Api, filed: int) -> None:
    for _ in range(2):
        ask(visitor)
        assert sign_in(visitor, newest(place)).status_code == 201
        earlier(place, timedelta(minutes=2))
    session = place.district.session
    assert session.scalars(select(Account.login).where(Account.person_id == filed)).all() == [f"owner-{filed}"]
    password = visitor.client.post("/api/sign-ins", json={"login": f"owner-{filed}", "password": "any"})
    assert faults(password) == {"password": "wrong_credentials"}
    session.execute(update(Account).where(Account.person_id == filed).values(disabled_at=real()))
    session.commit()
    ask(visitor)
    answer = sign_in(visitor, newest(place))
    assert (answer.status_code, faults(answer)) == (403, {None: "account_closed"})


def test_neither_code_nor_phone_is_stored_in_clear(place: Place, visitor: Api, filed: int) -> None:
    ask(visitor)
    code = newest(place)
    stored = place.district.session.execute(select(OneTimeCode.__table__)).one()
    assert not any(secret in str(stored) for secret in (code, PHONE))
    row = place.district.session.scalars(select(OneTimeCode)).one()
    assert len(row.code_index) == len(row.phone_index) == 32


def test_a_stranger_gets_the_same_answer_and_learns_only_about_his_own_phone(
    place: Place, visitor: Api, filed: int
) -> None:
    known, unknown = ask(visitor), ask(visitor, STRANGER)
    assert (known.status_code, known.data) == (unknown.status_code, unknown.data)
    wrong = [sign_in(visitor, other_than(newest(place, phone)), phone) for phone in (PHONE, STRANGER)]
    assert wrong[0].data == wrong[1].data
    assert [len(list(received(place, phone))) for phone in (PHONE, STRANGER)] == [1, 1]
    assert faults(sign_in(visitor, newest(place, STRANGER), STRANGER)) == {"phone": "phone_not_filed"}


def test_five_tries_then_the_right_code_is_refused_too(place: Place, visitor: Api, filed: int) -> None:
    ask(visitor)
    code = newest(place)
    for _ in range(TRIES - 1):
        assert faults(sign_in(visitor, other_than(code))) == {"code": "code_wrong"}
    assert sign_in(visitor, code).status_code == 201
    earlier(place, timedelta(minutes=2))
    ask(visitor)
    code = newest(place)
    for _ in range(TRIES):
        assert faults(sign_in(visitor, other_than(code))) == {"code": "code_wrong"}
    assert faults(sign_in(visitor, code)) == {"code": "code_wrong"}


def test_a_code_lives_five_minutes_and_a_newer_one_ends_it(place: Place, visitor: Api, filed: int) -> None:
    ask(visitor)
    earlier(place, LIVES + timedelta(seconds=1))
    assert faults(sign_in(visitor, newest(place))) == {"code": "code_wrong"}
    ask(visitor)
    earlier(place, timedelta(minutes=2))
    ask(visitor)
    _, older, newer = received(place)
    assert older == newer or faults(sign_in(visitor, older)) == {"code": "code_wrong"}
    assert sign_in(visitor, newer).status_code == 201


def test_a_phone_gets_one_code_a_minute_and_five_an_hour(place: Place, visitor: Api, filed: int) -> None:
    for _ in range(5):
        assert ask(visitor).status_code == 201
        again = ask(visitor)
        assert (again.status_code, faults(again)) == (429, {"phone": "codes_too_often"})
        assert 50 <= int(again.headers["Retry-After"]) <= 60
        assert again.json["errors"][0]["remedy_en"].startswith("Try again in 1 minute; ")
        earlier(place, timedelta(seconds=61))
    sixth = ask(visitor)
    assert sixth.status_code == 429
    assert 3200 <= int(sixth.headers["Retry-After"]) <= 3400
    assert len(list(received(place))) == 5
    earlier(place, timedelta(hours=1))
    assert ask(visitor).status_code == 201


def test_a_stranger_elsewhere_uses_up_his_own_share_only(place: Place, visitor: Api, filed: int) -> None:
    for _ in range(5):
        assert ask(visitor, address="10.6.6.6").status_code == 201
        earlier(place, timedelta(seconds=61))
    assert ask(visitor, address="10.6.6.6").status_code == 429
    assert ask(visitor).status_code == 201
    assert ask(visitor, purpose="dealer_application").status_code == 201


def test_whoever_asks_a_phone_gets_three_codes_a_minute_and_fifteen_an_hour(
    place: Place, visitor: Api, filed: int
) -> None:
    addresses = (f"10.0.2.{number}" for number in count())
    for _ in range(5):
        for _ in range(3):
            assert ask(visitor, address=next(addresses)).status_code == 201
        over = ask(visitor, address=next(addresses), purpose="dealer_application")
        assert (over.status_code, faults(over)) == (429, {"phone": "codes_too_often"})
        earlier(place, timedelta(seconds=61))
    assert ask(visitor, address=next(addresses)).status_code == 429
    assert len(list(received(place))) == 15


def test_a_stranger_s_wrong_codes_leave_the_owner_his_tries(place: Place, visitor: Api, filed: int) -> None:
    ask(visitor, address="127.0.0.1")
    code = newest(place)
    stranger = {"REMOTE_ADDR": "10.6.6.6"}
    for _ in range(TRIES + 2):
        body = {"phone": PHONE, "code": other_than(code)}
        wrong = visitor.client.post("/api/sign-ins/by-code", json=body, environ_overrides=stranger)
        assert faults(wrong) == {"code": "code_wrong"}
    right = {"phone": PHONE, "code": code}
    late = visitor.client.post("/api/sign-ins/by-code", json=right, environ_overrides=stranger)
    assert faults(late) == {"code": "code_wrong"}
    assert sign_in(visitor, code).status_code == 201


def test_a_code_to_a_phone_on_record_blames_no_field_the_request_lacks(place: Place) -> None:
    gateway = place.app.extensions["mapai.partners"].sms
    asked = {
        "session": place.district.session,
        "keyring": place.district.keyring,
        "gateway": gateway,
        "phone": PHONE,
        "asker": Asker(address="10.0.0.1", device=None),
    }
    send_code(**asked, now=real(), purpose="transfer_seller")
    with pytest.raises(CodesTooOften) as refused:
        send_code(**asked, now=real(), purpose="transfer_seller")
    assert refused.value.field is None
    assert "刚发出" not in refused.value.help_zh


def test_a_device_and_an_address_are_limited_over_all_phones(place: Place, visitor: Api) -> None:
    phones = (f"137{number:08d}" for number in count())
    for number in range(10):
        assert ask(visitor, next(phones), address=f"10.0.0.{number}", device="device-one").status_code == 201
    assert ask(visitor, next(phones), address="10.0.0.99", device="device-one").status_code == 429
    for _ in range(60):
        assert ask(visitor, next(phones), address="10.9.9.9").status_code == 201
    assert ask(visitor, next(phones), address="10.9.9.9").status_code == 429
    assert ask(visitor, next(phones), address="10.9.9.8", device="device-two").status_code == 201


def test_requests_at_once_do_not_slip_through_the_limit(place: Place, filed: int) -> None:
    def one(address: str) -> int:
        return ask(place.visitor(), address=address).status_code

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert sorted(pool.map(one, ["10.0.0.1"] * 4)) == [201, 429, 429, 429]
        # Two more from elsewhere are all that the phone gets within the minute.
        assert sorted(pool.map(one, (f"10.0.1.{number}" for number in range(4)))) == [201, 201, 429, 429]


def test_a_code_used_twice_at_once_signs_in_once(place: Place, visitor: Api, filed: int) -> None:
    ask(visitor)
    code = newest(place)
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(lambda _: sign_in(place.visitor(), code).status_code, range(4)))
    assert sorted(answers) == [201, 422, 422, 422]
    assert place.district.session.scalar(select(func.count()).where(Account.person_id == filed)) == 1


def test_several_owners_on_one_phone_are_told_apart_by_their_id(place: Place, visitor: Api) -> None:
    numbers = [id_number(next(_serials)) for _ in range(2)]
    people = [file_person(place, PHONE, id_no=number) for number in numbers]
    ask(visitor)
    code = newest(place)
    assert faults(sign_in(visitor, code)) == {"id_tail": "id_tail_needed"}
    assert faults(sign_in(visitor, code, id_tail="0000")) == {"id_tail": "id_tail_wrong"}
    answer = sign_in(visitor, code, id_tail=numbers[1][-4:].lower())
    account = account_of(session=place.district.session, token=answer.json["token"], at=real())
    assert account is not None
    assert account.person_id == people[1]


def test_where_the_gateway_is_away_nothing_counts(place: Place, visitor: Api) -> None:
    away = "19999000022"  # the sandbox answers 503 for it
    for _ in range(2):
        answer = ask(visitor, away)
        assert (answer.status_code, faults(answer)) == (503, {None: "partner_unavailable"})
    assert place.district.session.scalar(select(func.count()).select_from(OneTimeCode)) == 0


def test_codes_are_forgotten_after_a_day(place: Place, visitor: Api) -> None:
    ask(visitor)
    earlier(place, timedelta(hours=25))
    ask(visitor)
    session = place.district.session
    assert session.execute(FORGET_CODES).rowcount == 1  # type: ignore[attr-defined]
    assert session.scalars(select(OneTimeCode.tries)).all() == [0]


def test_the_faults_of_the_forms(visitor: Api) -> None:
    assert faults(ask(visitor, "12345")) == {"phone": "mobile_invalid"}
    assert faults(visitor.client.post("/api/one-time-codes", json={})) == {"phone": "required"}
    assert faults(sign_in(visitor, "")) == {"code": "required"}
    assert faults(sign_in(visitor, "123456")) == {"code": "code_wrong"}
