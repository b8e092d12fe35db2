"""The operating bank without a wire: the same bank, the same magic wallets, the same fault plan as the server."""

from __future__ import annotations

from datetime import date

from app.clients.ecny import LABEL, scenarios
from app.clients.ecny.bank import Bank, Options
from app.clients.ecny.callbacks import read_callback
from app.clients.faults import Fault, FaultPlan
from app.clients.proceedings import ManualOutgoing, attend_in_memory
from subsidy.operator import FundBalance, ReclaimAnswer, Statement, StatementTotals, TransferAnswer, WalletAnswer


class FakeBank:
    """An in-memory PayoutOperator. Nothing happens later by itself: ``pass_time`` lets it."""

    def __init__(self, options: Options) -> None:
        self._outgoing = ManualOutgoing()
        self._plan = FaultPlan(seed=options.seed, rate=options.fault_rate)
        self.bank = Bank(options, self._outgoing)

    def pass_time(self, seconds: float = 3600.0) -> None:
        """Let everything pending within ``seconds`` be concluded and called back."""
        self._outgoing.pass_time(seconds)

    @property
    def callbacks(self) -> list[TransferAnswer]:
        """What was called back so far, in order."""
        return [read_callback(body) for body in self._outgoing.sent]

    def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="check_wallet",
            number=wallet_id,
            work=lambda fault: self.bank.check_wallet(wallet_id=wallet_id, holder_name=holder_name),
        )

    def transfer(self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int) -> TransferAnswer:
        def work(fault: Fault | None) -> TransferAnswer:
            return self.bank.transfer(
                bank_number=bank_number,
                wallet_id=wallet_id,
                holder_name=holder_name,
                amount_fen=amount_fen,
                fault=fault,
            )

        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="transfer",
            number=bank_number,
            magic=scenarios.fault_in(scenarios.for_wallet(wallet_id)),
            calls_back=True,
            work=work,
        )

    def find_transfer(self, *, bank_number: str) -> TransferAnswer | None:
        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="find_transfer",
            number=bank_number,
            work=lambda fault: self.bank.find_transfer(bank_number),
        )

    def reclaim(self, *, bank_number: str, transfer_number: str, amount_fen: int) -> ReclaimAnswer:
        def work(fault: Fault | None) -> ReclaimAnswer:
            return self.bank.reclaims.take(
                bank_number=bank_number, transfer_number=transfer_number, amount_fen=amount_fen, fault=fault
            )

        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="reclaim",
            number=bank_number,
            magic=self.bank.reclaims.magic(transfer_number),
            calls_back=True,
            work=work,
        )

    def find_reclaim(self, *, bank_number: str) -> ReclaimAnswer | None:
        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="find_reclaim",
            number=bank_number,
            work=lambda fault: self.bank.reclaims.find(bank_number),
        )

    def fund_balance(self) -> FundBalance:
        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="fund_balance",
            number="fund",
            work=lambda fault: self.bank.fund_balance(),
        )

    def statement_totals(self, *, day: date) -> StatementTotals | None:
        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="statement_totals",
            number=day.isoformat(),
            work=lambda fault: self.bank.statement_totals(day),
        )

    def statement(self, *, day: date) -> Statement | None:
        return attend_in_memory(
            label=LABEL,
            plan=self._plan,
            operation="statement",
            number=day.isoformat(),
            work=lambda fault: self.bank.statement(day),
        )
