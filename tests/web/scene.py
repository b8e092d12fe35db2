"""A small district with its pages: accounts, a programme, and a browser of the least kind."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import psycopg
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.auth import hash_password
from app.clients.ecny.fake import FakeBank
from app.clients.ecny.server import Options as BankOptions
from app.clients.plates.fake import FakePolice
from app.clients.sms.fake import FakeGateway
from app.clients.sms.server import Options as SmsOptions
from app.clock import Clock
from app.config import Settings
from app.db import db, psycopg_conninfo
from app.factory import close, create_app
from app.partners import Partners
from registry.accounts import Account
from registry.dealers import Dealer
from subsidy.queue import append_due, create_programme
from subsidy.rules import Rules, StageRules
from tests.registry.line import KEY, NOW, District, Owner, make_district, picture

PASSWORD = "a password of no account elsewhere"
HASH = hash_password(PASSWORD)
SHANGHAI_OFFSET = timedelta(hours=8)
STAFF = "li"


def starting_at(instant: datetime) -> Clock:
    """A clock whose business time is ``instant`` now."""
    return Clock(origin_business=instant, origin_real=datetime.now(UTC))


def local(year: int, month: int, day: int, hour: int = 0) -> datetime:
    """An instant by the district's wall clock."""
    return datetime(year, month, day, hour, tzinfo=UTC) - SHANGHAI_OFFSET


def three_stages(*, places: tuple[int, int, int] = (5, 4, 3)) -> Rules:
    """The programme of the policy in small: 300, 200 and 100 yuan in June, July and August."""
    months = ((6, 7), (7, 8), (8, 9))
    stages = tuple(
        StageRules(
            number=number,
            amount_fen=amount_fen,
            places=places[number - 1],
            budget_fen=places[number - 1] * amount_fen,
            opens_at=local(2026, months[number - 1][0], 1),
            closes_at=local(2026, months[number - 1][1], 1),
        )
        for number, amount_fen in ((1, 30_000), (2, 20_000), (3, 10_000))
    )
    return Rules(
        stages=stages,
        late_window=timedelta(hours=24),
        correction_window=timedelta(days=7),
        per_person_limit=1,
        reserve_fen=0,
        filing_cut_off=date(2025, 12, 31),
    )


@dataclass(kw_only=True)
class Scene:
    """One test's district behind its pages."""

    settings: Settings
    session: Session
    district: District
    bank: FakeBank
    dealer: Dealer = field(init=False)
    apps: list[Flask] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dealer = self.district.dealer()
        self.account("point", role="dealer", dealer_id=self.dealer.id)
        self.account(STAFF, role="operator")

    @property
    def police(self) -> FakePolice:
        return self.district.police

    def account(self, login: str, *, role: str, **subject: int) -> None:
        self.session.add(Account(login=login, password_hash=HASH, display_name=f"{login}的账号", role=role, **subject))
        self.session.commit()

    def programme(self, rules: Rules | None = None, *, at: datetime = NOW) -> int:
        """A programme whose due boundaries stand in the queue."""
        with psycopg.connect(psycopg_conninfo(self.settings)) as connection:
            clock = starting_at(at)
            programme_id = create_programme(
                connection=connection,
                code="GS-2026",
                name_zh="2026 年电动自行车淘汰置换补贴",
                name_en="E-bike trade-in 2026",
                rules=rules or three_stages(),
                clock=clock,
                drafted_by="account:1",
                approved_by="account:2",
            )
            connection.commit()
            append_due(connection=connection, clock=clock)
        return programme_id

    def app(self, *, at: datetime = NOW) -> Flask:
        """The application with business time at ``at``."""
        partners = Partners(
            plates=self.police,
            operator=self.bank,
            sms=FakeGateway(SmsOptions(key=KEY, now=lambda: NOW)),
        )
        self.apps.append(create_app(replace(self.settings, clock=starting_at(at)), partners=partners))
        self.apps[-1].extensions["mapai.crowd"].kept_s = 0.0
        return self.apps[-1]

    def close(self) -> None:
        """Let go of every connection the applications hold."""
        for app in self.apps:
            close(app)
            with app.app_context():
                db.session.remove()
                db.engine.dispose()

    def owner(self, login: str | None = None, **options: str) -> Owner:
        """An owner with a filed bike, and an account where a login is given."""
        owner = self.district.owner(**options)
        if login is not None:
            self.account(login, role="owner", person_id=owner.person_id)
        return owner


