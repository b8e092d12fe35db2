"""A flood of wrong passwords: it finds few places, costs its address its way in, and keeps nobody else out."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app import passwords
from app.auth import ATTEMPTS, WRONG_FROM_ADDRESS
from app.client_address import counted
from app.clock import real
from registry.accounts import SignInAttempt
from tests.api.conftest import PASSWORD, Api, Place, faults, walk
from tests.registry.line import Owner

FLOOD, CARRIER = "203.0.113.66", "203.0.113.1"


def sign_in(place: Place, login: str, password: str = PASSWORD, *, address: str = CARRIER) -> int:
    body = {"login": login, "password": password}
    environ = {"REMOTE_ADDR": address}
    return place.visitor().client.post("/api/sign-ins", json=body, environ_overrides=environ).status_code


def wrong_ones(place: Place, count: int, *, address: str) -> None:
    """Let so many wrong passwords for as many logins have come from an address just now."""
    session = place.district.session
    rows = (SignInAttempt(login=f"nobody-{n}", address=address, at=real(), wrong=True) for n in range(count))
    session.add_all(rows)
    session.commit()


def test_wrong_passwords_count_for_their_address_over_all_logins(place: Place) -> None:
    login = place.account(role="auditor")
    wrong_ones(place, WRONG_FROM_ADDRESS - 1, address=FLOOD)
    assert sign_in(place, login, address=FLOOD) == 201  # which takes none of them back
    assert sign_in(place, "nobody", "x", address=FLOOD) == 401
    assert sign_in(place, login, address=FLOOD) == 429
    assert sign_in(place, login) == 201
    session = place.district.session
    noted = session.scalar(select(func.count()).select_from(SignInAttempt))
    assert sign_in(place, "nobody", "x", address=FLOOD) == 429
    assert session.scalar(select(func.count()).select_from(SignInAttempt)) == noted
    session.execute(update(SignInAttempt).values(at=real() - timedelta(minutes=16)))
    session.commit()
    assert sign_in(place, login, address=FLOOD) == 201


def test_all_addresses_of_one_ipv6_subscriber_count_as_one(place: Place) -> None:
    login = place.account(role="auditor")
    wrong_ones(place, WRONG_FROM_ADDRESS - 1, address=counted("2001:db8:1:2::1"))
    assert sign_in(place, "nobody", "x", address="2001:db8:1:2:aaaa::7") == 401
    assert sign_in(place, login, address="2001:db8:1:2:bbbb::8") == 429
    assert sign_in(place, login, address="2001:db8:1:3::8") == 201


@pytest.mark.parametrize(
    ("address", "counts_for"),
    [
        ("203.0.113.66", "203.0.113.66"),
        ("::ffff:203.0.113.66", "203.0.113.66"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_what_an_address_counts_for(address: str, counts_for: str) -> None:
    assert counted(address) == counts_for


def test_right_passwords_of_a_whole_carrier_s_address_never_add_up(place: Place) -> None:
    login = place.account(role="auditor")
    wrong_ones(place, WRONG_FROM_ADDRESS - 1, address=CARRIER)
    assert [sign_in(place, login) for _ in range(ATTEMPTS + 2)] == [201] * (ATTEMPTS + 2)


def test_a_right_password_ends_the_count_of_its_login_alone(place: Place) -> None:
    login, session = place.account(role="auditor"), place.district.session
    for _ in range(ATTEMPTS - 1):
        assert sign_in(place, login, "x") == 401
    assert sign_in(place, login) == 201
    assert sign_in(place, login, "x") == 401
    assert session.scalar(select(func.count()).where(SignInAttempt.wrong, SignInAttempt.address == CARRIER)) == 10


def test_attempts_side_by_side_do_not_slip_through(place: Place) -> None:
    login = place.account(role="auditor")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: sign_in(place, login, "x", address=FLOOD), range(ATTEMPTS + 8)))
    assert answers.count(401) <= ATTEMPTS
    assert set(answers) <= {401, 429, 503}
    # Those that looked at the same time count each other, so a few tries may be lost, and none won.
    assert sign_in(place, login, "x", address=FLOOD) in (401, 429)


def test_while_every_place_is_taken_a_sign_in_is_told_so_and_a_completion_is_not_kept(
    place: Place, point: Api, owner: Owner, programme: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, reference = place.account(role="auditor"), walk(point, place, owner, until="sold")
    monkeypatch.setattr(passwords, "WAIT_S", 0.05)
    with ExitStack() as taken:
        for _ in range(passwords.AT_ONCE):
            taken.enter_context(passwords.one_of_few())
        body = {"login": login, "password": PASSWORD}
        answer = place.visitor().client.post("/api/sign-ins", json=body)
        assert (answer.status_code, faults(answer)) == (503, {None: "too_many_signing_in"})
        assert answer.headers["Retry-After"] == "3"
        page = place.visitor().client.post("/sign-in", data=body)
        assert page.status_code in (400, 503)  # 400: the form's token is missing
        assert point.post(f"/api/trade-ins/{reference}/plate-application").json["state"] == "completed"
    assert sign_in(place, login) == 201


def test_more_than_may_wait_are_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAIT_S", 30.0)
    passed: list[bool] = []

    def wait() -> None:
        with passwords.one_of_few():
            passed.append(True)

    with ExitStack() as taken:
        for _ in range(passwords.AT_ONCE):
            taken.enter_context(passwords.one_of_few())
        waiting = [threading.Thread(target=wait) for _ in range(passwords.MAY_WAIT)]
        for thread in waiting:
            thread.start()
        line = threading.Event()
        for _ in range(2000):
            if passwords._line._value == 0:
                line.set()
                break
            line.wait(0.005)
        assert line.is_set(), "the line did not fill"
        with pytest.raises(passwords.TooManySigningIn), passwords.one_of_few():
            pass
        assert passed == []
    for thread in waiting:
        thread.join(10)
    assert len(passed) == passwords.MAY_WAIT
