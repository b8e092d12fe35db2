"""A programme with claims on a real database, some of them with faults, and the bank that pays them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from app.clients.ecny.fake import FakeBank
from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.ready import make_ready, one_stage, plate_no
from registry.messages import Message
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.completion import Completed, Completion, admit
from subsidy.dispatch import pay_next
from subsidy.ledger import balances
from subsidy.ledger_verification import verify
from subsidy.payouts import Payout
from subsidy.queue import create_programme
from subsidy.wallets import confirm_wallet
from tests.subsidy.payout_rows import make_bank, release

NOW = datetime(2026, 6, 10, 4, 0, tzinfo=UTC)
OPERATOR, REVIEWER, FINANCE = "account:1", "account:2", "account:3"
AMOUNT_FEN = 30_000
Result = TypeVar("Result")


def stopped_at(instant: datetime) -> Clock:
    """A clock whose business time starts at ``instant`` now and hardly moves."""
    return Clock(origin_business=instant, origin_real=datetime.now(UTC), factor=1e-6)


@dataclass(kw_only=True)
class Scene:
    """One programme of one stage, and whoever completes in it. ``clock`` is stopped at NOW until a test moves it."""

    settings: Settings
    engine: Engine
    clock: Clock = field(default_factory=lambda: stopped_at(NOW))
    bank: FakeBank = field(default_factory=make_bank)
    programme_id: int = 0
    made: int = 0

    @property
    def sessions(self) -> sessionmaker[Session]:
        return sessionmaker(self.engine, expire_on_commit=False)

    def open(self, *, places: int, limit: int = 9, reserve_fen: int = 0, **changed: Any) -> None:
        rules = replace(one_stage(now=NOW, places=places, per_person_limit=limit), reserve_fen=reserve_fen, **changed)
        with self._connection() as connection:
            self.programme_id = create_programme(
                connection=connection,
                code="GS",
                name_zh="补贴",
                name_en="subsidy",
                rules=rules,
                clock=self.clock,
                drafted_by=OPERATOR,
                approved_by=REVIEWER,
            )

    def complete(
        self,
        count: int = 1,
        *,
        owners: int | None = None,
        prepare: Callable[[Session, TradeIn], object] | None = None,
        police_code: Callable[[str], str] = lambda code: code,
    ) -> list[Completed]:
        """Complete trade-ins; ``prepare`` changes each before, ``police_code`` is what the police call its bike."""
        first = self.made + 1
        self.made += count
        with self._connection() as connection:
            ready = make_ready(
                connection=connection,
                keyring=self.settings.keyring,
                count=count,
                first=first,
                now=NOW,
                owners=owners,
            )
            if prepare is not None:
                for item in ready:
                    self.do(lambda session, item=item: prepare(session, self._by_application(session, item)))
            words = [
                Completion(
                    application_no=item.application_no,
                    plate_no=plate_no(number),
                    issued_at=NOW,
                    holder_index=item.holder_index,
                    vehicle_code=police_code(item.vehicle_code),
                )
                for number, item in enumerate(ready, start=first)
            ]
            outcomes = admit(
                connection=connection, completions=words, clock=self.clock, district=self.settings.district
            )
        assert all(isinstance(outcome, Completed) for outcome in outcomes), outcomes
        return [outcome for outcome in outcomes if isinstance(outcome, Completed)]

    def do(self, act: Callable[[Session], Result]) -> Result:
        """Do something in a transaction of its own."""
        with self.sessions.begin() as session:
            return act(session)

    def claim(self, reference: str) -> Claim:
        with self.sessions() as session:
            return session.scalars(select(Claim).join(TradeIn).where(TradeIn.reference == reference)).one()

    def payout_state(self, reference: str) -> str | None:
        with self.sessions() as session:
            query = select(Payout.state).join(TradeIn, TradeIn.id == Payout.trade_in_id)
            return session.scalar(query.where(TradeIn.reference == reference))

    def confirm_wallet(self, reference: str) -> None:
        with self.sessions() as session:
            trade_in = session.scalars(select(TradeIn).where(TradeIn.reference == reference)).one()
            confirm_wallet(
                session=session,
                keyring=self.settings.keyring,
                operator=self.bank,
                trade_in=trade_in,
                wallet_id=f"W{trade_in.id:04d}",
                actor=OPERATOR,
                now=NOW,
            )
            session.commit()

    def pay(self) -> str | None:
        """Have what is owed approved, and send the payout owed longest."""
        release(self.sessions, self.bank)
        return pay_next(
            sessions=self.sessions, operator=self.bank, keyring=self.settings.keyring, now=lambda: self.clock.now()
        )

    def notices(self, reference: str) -> list[str]:
        with self.sessions() as session:
            query = select(Message.body).join(TradeIn, TradeIn.owner_id == Message.person_id)
            return list(session.scalars(query.where(TradeIn.reference == reference).order_by(Message.id)))

    def deeds(self, reference: str) -> list[str]:
        with self.sessions() as session:
            query = text("SELECT action FROM audit_entry WHERE subject = :subject ORDER BY id")
            return list(session.scalars(query, {"subject": f"trade_in:{reference}"}))

    def balances(self) -> dict[str, int]:
        with self.sessions() as session:
            return {name: fen for name, fen in balances(session=session, programme_id=self.programme_id).items() if fen}

    def differences(self) -> list[str]:
        """What verify says: [] where the whole queue, the books and every row agree."""
        with self._connection() as connection:
            return [str(difference) for difference in verify(connection=connection)]

    def later(self, **delta: float) -> None:
        """Move the clock on."""
        self.clock = stopped_at(self.clock.now() + timedelta(**delta))

    def _connection(self) -> psycopg.Connection[Any]:
        return psycopg.connect(psycopg_conninfo(self.settings))

    def _by_application(self, session: Session, item: Any) -> TradeIn:
        return session.scalars(select(TradeIn).where(TradeIn.application_no == item.application_no)).one()
