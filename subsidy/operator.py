"""The operating bank (运营机构) of the digital yuan as the payouts need it. The client stands in app/clients/ecny/."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

TransferState = Literal["accepted", "settled", "rejected"]
WalletRefusal = Literal["unknown_wallet", "name_mismatch", "frozen", "tier_limit"]


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
class StatementLine:
    """One settled or finally rejected transfer on the bank's daily statement."""

    bank_number: str
    amount_fen: int
    state: Literal["settled", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The bank's statement of one business day: totals of what settled, then every line."""

    day: date
    settled_count: int
    settled_fen: int
    lines: tuple[StatementLine, ...]


class PayoutOperator(Protocol):
    """Every call raises PartnerUnavailable (nothing happened) or PartnerSilent (outcome unknown, query it)."""

    def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
        """Ask whether the wallet exists, belongs to that name and can take money."""

    def transfer(self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int) -> TransferAnswer:
        """Pay under our number. The same number again returns the first answer and never pays twice."""

    def find_transfer(self, *, bank_number: str) -> TransferAnswer | None:
        """Ask what became of a transfer; None where the bank never received it."""

    def statement(self, *, day: date) -> Statement | None:
        """Return the statement of that day, None while it is not out yet."""
