"""The bank's documents on the wire: wallet and transfer answers, statements, and the callback it sends us."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date
from typing import Any, TypeVar, get_args

from app.clients.wire import is_number, read_instant, read_reason
from registry.base import Refusal
from subsidy.operator import (
    FundBalance,
    LineState,
    ReclaimAnswer,
    Statement,
    StatementLine,
    StatementTotals,
    TransferAnswer,
    TransferState,
    WalletAnswer,
    WalletRefusal,
)

Answer = TypeVar("Answer", bound=TransferAnswer)
STATES = get_args(TransferState)
REASONS = (None, *get_args(WalletRefusal))
LARGEST_FEN = 2**63 - 1  # what the ledger's columns hold


class MalformedBankDocument(Refusal):
    """The document is signed right and says nothing we can use."""

    code = "malformed_bank_document"
    kind = "invalid"
    zh = "运营机构发来的内容读不懂：{detail}。"
    en = "The bank's document cannot be read: {detail}."
    remedy_zh = "请按接口说明核对字段，改正后重发。"
    remedy_en = "Check the fields against the interface and resend."


def transfer_document(answer: TransferAnswer) -> dict[str, Any]:
    """Return the answer about a transfer, or about a reclaim, as the wire has it."""
    return {
        "kind": "reclaim" if isinstance(answer, ReclaimAnswer) else "transfer",
        "bank_number": answer.bank_number,
        "state": answer.state,
        "amount_fen": answer.amount_fen,
        "final": answer.final,
        "reason": answer.reason,
        "settled_at": answer.settled_at and answer.settled_at.isoformat(),
    }


def read_transfer(data: dict[str, Any]) -> TransferAnswer:
    """Read a transfer's answer; raises MalformedBankDocument."""
    return _read_answer(data, TransferAnswer)


def read_reclaim(data: dict[str, Any]) -> ReclaimAnswer:
    """Read a reclaim's answer; raises MalformedBankDocument."""
    return _read_answer(data, ReclaimAnswer)


def _read_answer(data: dict[str, Any], kind: type[Answer]) -> Answer:
    try:
        answer = kind(
            bank_number=data["bank_number"],
            state=data["state"],
            amount_fen=data["amount_fen"],
            final=data["final"],
            reason=read_reason(data.get("reason")),
            settled_at=read_instant(data.get("settled_at")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedBankDocument(detail=str(error)) from None
    if not is_number(answer.bank_number):
        raise MalformedBankDocument(detail="bank_number")
    if type(answer.amount_fen) is not int or not 0 < answer.amount_fen <= LARGEST_FEN:
        raise MalformedBankDocument(detail="amount_fen")
    if type(answer.final) is not bool or answer.state not in STATES:
        raise MalformedBankDocument(detail="state, final")
    if answer.final not in {"accepted": (False,), "settled": (True,)}.get(answer.state, (True, False)):
        raise MalformedBankDocument(detail="state, final")
    if answer.state == "settled" and answer.settled_at is None:
        raise MalformedBankDocument(detail="settled_at")
    return answer


def read_wallet(data: dict[str, Any]) -> WalletAnswer:
    """Read a wallet check's answer; raises MalformedBankDocument."""
    ok, reason, tail = data.get("ok"), data.get("reason"), data.get("tail", "")
    if not isinstance(ok, bool) or reason not in REASONS or not isinstance(tail, str) or ok != (reason is None):
        raise MalformedBankDocument(detail="ok, reason, tail")
    return WalletAnswer(ok=ok, reason=reason, tail=tail)


def statement_document(statement: Statement) -> dict[str, Any]:
    """Return the statement as the wire has it: totals, then lines as [number, fen, state]."""
    return {
        "kind": "statement",
        "day": statement.day.isoformat(),
        "settled_count": statement.settled_count,
        "settled_fen": statement.settled_fen,
        "reclaimed_count": statement.reclaimed_count,
        "reclaimed_fen": statement.reclaimed_fen,
        "lines": [[line.bank_number, line.amount_fen, line.state] for line in statement.lines],
    }


def read_statement(data: dict[str, Any]) -> Statement:
    """Read a statement as it is, right or wrong in its sums; raises MalformedBankDocument for one of another shape."""
    try:
        lines = tuple(
            StatementLine(bank_number=number, amount_fen=fen, state=state) for number, fen, state in data["lines"]
        )
        statement = Statement(
            day=date.fromisoformat(data["day"]),
            settled_count=data["settled_count"],
            settled_fen=data["settled_fen"],
            lines=lines,
            reclaimed_count=data["reclaimed_count"],
            reclaimed_fen=data["reclaimed_fen"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedBankDocument(detail=str(error)) from None
    if not _are_sums(statement) or not _are_whole(line.amount_fen for line in lines):
        raise MalformedBankDocument(detail="settled_count, settled_fen, amount_fen")
    if any(line.state not in get_args(LineState) or not isinstance(line.bank_number, str) for line in lines):
        raise MalformedBankDocument(detail="lines")
    return statement


def totals_document(totals: StatementTotals) -> dict[str, Any]:
    """Return the head of a statement as the wire has it."""
    return {
        "kind": "statement_totals",
        "day": totals.day.isoformat(),
        "settled_count": totals.settled_count,
        "settled_fen": totals.settled_fen,
        "reclaimed_count": totals.reclaimed_count,
        "reclaimed_fen": totals.reclaimed_fen,
        "sha256": totals.sha256,
    }


def read_totals(data: dict[str, Any]) -> StatementTotals:
    """Read the head of a statement; raises MalformedBankDocument."""
    try:
        totals = StatementTotals(
            day=date.fromisoformat(data["day"]),
            settled_count=data["settled_count"],
            settled_fen=data["settled_fen"],
            sha256=data["sha256"],
            reclaimed_count=data["reclaimed_count"],
            reclaimed_fen=data["reclaimed_fen"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedBankDocument(detail=str(error)) from None
    if not _are_sums(totals):
        raise MalformedBankDocument(detail="settled_count, settled_fen")
    if not isinstance(totals.sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", totals.sha256):
        raise MalformedBankDocument(detail="sha256")
    return totals


def _are_sums(of: Statement | StatementTotals) -> bool:
    return _are_whole((of.settled_count, of.settled_fen, of.reclaimed_count, of.reclaimed_fen))


def _are_whole(numbers: Iterable[object]) -> bool:
    return all(type(number) is int and abs(number) <= LARGEST_FEN for number in numbers)


def fund_document(balance: FundBalance) -> dict[str, Any]:
    """Return the fund's balance as the wire has it."""
    return {"kind": "fund", "available_fen": balance.available_fen, "as_of": balance.as_of.isoformat()}


def read_fund(data: dict[str, Any]) -> FundBalance:
    """Read the fund's balance; raises MalformedBankDocument."""
    available_fen = data.get("available_fen")
    try:
        as_of = read_instant(data.get("as_of"))
    except (TypeError, ValueError) as error:
        raise MalformedBankDocument(detail=str(error)) from None
    if type(available_fen) is not int or abs(available_fen) > LARGEST_FEN or as_of is None:
        raise MalformedBankDocument(detail="available_fen, as_of")
    return FundBalance(available_fen=available_fen, as_of=as_of)


def read_callback(body: bytes) -> TransferAnswer:
    """Read the body of a callback whose signature is already checked: of a transfer, or a ReclaimAnswer.

    Raises MalformedBankDocument.
    """
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    readers = {"transfer": read_transfer, "reclaim": read_reclaim}
    if not isinstance(data, dict) or data.get("kind") not in readers:
        raise MalformedBankDocument(detail="kind")
    return readers[data["kind"]](data)
