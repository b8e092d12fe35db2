"""A real queue whose claims are awarded, wallets that can be confirmed, and a bank: for what ends in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from loadtests.ready import make_ready, one_stage, plate_no
from registry.cases import Case
from registry.messages import Message
from registry.trade_ins import TradeIn
from subsidy.claims import Claim
from subsidy.completion import Completion, admit
from subsidy.dispatch import pay_next
from subsidy.ledger import balances
from subsidy.ledger_verification import verify
from subsidy.operator import PayoutOperator
from subsidy.payouts import Payout, PayoutAttempt
from subsidy.queue import create_programme
from subsidy.wallets import confirm_wallet
from tests.subsidy.payout_rows import AMOUNT_FEN, ScriptedBank, make_bank, release


class PaidQueue:
    """``count`` completed trade-ins, of which ``places`` are awarded and the others wait; all real time."""

    def __init__(self, settings: Settings, engine: Engine, *, count: int, places: int | None = None) -> None:
        self.settings = settings
        self.clock = Clock()
        self.now = datetime.now(UTC)
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        with self.connect() as connection:
            self.programme_id = create_programme(
                connection=connection,
                code="GS",
                name_zh="补贴",
                name_en="subsidy",
                rules=one_stage(now=self.now, places=places or count, amount_fen=AMOUNT_FEN),
                clock=self.clock,
                drafted_by="a",
                approved_by="b",
            )
            connection.commit()
            ready = make_ready(connection=connection, keyring=settings.keyring, count=count, now=self.now)
            words = [
                Completion(
                    application_no=item.application_no,
                    plate_no=plate_no(number),
                    issued_at=self.now,
                    holder_index=item.holder_index,
                    vehicle_code=item.vehicle_code,
                )
                for number, item in enumerate(ready, start=1)
            ]
            admit(connection=connection, completions=words, clock=self.clock, district=settings.district)
        self.bank = ScriptedBank(make_bank(lambda: datetime.now(UTC)))

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of its own, as the queue takes."""
        return psycopg.connect(psycopg_conninfo(self.settings))

    def payouts(self) -> list[Payout]:
        """Every payout, by position."""
        with self.sessions() as session:
            return list(session.scalars(select(Payout).order_by(Payout.position)))

    def payout(self, payout_id: int) -> Payout:
        with self.sessions() as session:
            return session.get_one(Payout, payout_id)

    def claim(self, position: int) -> Claim:
        with self.sessions() as session:
            return session.get_one(Claim, (self.programme_id, position))

    def attempts(self, payout_id: int) -> list[PayoutAttempt]:
        with self.sessions() as session:
            query = select(PayoutAttempt).where(PayoutAttempt.payout_id == payout_id).order_by(PayoutAttempt.id)
            return list(session.scalars(query))

    def confirm(self, payout: Payout, wallet_id: str) -> None:
        """The owner of this payout confirms a wallet."""
        with self.sessions() as session:
            confirm_wallet(
                session=session,
                keyring=self.settings.keyring,
                operator=self.bank,
                trade_in=session.get_one(TradeIn, payout.trade_in_id),
                wallet_id=wallet_id,
                actor=f"account:{payout.id}",
                now=datetime.now(UTC),
            )
            session.commit()

    def pay(self, operator: PayoutOperator | None = None) -> str | None:
        """The bureau releases what is owed, and the next payout is sent."""
        release(self.sessions)
        bank = operator or self.bank
        return pay_next(
            sessions=self.sessions, operator=bank, keyring=self.settings.keyring, now=lambda: datetime.now(UTC)
        )

    def age(self, payout: Payout, days: float) -> None:
        """Have this payout been awarded so many days ago."""
        self.do(lambda session: setattr(session.get_one(Payout, payout.id), "owed_since", self._ago(days)))

    def _ago(self, days: float) -> datetime:
        return datetime.now(UTC) - timedelta(days=days)

    def balances(self) -> dict[str, int]:
        with self.sessions() as session:
            return balances(session=session, programme_id=self.programme_id)

    def cases(self) -> list[str]:
        with self.sessions() as session:
            return sorted(session.scalars(select(Case.kind).where(Case.closed_at.is_(None))))

    def notices(self) -> list[str]:
        with self.sessions() as session:
            return list(session.scalars(select(Message.body).order_by(Message.id)))

    def do(self, act: Callable[[Session], Any]) -> Any:
        """Do something in a transaction of its own."""
        with self.sessions.begin() as session:
            return act(session)

    def differences(self) -> list[str]:
        """What `mapai verify` finds."""
        with self.connect() as connection:
            return [str(difference) for difference in verify(connection=connection)]
