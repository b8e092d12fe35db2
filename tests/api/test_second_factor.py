"""Signing in to the API with an authenticator, and where one is required."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select

from app.clock import real
from registry.accounts import Account
from registry.second_factor import begin_second_factor, confirm_second_factor
from tests.api.conftest import PASSWORD, Place, faults

PATH = "/api/sign-ins"


@pytest.fixture
def secret(place: Place) -> str:
    """The secret of the auditor's authenticator."""
    session, keyring = place.district.session, place.district.keyring
    login = place.account(role="auditor")
    account_id = session.scalars(select(Account.id).where(Account.login == login)).one()
    secret = begin_second_factor(session=session, keyring=keyring, account_id=account_id)
    earlier = real() - timedelta(minutes=2)
    confirm_second_factor(
        session=session,
        keyring=keyring,
        account_id=account_id,
        code=pyotp.TOTP(secret).at(earlier),
        actor="account:1",
        real_now=earlier,
    )
    session.commit()
    return secret


def test_the_password_is_not_enough_and_a_code_works_once(place: Place, secret: str) -> None:
    client, body = place.visitor().client, {"login": "auditor-0", "password": PASSWORD}
    answer = client.post(PATH, json=body)
    assert (answer.status_code, faults(answer)) == (401, {"totp": "second_factor_needed"})
    answer = client.post(PATH, json={**body, "totp": "000"})
    assert (answer.status_code, faults(answer)) == (403, {"totp": "second_factor_wrong"})
    body["totp"] = pyotp.TOTP(secret).now()
    assert client.post(PATH, json={**body, "password": "x"}).status_code == 401
    assert client.post(PATH, json=body).status_code == 201
    answer = client.post(PATH, json=body)
    assert (answer.status_code, faults(answer)) == (409, {"totp": "second_factor_used"})


def test_after_five_wrong_codes_the_account_waits(place: Place, secret: str) -> None:
    client, body = place.visitor().client, {"login": "auditor-0", "password": PASSWORD}
    for _ in range(5):
        assert client.post(PATH, json={**body, "totp": "000000"}).status_code == 403
    answer = client.post(PATH, json={**body, "totp": pyotp.TOTP(secret).now()})
    assert (answer.status_code, faults(answer)) == (429, {None: "second_factor_too_often"})
    assert answer.headers["Retry-After"] == "900"


def test_where_it_is_required_staff_without_one_stay_outside_and_dealers_do_not(place: Place) -> None:
    settings = place.app.extensions["mapai.settings"]
    place.app.extensions["mapai.settings"] = replace(settings, staff_totp_required=True)
    client = place.visitor().client
    answer = client.post(PATH, json={"login": place.account(role="finance"), "password": PASSWORD})
    assert (answer.status_code, faults(answer)) == (403, {None: "second_factor_to_set_up"})
    dealer = place.account(role="dealer", dealer_id=place.dealer.id)
    assert client.post(PATH, json={"login": dealer, "password": PASSWORD}).status_code == 201


def test_people_are_named_by_their_logins(place: Place) -> None:
    auditor = place.as_role("auditor")
    me = place.district.session.scalars(select(Account.id).where(Account.login == "auditor-0")).one()
    auditor.post("/api/filings/search", {"plate_no": "A000000", "reason": "抽查备案"})
    for asked in ("auditor-0", f"account:{me}"):
        [entry] = auditor.get("/api/audit", actor=asked, action="filings.searched").json["entries"]
        assert (entry["actor"], entry["login"]) == (f"account:{me}", "auditor-0")
