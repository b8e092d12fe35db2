"""The simulated world: one district's real database, a clock that stands until it is moved, a bank in memory.

Everything is decided by one seed: what happens next, how the bank answers, where our own process ends. Nothing runs
beside anything else, so that a seed plays the same every time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg.rows import namedtuple_row
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.clients.ecny.fake import FakeBank
from app.clients.ecny.server import Options
from app.config import Settings
from app.db import engine_for, psycopg_conninfo
from loadtests.ready import Ready, make_ready, plate_no
from registry.base import PartnerSilent, PartnerUnavailable
from subsidy.completion import Completed, Completion
from subsidy.operator import FundBalance, ReclaimAnswer, Statement, StatementTotals, TransferAnswer, WalletAnswer
from subsidy.queue import create_programme
from subsidy.rules import Rules
from tests.simulation.crashes import Crash, Fuse, connect, fuse_engine
from tests.simulation.rules_drawn import DAWN, draw_rules

DISTRICT = "330105"
TRADE_INS, OWNERS = 26, 22
KEY = b"a key of thirty-two bytes, shared"
# How an order to the bank goes: well, or not; at times our process ends before it or after it.
MOODY = ("", "", "", "", "silent", "lost", "away", "crash", "crash_after")
FORGETFUL, CALM = ("", "", "silent", "lost", "away"), ("",)
FINANCE, OPERATOR, REVIEWER = "account:3", "account:1", "account:2"
# What a wallet's end provokes when it is paid, and when its money is asked back.
PAYMENT_ENDS = (".pending", ".never", ".twice", ".late", ".out_of_order", ".full_once", ".closed_later")
RECLAIM_ENDS = (
    *("", ".agrees_later", ".agrees_later", ".spent", ".spent_once", ".reclaimed_after_rejected", ".reclaimed_short"),
    *(".pending", ".never", ".twice", ".late", ".out_of_order"),
)
SHARE_OF_SLIPS = 0.15
Answer = TypeVar("Answer")


@dataclass
class SimulatedClock:
    """A business clock that stands. The database's instant is always taken for the simulated one."""

    instant: datetime = DAWN

    def now(self) -> datetime:
        return self.instant

    def business(self, instant: datetime) -> datetime:
        return self.instant

    def real_for(self, instant: datetime) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class AskedBack:
    """One request for money back as it left our process; ``stood`` says that it was committed before."""

    bank_number: str
    transfer_number: str
    amount_fen: int
    stood: bool


