"""The API on a database of the test's own, with the in-memory partners and a real combiner."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.auth import hash_password
from app.clients.ecny.fake import FakeBank
from app.clients.ecny.server import Options as BankOptions
from app.clients.plates.fake import FakePolice
from app.clients.plates.server import Options as PoliceOptions
from app.clients.signing import HmacSm3, signed_headers
from app.clients.sms.fake import FakeGateway
from app.clients.sms.server import Options as SmsOptions
from app.config import Settings
from app.db import psycopg_conninfo
from app.factory import close, create_app
from app.partners import Partners
from registry.accounts import Account
from registry.bikes import Bike
from registry.dealers import Dealer
from subsidy.queue import create_programme
from subsidy.rules import Rules, StageRules
from tests.registry.line import PRICE, District, Owner, picture

PASSWORD = "a password for tests"
HASH = hash_password(PASSWORD)


@dataclass(kw_only=True)
class Api:
    """The API as one account sees it. Every writing request gets a fresh key unless one is given."""

    client: FlaskClient
    token: str | None = None
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(path, headers=self._headers(None), query_string=query)

    def post(self, path: str, body: Any = None, *, key: str | None = None, **options: Any) -> TestResponse:
        headers = self._headers(key or f"key-{id(self)}-{next(self._keys)}")
        if body is not None:
            options["json"] = body
        return self.client.post(path, headers={**headers, **options.pop("headers", {})}, **options)

    def _headers(self, key: str | None) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return headers | ({"Idempotency-Key": key} if key else {})


@dataclass(kw_only=True)
class Place:
    """The district behind the API, and who may sign in there."""

    app: Flask
    district: District
    dealer: Dealer

    @property
    def police(self) -> FakePolice:
        return self.district.police

    def account(self, *, role: str, person_id: int | None = None, dealer_id: int | None = None) -> str:
        session = self.district.session
        login = f"{role}-{person_id or dealer_id or 0}"
        account = Account(
            login=login,
            password_hash=HASH,
            display_name=role,
            role=role,
            person_id=person_id,
            dealer_id=dealer_id,
        )
        session.add(account)
        session.commit()
        return login

    def visitor(self) -> Api:
        return Api(client=self.app.test_client())

    def as_role(self, role: str, **subject: int) -> Api:
        """Sign in as a new account of this role."""
        api = self.visitor()
        body = {"login": self.account(role=role, **subject), "password": PASSWORD}
        answer = api.client.post("/api/sign-ins", json=body)
        assert answer.status_code == 201, answer.text
        api.token = answer.json["token"]
        return api

    def police_say(self, document: dict[str, Any]) -> TestResponse:
        """Send a signed callback of the police."""
        body = json.dumps(document).encode()
        path = "/api/partners/plates/callbacks"
        signer = HmacSm3(self.app.extensions["mapai.settings"].plates_key)
        headers = signed_headers(signer=signer, partner="plates", method="POST", path=path, body=body)
        return self.app.test_client().post(path, data=body, headers=headers, content_type="application/json")


@pytest.fixture
def place(settings: Settings, session: Session) -> Iterator[Place]:
    police = FakePolice(PoliceOptions(key=settings.plates_key, now=lambda: datetime.now(UTC)))
    partners = Partners(
        plates=police,
        operator=FakeBank(BankOptions(key=settings.ecny_key, now=lambda: datetime.now(UTC))),
        sms=FakeGateway(SmsOptions(key=settings.sms_key, now=lambda: datetime.now(UTC))),
    )
    app = create_app(settings, partners=partners)
    app.extensions["mapai.crowd"].kept_s = 0.0
    district = District(session=session, keyring=settings.keyring, police=police, now=datetime.now(UTC))
    yield Place(app=app, district=district, dealer=district.dealer())
    close(app)
    with app.app_context():
        from app.db import db

        db.engine.dispose()


@pytest.fixture
def point(place: Place) -> Api:
    """Somebody at the licensed point."""
    return place.as_role("dealer", dealer_id=place.dealer.id)


@pytest.fixture
def owner(place: Place) -> Owner:
    return place.district.owner()


@pytest.fixture
def programme(settings: Settings) -> None:
    """One stage of 300 yuan, three places, opened yesterday."""
    now = datetime.now(UTC)
    stage = StageRules(
        number=1,
        amount_fen=30_000,
        places=3,
        budget_fen=90_000,
        opens_at=now - timedelta(days=1),
        closes_at=now + timedelta(days=30),
    )
    rules = Rules(
        stages=(stage,),
        late_window=timedelta(hours=24),
        correction_window=timedelta(days=7),
        per_person_limit=1,
        reserve_fen=0,
        filing_cut_off=date(2024, 12, 31),
    )
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        create_programme(
            connection=connection,
            code="GS-2026",
            name_zh="淘汰置换补贴",
            name_en="trade-in subsidy",
            rules=rules,
            clock=settings.clock,
            drafted_by="account:1",
            approved_by="account:2",
        )


def opening(owner: Owner) -> dict[str, Any]:
    """The body that opens a trade-in for this owner."""
    return {
        "plate_no": owner.plate_no,
        "owner_name": owner.name,
        "owner_id_no": owner.id_no,
        "owner_phone": owner.phone,
    }


def photo(kind: str) -> dict[str, str]:
    return {"kind": kind, "image": base64.b64encode(picture()).decode()}


def receipt(owner: Owner) -> dict[str, Any]:
    return {"recycling_certificate_no": f"HS{owner.plate_no}", "frame_no": owner.frame_no, "complete": True}


def sale(bike: Bike) -> dict[str, Any]:
    price = {name: getattr(PRICE, name) for name in PRICE.__slots__}
    return {"vehicle_code": bike.vehicle_code, "invoice_no": f"2533{bike.vehicle_code}", **price}


STEPS = ("opened", "received", "cancelled", "sold", "applied")


def walk(point: Api, place: Place, owner: Owner, *, until: str, vehicle_code: str | None = None) -> str:
    """Take a new trade-in through the API up to and including a step of STEPS; return its reference."""
    answer = point.post("/api/trade-ins", opening(owner))
    assert answer.status_code == 201, answer.text
    reference: str = answer.json["reference"]
    at = f"/api/trade-ins/{reference}"
    todo = STEPS.index(until)
    if todo >= 1:
        for kind in ("frame_no", "plate", "whole"):
            assert point.post(f"{at}/photos", photo(kind)).status_code == 201
        answer = point.post(f"{at}/receipt", receipt(owner))
        assert answer.status_code == 200, answer.text
    if todo >= 2:
        answer = point.post(f"{at}/old-plate-cancellation")
        assert answer.status_code in (200, 202), answer.text
    if todo >= 3:
        bike = place.district.stock(place.dealer, vehicle_code=vehicle_code)
        answer = point.post(f"{at}/sale", sale(bike))
        assert answer.status_code == 200, answer.text
    if todo >= 4:
        answer = point.post(f"{at}/plate-application")
        assert answer.status_code in (200, 202), answer.text
    return reference


def faults(answer: TestResponse) -> dict[str | None, str]:
    """The faults of a problem by field, after checking that each is told in two languages with a remedy."""
    assert answer.content_type == "application/problem+json", answer.text
    problem = json.loads(answer.data)
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:mapai:problem:{problem['code']}"
    assert "Traceback" not in answer.text
    for fault in problem["errors"]:
        assert all(fault[name] for name in ("code", "zh", "en", "remedy_zh", "remedy_en")), fault
    return {fault["field"]: fault["code"] for fault in problem["errors"]}
