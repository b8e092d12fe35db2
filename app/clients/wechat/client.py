"""WeChat's API over HTTP, as far as pages need it: an access token, with it the ticket that signs pages.

Both hold two hours and are fetched once a process. The «stable» token is asked for: several processes are given the
same one and do not end each other's.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pybreaker

from app.clients.http import PartnerMisunderstood
from app.clients.wechat import LABEL, WeChatSetup
from registry.base import PartnerUnavailable

# Somebody holds a phone over a code: what takes longer than this, the page's own camera does sooner.
CONNECT_S, READ_S = 1.0, 2.0
EARLIER_S = 300.0
FAILURES_TO_OPEN, REST_S = 5, 30.0
LARGEST_ANSWER_BYTES = 64 * 1024
# The token was ended before its time: by another system of the bureau's, or by WeChat.
TOKEN_OVER = frozenset({40001, 40014, 42001})
BUSY = frozenset({-1, 45009, 45011})


class WeChatClient:
    """A TicketSource. Share one among threads; ``monotonic`` counts real seconds."""

    def __init__(self, setup: WeChatSetup, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._setup = setup
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ticket: tuple[str, float] = ("", 0.0)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=FAILURES_TO_OPEN, reset_timeout=REST_S, throw_new_error_on_trip=False
        )

    @property
    def app_id(self) -> str:
        return self._setup.app_id

    def ticket(self) -> str:
        with self._lock:
            ticket, until = self._ticket
            if self._monotonic() >= until:
                ticket, lasts_s = self._fresh()
                self._ticket = (ticket, self._monotonic() + max(0.0, lasts_s - EARLIER_S))
            return ticket

    def _fresh(self) -> tuple[str, float]:
        try:
            with self._breaker.calling():
                said = self._ask_ticket(self._token(force=False))
                if said.get("errcode") in TOKEN_OVER:
                    said = self._ask_ticket(self._token(force=True))
                return _taken(said, "ticket"), float(said.get("expires_in", 0))
        except pybreaker.CircuitBreakerError:
            raise PartnerUnavailable(partner=LABEL) from None

    def _token(self, *, force: bool) -> str:
        asked = {
            "grant_type": "client_credential",
            "appid": self._setup.app_id,
            "secret": self._setup.secret,
            "force_refresh": force,
        }
        return _taken(self._ask("POST", "/cgi-bin/stable_token", json=asked), "access_token")

    def _ask_ticket(self, token: str) -> dict[str, Any]:
        return self._ask("GET", "/cgi-bin/ticket/getticket", params={"access_token": token, "type": "jsapi"})

    def _ask(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        # a connection of its own: this is asked twice in two hours, and no secret stays in a pool
        try:
            with httpx2.Client(timeout=httpx2.Timeout(READ_S, connect=CONNECT_S), trust_env=False) as client:
                answer = client.request(method, self._setup.url + path, **content)
                said = json.loads(answer.content[:LARGEST_ANSWER_BYTES])
        except (httpx2.HTTPError, ValueError):
            raise PartnerUnavailable(partner=LABEL) from None
        if answer.status_code != 200 or not isinstance(said, dict):
            raise PartnerUnavailable(partner=LABEL)
        return said


def _taken(said: dict[str, Any], name: str) -> str:
    """Return what was asked for; WeChat answers 200 to everything and says by ``errcode`` what is wrong."""
    code = said.get("errcode", 0)
    if code in BUSY:
        raise PartnerUnavailable(partner=LABEL)
    value = said.get(name)
    if code or not isinstance(value, str) or not value:
        raise PartnerMisunderstood(partner=LABEL, status=code, reason=str(said.get("errmsg", ""))[:80])
    return value
