"""How a partner's server calls back: from a bounded pool of threads, with bounded retries, over kept connections."""

from __future__ import annotations

import heapq
import http.client
import itertools
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol
from urllib.parse import unquote, urlsplit

from app.clients.signing import Signer, signed_headers

FIRST_WAIT_S = 0.2

log = logging.getLogger(__name__)


class Outgoing(Protocol):
    """What a partner needs for acting later and for calling back."""

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Do something ``delay_s`` seconds of real time from now."""

    def send(self, body: bytes) -> None:
        """Call back with this document, signed."""


class CallbackSender:
    """Posts signed callbacks to one URL, or nowhere when ``url`` is None.

    Each sending has a message number of its own, a second sending of the same news too. Refused connections, time-outs
    and answers 429 or 5xx are tried again after 0.2, 0.4, 0.8 … seconds, ``attempts`` times in all; then the news is
    given up and only asking finds it. Threads are daemons and start at the first use.
    """

    def __init__(
        self,
        *,
        url: str | None,
        signer: Signer,
        partner: str,
        threads: int = 8,
        attempts: int = 6,
        timeout_s: float = 3.0,
    ) -> None:
        self._url = urlsplit(url) if url else None
        self._signer = signer
        self._partner = partner
        self._threads = threads
        self._attempts = attempts
        self._timeout_s = timeout_s
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = itertools.count()
        self._wake = threading.Condition()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._open = 0
        self._started = self._closed = False
        self._local = threading.local()
        self.counts: Counter[str] = Counter()

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        with self._wake:
            if self._closed:
                return
            self._start()
            self._open += 1
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._tie), act))
            self._wake.notify_all()

    def send(self, body: bytes) -> None:
        if self._url is not None:
            self.later(0, lambda: self._deliver(body, 1))

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is due, under way or to be tried again; say whether that came in time."""
        with self._wake:
            return self._wake.wait_for(lambda: self._open == 0, timeout_s)

    def close(self) -> None:
        """Stop calling back; what is under way finishes."""
        with self._wake:
            self._closed = True
            self._due.clear()
            self._wake.notify_all()
        for _ in range(self._threads):
            self._work.put(None)

    def health(self) -> dict[str, int]:
        """Return how many callbacks were delivered, refused and given up, and how many acts are still open."""
        return {**{word: self.counts[word] for word in ("delivered", "refused", "given_up")}, "open": self._open}

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        threading.Thread(target=self._watch, name="callbacks-timer", daemon=True).start()
        for index in range(self._threads):
            threading.Thread(target=self._labour, name=f"callbacks-{index}", daemon=True).start()

    def _watch(self) -> None:
        with self._wake:
            while not self._closed:
                if not self._due:
                    self._wake.wait()
                    continue
                wait_s = self._due[0][0] - time.monotonic()
                if wait_s > 0:
                    self._wake.wait(wait_s)
                else:
                    self._work.put(heapq.heappop(self._due)[2])

    def _labour(self) -> None:
        while (act := self._work.get()) is not None:
            try:
                act()
            except Exception:  # a fault in one act must not cost the pool a thread
                log.exception("a partner's server could not act later")
            finally:
                with self._wake:
                    self._open -= 1
                    self._wake.notify_all()
        self._hang_up()

    def _deliver(self, body: bytes, attempt: int) -> None:
        status = self._post(body)
        if status is not None and status < 500 and status != 429:
            self._count("delivered" if status < 300 else "refused")
        elif attempt < self._attempts:
            self.later(FIRST_WAIT_S * 2 ** (attempt - 1), lambda: self._deliver(body, attempt + 1))
        else:
            self._count("given_up")

    def _count(self, outcome: str) -> None:
        with self._wake:
            self.counts[outcome] += 1

    def _post(self, body: bytes) -> int | None:
        assert self._url is not None
        path = self._url.path or "/"
        headers = signed_headers(
            signer=self._signer, partner=self._partner, method="POST", path=unquote(path), body=body
        )
        headers["Content-Type"] = "application/json"
        try:
            connection = self._connection()
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._hang_up()
            return None
        return response.status

    def _connection(self) -> http.client.HTTPConnection:
        # the standard library's client, kept open by each thread: a burst of thousands has to leave the cores to Mapai
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            assert self._url is not None
            kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
            connection = kind(self._url.hostname or "", self._url.port, timeout=self._timeout_s)
            self._local.connection = connection
        return connection

    def _hang_up(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None
