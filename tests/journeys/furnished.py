"""A furnished district behind a real server in this process: something in every queue, an address for every page."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urldefrag, urlsplit

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server

from app.auth import COOKIE
from tests.web.desk_scene import Bureau
from tests.web.scene import STAFF, Browser

LINK = re.compile(r'<a\b[^>]*\bhref="([^"#][^"]*)"')
HTML = "text/html"
# Who looks, and from where on. A page is looked at with the eyes of the first who reaches it.
STARTS: tuple[tuple[str | None, str], ...] = (
    (None, "/"),
    (None, "/proof"),
    (None, "/check?plate_no=Z999999"),
    (None, "/nowhere"),
    ("owed0", "/my"),
    ("late1", "/my"),
    ("begun", "/my"),
    ("point", "/point"),
    ("point", "/point/stock"),
    (STAFF, "/board"),
    (STAFF, "/desk"),
    ("reviewer", "/desk"),
    ("finance", "/desk"),
    ("administrator", "/desk"),
    ("auditor", "/desk/audit"),
)
A_START_MOST = 150


@dataclass(frozen=True, kw_only=True)
class Example:
    """One address of a kind of page, and who can open it (None: anybody)."""

    endpoint: str
    address: str
    login: str | None


def furnish(bureau: Bureau) -> None:
    """Put something into every queue, and one trade-in in the middle of its way."""
    bureau.furnish()
    owner = bureau.scene.owner("begun")
    bureau.scene.district.stock(bureau.scene.dealer)
    bureau.counter.open_trade_in(owner)


def examples(app: Flask) -> list[Example]:
    """Return one address for each kind of page that can be reached by links, each after whom it belongs to."""
    found: dict[str, Example] = {}
    adapter = app.url_map.bind("localhost")
    for login, start in STARTS:
        browser = Browser(app)
        if login is not None:
            browser.sign_in(login)
        waiting, seen = [start], set[str]()
        while waiting and len(seen) < A_START_MOST:
            address = waiting.pop(0)
            page = browser.client.get(address)
            if page.mimetype != HTML:
                continue
            endpoint = _endpoint(adapter, urlsplit(address).path)
            found.setdefault(endpoint, Example(endpoint=endpoint, address=address, login=login))
            for link in LINK.findall(page.text):
                plain = urldefrag(link.replace("&amp;", "&")).url
                kind = _endpoint(adapter, urlsplit(plain).path)
                # One more of a kind already known shows nothing new.
                if plain.startswith("/") and kind not in seen and kind not in ("web.change_look", "web.assets"):
                    seen.add(kind)
                    waiting.append(plain)
    return sorted(found.values(), key=lambda example: example.endpoint)


def _endpoint(adapter: object, path: str) -> str:
    try:
        return str(adapter.match(path, method="GET")[0])  # type: ignore[attr-defined]
    except HTTPException:
        return "nowhere"


def cookie_of(app: Flask, login: str) -> str:
    """Return the value of the cookie with which this account is signed in."""
    browser = Browser(app)
    browser.sign_in(login)
    cookie = browser.client.get_cookie(COOKIE)
    assert cookie is not None, login
    return str(cookie.value)


class _Silent(WSGIRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing: a failing test prints what failed."""


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve the application on a free port of this machine; yield its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
