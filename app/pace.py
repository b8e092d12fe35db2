"""No more transfers a second than the operating bank allows, whatever number of threads wants to send."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import date

from subsidy.operator import (
    FundBalance,
    PayoutOperator,
    ReclaimAnswer,
    Statement,
    StatementTotals,
    TransferAnswer,
    WalletAnswer,
)

CATCH_UP_S = 1.0


class Pace:
    """Lets callers through evenly, ``per_second`` of them in any second at most.

    A turn nobody was ready for is made up for within a second: a busy machine sends no less than it may.
    """

    def __init__(self, *, per_second: float) -> None:
        if per_second <= 0:
            raise ValueError("a pace is above zero")
        self._gap_s = 1 / per_second
        self._lock = threading.Lock()
        self._next_s: float | None = None
        # The last second's turns: what is made up for never adds up to more than a second allows.
        self._turns_s: deque[float] = deque(maxlen=max(1, int(per_second)))

    def wait(self) -> None:
        """Block until it is the caller's turn."""
        with self._lock:
            now_s = time.monotonic()
            turn_s = self._take_turn(now_s)
        time.sleep(turn_s - now_s)

    def _take_turn(self, now_s: float) -> float:
        due_s = now_s if self._next_s is None else max(self._next_s, now_s - CATCH_UP_S)
        self._next_s = due_s + self._gap_s
        turn_s = max(now_s, due_s)
        if len(self._turns_s) == self._turns_s.maxlen:
            turn_s = max(turn_s, self._turns_s[0] + self._gap_s * len(self._turns_s))
        self._turns_s.append(turn_s)
        return turn_s


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

    def reclaim(self, *, bank_number: str, transfer_number: str, amount_fen: int) -> ReclaimAnswer:
        self._pace.wait()
        return self._operator.reclaim(bank_number=bank_number, transfer_number=transfer_number, amount_fen=amount_fen)

    def find_reclaim(self, *, bank_number: str) -> ReclaimAnswer | None:
        return self._operator.find_reclaim(bank_number=bank_number)

    def fund_balance(self) -> FundBalance:
        return self._operator.fund_balance()

    def statement_totals(self, *, day: date) -> StatementTotals | None:
        return self._operator.statement_totals(day=day)

    def statement(self, *, day: date) -> Statement | None:
        return self._operator.statement(day=day)
