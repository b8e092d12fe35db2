"""What a crowd asks for, answered before the framework begins, and the order in which a crowded process serves.

The stage's live state is asked for by everybody at once and is the same for all of them, signed in or not: each form of
it is made four times a second at most, and told with an ETag. Completions come before readers: while they arrive, no
more pages are made at a time than leave threads free for them; whoever comes then is told to come again, in words, at
once.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from app.packing import tag_of, takes_packed

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# With the second a snapshot may be old (app/live.py keeps it for less), no answer tells of more than a second ago.
KEPT_S = 0.25
LIVE_API, LIVE_CARD, FRONT = "/api/programmes/current", "/live/stage", "/"
# How the reader wants the pages is all that a cookie may change here (app/web/blueprint.py).
# Only in the words and the order in which it is written: nobody makes up ever new forms to be made for him.
LOOK = re.compile(r"mapai_look=(mode:(?:standard|elder)\.text:[123]\.theme:(?:system|light|dark)\.lang:(?:zh|en))")
# All looks of the two pages, packed and not, and what is told when it is too crowded.
MOST_FORMS = 256
BUSY_KEPT_S = 60.0
BUSY = "mapai.busy"
READS = ("GET", "HEAD")
# While completions arrive, so many threads in eight make pages: enough to keep the web's connections busy, and the
# others are left to completions, which are admitted together and so the cheaper the more of them wait.
PAGES_OF_EIGHT = 3
RUSH_S = 1.0


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it goes out, until ``until_s`` on the monotonic clock."""

    until_s: float
    status: str
    headers: list[tuple[str, str]]
    body: bytes
    etag: str | None


class Crowd:
    """WSGI in front of the framework, behind the fast lane. ``threads`` is how many serve requests in this process.

    ``kept_s`` is how long an answer for everybody is kept; 0 for not at all.
    """

    def __init__(self, inner: Wsgi, *, threads: int, kept_s: float = KEPT_S) -> None:
        self._inner = inner
        self.kept_s = kept_s
        self._most_pages = max(1, threads * PAGES_OF_EIGHT // 8)
        self._kept: dict[tuple[str, ...], Kept] = {}
        self._making = threading.Lock()
        self._counting = threading.Lock()
        self._pages = 0
        self._completed_s = float("-inf")

    def note_completion(self) -> None:
        """Take note that a completion has come."""
        self._completed_s = time.monotonic()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer from what is kept, or let the framework answer, or say that it is too crowded just now."""
        form = _form_asked_for(environ)
        if form is not None:
            return self._tell_kept(form, environ, start_response)
        if not self._enter(reads=environ.get("REQUEST_METHOD") in READS):
            return self._tell_busy(environ, start_response)
        try:
            return self._inner(environ, start_response)
        finally:
            self._leave()

    def _enter(self, *, reads: bool) -> bool:
        # What somebody has typed is never turned away: only who reads comes again without losing anything.
        with self._counting:
            full = reads and self._pages >= self._most_pages and time.monotonic() - self._completed_s < RUSH_S
            self._pages += not full
        return not full

    def _leave(self) -> None:
        with self._counting:
            self._pages -= 1

    def _tell_kept(
        self, form: tuple[str, ...], environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        kept = self._kept.get(form)
        if kept is None or kept.until_s < time.monotonic():
            with self._making:
                kept = self._kept.get(form)
                if kept is None or kept.until_s < time.monotonic():
                    kept = self._make({**environ, "HTTP_COOKIE": f"mapai_look={_look_among(environ)}"}, self.kept_s)
                    self._keep(form, kept)
        if kept.etag is not None and environ.get("HTTP_IF_NONE_MATCH") == kept.etag:
            start_response("304 NOT MODIFIED", [header for header in kept.headers if header[0] not in _OF_BODIES])
            return []
        start_response(kept.status, list(kept.headers))
        return [kept.body]

    def _tell_busy(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # One answer for all: it names nobody's address and asks for nobody's sign-in.
        path = LIVE_API if environ.get("PATH_INFO", "").startswith("/api/") else FRONT
        form = (BUSY, path, look := _look_among(environ))
        kept = self._kept.get(form)
        if kept is None or kept.until_s < time.monotonic():
            asked = {
                "REQUEST_METHOD": "GET",
                "PATH_INFO": path,
                "QUERY_STRING": "",
                "HTTP_COOKIE": f"mapai_look={look}",
                BUSY: True,
            }
            kept = self._make({**environ, **asked}, BUSY_KEPT_S)
            self._keep(form, kept)
        start_response(kept.status, list(kept.headers))
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [kept.body]

    def _keep(self, form: tuple[str, ...], kept: Kept) -> None:
        if len(self._kept) >= MOST_FORMS and form not in self._kept:
            self._kept = {}
        self._kept[form] = kept

    def _make(self, environ: dict[str, Any], kept_s: float) -> Kept:
        """Let the framework answer, whatever the reader has already."""
        begun_s = time.monotonic()
        told: list[Any] = []
        environ = {name: value for name, value in environ.items() if name not in _HIS_OWN}
        answer = self._inner(environ, lambda status, headers, *_: told.extend((status, headers)))
        try:
            body = b"".join(answer)
        finally:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        status, headers = told[0], [header for header in told[1] if header[0] not in ("ETag", "Date")]
        etag = None
        if status.startswith("200"):
            etag = f'"{tag_of(body)}"'
            headers.append(("ETag", etag))
        for_all = (etag is not None or BUSY in environ) and all(name != "Set-Cookie" for name, _ in headers)
        return Kept(begun_s + (kept_s if for_all else 0), status, headers, body, etag)


# What an answer for everybody is made without: whether the first who asked has it already, and who that is.
_HIS_OWN = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_AUTHORIZATION")
_OF_BODIES = ("Content-Length", "Content-Type", "Content-Encoding")


def _form_asked_for(environ: dict[str, Any]) -> tuple[str, ...] | None:
    """Return which kept answer a request asks for, None where it is none that is the same for everybody.

    The stage's live state is the same for the signed-in as well; the front page says who is signed in.
    """
    path = environ.get("PATH_INFO")
    if environ.get("REQUEST_METHOD") != "GET" or environ.get("QUERY_STRING"):
        return None
    if path == LIVE_API:
        return (LIVE_API,)
    if path == LIVE_CARD:
        look: str | None = _look_among(environ)
    elif path == FRONT and "HTTP_AUTHORIZATION" not in environ:
        look = _look(environ)
    else:
        return None
    packed = "packed" if takes_packed(environ.get("HTTP_ACCEPT_ENCODING", "")) else ""
    return None if look is None else (path, look, packed)


def _look_among(environ: dict[str, Any]) -> str:
    """Return what the reader's cookies say of the look, whatever other cookies there are, '' where they say nothing.

    For what is the same whoever reads it.
    """
    cookies = environ.get("HTTP_COOKIE", "").split(";")
    return next((match[1] for cookie in cookies if (match := LOOK.fullmatch(cookie.strip()))), "")


def _look(environ: dict[str, Any]) -> str | None:
    """Return what the reader's cookie says of the look, '' without one, None where it says more than that."""
    cookie = environ.get("HTTP_COOKIE", "")
    match = LOOK.fullmatch(cookie)
    return match[1] if match else None if cookie else ""
