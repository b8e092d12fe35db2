"""The operating bank (运营机构) of the digital yuan as the payouts need it. The client stands in app/clients/ecny/."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

TransferState = Literal["accepted", "settled", "rejected"]
LineState = Literal["settled", "rejected", "reclaimed"]
WalletRefusal = Literal["unknown_wallet", "name_mismatch", "frozen", "tier_limit", "wallet_full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletAnswer:
    """Whether a wallet can be paid. ``tail`` is its last four characters as the bank shows them."""

    ok: bool
    reason: WalletRefusal | None = None
    tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAnswer:
    """Where the transfer under our ``bank_number`` stands at the bank.

    ``accepted`` is not yet final. ``rejected`` is final only if ``final`` is true; ``settled`` always is.
    """

    bank_number: str
    state: TransferState
    amount_fen: int
    final: bool
    reason: str | None = None
    settled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReclaimAnswer(TransferAnswer):
    """Where the reclaim under our ``bank_number`` stands: money asked back from the wallet that a transfer paid.

    ``accepted`` may last for days (the owner has to agree), ``settled`` says that the money is in our account again.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One settled or finally rejected transfer on the bank's daily statement, or money that came back (reclaimed)."""

    bank_number: str
    amount_fen: int
    state: LineState


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The bank's statement of one business day: totals of what settled and of what came back, then every line."""

    day: date
    settled_count: int
    settled_fen: int
    lines: tuple[StatementLine, ...]
    reclaimed_count: int = 0
    reclaimed_fen: int = 0

    def totals(self) -> StatementTotals:
        """Return the statement's head alone."""
        return StatementTotals(
            day=self.day,
            settled_count=self.settled_count,
            settled_fen=self.settled_fen,
            sha256=lines_sha256(self.lines),
            reclaimed_count=self.reclaimed_count,
            reclaimed_fen=self.reclaimed_fen,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementTotals:
    """The head of a day's statement: totals of both directions, and ``sha256`` over its lines (``lines_sha256``).

    Equal sums may hide two differences that cancel out, the more so where every amount is the same; the hash does not.
    """

    day: date
    settled_count: int
    settled_fen: int
    sha256: str
    reclaimed_count: int = 0
    reclaimed_fen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FundBalance:
    """What our account at the bank holds for payouts, in fen, as of the bank's instant."""

    available_fen: int
    as_of: datetime


def lines_sha256(lines: Iterable[StatementLine]) -> str:
    """Return the SHA-256, hexadecimal, of the lines as ``number|fen|state`` and newline, sorted by their bytes."""
    rows = sorted(f"{line.bank_number}|{line.amount_fen}|{line.state}\n".encode() for line in lines)
    return hashlib.sha256(b"".join(rows)).hexdigest()


class PayoutOperator(Protocol):
    """Every call raises PartnerUnavailable (nothing happened) or PartnerSilent (outcome unknown, query it)."""

    def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
        """Ask whether the wallet exists, belongs to that name and can take money."""

    def transfer(self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int) -> TransferAnswer:
        """Pay under our number. The same number again returns the first answer and never pays twice."""

    def find_transfer(self, *, bank_number: str) -> TransferAnswer | None:
        """Ask what became of a transfer; None where the bank never received it."""

    def reclaim(self, *, bank_number: str, transfer_number: str, amount_fen: int) -> ReclaimAnswer:
        """Ask back, under our number, what the settled transfer ``transfer_number`` paid.

        The same number again returns the first answer and never takes money twice.
        """

    def find_reclaim(self, *, bank_number: str) -> ReclaimAnswer | None:
        """Ask what became of a reclaim; None where the bank never received it."""

    def fund_balance(self) -> FundBalance:
        """Ask what is left for payouts in our account there."""

    def statement_totals(self, *, day: date) -> StatementTotals | None:
        """Return the head of that day's statement, None while it is not out yet."""

    def statement(self, *, day: date) -> Statement | None:
        """Return the statement of that day with its lines, None while it is not out yet."""
