"""The operating bank in memory: what is behind both the sandbox server and the fake."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from app.clients.ecny import scenarios
from app.clients.ecny.callbacks import transfer_document
from app.clients.ecny.reclaims import Reclaims
from app.clients.ecny.scenarios import Scenario, StatementFault
from app.clients.faults import Fault, draw
from app.clients.http import NumberReused
from app.clients.journal import Journal
from app.clients.outgoing import Outgoing
from app.clients.partner_server import ServerOptions
from app.clients.proceedings import answers_at_once, call_back
from app.clients.wire import as_bytes, read_instant
from subsidy.operator import (
    FundBalance,
    Statement,
    StatementLine,
    StatementTotals,
    TransferAnswer,
    TransferState,
    WalletAnswer,
    WalletRefusal,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
# what a wallet opened by phone number alone may receive, per payment and per day, and hold
PHONE_PAYMENT_FEN = 200_000
PHONE_DAY_FEN = 500_000
PHONE_BALANCE_FEN = 1_000_000
CHANCE_STATEMENT_FAULTS = (StatementFault.LATE, StatementFault.WRONG_TOTAL)


@dataclass(frozen=True, kw_only=True)
class Options(ServerOptions):
    """The bank's options.

    A day's statement is out ``statement_after`` (business time) after that day ended in Asia/Shanghai.
    ``statement_faults`` spoils the statements of given days until POST /demo/statements says otherwise; the fault rate
    spoils the first asking of a day only. ``fund_fen`` is what our account there holds before anything was paid.
    """

    statement_after: timedelta = timedelta(hours=1)
    fund_fen: int = 10**12
    statement_faults: Mapping[date, StatementFault] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Wallet:
    """A wallet as the bank knows it. One never heard of belongs to the first name it is asked under."""

    wallet_id: str
    holder_name: str
    tier: Literal["full", "phone"] = "full"
    frozen: bool = False


@dataclass(slots=True, kw_only=True)
class Transfer:
    """A transfer as we asked and as it stands. ``concluded_at`` is ISO 8601 in UTC."""

    bank_number: str
    wallet_id: str
    holder_name: str
    amount_fen: int
    fault: str | None
    state: TransferState = "accepted"
    final: bool = False
    reason: str | None = None
    concluded_at: str | None = None

    def paid_fen(self) -> int:
        wrong = self.state == "settled" and scenarios.for_wallet(self.wallet_id) is Scenario.WRONG_AMOUNT
        return self.amount_fen - wrong

    def answer(self) -> TransferAnswer:
        return TransferAnswer(
            bank_number=self.bank_number,
            state=self.state,
            amount_fen=self.paid_fen(),
            final=self.final,
            reason=self.reason,
            settled_at=read_instant(self.concluded_at) if self.state == "settled" else None,
        )


class Bank:
    """All wallets, transfers and statement lines behind one lock."""

    def __init__(self, options: Options, outgoing: Outgoing) -> None:
        self._options = options
        self._outgoing = outgoing
        self._lock = threading.RLock()
        self._wallets: dict[str, Wallet] = {}
        self._transfers: dict[str, Transfer] = {}
        self._booked: dict[str, str] = {}  # bank number → the state last put on a statement
        self._lines: dict[date, list[StatementLine]] = defaultdict(list)
        self._received: Counter[tuple[str, date]] = Counter()
        self._held_fen: Counter[str] = Counter()  # nobody spends here: what came in is what a wallet holds
        self._was_full: set[str] = set()
        self._statement_faults = dict(options.statement_faults)
        self._statement_askings: Counter[date] = Counter()
        self._asked_for_totals: set[date] = set()
        self._fund_fen = options.fund_fen
        self._paid_fen = 0
        self._journal = Journal(options.state_file)
        self.reclaims = Reclaims(
            options, outgoing, lock=self._lock, journal=self._journal, paid=self._paid, took=self._took_back
        )
        for entry in self._journal.read():
            self._recall(entry)
        for order in self._transfers.values():
            if not order.final or self._comes_back(order):
                self._conclude_later(order)
        self.reclaims.go_on()

    # -- wallets ----------------------------------------------------------------------------------------------

    def load(self, wallets: Iterable[Wallet]) -> int:
        """Open or change wallets; returns how many."""
        with self._lock:
            fresh = list(wallets)
            for wallet in fresh:
                self._wallets[wallet.wallet_id] = wallet
            self._journal.write({"t": "wallets", "rows": [asdict(wallet) for wallet in fresh]})
        return len(fresh)

    def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
        """Say whether the wallet can take money today."""
        with self._lock:
            reason = self._why_not_wallet(wallet_id, holder_name)
            if reason is None and self._tier(wallet_id) == "phone":
                if self._held_fen[wallet_id] >= PHONE_BALANCE_FEN:
                    reason = "wallet_full"
                elif self._received[wallet_id, self._today()] >= PHONE_DAY_FEN:
                    reason = "tier_limit"
        tail = "" if reason == "unknown_wallet" else wallet_id[-4:]
        return WalletAnswer(ok=reason is None, reason=reason, tail=tail)

    def _why_not_wallet(self, wallet_id: str, holder_name: str) -> WalletRefusal | None:
        scenario = scenarios.for_wallet(wallet_id)
        if scenario is Scenario.UNKNOWN:
            return "unknown_wallet"
        wallet = self._wallets.get(wallet_id)
        if wallet is None:
            wallet = Wallet(wallet_id=wallet_id, holder_name=holder_name)
            self.load([wallet])
        if scenario is Scenario.MISMATCH or wallet.holder_name != holder_name:
            return "name_mismatch"
        return "frozen" if scenario is Scenario.FROZEN or wallet.frozen else None

    def _tier(self, wallet_id: str) -> str:
        return "phone" if scenarios.for_wallet(wallet_id) is Scenario.PHONE else self._wallets[wallet_id].tier

    # -- transfers --------------------------------------------------------------------------------------------

    def transfer(
        self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int, fault: Fault | None
    ) -> TransferAnswer:
        """Take a transfer, once per number; the fault and the magic wallet decide when and how it is answered."""
        with self._lock:
            known = self._transfers.get(bank_number)
            if known is not None:
                if (known.wallet_id, known.holder_name, known.amount_fen) != (wallet_id, holder_name, amount_fen):
                    raise NumberReused(number=bank_number)
                return known.answer()
            order = Transfer(
                bank_number=bank_number,
                wallet_id=wallet_id,
                holder_name=holder_name,
                amount_fen=amount_fen,
                fault=fault,
            )
            self._take(order, fault)
            return order.answer()

    def find_transfer(self, bank_number: str) -> TransferAnswer | None:
        with self._lock:
            order = self._transfers.get(bank_number)
            return None if order is None else order.answer()

    def _take(self, order: Transfer, fault: Fault | None) -> None:
        scenario = scenarios.for_wallet(order.wallet_id)
        if scenario in (Scenario.NOT_FINAL, Scenario.SETTLED_AFTER_REJECTED):
            self._settle_as(order, "system_busy", final=scenario is Scenario.SETTLED_AFTER_REJECTED)
            self._conclude_later(order)
        elif scenario is Scenario.CLOSED_LATER or not answers_at_once(self._options, order.bank_number, fault):
            self._remember(order)
            self._journal.write({"t": "transfer", **asdict(order)})
            self._conclude_later(order)
        else:
            self._settle_as(order, self._why_not(order))
            if fault is Fault.ANSWERED_TWICE:
                news = as_bytes(transfer_document(order.answer()))
                self._outgoing.later(self._options.callback_delay_s, lambda: self._outgoing.send(news))

    def _conclude_later(self, order: Transfer) -> None:
        self._outgoing.later(self._options.callback_delay_s, lambda: self._conclude(order))

    def _conclude(self, order: Transfer) -> None:
        with self._lock:
            earlier = as_bytes(transfer_document(order.answer()))
            closed = scenarios.for_wallet(order.wallet_id) is Scenario.CLOSED_LATER
            self._settle_as(order, "wallet_closed" if closed else self._why_not(order))
            news = as_bytes(transfer_document(order.answer()))
        fault = None if order.fault is None else Fault(order.fault)
        call_back(self._options, self._outgoing, fault, news=news, earlier=earlier)

    def _comes_back(self, order: Transfer) -> bool:
        return scenarios.for_wallet(order.wallet_id) is Scenario.SETTLED_AFTER_REJECTED and order.state == "rejected"

    def _settle_as(self, order: Transfer, refused: str | None, *, final: bool = True) -> None:
        order.state = "settled" if refused is None else "rejected"
        order.reason, order.final = refused, final
        order.concluded_at = self._options.now().isoformat()
        self._remember(order)
        self._journal.write({"t": "transfer", **asdict(order)})

    def _why_not(self, order: Transfer) -> str | None:
        scenario = scenarios.for_wallet(order.wallet_id)
        reason = self._why_not_wallet(order.wallet_id, order.holder_name)
        if reason is not None:
            return reason
        if scenario is Scenario.FULL or (scenario is Scenario.FULL_ONCE and order.wallet_id not in self._was_full):
            return "wallet_full"
        if self._tier(order.wallet_id) == "phone":
            day_fen = self._received[order.wallet_id, self._today()] + order.amount_fen
            if order.amount_fen > PHONE_PAYMENT_FEN or day_fen > PHONE_DAY_FEN:
                return "tier_limit"
            if self._held_fen[order.wallet_id] + order.amount_fen > PHONE_BALANCE_FEN:
                return "wallet_full"
        return None

    # -- statements -------------------------------------------------------------------------------------------

    def spoil_statement(self, day: date, fault: StatementFault | None) -> None:
        """From now on give out the day's statement with this fault; None mends it."""
        with self._lock:
            self._statement_faults.pop(day, None)
            if fault is not None:
                self._statement_faults[day] = fault

    def statement_totals(self, day: date) -> StatementTotals | None:
        """Return the head of the day's statement as its fault will have it, None while it is not out."""
        with self._lock:
            self._statement_askings[day] += 1
            self._asked_for_totals.add(day)
        statement = self._given_out(day)
        return None if statement is None else statement.totals()

    def statement(self, day: date) -> Statement | None:
        """Return the day's statement as its fault will have it, None while it is not out."""
        with self._lock:
            # Who asked for the totals just now and comes back for the lines gets the lines of those totals.
            if day not in self._asked_for_totals:
                self._statement_askings[day] += 1
            self._asked_for_totals.discard(day)
        return self._given_out(day)

    def _given_out(self, day: date) -> Statement | None:
        end_of_day = datetime(day.year, day.month, day.day, tzinfo=SHANGHAI) + timedelta(days=1)
        if self._options.now() < end_of_day + self._options.statement_after:
            return None
        with self._lock:
            fault = self._statement_faults.get(day) or self._chance_fault(day)
            lines = tuple(self._lines.get(day, ()))
        return _spoilt(_summed(day, lines), fault)

    # -- the fund ---------------------------------------------------------------------------------------------

    def fill_fund(self, available_fen: int) -> None:
        """From now on our account holds this much, less what is paid from here on."""
        with self._lock:
            self._fund_fen = available_fen + self._paid_fen

    def fund_balance(self) -> FundBalance:
        """Say what is left in our account. The bank pays what it was ordered to all the same: asking first is on us."""
        with self._lock:
            return FundBalance(available_fen=self._fund_fen - self._paid_fen, as_of=self._options.now())

    def _chance_fault(self, day: date) -> StatementFault | None:
        if self._statement_askings[day] > 1 or draw(self._options.seed, "statement", day) >= self._options.fault_rate:
            return None
        which = draw(self._options.seed, "statement fault", day) * len(CHANCE_STATEMENT_FAULTS)
        return CHANCE_STATEMENT_FAULTS[int(which)]

    def _today(self) -> date:
        return self._options.now().astimezone(SHANGHAI).date()

    # -- memory -----------------------------------------------------------------------------------------------

    def _remember(self, order: Transfer) -> None:
        self._transfers[order.bank_number] = order
        if order.reason == "wallet_full":
            self._was_full.add(order.wallet_id)
        if order.state == "accepted" or not order.final or self._booked.get(order.bank_number) == order.state:
            return
        concluded_at = read_instant(order.concluded_at)
        assert concluded_at is not None
        day = concluded_at.astimezone(SHANGHAI).date()
        line = StatementLine(bank_number=order.bank_number, amount_fen=order.paid_fen(), state=order.state)
        self._booked[order.bank_number] = order.state
        self._lines[day].append(line)
        if order.state == "settled":
            self._received[order.wallet_id, day] += order.paid_fen()
            self._held_fen[order.wallet_id] += order.paid_fen()
            self._paid_fen += order.paid_fen()

    def _paid(self, bank_number: str) -> tuple[str, int] | None:
        """The wallet a settled transfer paid, and how much; None where there is none."""
        order = self._transfers.get(bank_number)
        return None if order is None or order.state != "settled" else (order.wallet_id, order.paid_fen())

    def _took_back(self, wallet_id: str, line: StatementLine, day: date) -> None:
        self._lines[day].append(line)
        self._held_fen[wallet_id] -= line.amount_fen
        self._paid_fen -= line.amount_fen

    def _recall(self, entry: dict[str, Any]) -> None:
        kind = entry.pop("t")
        if kind == "wallets":
            for row in entry["rows"]:
                self._wallets[row["wallet_id"]] = Wallet(**row)
        elif kind == "reclaim":
            self.reclaims.recall(entry)
        else:
            self._remember(Transfer(**entry))

    def counts(self) -> dict[str, int]:
        """Return how many wallets and transfers the bank knows, and how many transfers are not final."""
        with self._lock:
            waiting = sum(not order.final for order in self._transfers.values())
            return {"wallets": len(self._wallets), "transfers": len(self._transfers), "not_final": waiting}

    def close(self) -> None:
        """Let another process have the journal."""
        self._journal.close()


def _summed(day: date, lines: tuple[StatementLine, ...]) -> Statement:
    paid = [line.amount_fen for line in lines if line.state == "settled"]
    back = [line.amount_fen for line in lines if line.state == "reclaimed"]
    return Statement(
        day=day,
        settled_count=len(paid),
        settled_fen=sum(paid),
        lines=lines,
        reclaimed_count=len(back),
        reclaimed_fen=sum(back),
    )


def _spoilt(statement: Statement, fault: StatementFault | None) -> Statement | None:
    if fault is StatementFault.LATE:
        return None
    if fault is StatementFault.WRONG_TOTAL:
        return replace(statement, settled_fen=statement.settled_fen + 1)
    if fault is StatementFault.MISSING_LINE:
        return replace(statement, lines=statement.lines[:-1])
    if fault is StatementFault.EXTRA_LINE:
        stranger = StatementLine(bank_number=f"X{statement.day:%Y%m%d}", amount_fen=30_000, state="settled")
        return _summed(statement.day, (*statement.lines, stranger))
    return statement