class MoodyBank:
    """The operator as our code sees it: the fake bank, behind a line that fails as the dice say; ``words`` is its mood.

    ``asked_back`` is every request for money back that left our process, also those the bank never received.
    """

    def __init__(self, inner: FakeBank, dice: Random, reader: Connection[Any]) -> None:
        self.inner = inner
        self._dice = dice
        self._reader = reader
        self.words: tuple[str, ...] = MOODY
        self.asked_back: list[AskedBack] = []

    def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
        return self.inner.check_wallet(wallet_id=wallet_id, holder_name=holder_name)

    def transfer(self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int) -> TransferAnswer:
        return self._over_the_line(
            lambda: self.inner.transfer(
                bank_number=bank_number, wallet_id=wallet_id, holder_name=holder_name, amount_fen=amount_fen
            )
        )

    def find_transfer(self, *, bank_number: str) -> TransferAnswer | None:
        self._may_not_hear()
        return self.inner.find_transfer(bank_number=bank_number)

    def reclaim(self, *, bank_number: str, transfer_number: str, amount_fen: int) -> ReclaimAnswer:
        row = self._reader.execute("SELECT 1 FROM reclaim_attempt WHERE bank_number = %s", (bank_number,)).fetchone()
        self.asked_back.append(AskedBack(bank_number, transfer_number, amount_fen, row is not None))
        return self._over_the_line(
            lambda: self.inner.reclaim(bank_number=bank_number, transfer_number=transfer_number, amount_fen=amount_fen)
        )

    def find_reclaim(self, *, bank_number: str) -> ReclaimAnswer | None:
        self._may_not_hear()
        return self.inner.find_reclaim(bank_number=bank_number)

    def _over_the_line(self, order: Callable[[], Answer]) -> Answer:
        """Give the bank an order; it, its answer or our process may be lost on the way."""
        word = self._dice.choice(self.words)
        if word == "crash":
            raise Crash
        if word == "away":
            raise PartnerUnavailable(partner="bank")
        if word == "lost":
            raise PartnerSilent(partner="bank")
        answer = order()
        if word == "silent":
            raise PartnerSilent(partner="bank")
        if word == "crash_after":
            raise Crash
        return answer

    def _may_not_hear(self) -> None:
        if self._dice.random() < 0.1 and self.words is not CALM:
            raise PartnerSilent(partner="bank")

    def fund_balance(self) -> FundBalance:
        return self.inner.fund_balance()

    def statement_totals(self, *, day: date) -> StatementTotals | None:
        return self.inner.statement_totals(day=day)

    def statement(self, *, day: date) -> Statement | None:
        return self.inner.statement(day=day)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a point was told when a trade-in completed."""

    number: int
    outcome: Completed


@dataclass
class World:
    """Everything there is, and what was promised to whom.

    ``papers`` is what owners brought back themselves, in fen by the number of the bank's receipt.
    """

    dice: Random
    settings: Settings
    clock: SimulatedClock
    fuse: Fuse
    engine: Engine
    sessions: sessionmaker[Session]
    bank: MoodyBank
    programme_id: int
    rules: Rules
    ready: list[Ready]
    connection: Connection[Any]
    reader: Connection[Any]
    sent: dict[int, Completion] = field(default_factory=dict)
    told: list[Acknowledged] = field(default_factory=list)
    papers: dict[str, int] = field(default_factory=dict)
    wallets: int = 0
    crashes: int = 0

    def restart(self) -> None:
        """Begin again after a crash: with nothing but what is in the database."""
        self.crashes += 1
        self.connection.close()
        self.engine.dispose()
        self.connection = connect(psycopg_conninfo(self.settings), self.fuse)

    def close(self) -> None:
        self.reader.close()
        self.connection.close()
        self.engine.dispose()

    def completion(self, number: int) -> Completion:
        """The police's word about the ``number``-th trade-in: the same whenever it is said again."""
        if number not in self.sent:
            ready = self.ready[number - 1]
            ago = self.dice.choice((0, 0, 0, 1, 5, 26)) * timedelta(hours=1)
            self.sent[number] = Completion(
                application_no=ready.application_no,
                plate_no=plate_no(number),
                issued_at=self.clock.instant - ago,
                holder_index=ready.holder_index,
                vehicle_code=self._as_the_police_write(ready.vehicle_code),
            )
        return self.sent[number]

    def _as_the_police_write(self, code: str) -> str:
        """Now and then one digit differs from ours: a slip that can be corrected, and the award is held until then."""
        if self.dice.random() > SHARE_OF_SLIPS:
            return code
        return f"{code[:6]}9{code[7:]}"

    def ask(self, query: str, **parameters: Any) -> list[Any]:
        """Return rows by column name, read outside of anything under way and never crashing."""
        return self.reader.execute(query, parameters).fetchall()


def make_world(settings: Settings, seed: int) -> World:
    """Make the world of this seed on an empty, migrated database."""
    dice = Random(seed)
    clock, fuse = SimulatedClock(), Fuse()
    connection = connect(psycopg_conninfo(settings), fuse)
    rules = draw_rules(dice)
    programme_id = create_programme(
        connection=connection,
        code="SIM",
        name_zh="模拟补贴",
        name_en="simulated subsidy",
        rules=rules,
        clock=clock,
        drafted_by="account:1",
        approved_by="account:2",
    )
    connection.commit()
    ready = make_ready(connection=connection, keyring=settings.keyring, count=TRADE_INS, now=DAWN, owners=OWNERS)
    _spoil(connection, dice)
    engine = engine_for(settings, application="mapai-simulation")
    fuse_engine(engine, fuse)
    options = Options(key=KEY, now=clock.now, seed=seed, statement_after=timedelta(0))
    reader = psycopg.connect(psycopg_conninfo(settings), autocommit=True, row_factory=namedtuple_row)
    return World(
        dice=dice,
        settings=settings,
        clock=clock,
        fuse=fuse,
        engine=engine,
        sessions=sessionmaker(engine, expire_on_commit=False),
        bank=MoodyBank(FakeBank(options), dice, reader),
        programme_id=programme_id,
        rules=replace(rules),
        ready=ready,
        connection=connection,
        reader=reader,
    )


def _spoil(connection: Connection[Any], dice: Random) -> None:
    """Some trade-ins cannot be paid for, and some plates were applied for long before they were issued."""
    for number in range(1, TRADE_INS + 1):
        if dice.random() < 0.12:
            connection.execute("UPDATE filed_bike SET filed_on = '2012-01-01' WHERE plate_no = %s", (f"Z{number}",))
    connection.execute("UPDATE trade_in SET plate_applied_at = plate_applied_at - interval '2 days'")
    connection.commit()
