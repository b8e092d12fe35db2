"""The message gateway's sandbox SERVER. Signed JSON over HTTP; the message number is ours and makes sending idempotent.

POST /messages                 {message_no, phone, text}  → {message_no, accepted}
GET  /messages[?phone=<phone>] everything received, unsigned, closed in production
GET  /health
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Flask, Response, request

from app.clients.faults import Fault
from app.clients.partner_server import Door, as_json, document
from app.clients.sms import scenarios
from app.clients.sms.gateway import Gateway, Options

__all__ = ["Options", "create_stub"]


def create_stub(options: Options) -> Flask:
    """Return the server as a WSGI application. It keeps its state in one process: serve it with one worker."""
    app = Flask("mapai-sms-sandbox")
    gateway = Gateway(options)
    door = Door(app, options)
    app.extensions.update(gateway=gateway)

    @app.post("/messages")
    def send() -> Response:
        asked = document(message_no=str, phone=str, text=str)
        number, phone, text = asked["message_no"], asked["phone"], asked["text"]

        def work(fault: Fault | None) -> dict[str, Any]:
            gateway.receive(message_no=number, phone=phone, text=text)
            return {"message_no": number, "accepted": True}

        return door.attend(operation="send", number=number, work=work, magic=scenarios.for_phone(phone))

    @app.get("/messages")
    def demo_messages() -> Response:
        return as_json({"messages": [asdict(message) for message in gateway.messages(phone=request.args.get("phone"))]})

    @app.get("/health")
    def health() -> Response:
        return as_json({"ok": True, "partner": "sms", "messages": len(gateway.messages())})

    return app
