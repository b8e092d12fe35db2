"""Fills an empty demo district: dealers, filings, stock, sign-ins, a programme, and trade-ins at every step.

Each part looks whether it is there already, so that a seeding that was cut short is finished by the next start. Two
entries in the audit trail say when it began and that it was done.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.auth import hash_password
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from app.demo import DEALER_LOGIN, PAID_OWNER, PASSWORD, READY_OWNER, STAFF, refuse_production
from app.demo_desk import furnish_desk
from app.district.dealers import BIKES_A_POINT, BIKES_DEMO_POINT, DEALERS, import_made_dealers, made_bike, made_models
from app.district.filings import generate_filings, write_filings_csv
from app.district.line import Line, PastClock, plate_record
from app.district.programme import LOCAL, demo_rules, first_opening
from app.district.walks import TRADE_INS, demo_filings, plan_walks
from app.startup import CannotStart
from registry.accounts import Account
from registry.audit import AuditEntry, record
from registry.bike_models import catalogue_missing
from registry.bikes import Bike
from registry.dealers import Dealer
from registry.filing_file import look_through, read_rows
from registry.filing_import import import_filings
from registry.filings import FiledBike
from registry.people import find_person, mask_name
from registry.plate_authority import PlateRecord
from registry.stocking import stock_in
from registry.trade_ins import TradeIn
from subsidy.programme import Programme
from subsidy.queue import append_due, create_programme

SEED = 1
FILINGS = 180_000
ACTOR = "demo"
BEGUN, DONE = "demo.begun", "demo.seeded"
PLATES_A_REQUEST = 20_000
LATEST_FILING = timedelta(days=30)
LICENSED_BEFORE = timedelta(days=45)
PUBLISHED_BEFORE = timedelta(days=5)

Progress = Callable[[str, int, int], None]
LoadPlates = Callable[[Iterable[PlateRecord]], None]


def is_seeded(settings: Settings) -> bool:
    """Whether the district holds what a seeding leaves, or data that no seeding has begun."""
    engine = engine_for(settings, application="mapai-seed")
    try:
        with Session(engine) as session:
            if _marked(session, DONE) is not None:
                return True
            return _marked(session, BEGUN) is None and session.scalar(select(Dealer.id).limit(1)) is not None
    finally:
        engine.dispose()


def seed(
    settings: Settings,
    progress: Progress,
    *,
    filings: int = FILINGS,
    load_plates: LoadPlates | None = None,
) -> None:
    """Fill the demo district; nothing happens where that was done. ``progress`` hears what, how far, of how many.

    The traffic police's stub learns the same plates through ``load_plates``; by default it is asked over HTTP and must
    be running. Raises CannotStart in production and where the stub cannot be reached.
    """
    refuse_production(settings)
    if is_seeded(settings):
        return
    tell_police = load_plates or _police_stub(settings)
    with _open(settings) as work:
        opens_at = _begin(work)
        rows = _Rows(opens_at=opens_at, count=filings)
        dealer_ids = _seed_dealers(work, opens_at)
        progress("销售商户", DEALERS, DEALERS)
        _seed_filings(work, rows, progress)
        _seed_police(rows, tell_police, settings.district, progress)
        _seed_stock(work, dealer_ids, progress)
        _seed_accounts(work, dealer_ids[0])
        _seed_programme(work, opens_at)
        _seed_trade_ins(work, rows, dealer_ids, tell_police, progress)
        furnish_desk(session=work.session, rules=demo_rules(opens_at=opens_at), clock=settings.clock)
        record(session=work.session, actor=ACTOR, action=DONE, subject=f"district:{settings.district}")
        work.session.commit()


@dataclass(frozen=True, kw_only=True)
class _Work:
    """The hands of a seeding: a session, a connection for what goes past the ORM, and the present instant."""

    settings: Settings
    session: Session
    connection: psycopg.Connection[Any]
    now: datetime


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """The demo's filing list: the same rows however often it is asked for."""

    opens_at: datetime
    count: int

    @property
    def filed_until(self) -> date:
        return (self.opens_at.astimezone(LOCAL) - LATEST_FILING).date()

    def __iter__(self) -> Iterator[Any]:
        generated = generate_filings(seed=SEED, count=self.count, filed_until=self.filed_until)
        return islice(chain(demo_filings(opens_at=self.opens_at), generated), self.count)


@contextmanager
def _open(settings: Settings) -> Iterator[_Work]:
    engine = engine_for(settings, application="mapai-seed")
    try:
        with (
            Session(engine, expire_on_commit=False) as session,
            psycopg.connect(psycopg_conninfo(settings, application="mapai-seed")) as connection,
        ):
            yield _Work(settings=settings, session=session, connection=connection, now=settings.clock.now())
    finally:
        engine.dispose()


def _marked(session: Session, action: str) -> AuditEntry | None:
    return session.scalar(select(AuditEntry).where(AuditEntry.action == action, AuditEntry.actor == ACTOR).limit(1))


def _begin(work: _Work) -> datetime:
    """The instant the first stage opened: of this start, or of the one that was cut short."""
    begun = _marked(work.session, BEGUN)
    if begun is not None:
        return datetime.fromisoformat(begun.detail["opens_at"])
    opens_at = first_opening(work.now)
    detail = {"opens_at": opens_at.isoformat()}
    subject = f"district:{work.settings.district}"
    record(session=work.session, actor=ACTOR, action=BEGUN, subject=subject, detail=detail)
    work.session.commit()
    return opens_at


