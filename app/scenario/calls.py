"""Speaks to the platform's JSON API and to the partners' doors as the scenario's people do: over HTTP, patiently.

A request that was not answered, or answered 5xx, is sent again under the same key, as every client should; now and then
one that was answered is sent again too, and has to get the very same answer.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 30.0
TRIES = 60
LONGEST_PAUSE_S = 2.0
SENT_TWICE = 50  # one request in fifty


class ScenarioFailed(Exception):
    """The scenario cannot go on, or something happened that must never happen. Its text says what."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and JSON document of an answer; ``tries`` is how often it took."""

    status: int
    data: dict[str, Any]
    body: bytes
    tries: int


class Server:
    """One server, asked over connections kept open. ``sent``, ``retried`` and ``sent_twice`` count requests."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._closed = threading.Event()
        self.sent = self.retried = self.sent_twice = 0

    def close(self) -> None:
        """Hang up; whatever is still being asked is not tried again."""
        self._closed.set()
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def pause(self, seconds: float) -> None:
        """Wait. Raises ScenarioFailed at once where the server is closed: there is nothing left to wait for."""
        if self._closed.wait(seconds):
            raise ScenarioFailed("stopped")

    def get(self, path: str, *, token: str | None = None) -> Reply:
        """GET, again and again while the server is away. Raises ScenarioFailed where it stays away."""
        return self._patiently("GET", path, None, _headers(token))

    def post(self, path: str, document: Any = None, *, token: str | None = None, key: str | None = None) -> Reply:
        """POST a JSON document under a key. Raises ScenarioFailed where the server stays away."""
        body = b"" if document is None else json.dumps(document, ensure_ascii=False).encode()
        headers = _headers(token) | ({"Content-Type": "application/json"} if body else {})
        if key is None:
            return self._patiently("POST", path, body, headers)
        headers["Idempotency-Key"] = key
        reply = self._patiently("POST", path, body, headers)
        if _picked(key):
            self._send_again(path, body, headers, reply)
        return reply

    def _send_again(self, path: str, body: bytes, headers: Mapping[str, str], first: Reply) -> None:
        second = self._patiently("POST", path, body, headers)
        with self._lock:
            self.sent_twice += 1
        if (second.status, second.body) != (first.status, first.body):
            raise ScenarioFailed(f"POST {path} was answered {first.body!r} first and {second.body!r} when repeated")

    def _patiently(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        failure: object = None
        for tries in range(1, TRIES + 1):
            try:
                status, answer = self._once(method, path, body, headers)
            except (OSError, http.client.HTTPException) as error:
                failure = repr(error)
            else:
                if status < 500 and not _still_running(status, answer):
                    self._count(tries)
                    return Reply(status, json.loads(answer) if answer else {}, answer, tries)
                failure = answer[:300]
            if self._closed.wait(min(LONGEST_PAUSE_S, 0.1 * 2**tries)):
                break
        raise ScenarioFailed(f"{method} {path} failed again and again, the last time with {failure}")

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        connection = kept or http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        if self._closed.is_set():
            self.close()
        return response.status, answer

    def _count(self, tries: int) -> None:
        with self._lock:
            self.sent += 1
            self.retried += tries > 1


def _headers(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _picked(key: str) -> bool:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) % SENT_TWICE == 0


def _still_running(status: int, answer: bytes) -> bool:
    return status == http.HTTPStatus.CONFLICT and b'"still_running"' in answer
