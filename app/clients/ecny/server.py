"""The digital yuan's sandbox SERVER. Signed JSON over HTTP; the bank number is ours and makes a transfer idempotent.

POST /wallets/check      {wallet_id, holder_name}                           → answer
POST /transfers          {bank_number, wallet_id, holder_name, amount_fen}  → answer
GET  /transfers/<number>                                                    → answer, or 404 not_found
POST /reclaims           {bank_number, transfer_number, amount_fen}         → answer
GET  /reclaims/<number>                                                     → answer, or 404 not_found
GET  /statements/<YYYY-MM-DD>/totals                                        → its head, or 404 not_found
GET  /statements/<YYYY-MM-DD>                                               → statement, or 404 not_found
GET  /fund                                                                  → what is left for payouts
GET  /health
POST /demo/wallets, /demo/statements, /demo/fund, unsigned, closed in production
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from flask import Flask, Response, request

from app.clients.ecny import scenarios
from app.clients.ecny.bank import Bank, Options, Wallet
from app.clients.ecny.callbacks import fund_document, statement_document, totals_document, transfer_document
from app.clients.ecny.scenarios import StatementFault
from app.clients.faults import Fault
from app.clients.outgoing import CallbackSender
from app.clients.partner_server import Door, NotFound, WrongShape, as_json, document

__all__ = ["Options", "create_stub"]


def create_stub(options: Options) -> Flask:
    """Return the server as a WSGI application. It keeps its state in one process: serve it with one worker.

    ``app.extensions`` holds ``bank`` and ``callbacks`` for whoever embeds it.
    """
    app = Flask("mapai-ecny-sandbox")
    sender = CallbackSender(
        url=options.callback_url, signer=options.signer(), partner="ecny", threads=options.callback_threads
    )
    bank = Bank(options, sender)
    door = Door(app, options)
    app.extensions.update(bank=bank, callbacks=sender)
    _route_wallets(app, door, bank)
    _route_transfers(app, door, bank)
    _route_reclaims(app, door, bank)
    _route_statements(app, door, bank)
    _route_demo(app, bank)

    @app.get("/health")
    def health() -> Response:
        return as_json({"ok": True, "partner": "ecny", **bank.counts(), "callbacks": sender.health()})

    return app


def _route_wallets(app: Flask, door: Door, bank: Bank) -> None:
    @app.post("/wallets/check")
    def check_wallet() -> Response:
        asked = document(wallet_id=str, holder_name=str)

        def work(fault: Fault | None) -> dict[str, Any]:
            answer = bank.check_wallet(wallet_id=asked["wallet_id"], holder_name=asked["holder_name"])
            return {"ok": answer.ok, "reason": answer.reason, "tail": answer.tail}

        return door.attend(operation="check_wallet", number=asked["wallet_id"], work=work)


def _route_transfers(app: Flask, door: Door, bank: Bank) -> None:
    @app.post("/transfers")
    def transfer() -> Response:
        asked = document(bank_number=str, wallet_id=str, holder_name=str, amount_fen=int)
        number, wallet_id, fen = asked["bank_number"], asked["wallet_id"], asked["amount_fen"]
        if fen <= 0:
            raise WrongShape(wrong="amount_fen", field="amount_fen")

        def work(fault: Fault | None) -> dict[str, Any]:
            answer = bank.transfer(
                bank_number=number,
                wallet_id=wallet_id,
                holder_name=asked["holder_name"],
                amount_fen=fen,
                fault=fault,
            )
            return transfer_document(answer)

        magic = scenarios.fault_in(scenarios.for_wallet(wallet_id))
        return door.attend(operation="transfer", number=number, work=work, magic=magic, calls_back=True)

    @app.get("/transfers/<number>")
    def find_transfer(number: str) -> Response:
        def work(fault: Fault | None) -> dict[str, Any]:
            answer = bank.find_transfer(number)
            if answer is None:
                raise NotFound
            return transfer_document(answer)

        return door.attend(operation="find_transfer", number=number, work=work)


def _route_reclaims(app: Flask, door: Door, bank: Bank) -> None:
    @app.post("/reclaims")
    def reclaim() -> Response:
        asked = document(bank_number=str, transfer_number=str, amount_fen=int)
        number, transfer_number, fen = asked["bank_number"], asked["transfer_number"], asked["amount_fen"]
        if fen <= 0:
            raise WrongShape(wrong="amount_fen", field="amount_fen")

        def work(fault: Fault | None) -> dict[str, Any]:
            answer = bank.reclaims.take(
                bank_number=number, transfer_number=transfer_number, amount_fen=fen, fault=fault
            )
            return transfer_document(answer)

        magic = bank.reclaims.magic(transfer_number)
        return door.attend(operation="reclaim", number=number, work=work, magic=magic, calls_back=True)

    @app.get("/reclaims/<number>")
    def find_reclaim(number: str) -> Response:
        def work(fault: Fault | None) -> dict[str, Any]:
            answer = bank.reclaims.find(number)
            if answer is None:
                raise NotFound
            return transfer_document(answer)

        return door.attend(operation="find_reclaim", number=number, work=work)


def _route_statements(app: Flask, door: Door, bank: Bank) -> None:
    @app.get("/statements/<text>")
    def statement(text: str) -> Response:
        day = _day(text)

        def work(fault: Fault | None) -> dict[str, Any]:
            found = bank.statement(day)
            if found is None:
                raise NotFound
            return statement_document(found)

        return door.attend(operation="statement", number=text, work=work)

    @app.get("/statements/<text>/totals")
    def statement_totals(text: str) -> Response:
        day = _day(text)

        def work(fault: Fault | None) -> dict[str, Any]:
            found = bank.statement_totals(day)
            if found is None:
                raise NotFound
            return totals_document(found)

        return door.attend(operation="statement_totals", number=text, work=work)

    @app.get("/fund")
    def fund() -> Response:
        def work(fault: Fault | None) -> dict[str, Any]:
            return fund_document(bank.fund_balance())

        return door.attend(operation="fund_balance", number="fund", work=work)


def _route_demo(app: Flask, bank: Bank) -> None:
    @app.post("/demo/wallets")
    def demo_wallets() -> Response:
        try:
            wallets = [Wallet(**row) for row in json.loads(request.get_data())]
        except (ValueError, TypeError):
            raise WrongShape(wrong="body") from None
        return as_json({"loaded": bank.load(wallets)})

    @app.post("/demo/statements")
    def demo_statements() -> Response:
        asked = document(day=str, fault=str)
        if asked["fault"] not in ("none", *StatementFault):
            raise WrongShape(wrong="fault", field="fault")
        fault = None if asked["fault"] == "none" else StatementFault(asked["fault"])
        bank.spoil_statement(_day(asked["day"]), fault)
        return as_json({"day": asked["day"], "fault": asked["fault"]})

    @app.post("/demo/fund")
    def demo_fund() -> Response:
        available_fen = document(available_fen=int)["available_fen"]
        bank.fill_fund(available_fen)
        return as_json({"available_fen": available_fen})


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise WrongShape(wrong="day", field="day") from None
