"""The own place shown again while nothing it is made of has changed, answered before the framework begins.

An owner's open page asks every few seconds how things stand, and nearly always nothing has changed. One statement says
each time who asks, whether it is his and what the page's stamp is (app/web/own_place_stamp.py); where that is the stamp
of what was shown last, the same is shown again with the new time in it. Everything else, every refusal included, goes
on to the ordinary route (app/web/owner.py), whose answer is kept on its way out.
"""

from __future__ import annotations

import re
import struct
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from flask import request
from werkzeug.http import http_date, is_resource_modified

from app.auth import COOKIE
from app.clock import Clock, real
from app.crowd import LOOK
from app.packing import LEVEL, tag_of, takes_packed
from app.web.blueprint import LOOK_COOKIE
from app.web.own_place_stamp import Stamped, Stamps
from app.web.wording import clock_time, iso, local, moment_exact

# Account, reference, look, and whether it is packed.
Form = tuple[int, str, str, bool]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

PATH = re.compile(r"/my/([0-9A-Za-z-]{1,16})/live")
# As app/auth.py makes them. Anything else, like a cookie given twice, is left to the framework to read.
TOKEN = re.compile(r"[0-9A-Za-z_-]{43}")
# Some kilobytes each, of personal data: what nobody has asked for in a while is let go.
MOST_KEPT = 4096
KEPT_FOR_S = 600.0
# Where the page names the instant it speaks of, until that is filled in: one that nothing else on it can name.
UNSAID = datetime(9999, 12, 30, 4, tzinfo=UTC)
AROUND = "mapai.around_the_clock"
SET_ANEW = ("ETag", "Date", "Content-Length")
OF_BODIES = ("Content-Type", "Content-Encoding")
NO_TIME = bytes(len("12:00:00"))
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown of one own place on one day, in the three parts around the clock, which it tells twice.

    Beside that clock nothing on the page may depend on the time of day.

    ``packed`` holds the first and the last part as gzip's stream does, where the reader takes the page packed.
    """

    parts: tuple[bytes, bytes, bytes]
    day: date
    stamp: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    packed: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for an own place as an open page makes it."""

    token: str
    reference: str
    look: str
    packed: bool


def say_when(page: str, as_of: datetime) -> str:
    """Return the page, made for UNSAID, as of ``as_of``; note beside the request what stands around its clock."""
    before, after = page.split(_time_element(UNSAID))
    said = _time_element(as_of)
    opening, between, closing = said.split(clock_time(as_of))
    parts = ((before + opening).encode(), between.encode(), (closing + after).encode())
    request.environ[AROUND] = Shown(parts, local(as_of).date())
    return before + said + after


def _time_element(instant: datetime) -> str:
    # As the macro `at` writes it.
    return f'<time datetime="{iso(instant)}">{moment_exact(instant)}</time>'


