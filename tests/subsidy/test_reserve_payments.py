"""An overruled claim is paid from the reserve, and the books say so from the decision to the bank's word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.ready import issued, make_ready, one_stage
from registry.trade_ins import TradeIn
from subsidy.completion import admit
from subsidy.dispatch import pay_next
from subsidy.events import EventKind
from subsidy.ledger import balances
from subsidy.ledger_verification import verify
from subsidy.payouts import Payout
from subsidy.queue import append_event, create_programme
from subsidy.wallets import confirm_wallet
from tests.subsidy.payout_rows import make_bank, release

AMOUNT_FEN = 30_000


@pytest.fixture
def connection(settings: Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        yield connection


@pytest.fixture
def overruled(settings: Settings, engine: Engine, connection: psycopg.Connection) -> int:
    """A programme in which the second of one owner's two claims was declined, overruled and paid; its id."""
    clock, now = Clock(), datetime.now(UTC)
    rules = replace(one_stage(now=now, places=5), reserve_fen=AMOUNT_FEN)
    programme_id = create_programme(
        connection=connection,
        code="GS",
        name_zh="补贴",
        name_en="subsidy",
        rules=rules,
        clock=clock,
        drafted_by="a",
        approved_by="b",
    )
    connection.commit()
    for number, item in enumerate(
        make_ready(connection=connection, keyring=settings.keyring, count=2, owners=1, now=now), start=1
    ):
        word = issued(item, number=number, at=now)
        admit(connection=connection, completions=[word], clock=clock, district=settings.district)
    append_event(
        connection=connection,
        programme_id=programme_id,
        kind=EventKind.OVERRULE,
        position=2,
        actor="staff:1",
        clock=clock,
    )
    connection.commit()
    _pay_everybody(settings, engine)
    return programme_id


def _pay_everybody(settings: Settings, engine: Engine) -> None:
    bank, sessions = make_bank(), sessionmaker(engine, expire_on_commit=False)
    with sessions() as session:
        for trade_in in session.scalars(select(TradeIn)):
            confirm_wallet(
                session=session,
                keyring=settings.keyring,
                operator=bank,
                trade_in=trade_in,
                wallet_id=f"W{trade_in.id:04d}",
                actor="demo",
                now=datetime.now(UTC),
            )
        session.commit()
    release(sessions, bank)
    for _ in range(2):
        state = pay_next(sessions=sessions, operator=bank, keyring=settings.keyring, now=lambda: datetime.now(UTC))
        assert state == "settled"


def test_the_reserve_pays_it(overruled: int, session: Session) -> None:
    assert set(session.scalars(select(Payout.state))) == {"settled"}
    held = balances(session=session, programme_id=overruled)
    assert held["paid:reserve"] == held["paid:1"] == AMOUNT_FEN
    assert held["committed:reserve"] == held["committed:1"] == held["reserve"] == 0


def test_verify_agrees_and_sees_a_payment_out_of_another_purse(
    overruled: int, settings: Settings, connection: psycopg.Connection
) -> None:
    assert list(verify(connection=connection)) == []
    plain = settings.owner_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, options=f"-c search_path={settings.schema}") as forger:
        forger.execute("SET session_replication_role = replica")
        forger.execute(
            "UPDATE ledger_posting SET debit = 'committed:1', credit = 'paid:1' WHERE position = 2 AND kind = 'settled'"
        )
    subjects = {(difference.subject, difference.what) for difference in verify(connection=connection)}
    assert ("claim 2", "accounts of the payment") in subjects
