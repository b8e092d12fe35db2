"""WeChat's sandbox SERVER: the two calls behind a page's signature, and a browser script that scans nothing.

POST /cgi-bin/stable_token       {grant_type, appid, secret, force_refresh} → {access_token, expires_in}
GET  /cgi-bin/ticket/getticket   ?access_token=…&type=jsapi → {errcode, errmsg, ticket, expires_in}
GET  /jweixin.js                 ``wx`` whose ``scanQRCode`` answers what ``window.scanned`` holds
GET  /health
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, request

from app.clients.faults import Fault, FaultPlan
from app.clients.partner_server import as_json
from app.clients.wechat import scenarios

__all__ = ["Options", "create_stub"]

LASTS_S = 7_200
SCRIPT = """
window.wx = {
  config: function (said) { window.wechatConfig = said; },
  ready: function (then) { setTimeout(then, 0); },
  error: function () {},
  scanQRCode: function (asked) { asked.success({ resultStr: window.scanned || "" }); }
};
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """``secret`` is the account's; times are real seconds, ``silent_s`` above the caller's read time-out."""

    secret: str
    slow_s: float = 0.5
    silent_s: float = 3.0
    lasts_s: int = LASTS_S


class _Platform:
    """The tokens and tickets given out, one of each at a time for an account."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tokens: dict[str, str] = {}
        self.tickets: dict[str, str] = {}
        self.over: set[str] = set()
        self.asked = {"token": 0, "ticket": 0}

    def token(self, app_id: str, *, force: bool) -> str:
        with self.lock:
            self.asked["token"] += 1
            if force or app_id not in self.tokens:
                self.tokens[app_id] = secrets.token_hex(16)
            return self.tokens[app_id]

    def ticket(self, token: str) -> str | None:
        """Return the ticket of the account behind a token, None where the token is over."""
        with self.lock:
            self.asked["ticket"] += 1
            app_id = next((app_id for app_id, known in self.tokens.items() if known == token), None)
            ends = app_id is not None and scenarios.word_of(app_id) == scenarios.TOKEN_OVER and app_id not in self.over
            if app_id is None or ends:
                self.over.add(app_id or "")
                return None
            return self.tickets.setdefault(app_id, f"ticket-{secrets.token_hex(16)}")


def create_stub(options: Options) -> Flask:
    """Return the server as a WSGI application. It keeps its state in one process: serve it with one worker."""
    app = Flask("mapai-wechat-sandbox")
    platform = _Platform()
    plan = FaultPlan(seed=0, rate=0.0)
    app.extensions["platform"] = platform

    @app.post("/cgi-bin/stable_token")
    def token() -> Response:
        asked = request.get_json(silent=True) or {}
        app_id, word = str(asked.get("appid", "")), scenarios.word_of(str(asked.get("appid", "")))
        if asked.get("secret") != options.secret:
            return _no(40125, "invalid appsecret")
        if word == scenarios.BUSY:
            return _no(-1, "system error")
        if word == scenarios.ADDRESS_NOT_LISTED:
            return _no(40164, "invalid ip, not in whitelist")
        given = platform.token(app_id, force=bool(asked.get("force_refresh")))
        fault = plan.next(operation="token", number=app_id, magic=scenarios.MAGIC.get(word), calls_back=False)
        return _attend(options, fault, {"access_token": given, "expires_in": options.lasts_s})

    @app.get("/cgi-bin/ticket/getticket")
    def ticket() -> Response:
        given = platform.ticket(request.args.get("access_token", ""))
        if given is None:
            return _no(42001, "access_token expired")
        return as_json({"errcode": 0, "errmsg": "ok", "ticket": given, "expires_in": options.lasts_s})

    @app.get("/jweixin.js")
    def script() -> Response:
        return Response(SCRIPT, mimetype="text/javascript")

    @app.get("/health")
    def health() -> Response:
        return as_json({"ok": True, "partner": "wechat", **platform.asked})

    return app


def _no(code: int, words: str) -> Response:
    return as_json({"errcode": code, "errmsg": words})


def _attend(options: Options, fault: Fault | None, answer: dict[str, Any]) -> Response:
    if fault is Fault.UNAVAILABLE:
        return Response("busy", status=503)
    if fault is Fault.SLOW:
        time.sleep(options.slow_s)
    if fault in (Fault.SILENT, Fault.LOST):
        time.sleep(options.silent_s)
    if fault is Fault.ERROR_AFTER:
        return Response("oops", status=500)
    return as_json(answer)
