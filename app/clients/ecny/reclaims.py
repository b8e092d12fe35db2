"""Reclaims at the operating bank: money asked back from the wallet that one of our transfers paid.

The magic word of that wallet decides how a reclaim goes (app/clients/ecny/scenarios.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from app.clients.ecny import scenarios
from app.clients.ecny.callbacks import transfer_document
from app.clients.ecny.scenarios import Scenario
from app.clients.faults import Fault
from app.clients.http import NumberReused
from app.clients.journal import Journal
from app.clients.outgoing import Outgoing
from app.clients.partner_server import ServerOptions
from app.clients.proceedings import answers_at_once, call_back
from app.clients.wire import as_bytes, read_instant
from subsidy.operator import ReclaimAnswer, StatementLine, TransferState

SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass(slots=True, kw_only=True)
class Reclaim:
    """A reclaim as we asked and as it stands. ``concluded_at`` is ISO 8601 in UTC."""

    bank_number: str
    transfer_number: str
    amount_fen: int
    wallet_id: str
    fault: str | None
    state: TransferState = "accepted"
    final: bool = False
    reason: str | None = None
    concluded_at: str | None = None

    def taken_fen(self) -> int:
        short = self.state == "settled" and scenarios.for_wallet(self.wallet_id) is Scenario.RECLAIMED_SHORT
        return self.amount_fen - short

    def answer(self) -> ReclaimAnswer:
        return ReclaimAnswer(
            bank_number=self.bank_number,
            state=self.state,
            amount_fen=self.taken_fen(),
            final=self.final,
            reason=self.reason,
            settled_at=read_instant(self.concluded_at) if self.state == "settled" else None,
        )


class Reclaims:
    """All reclaims, behind the bank's own lock and in its journal.

    ``paid`` tells which wallet a settled transfer paid, and how much; ``took`` moves what came back.
    """

    def __init__(
        self,
        options: ServerOptions,
        outgoing: Outgoing,
        *,
        lock: threading.RLock,
        journal: Journal,
        paid: Callable[[str], tuple[str, int] | None],
        took: Callable[[str, StatementLine, date], None],
    ) -> None:
        self._options = options
        self._outgoing = outgoing
        self._lock = lock
        self._journal = journal
        self._paid = paid
        self._took = took
        self._known: dict[str, Reclaim] = {}
        self._back: set[str] = set()  # reclaims whose money is here

    def magic(self, transfer_number: str) -> Fault | None:
        """Return the fault that the wallet a transfer paid provokes, None for the ordinary."""
        with self._lock:
            paid = self._paid(transfer_number)
        return None if paid is None else scenarios.fault_in(scenarios.for_wallet(paid[0]))

    def take(self, *, bank_number: str, transfer_number: str, amount_fen: int, fault: Fault | None) -> ReclaimAnswer:
        """Take a reclaim, once per number; the fault and the magic wallet decide when and how it is answered."""
        with self._lock:
            known = self._known.get(bank_number)
            if known is not None:
                if (known.transfer_number, known.amount_fen) != (transfer_number, amount_fen):
                    raise NumberReused(number=bank_number)
                return known.answer()
            paid = self._paid(transfer_number)
            order = Reclaim(
                bank_number=bank_number,
                transfer_number=transfer_number,
                amount_fen=amount_fen,
                wallet_id="" if paid is None else paid[0],
                fault=fault,
            )
            self._begin(order, fault)
            return order.answer()

    def find(self, bank_number: str) -> ReclaimAnswer | None:
        with self._lock:
            order = self._known.get(bank_number)
            return None if order is None else order.answer()

    def recall(self, entry: dict[str, Any]) -> None:
        """Take one entry of the journal."""
        self._remember(Reclaim(**entry))

    def go_on(self) -> None:
        """After a restart, conclude what was left open."""
        for order in self._known.values():
            if not order.final or self._comes_back(order):
                self._conclude_later(order)

    def _begin(self, order: Reclaim, fault: Fault | None) -> None:
        scenario = scenarios.for_wallet(order.wallet_id)
        refused = self._why_not(order)
        if refused is not None:
            self._conclude_as(order, refused)
        elif scenario is Scenario.RECLAIMED_AFTER_REJECTED:
            self._conclude_as(order, "owner_refused")
            self._conclude_later(order)
        elif scenario is Scenario.OWNER_AGREES_LATER or not answers_at_once(self._options, order.bank_number, fault):
            self._remember(order)
            self._journal.write({"t": "reclaim", **asdict(order)})
            self._conclude_later(order)
        else:
            self._conclude_as(order, None)
            if fault is Fault.ANSWERED_TWICE:
                news = as_bytes(transfer_document(order.answer()))
                self._outgoing.later(self._options.callback_delay_s, lambda: self._outgoing.send(news))

    def _why_not(self, order: Reclaim) -> str | None:
        paid = self._paid(order.transfer_number)
        if paid is None:
            return "unknown_transfer"
        others = [one for one in self._known.values() if one.transfer_number == order.transfer_number]
        back_fen = sum(one.taken_fen() for one in others if one.state == "settled" and one is not order)
        if back_fen + order.amount_fen > paid[1]:
            return "more_than_paid"
        scenario = scenarios.for_wallet(order.wallet_id)
        first = all(one is order for one in others)
        return "insufficient" if scenario is Scenario.SPENT or (scenario is Scenario.SPENT_ONCE and first) else None

    def _conclude_later(self, order: Reclaim) -> None:
        self._outgoing.later(self._options.callback_delay_s, lambda: self._conclude(order))

    def _conclude(self, order: Reclaim) -> None:
        with self._lock:
            earlier = as_bytes(transfer_document(order.answer()))
            self._conclude_as(order, self._why_not(order))
            news = as_bytes(transfer_document(order.answer()))
        fault = None if order.fault is None else Fault(order.fault)
        call_back(self._options, self._outgoing, fault, news=news, earlier=earlier)

    def _comes_back(self, order: Reclaim) -> bool:
        scenario = scenarios.for_wallet(order.wallet_id)
        return scenario is Scenario.RECLAIMED_AFTER_REJECTED and order.state == "rejected"

    def _conclude_as(self, order: Reclaim, refused: str | None) -> None:
        order.state, order.final = ("settled" if refused is None else "rejected"), True
        order.reason, order.concluded_at = refused, self._options.now().isoformat()
        self._remember(order)
        self._journal.write({"t": "reclaim", **asdict(order)})

    def _remember(self, order: Reclaim) -> None:
        self._known[order.bank_number] = order
        if order.state != "settled" or order.bank_number in self._back:
            return
        self._back.add(order.bank_number)
        concluded_at = read_instant(order.concluded_at)
        assert concluded_at is not None
        line = StatementLine(bank_number=order.bank_number, amount_fen=order.taken_fen(), state="reclaimed")
        self._took(order.wallet_id, line, concluded_at.astimezone(SHANGHAI).date())