def make_scene(settings: Settings, session: Session) -> Scene:
    """A district whose partners answer everything at once."""
    return Scene(
        settings=settings,
        session=session,
        district=make_district(session, settings.keyring),
        bank=FakeBank(BankOptions(key=KEY, now=lambda: NOW)),
    )


class Browser:
    """Clicks through pages as a person would: follows redirects, sends every hidden field of the form it sends."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()
        self.page: TestResponse | None = None
        self.at = "/"

    def open(self, path: str) -> TestResponse:
        self.page = self.client.get(path, follow_redirects=True)
        self.at = self.page.request.path
        return self.page

    def sign_in(self, login: str, *, to: str | None = None) -> TestResponse:
        self.open("/sign-in" if to is None else f"/sign-in?next={to}")
        return self.send(login=login, password=PASSWORD)

    @property
    def text(self) -> str:
        """The page's words without its markup."""
        assert self.page is not None
        return words_of(self.page.text)

    def form(self, *, action: str | None = None, takes: str = "") -> tuple[str, dict[str, str]]:
        """Return where the first form that posts goes, and what it holds: with this end of its action, or this field
        in it where any has it.
        """
        assert self.page is not None
        forms = re.findall(r"<form\b.*?</form>", self.page.text, re.S)
        for form in sorted(forms, key=lambda form: f'name="{takes}"' not in form) if takes else forms:
            opening = form[: form.index(">")]
            if 'method="post"' not in opening:
                continue
            target = html.unescape(re.search(r'action="([^"]*)"', opening)[1])  # type: ignore[index]
            if target.endswith("/sign-out") or (action is not None and not target.endswith(action)):
                continue
            hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
            return target, {name: html.unescape(value) for name, value in hidden}
        raise AssertionError(f"no form {action or ''} on {self.at}: {self.text[:400]}")

    def send(self, *, action: str | None = None, **typed: object) -> TestResponse:
        target, hidden = self.form(action=action, takes=next(iter(typed), ""))
        self.page = self.client.post(target, data={**hidden, **typed}, follow_redirects=True)
        self.at = self.page.request.path
        return self.page

    def give_wallet(self, wallet_id: str) -> TestResponse:
        """Answer the owner's question about the wallet and send it; return the last page, refused or not."""
        self.open("/my")
        self.open(f"{self.at}/wallet")
        if self.at.endswith("/check"):  # filled in before
            self.open(self.at.replace("/check", "/wallet_id"))
        page = self.send(action="/wallet_id", wallet_id=wallet_id)
        return page if page.status_code >= 400 else self.send(action="/wallet")

    # The line, step by step, from the point's first screen.

    def open_trade_in(self, owner: Owner) -> str:
        """Open a trade-in and return its reference."""
        self.open("/point/open")
        self.send(plate_no=owner.plate_no, owner_name=owner.name, owner_id_no=owner.id_no, owner_phone=owner.phone)
        return self.at.rpartition("/")[2]

    def send_photos(self) -> None:
        from io import BytesIO

        self.send(
            action="/photos",
            **{kind: (BytesIO(picture()), f"{kind}.jpg") for kind in ("frame_no", "plate", "whole")},
        )

    def receive(self, owner: Owner) -> None:
        number = f"HS{owner.filed_bike_id:06d}"
        self.send(action="/receipt", frame_no=owner.frame_no, recycling_certificate_no=number, complete="yes")

    def sell(self, vehicle_code: str, owner: Owner) -> None:
        self.send(
            action="/sale",
            vehicle_code=vehicle_code,
            invoice_no=f"24332000{owner.filed_bike_id:08d}",
            list_price="2,999",
            discount="200",
            deduction="100.00",
            paid="2699",
        )

    def complete(self, scene: Scene, owner: Owner) -> str:
        """Take a trade-in through every step; return its reference."""
        bike = scene.district.stock(scene.dealer)
        reference = self.open_trade_in(owner)
        self.send_photos()
        self.receive(owner)
        self.send(action="/cancellation")
        self.sell(bike.vehicle_code, owner)
        self.send(action="/application")
        return reference


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def words_of(markup: str) -> str:
    """The words of a page, runs of white space made one."""
    parser = _Words()
    parser.feed(markup)
    return re.sub(r"\s+", " ", " ".join(parser.words))
