"""The operating bank over HTTP, as the payouts need it (subsidy.operator.PayoutOperator)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

from app.clients.ecny import LABEL
from app.clients.ecny.callbacks import (
    MalformedBankDocument,
    read_fund,
    read_reclaim,
    read_statement,
    read_totals,
    read_transfer,
    read_wallet,
)
from app.clients.http import PartnerHttp
from app.clients.signing import Signer
from registry.base import PartnerSilent
from subsidy.operator import FundBalance, ReclaimAnswer, Statement, StatementTotals, TransferAnswer, WalletAnswer

T = TypeVar("T")


class BankClient:
    """Asks the bank at ``base_url``. Share one among threads; ``read_s`` is the read time-out in seconds.

    Beyond what PayoutOperator promises, every call raises PartnerMisunderstood (a PartnerUnavailable) where the bank
    refuses our signature or shape, and NumberReused where one of our numbers comes with other content.
    """

    def __init__(self, *, base_url: str, signer: Signer, read_s: float = 3.0, connect_s: float = 1.0) -> None:
        self._http = PartnerHttp(label=LABEL, base_url=base_url, signer=signer, read_s=read_s, connect_s=connect_s)

    def check_wallet(self, *, wallet_id: str, holder_name: str) -> WalletAnswer:
        asked = {"wallet_id": wallet_id, "holder_name": holder_name}
        return self._read(read_wallet, self._http.taken(self._http.post("/wallets/check", asked, idempotent=True)))

    def transfer(self, *, bank_number: str, wallet_id: str, holder_name: str, amount_fen: int) -> TransferAnswer:
        asked = {
            "bank_number": bank_number,
            "wallet_id": wallet_id,
            "holder_name": holder_name,
            "amount_fen": amount_fen,
        }
        answer = self._http.post("/transfers", asked, idempotent=True)
        return self._read(read_transfer, self._http.taken(answer, number=bank_number), bank_number=bank_number)

    def find_transfer(self, *, bank_number: str) -> TransferAnswer | None:
        data = self._http.found(self._http.get(f"/transfers/{bank_number}"))
        return None if data is None else self._read(read_transfer, data, bank_number=bank_number)

    def reclaim(self, *, bank_number: str, transfer_number: str, amount_fen: int) -> ReclaimAnswer:
        asked = {"bank_number": bank_number, "transfer_number": transfer_number, "amount_fen": amount_fen}
        answer = self._http.post("/reclaims", asked, idempotent=True)
        return self._read(read_reclaim, self._http.taken(answer, number=bank_number), bank_number=bank_number)

    def find_reclaim(self, *, bank_number: str) -> ReclaimAnswer | None:
        data = self._http.found(self._http.get(f"/reclaims/{bank_number}"))
        return None if data is None else self._read(read_reclaim, data, bank_number=bank_number)

    def fund_balance(self) -> FundBalance:
        return self._read(read_fund, self._http.taken(self._http.get("/fund")))

    def statement_totals(self, *, day: date) -> StatementTotals | None:
        data = self._http.found(self._http.get(f"/statements/{day.isoformat()}/totals"))
        return None if data is None else self._read(read_totals, data, day=day)

    def statement(self, *, day: date) -> Statement | None:
        data = self._http.found(self._http.get(f"/statements/{day.isoformat()}"))
        return None if data is None else self._read(read_statement, data, day=day)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _read(self, reader: Callable[[dict[str, Any]], T], data: dict[str, Any], **asked: object) -> T:
        try:
            answer = reader(data)
        except MalformedBankDocument:  # answered, but nobody can tell what: the outcome has to be asked for
            raise PartnerSilent(partner=LABEL) from None
        if any(getattr(answer, field) != value for field, value in asked.items()):
            raise PartnerSilent(partner=LABEL)  # somebody else's answer tells nothing about ours
        return answer
