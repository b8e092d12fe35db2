"""Rows that payouts stand on, written straight into the tables, and a bank whose next answers a test decides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from app.clients.ecny.fake import FakeBank
from app.clients.ecny.server import Options
from registry.base import PartnerSilent, PartnerUnavailable
from registry.cases import Case
from registry.dealers import Dealer
from registry.filings import FiledBike
from registry.messages import Message
from registry.people import know_person
from registry.sealing import Keyring
from registry.trade_ins import TradeIn
from subsidy.claims import Decision
from subsidy.dispatch import ask_next, pay_next
from subsidy.ledger import add_to_balances, balances
from subsidy.operator import (
    FundBalance,
    PayoutOperator,
    ReclaimAnswer,
    Statement,
    StatementTotals,
    TransferAnswer,
    WalletAnswer,
)
from subsidy.payment_batches import NothingToPay, approve_automatically, cut_batch, release_next
from subsidy.payouts import Payout, PayoutAttempt
from subsidy.programme import Programme
from subsidy.wallets import Wallet, confirm_wallet

NOW = datetime(2026, 6, 20, 4, 0, tzinfo=UTC)
DAY = date(2026, 6, 20)
NEXT_MORNING = NOW + timedelta(days=1)
AMOUNT_FEN = 30_000
KEY = b"a key of thirty-two bytes, shared"


def make_bank(now: Callable[[], datetime] = lambda: NOW, **options: Any) -> FakeBank:
    """A well-behaved bank in memory, its clock at NOW."""
    return FakeBank(Options(key=KEY, now=now, **options))


class ScriptedBank:
    """A bank whose next transfers or questions meet what ``script`` says, one word a call, then behave.

    ``silent``: done, no answer. ``lost``: not done, no answer. ``away``: not done, and we know it. ``crash``: our own
    process ends before the call.
    """

    def __init__(self, bank: FakeBank, *script: str) -> None:
        self.inner = bank
        self.script = iter(script)
        self.transfers: list[str] = []

    def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
        return self.inner.check_wallet(wallet_id=wallet_id, holder_name=holder_name)

    def transfer(self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int) -> TransferAnswer:
        word = next(self.script, "")
        if word == "crash":
            raise Crash
        self.transfers.append(bank_number)
        if word == "away":
            raise PartnerUnavailable(partner="bank")
        if word == "lost":
            raise PartnerSilent(partner="bank")
        answer = self.inner.transfer(
            bank_number=bank_number, wallet_id=wallet_id, holder_name=holder_name, amount_fen=amount_fen
        )
        if word == "silent":
            raise PartnerSilent(partner="bank")
        return answer

    def find_transfer(self, *, bank_number: str) -> TransferAnswer | None:
        return self.inner.find_transfer(bank_number=bank_number)

    def reclaim(self, *, bank_number: str, transfer_number: str, amount_fen: int) -> ReclaimAnswer:
        return self.inner.reclaim(bank_number=bank_number, transfer_number=transfer_number, amount_fen=amount_fen)

    def find_reclaim(self, *, bank_number: str) -> ReclaimAnswer | None:
        return self.inner.find_reclaim(bank_number=bank_number)

    def fund_balance(self) -> FundBalance:
        return self.inner.fund_balance()

    def statement_totals(self, *, day: date) -> StatementTotals | None:
        return self.inner.statement_totals(day=day)

    def statement(self, *, day: date) -> Statement | None:
        return self.inner.statement(day=day)


class Crash(BaseException):
    """The process ends here."""


def release(sessions: sessionmaker[Session], operator: PayoutOperator | None = None) -> None:
    """Have everything that is owed approved, funded and released: what the bureau does before anything is sent."""
    with sessions.begin() as session:
        with suppress(NothingToPay):
            cut_batch(session=session, actor="scheduler", threshold_fen=0, now=NOW)
        approve_automatically(session=session, now=NOW)
    while release_next(sessions=sessions, operator=operator or make_bank(), now=NOW) == "released":
        pass


class Books:
    """One programme with some owed payouts, and what can be read of it."""

    def __init__(self, engine: Engine, keyring: Keyring, *, start: int = 0) -> None:
        """``start`` numbers what is made, so that several can share a database."""
        self.sessions = sessionmaker(engine, expire_on_commit=False)
        self.keyring = keyring
        self._count = start
        with self.sessions.begin() as session:
            programme = Programme(code=f"P{start}", name_zh="活动", name_en="Programme")
            dealer = Dealer(
                name=f"城北车行{start}",
                credit_code=f"91330105MA{start:08d}",
                sub_district="湖墅",
                address="湖墅南路 1 号",
                phone="0571",
                opening_hours="9–18",
                state="licensed",
            )
            session.add_all([programme, dealer])
            session.flush()
            self.programme_id, self.dealer_id = programme.id, dealer.id

    def trade_in(self, *, name: str = "陈建英", phone: str | None = "13800000001", state: str = "completed") -> int:
        """A trade-in of a person of its own; returns its id."""
        self._count += 1
        number = self._count
        with self.sessions.begin() as session:
            person_id = know_person(
                session=session, keyring=self.keyring, id_no=f"33010519900101{number:04d}", name=name, phone=phone
            )
            filed = FiledBike(
                plate_no=f"B{number:06d}",
                owner_id=person_id,
                filed_on=date(2021, 1, 1),
                brand="爱玛",
                frame_no=f"F{number}",
                sub_district="湖墅",
            )
            session.add(filed)
            session.flush()
            trade_in = TradeIn(
                reference=f"GS-{number:04d}",
                dealer_id=self.dealer_id,
                filed_bike_id=filed.id,
                owner_id=person_id,
                state=state,
                opened_at=NOW,
            )
            session.add(trade_in)
            session.flush()
            return trade_in.id

    def award(self, trade_in_id: int, *, state: str = "awaiting_wallet", amount_fen: int = AMOUNT_FEN) -> int:
        """The payout of an award, its money committed; returns its id."""
        with self.sessions.begin() as session:
            payout = Payout(
                programme_id=self.programme_id,
                position=trade_in_id,
                trade_in_id=trade_in_id,
                person_id=session.get_one(TradeIn, trade_in_id).owner_id,
                stage_no=1,
                amount_fen=amount_fen,
                state=state,
                owed_since=NOW,
            )
            decision = Decision(
                programme_id=self.programme_id,
                position=trade_in_id,
                event_no=trade_in_id,
                outcome="award",
                stage_no=1,
                amount_fen=amount_fen,
                account="committed:1",
            )
            session.add_all([payout, decision])
            session.flush()
            changes = (("appropriation", -amount_fen), ("committed:1", amount_fen))
            add_to_balances(session=session, programme_id=self.programme_id, changes=changes)
            return payout.id

    def confirm(
        self,
        trade_in_id: int,
        wallet_id: str,
        operator: PayoutOperator | None = None,
        *,
        actor: str | None = None,
        released: bool = True,
    ) -> Wallet:
        """The owner confirms a wallet; unless told otherwise the bureau releases what is owed then."""
        with self.sessions() as session:
            wallet = confirm_wallet(
                session=session,
                keyring=self.keyring,
                operator=operator or make_bank(),
                trade_in=session.get_one(TradeIn, trade_in_id),
                wallet_id=wallet_id,
                actor=actor or f"account:{trade_in_id}",
                now=NOW,
            )
            session.commit()
        if released:
            release(self.sessions)
        return wallet

    def owed(self, wallet_id: str = "W1001", *, released: bool = True, **kind: Any) -> int:
        """An awarded trade-in whose owner has confirmed this wallet; returns the payout's id."""
        trade_in_id = self.trade_in(**kind)
        payout_id = self.award(trade_in_id)
        self.confirm(trade_in_id, wallet_id, released=released)
        return payout_id

    def pay(self, operator: PayoutOperator) -> str | None:
        return pay_next(sessions=self.sessions, operator=operator, keyring=self.keyring, now=lambda: NOW)

    def ask(self, operator: PayoutOperator, *, hurry: bool = True) -> str | None:
        """Ask the bank about the next attempt; ``hurry`` makes every open attempt due now."""
        if hurry:
            self.execute("UPDATE payout_attempt SET ask_at = clock_timestamp() - interval '1 second'")
        return ask_next(sessions=self.sessions, operator=operator, keyring=self.keyring, now=lambda: NOW)

    def payout(self, payout_id: int) -> Payout:
        with self.sessions() as session:
            return session.get_one(Payout, payout_id)

    def attempts(self, payout_id: int) -> list[PayoutAttempt]:
        with self.sessions() as session:
            query = select(PayoutAttempt).where(PayoutAttempt.payout_id == payout_id).order_by(PayoutAttempt.id)
            return list(session.scalars(query))

    def case_subjects(self) -> set[str]:
        """What open cases are about."""
        with self.sessions() as session:
            return set(session.scalars(select(Case.subject).where(Case.closed_at.is_(None))))

    def cases(self) -> list[str]:
        with self.sessions() as session:
            return sorted(session.scalars(select(Case.kind).where(Case.closed_at.is_(None))))

    def notices(self) -> list[str]:
        with self.sessions() as session:
            return list(session.scalars(select(Message.body).order_by(Message.id)))

    def balances(self) -> dict[str, int]:
        with self.sessions() as session:
            return balances(session=session, programme_id=self.programme_id)

    def booked_fen(self) -> int:
        """What the postings themselves say was paid."""
        with self.sessions() as session:
            query = text("SELECT coalesce(sum(amount_fen), 0) FROM ledger_posting WHERE kind = 'settled'")
            return int(session.execute(query).scalar_one())

    def execute(self, statement: str) -> None:
        with self.sessions.begin() as session:
            session.execute(text(statement))

    def do(self, act: Callable[[Session], Any]) -> Any:
        """Do something in a transaction of its own."""
        with self.sessions.begin() as session:
            return act(session)
