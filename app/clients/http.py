"""The one way Mapai calls a partner over HTTP: signed, bounded in time, behind a breaker, and honest about outcomes.

Two things can go wrong and callers must tell them apart. ``PartnerUnavailable``: nothing happened there (no
connection, a full pool, an open breaker, or 503, which our partners send before they touch a request).
``PartnerSilent``: the request went out and no usable answer came back (time-out, dropped connection, any other 5xx,
an answer nobody can read), so the outcome is unknown and is asked for under the business number.
"""

from __future__ import annotations

import functools
import json
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
import pybreaker
import stamina

from app.clients.signing import Signer, signed_headers
from app.clients.wire import as_bytes
from registry.base import PartnerSilent, PartnerUnavailable, Refusal

LARGEST_ANSWER_BYTES = 64 * 1024 * 1024

NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


class PartnerMisunderstood(PartnerUnavailable):
    """The partner refused the request itself (4xx): wrong signature, wrong shape. Nothing happened there."""

    code = "partner_misunderstood"
    zh = "{partner}不接受我们发出的请求（{status} {reason}），没有办理。"
    en = "{partner} does not accept our request ({status} {reason}); nothing was done."
    remedy_zh = "请通知平台管理员核对接口密钥和版本，您填的内容已经保存。"
    remedy_en = "Tell the administrator to check the partner's key and version; what you entered is kept."


class NumberReused(Refusal):
    """One of our numbers came to the partner again with other content. The first request stands; this one does not."""

    code = "number_reused"
    kind = "conflict"
    zh = "编号「{number}」已经用于另一笔内容不同的请求。"
    en = "The number «{number}» already stands for a request with other content."
    remedy_zh = "请先查询这个编号的结果，不要换内容重发。"
    remedy_en = "Ask what became of that number first; never send other content under it."


class _NotTaken(PartnerUnavailable):
    """Nothing happened AND the same call may be tried again at once; leaves this module as PartnerUnavailable."""

    code = "partner_not_taken"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status (200–499) and the JSON document, always an object."""

    status: int
    data: dict[str, Any]


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()  # reading the authorities takes longer than a hundred calls: once a process


class PartnerHttp:
    """Calls one partner. Safe to share among threads; make one per process and partner.

    ``label`` is the partner's name for people, ``name`` ours for the partner. Times are seconds of real time: connect
    1, read 3, and the whole answer within twice the read time. ``attempts`` bounds the tries of an idempotent call.
    The breaker opens after ten failures in a row and lets calls through again ``rest_s`` later.
    """

    def __init__(
        self,
        *,
        label: str,
        base_url: str,
        signer: Signer,
        name: str = "mapai",
        connect_s: float = 1.0,
        read_s: float = 3.0,
        attempts: int = 3,
        failures_to_open: int = 10,
        rest_s: float = 5.0,
    ) -> None:
        self.label = label
        self._base_url = base_url.rstrip("/")
        self._signer = signer
        self._name = name
        self._read_s = read_s
        self._attempts = attempts
        self._timeout = httpx2.Timeout(read_s, connect=connect_s)
        self._client: httpx2.Client | None = None
        self._client_lock = threading.Lock()
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures_to_open, reset_timeout=rest_s, name=name, throw_new_error_on_trip=False
        )

    def get(self, path: str) -> Answer:
        """Ask for something. Always idempotent."""
        return self._ask("GET", path, b"", attempts=self._attempts)

    def post(self, path: str, payload: dict[str, Any], *, idempotent: bool) -> Answer:
        """Send a document. Only an idempotent call is tried again, and only where nothing happened before."""
        body = as_bytes(payload)
        return self._ask("POST", path, body, attempts=self._attempts if idempotent else 1)

    def close(self) -> None:
        """Give the connections back."""
        if self._client is not None:
            self._client.close()

    def _ask(self, method: str, path: str, body: bytes, *, attempts: int) -> Answer:
        try:
            for attempt in stamina.retry_context(
                on=_NotTaken, attempts=attempts, wait_initial=0.05, wait_max=0.5, wait_jitter=0.05, timeout=None
            ):
                with attempt:
                    return self._guarded(method, path, body)
        except _NotTaken:
            raise PartnerUnavailable(partner=self.label) from None
        raise AssertionError("a retried call either answers or raises")

    def _guarded(self, method: str, path: str, body: bytes) -> Answer:
        # `calling()` and not `call()`: the latter holds the breaker's lock for the whole call, which would line up
        # all threads behind one slow answer.
        try:
            with self._breaker.calling():
                return self._once(method, path, body)
        except pybreaker.CircuitBreakerError:
            raise PartnerUnavailable(partner=self.label) from None

    def _once(self, method: str, path: str, body: bytes) -> Answer:
        headers = signed_headers(signer=self._signer, partner=self._name, method=method, path=path, body=body)
        headers["Content-Type"] = "application/json"
        url = self._base_url + quote(path)  # the path is signed as the partner reads it: decoded, below the base URL
        try:
            with self._connections().stream(method, url, content=body, headers=headers) as response:
                status, raw = response.status_code, self._read(response)
        except NOT_SENT:
            raise _NotTaken(partner=self.label) from None
        except httpx2.HTTPError:
            raise PartnerSilent(partner=self.label) from None
        if status == 503:
            raise _NotTaken(partner=self.label)
        return self._understand(status, raw)

    def _read(self, response: httpx2.Response) -> bytes:
        # httpx2 times each read, not the whole: a partner that dribbles would hold the thread for ever
        deadline = time.monotonic() + 2 * self._read_s
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER_BYTES or time.monotonic() > deadline:
                raise PartnerSilent(partner=self.label)
        return b"".join(chunks)

    def _understand(self, status: int, raw: bytes) -> Answer:
        try:
            data = json.loads(raw)
        except ValueError:
            data = None
        if status >= 500 or status < 200 or not isinstance(data, dict):
            raise PartnerSilent(partner=self.label)
        return Answer(status, data)

    def _connections(self) -> httpx2.Client:
        # made at the first call, so that a server that forks its workers never shares sockets among them;
        # no proxies from the environment: partners are reached directly or through a base URL that says otherwise
        if self._client is None:
            with self._client_lock:
                if self._client is None:
                    limits = httpx2.Limits(max_connections=64, max_keepalive_connections=32)
                    self._client = httpx2.Client(timeout=self._timeout, limits=limits, trust_env=False, verify=_tls())
        return self._client

    def taken(self, answer: Answer, *, number: str = "") -> dict[str, Any]:
        """Return the document of a 2xx answer; raise NumberReused or PartnerMisunderstood for a 3xx or 4xx one."""
        if answer.status < 300:
            return answer.data
        reason = str(answer.data.get("code", ""))
        if reason == NumberReused.code:
            raise NumberReused(number=number)
        raise PartnerMisunderstood(partner=self.label, status=answer.status, reason=reason)

    def found(self, answer: Answer, *, number: str = "") -> dict[str, Any] | None:
        """Like ``taken``, but None where the partner says it knows no such thing (404 with code ``not_found``)."""
        if answer.status == 404 and answer.data.get("code") == "not_found":
            return None
        return self.taken(answer, number=number)
