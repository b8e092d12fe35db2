"""What all users of a rush have in common: looking again at a page they have, and not giving up on a request."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from locust import FastHttpUser

from loadtests.users_known import Seen, known_in

KNOWN = known_in(os.environ)
SEEN = Seen(KNOWN.seen if KNOWN else None)
COOKIE = "mapai_sign_in"
INSIST_S = 60.0
LONGEST_PAUSE_S = 2.0
SHORTEST_PAUSE_S = 0.05

Headers = Mapping[str, str]


class Visitor(FastHttpUser):
    """Somebody with a browser or a program. ``token`` says who is signed in, None for a visitor."""

    abstract = True
    token: str | None = None
    connection_timeout = network_timeout = 25.0

    def on_start(self) -> None:
        self._tags: dict[str, str] = {}

    def look(self, path: str, name: str) -> None:
        """Look at a page, or ask whether it is still the one seen last."""
        headers = {"Cookie": f"{COOKIE}={self.token}"} if self.token else {}
        if path in self._tags:
            headers["If-None-Match"] = self._tags[path]
        with self.client.get(path, name=name, headers=headers, catch_response=True) as answer:
            if answer.status_code == 200 and "ETag" in answer.headers:
                self._tags[path] = answer.headers["ETag"]
            elif answer.status_code not in (200, 304):
                answer.failure(told(answer))

    def ask(
        self,
        method: str,
        path: str,
        *,
        name: str,
        wanted: tuple[int, ...] = (200,),
        body: bytes | None = None,
        headers: Headers | None = None,
    ) -> Any:
        """Send one request and return its answer; a status other than the ``wanted`` counts as a failure.

        Being told that the first sending of the same request is still running is no failure.
        """
        sent = {**self.signed_in(), **(headers or {})}
        with self.client.request(
            method, path, name=name, data=body, headers=sent, catch_response=True, allow_redirects=False
        ) as answer:
            if answer.status_code in wanted or _still_running(answer):
                answer.success()
            else:
                answer.failure(told(answer))
        return answer

    def insist(
        self,
        method: str,
        path: str,
        *,
        name: str,
        wanted: tuple[int, ...] = (200,),
        body: bytes | None = None,
        headers: Callable[[], Headers] = dict,
    ) -> Any:
        """Send a request until it is decided, as every client should; return None where it stays undecided.

        Undecided is no answer, 5xx, and that the first sending is still running. ``headers`` is called for each
        sending: signatures carry a number of their own.
        """
        deadline, pause_s = time.monotonic() + INSIST_S, SHORTEST_PAUSE_S
        while time.monotonic() < deadline:
            answer = self.ask(method, path, name=name, wanted=wanted, body=body, headers=headers())
            if 0 < answer.status_code < 500 and not _still_running(answer):
                return answer
            gevent.sleep(min(LONGEST_PAUSE_S, pause_s * random.uniform(0.5, 1.5)))
            pause_s *= 2
        return None

    def signed_in(self) -> Headers:
        """Return the headers that tell the API who is asking."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def new_key() -> str:
    """Return a fresh Idempotency-Key."""
    return uuid.uuid4().hex


def document_of(answer: Any) -> dict[str, Any]:
    """Return an answer's JSON object, an empty one where there is none."""
    if not answer.text:  # nobody answered
        return {}
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def told(answer: Any) -> str:
    """Return an answer that was not wanted in a few words: its status and the problem's code."""
    return f"{answer.status_code} {document_of(answer).get('code', '')}".strip()


def _still_running(answer: Any) -> bool:
    return answer.status_code == 409 and document_of(answer).get("code") == "still_running"
