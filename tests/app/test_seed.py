"""A small demo district, seeded for real: it ends consistent, as the bureau's figures want it, and only once."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread

import psycopg
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from stdnum.cn import uscc
from werkzeug.security import check_password_hash
from werkzeug.serving import make_server

from app import seed as seeding
from app import verify
from app.clients.plates.server import Options, create_stub
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from app.demo import DEMO_ACCOUNTS, PAID_OWNER, READY_OWNER
from app.district.walks import COMPLETED, LATE, TRADE_INS, UNDER_WAY
from app.seed import is_seeded, seed
from app.startup import CannotStart
from registry.accounts import STAFF_ROLES, Account
from registry.bikes import Bike
from registry.dealers import Dealer
from registry.filings import FiledBike, get_filed_bike
from registry.plate_authority import PlateRecord
from registry.plates import Plate
from registry.trade_ins import TRADE_IN, TradeIn
from subsidy.appeals import Appeal
from subsidy.holds import ClaimHold
from subsidy.live import live_state
from subsidy.overrules import Overrule
from subsidy.payouts import Payout
from subsidy.programme import current_programme, get_version
from subsidy.programme_change import ProgrammeChange
from subsidy.returns import ReturnCase

FILINGS = 500


class PoliceBook:
    """What the police were told, the last word for each plate."""

    def __init__(self) -> None:
        self.records: dict[str, PlateRecord] = {}

    def __call__(self, records: Iterable[PlateRecord]) -> None:
        self.records.update((record.plate_no, record) for record in records)


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total, what


@pytest.fixture(scope="module")
def district(module_database: Settings) -> tuple[Settings, PoliceBook]:
    """One seeded district for all tests that only look."""
    book = PoliceBook()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeding, "BIKES_A_POINT", 3)
        seed(module_database, quiet, filings=FILINGS, load_plates=book)
    return module_database, book


@pytest.fixture(scope="module")
def module_database(base_settings: Settings) -> Iterator[Settings]:
    from app import migrate
    from tests.conftest import TEMPLATE, on_database

    migrate.create_database(base_settings.owner_url, "seeded", template=TEMPLATE)
    yield on_database(base_settings, "seeded")
    migrate.drop_database(base_settings.owner_url, "seeded")


@contextmanager
def looking(settings: Settings) -> Iterator[Session]:
    engine = engine_for(settings)
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


def test_the_figures_are_the_districts(district: tuple[Settings, PoliceBook]) -> None:
    with looking(district[0]) as session:
        dealers = list(session.scalars(select(Dealer).order_by(Dealer.id)))
        assert len(dealers) == 272
        licensed = [dealer for dealer in dealers if dealer.state == "licensed"]
        assert [dealer.point_no for dealer in licensed] == [f"{number:04d}" for number in range(1, 235)]
        assert round(sum(dealer.trade_in_on for dealer in dealers) / 272, 2) == 0.97
        assert len({dealer.sub_district for dealer in dealers}) == 18
        assert all(uscc.is_valid(dealer.credit_code) for dealer in dealers)
        assert session.scalar(select(func.count()).select_from(FiledBike)) == FILINGS
        stocked = session.scalars(select(Bike.dealer_id).where(Bike.state == "in_stock").distinct())
        assert set(stocked) == {dealer.id for dealer in licensed}
        assert is_seeded(district[0])


def test_trade_ins_stand_at_every_step(district: tuple[Settings, PoliceBook]) -> None:
    with looking(district[0]) as session:
        rows = session.execute(select(TradeIn.state, func.count()).group_by(TradeIn.state))
        assert dict(rows.all()) == {"completed": COMPLETED + LATE, **UNDER_WAY}
    assert set(UNDER_WAY) | {"completed"} == set(TRADE_IN.words)


def test_the_queue_stands_and_verifies(district: tuple[Settings, PoliceBook]) -> None:
    settings, _ = district
    assert verify.run(settings) == 0
    now = settings.clock.now()
    with looking(settings) as session:
        live = live_state(session=session, programme=current_programme(session=session), now=now)
        assert live.current == 1
        first = live.stages[0]
        assert (first.awarded, first.held, first.places_left) == (COMPLETED - 1, 1, 2_560 - COMPLETED)
        assert first.committed_fen + first.held_fen + first.paid_fen == COMPLETED * 30_000
        assert [stage.amount_fen for stage in live.stages] == [30_000, 20_000, 10_000]
        payouts = session.execute(select(Payout.state, func.count()).group_by(Payout.state))
        owed = dict(payouts.all())
        assert sum(owed.values()) == COMPLETED
        assert owed["owed"] > owed["awaiting_wallet"] > 0


def test_the_desk_has_something_to_decide(district: tuple[Settings, PoliceBook]) -> None:
    with looking(district[0]) as session:
        assert session.scalar(select(func.count()).select_from(Appeal).where(Appeal.answered_at.is_(None))) == 1
        assert session.scalar(select(func.count()).select_from(Overrule).where(Overrule.decided_at.is_(None))) == 1
        assert session.scalar(select(func.count()).select_from(ReturnCase).where(ReturnCase.decided_at.is_(None))) == 1
        assert session.scalar(select(func.count()).select_from(ClaimHold)) == 1
        assert session.scalar(select(func.count()).select_from(ProgrammeChange)) == 1
        programme = current_programme(session=session)
        version = get_version(session=session, programme_id=programme.id, version_no=1)
        role = {f"account:{account.id}": account.role for account in session.scalars(select(Account))}
        assert (role[version.drafted_by], role[version.approved_by]) == ("operator", "reviewer")


def test_completions_spread_over_the_days_since_the_opening(district: tuple[Settings, PoliceBook]) -> None:
    settings, _ = district
    with looking(settings) as session:
        instants = list(session.scalars(select(TradeIn.completed_at).where(TradeIn.state == "completed")))
        opens_at = (
            live_state(session=session, programme=current_programme(session=session), now=settings.clock.now())
            .stages[0]
            .opens_at
        )
    assert all(instant is not None and opens_at < instant < settings.clock.now() for instant in instants)
    assert len({instant.date() for instant in instants if instant is not None}) == 10


def test_the_police_know_what_we_know(district: tuple[Settings, PoliceBook]) -> None:
    settings, book = district
    with looking(settings) as session:
        for plate_no, state in session.execute(select(FiledBike.plate_no, FiledBike.state)):
            cancelled = state in ("plate_cancelled", "destroyed")
            assert book.records[plate_no].status == ("cancelled" if cancelled else "normal"), plate_no
        issued = set(session.scalars(select(Plate.plate_no)))
        assert len(issued) == COMPLETED + LATE
        assert all(book.records[plate_no].status == "normal" for plate_no in issued)
        assert len(book.records) == FILINGS + COMPLETED + LATE


def test_everybody_can_sign_in(district: tuple[Settings, PoliceBook]) -> None:
    with looking(district[0]) as session:
        accounts = {account.login: account for account in session.scalars(select(Account))}
        for row in DEMO_ACCOUNTS:
            assert check_password_hash(accounts[row.login].password_hash, row.password)
        assert {accounts[row.login].role for row in DEMO_ACCOUNTS} == {"owner", "dealer", *STAFF_ROLES}
        ready, paid = accounts[READY_OWNER.login], accounts[PAID_OWNER.login]
        assert (ready.display_name, paid.display_name) == ("陈*英", "吴*华"), "the audit shows who acted by this name"
        bike = get_filed_bike(session=session, plate_no=READY_OWNER.plate_no)
        assert (bike.owner_id, bike.state) == (ready.person_id, "filed")
        assert session.scalar(select(TradeIn.id).where(TradeIn.owner_id == ready.person_id)) is None
        done = session.scalars(select(TradeIn).where(TradeIn.owner_id == paid.person_id)).one()
        assert done.state == "completed"
        point = session.get_one(Dealer, accounts["dealer"].dealer_id)
        assert point.may_open_trade_ins
        own = session.scalars(select(TradeIn.state).where(TradeIn.dealer_id == point.id))
        assert len(set(own)) > 3


def test_a_second_seeding_changes_nothing(district: tuple[Settings, PoliceBook]) -> None:
    settings, _ = district
    tables = ("dealer", "person", "filed_bike", "bike", "trade_in", "queue_event", "audit_entry", "account")

    def sizes() -> list[int]:
        with psycopg.connect(psycopg_conninfo(settings)) as connection:
            rows = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in tables]  # type: ignore[arg-type]
        return [row[0] for row in rows if row is not None]

    before = sizes()
    seed(settings, quiet, filings=FILINGS, load_plates=PoliceBook())
    assert sizes() == before


def test_a_seeding_that_was_cut_short_is_finished_by_the_next(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(what: str, done: int, total: int) -> None:
        if what == "淘汰置换" and done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(seeding, "BIKES_A_POINT", 2)
    with pytest.raises(KeyboardInterrupt):
        seed(settings, cut, filings=200, load_plates=PoliceBook())
    assert not is_seeded(settings)
    seed(settings, quiet, filings=200, load_plates=PoliceBook())
    assert is_seeded(settings)
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(TradeIn)) == TRADE_INS
        assert session.scalar(select(func.count()).select_from(Dealer)) == 272
    assert verify.run(settings) == 0


def test_production_is_refused(settings: Settings) -> None:
    with pytest.raises(CannotStart, match="production"):
        seed(replace(settings, mode="production"), quiet, load_plates=PoliceBook())


def test_data_of_somebody_else_is_left_alone(settings: Settings, session: Session) -> None:
    session.add(
        Dealer(
            name="别人的车行",
            credit_code="92330105MA003AYD32",
            sub_district="祥符街道",
            address="祥园路 1 号",
            phone="0571-88000000",
            opening_hours="08:00—18:00",
        )
    )
    session.commit()
    assert is_seeded(settings)
    seed(settings, quiet, filings=FILINGS, load_plates=PoliceBook())
    assert session.scalar(select(func.count()).select_from(Dealer)) == 1


def test_plates_reach_the_stub_over_http(settings: Settings) -> None:
    stub = create_stub(Options(key=settings.plates_key, now=settings.clock.now))
    server = make_server("127.0.0.1", 0, stub, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    record = PlateRecord(
        plate_no="E382617",
        status="normal",
        district_code="330105",
        owner_name="陈建英",
        owner_id_no="330105196709070139",
    )
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        seeding._police_stub(replace(settings, plates_url=address))([record])
        assert stub.extensions["desk"].look_up("E382617") == record
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        stub.extensions["desk"].close()
    with pytest.raises(CannotStart, match="plates-stub"):
        seeding._police_stub(replace(settings, plates_url=address))([record])
