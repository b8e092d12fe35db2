"""No more transfers a second than the operating bank allows, whatever number of threads wants to send."""

from __future__ import annotations

import threading
import time
from datetime import date

from subsidy.operator import FundBalance, PayoutOperator, Statement, StatementTotals, TransferAnswer, WalletAnswer


class Pace:
    """Lets callers through one by one, ``per_second`` of them a second at most, without bursts."""

    def __init__(self, *, per_second: float) -> None:
        if per_second <= 0:
            raise ValueError("a pace is above zero")
        self._gap_s = 1 / per_second
        self._lock = threading.Lock()
        self._next_s = 0.0

    def wait(self) -> None:
        """Block until it is the caller's turn."""
        with self._lock:
            now_s = time.monotonic()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + self._gap_s
        time.sleep(turn_s - now_s)


class PacedOperator:
    """A PayoutOperator whose transfers keep to the pace; questions are not counted."""

    def __init__(self, *, operator: PayoutOperator, pace: Pace) -> None:
        self._operator = operator
        self._pace = pace

    def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
        return self._operator.check_wallet(wallet_id=wallet_id, holder_name=holder_name)

    def transfer(self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int) -> TransferAnswer:
        self._pace.wait()
        return self._operator.transfer(
            bank_number=bank_number, wallet_id=wallet_id, holder_name=holder_name, amount_fen=amount_fen
        )

    def find_transfer(self, *, bank_number: str) -> TransferAnswer | None:
        return self._operator.find_transfer(bank_number=bank_number)

    def fund_balance(self) -> FundBalance:
        return self._operator.fund_balance()

    def statement_totals(self, *, day: date) -> StatementTotals | None:
        return self._operator.statement_totals(day=day)

    def statement(self, *, day: date) -> Statement | None:
        return self._operator.statement(day=day)