def _seed_dealers(work: _Work, opens_at: datetime) -> list[int]:
    """The ids of the licensed points with the trade-in function on, by plaque number."""
    if work.session.scalar(select(func.count()).select_from(Dealer)) == 0:
        import_made_dealers(
            session=work.session,
            settings=work.settings,
            seed=SEED,
            licensed_on=(opens_at - LICENSED_BEFORE).astimezone(LOCAL).date(),
            actor=ACTOR,
            now=work.now,
        )
        work.session.commit()
    points = select(Dealer.id).where(Dealer.state == "licensed", Dealer.trade_in_on).order_by(Dealer.point_no)
    return list(work.session.scalars(points))


def _seed_filings(work: _Work, rows: _Rows, progress: Progress) -> None:
    """The list goes in as a file, as any bureau's would."""
    if work.session.scalar(select(func.count()).select_from(FiledBike)) == rows.count:
        return
    with tempfile.TemporaryDirectory(prefix="mapai-seed-") as folder:
        path = Path(folder) / "filings.csv"
        write_filings_csv(path, rows)
        report = import_filings(
            connection=work.connection,
            keyring=work.settings.keyring,
            rows=read_rows(look_through(path)),
            today=work.now.astimezone(LOCAL).date(),
            progress=lambda done: progress("备案非标车", done, rows.count),
        )
    if report.stored + report.unchanged != rows.count:
        raise AssertionError(f"of {rows.count} made filings {report.stored + report.unchanged} are stored")


def _seed_police(rows: _Rows, tell_police: LoadPlates, district: str, progress: Progress) -> None:
    records = (plate_record(row, district=district) for row in rows)
    done = 0
    while block := list(islice(records, PLATES_A_REQUEST)):
        tell_police(block)
        done += len(block)
        progress("交警号牌", done, rows.count)


def _seed_stock(work: _Work, dealer_ids: list[int], progress: Progress) -> None:
    stocked = set(work.session.scalars(select(Bike.dealer_id).distinct()))
    today = work.now.astimezone(LOCAL).date()
    catalogue_missing(session=work.session, models=made_models(today=today), actor=ACTOR)
    for place, dealer_id in enumerate(dealer_ids):
        many = BIKES_A_POINT if place else BIKES_DEMO_POINT
        if dealer_id not in stocked:
            for number in range(many):
                bike = made_bike(place * BIKES_DEMO_POINT + number, today=today)
                stock_in(session=work.session, dealer_id=dealer_id, bike=bike, actor=ACTOR, today=today)
            work.session.commit()
        progress("新车入库", place + 1, len(dealer_ids))


def _seed_accounts(work: _Work, dealer_id: int) -> None:
    if work.session.scalar(select(Account.id).limit(1)) is not None:
        return
    manager = {"role": "dealer", "dealer_id": dealer_id, "dealer_manager": True}
    accounts = [Account(login=DEALER_LOGIN, display_name="王店长", **manager)]
    accounts += [Account(login=role, display_name=name, role=role) for role, (_, name) in STAFF.items()]
    for owner in (READY_OWNER, PAID_OWNER):
        person = find_person(session=work.session, keyring=work.settings.keyring, id_no=owner.id_no)
        assert person is not None, "the demo's owners stand on the first lines of its list"
        accounts.append(
            Account(login=owner.login, display_name=mask_name(owner.name), role="owner", person_id=person.id)
        )
    for account in accounts:
        account.password_hash = hash_password(PASSWORD)
    work.session.add_all(accounts)
    work.session.commit()


def _seed_programme(work: _Work, opens_at: datetime) -> None:
    if work.session.scalar(select(Programme.id).limit(1)) is not None:
        return
    year = opens_at.astimezone(LOCAL).year
    accounts = {account.login: f"account:{account.id}" for account in work.session.scalars(select(Account))}
    create_programme(
        connection=work.connection,
        code=f"{work.settings.district}-{year}",
        name_zh=f"{year} 年电动自行车淘汰置换补贴",
        name_en=f"E-bike trade-in subsidy {year}",
        rules=demo_rules(opens_at=opens_at),
        clock=PastClock(opens_at - PUBLISHED_BEFORE),
        drafted_by=accounts["operator"],
        approved_by=accounts["reviewer"],
    )
    work.connection.commit()


def _seed_trade_ins(
    work: _Work, rows: _Rows, dealer_ids: list[int], tell_police: LoadPlates, progress: Progress
) -> None:
    """Walk the demo's owners along the line. Those a seeding cut short had begun stay where it left them."""
    line = Line(
        session=work.session,
        connection=work.connection,
        keyring=work.settings.keyring,
        district=work.settings.district,
        clock=PastClock(work.now),
        actor=ACTOR,
    )
    walks = plan_walks(
        seed=SEED,
        filed_until=rows.filed_until,
        cut_off=demo_rules(opens_at=rows.opens_at).filing_cut_off,
        opens_at=rows.opens_at,
        now=work.now,
        dealer_ids=dealer_ids,
    )
    query = select(FiledBike.plate_no).join(TradeIn, TradeIn.filed_bike_id == FiledBike.id)
    walked = set(work.session.scalars(query))
    for number, walk in enumerate(walks, start=1):
        if walk.row.plate_no not in walked:
            line.take(walk)
            tell_police(line.news())
        progress("淘汰置换", number, TRADE_INS)
    append_due(connection=work.connection, clock=work.settings.clock)


def _police_stub(settings: Settings) -> LoadPlates:
    """Hands plates to the stub server over HTTP, one record a line."""
    address = f"{settings.plates_url}/demo/plates"

    def load(records: Iterable[PlateRecord]) -> None:
        body = "\n".join(json.dumps(asdict(each), ensure_ascii=False) for each in records)
        try:
            httpx2.post(address, content=body.encode(), timeout=60).raise_for_status()
        except httpx2.HTTPError as failed:
            raise CannotStart(
                f"The traffic police's stub at {settings.plates_url} took no plates: start `mapai plates-stub` first."
            ) from failed

    return load