class OwnPlaceAgain:
    """WSGI in front of the framework, behind the crowd's rules. ``most`` answers are kept; with 0 none is."""

    def __init__(self, inner: Wsgi, *, stamps: Stamps, clock: Clock, most: int = MOST_KEPT) -> None:
        self._inner = inner
        self._stamps = stamps
        self._clock = clock
        self.most = most
        # Least lately asked for first, each with the monotonic instant at which it was asked for last.
        self._kept: OrderedDict[Form, tuple[float, Shown]] = OrderedDict()
        self._keeping = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer from what is kept, or let the framework answer and keep that."""
        asked = _asked_for(environ)
        if asked is None or not self.most:
            return self._inner(environ, start_response)
        # Before the statement: what it finds was so at this instant or later.
        as_of = self._clock.now()
        found = self._stamps.read(token=asked.token, reference=asked.reference)
        if found is None:
            return self._inner(environ, start_response)
        form = (found.account_id, asked.reference, asked.look, asked.packed)
        kept = self._find(form)
        if kept is not None and (kept.stamp, kept.day) == (found.stamp, local(as_of).date()):
            return _tell(kept, as_of, environ, start_response)
        return self._make(form, found, environ, start_response)

    def close(self) -> None:
        """Let go of what stamps are read with."""
        self._stamps.close()

    def _make(
        self,
        form: Form,
        found: Stamped,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        """Let the framework answer. It reads after the stamp was taken: what is kept is never older than its stamp."""
        told: list[Any] = []

        def note(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            told[:] = status, headers
            return start_response(status, headers, *more)

        answer = self._inner(environ, note)
        around: Shown | None = environ.get(AROUND)
        if around is not None and told and told[0] == "200 OK" and all(name != "Set-Cookie" for name, _ in told[1]):
            headers = tuple(header for header in told[1] if header[0] not in SET_ANEW)
            packed = _ends_packed(around.parts) if any(name == "Content-Encoding" for name, _ in headers) else None
            self._keep(form, replace(around, stamp=found.stamp, headers=headers, packed=packed))
        return answer

    def _find(self, form: Form) -> Shown | None:
        with self._keeping:
            _, kept = self._kept.pop(form, (0.0, None))
            if kept is not None:
                self._kept[form] = time.monotonic(), kept
            return kept

    def _keep(self, form: Form, kept: Shown) -> None:
        now_s = time.monotonic()
        with self._keeping:
            self._kept[form] = now_s, kept
            self._kept.move_to_end(form)
            while len(self._kept) > self.most or next(iter(self._kept.values()))[0] < now_s - KEPT_FOR_S:
                self._kept.popitem(last=False)


def _asked_for(environ: dict[str, Any]) -> Asked | None:
    """Return what an open page asks for, None for every other request and for one that says more than it would."""
    path = PATH.fullmatch(environ.get("PATH_INFO", ""))
    if path is None or environ.get("REQUEST_METHOD") != "GET" or environ.get("QUERY_STRING"):
        return None
    if environ.get("SCRIPT_NAME") or "HTTP_IF_MATCH" in environ:
        return None
    token = look = ""
    for cookie in environ.get("HTTP_COOKIE", "").split(";"):
        name, _, value = cookie.partition("=")
        if name.strip() == COOKIE:
            if token or not TOKEN.fullmatch(value.strip()):
                return None
            token = value.strip()
        elif name.strip() == LOOK_COOKIE:
            if look or not LOOK.fullmatch(cookie.strip()):
                return None
            look = value.strip()
    if not token:
        return None
    return Asked(token, path[1], look, takes_packed(environ.get("HTTP_ACCEPT_ENCODING", "")))


def _tell(kept: Shown, as_of: datetime, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Show again what is kept, with the headers the ordinary route gives (app/web/front.py, app/packing.py)."""
    clock = clock_time(as_of).encode()
    body = clock.join(kept.parts)
    tag = f'"{tag_of(body)}"'
    dated = ("Date", http_date(real()))
    if "HTTP_IF_NONE_MATCH" in environ and not is_resource_modified(environ, etag=tag):
        left = [header for header in kept.headers if header[0] not in OF_BODIES]
        start_response("304 NOT MODIFIED", [*left, dated, ("ETag", tag)])
        return []
    if kept.packed is not None:
        tag, body = f"W/{tag}", _packed(kept.packed, clock + kept.parts[1] + clock, body)
    start_response("200 OK", [*kept.headers, dated, ("ETag", tag), ("Content-Length", str(len(body)))])
    return [body]


def _ends_packed(parts: tuple[bytes, bytes, bytes]) -> tuple[bytes, bytes]:
    """Pack the first and the last part so that the middle can be put between them.

    The last may refer back to what stands before it, but not to the clock's times: there it is told of NULs.
    """
    before = NO_TIME.join((*parts[:2], b""))
    first = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    last = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=before)
    return (
        first.compress(parts[0]) + first.flush(zlib.Z_FULL_FLUSH),
        last.compress(parts[2]) + last.flush(zlib.Z_FINISH),
    )


def _packed(ends: tuple[bytes, bytes], middle: bytes, body: bytes) -> bytes:
    """Return gzip's form of ``body``: its ends as they were packed once, the middle between them as it is."""
    stored = b"\x00" + struct.pack("<HH", len(middle), len(middle) ^ 0xFFFF) + middle
    return GZIP_HEAD + ends[0] + stored + ends[1] + struct.pack("<LL", zlib.crc32(body), len(body))
