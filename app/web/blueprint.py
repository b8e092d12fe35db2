"""The one blueprint of the pages, its static files and the reader's choice of look."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, current_app, make_response, redirect, request, send_from_directory, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.access import public
from app.packing import pack

HERE = Path(__file__).parent
STATIC = HERE / "static"
FOREVER = 365 * 24 * 3600
LOOK_COOKIE = "mapai_look"
CHOICES = {
    "mode": ("standard", "elder"),
    "text": ("1", "2", "3"),
    "theme": ("system", "light", "dark"),
    "lang": ("zh", "en"),
}

web = Blueprint("web", __name__, template_folder="templates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How this reader wants the pages: 长辈版 or not, size of type within it, light or dark, Chinese or English."""

    mode: str = "standard"
    text: str = "1"
    theme: str = "system"
    lang: str = "zh"


def current_look() -> Look:
    """Return the look this browser asked for; anything unknown in the cookie counts as the standard."""
    parts = dict(part.split(":", 1) for part in request.cookies.get(LOOK_COOKIE, "").split(".") if ":" in part)
    return Look(**{name: parts[name] for name, allowed in CHOICES.items() if parts.get(name) in allowed})


def local_path(target: str | None, *, otherwise: str) -> str:
    """Return ``target`` where it is a path of this site, ``otherwise`` where it would lead elsewhere."""
    if not target or not target.startswith("/") or target.startswith("//") or "\\" in target:
        return otherwise
    parts = urlsplit(target)
    return otherwise if parts.scheme or parts.netloc or any(ord(sign) < 32 for sign in target) else target


def look_url(**change: str) -> str:
    """Return the link that changes the look and comes back to this page."""
    # A page that answers a form has no address to come back to; its start is the next best.
    back = request.full_path.rstrip("?") if request.method == "GET" else request.path
    return with_query(url_for("web.change_look"), **change, back=back)


def asked_before() -> int | None:
    """Return the number after which a list's next page begins (``before``), None where it is none of ours."""
    typed = request.args.get("before", "")
    # Eighteen digits are what the database's numbers hold.
    return int(typed) if re.fullmatch(r"\d{1,18}", typed, re.ASCII) else None


@lru_cache(maxsize=64)
def _version(filename: str) -> str:
    return hashlib.sha256((STATIC / filename).read_bytes()).hexdigest()[:12]


def asset(filename: str) -> str:
    """Return the address of a static file with its content's hash in it, so that it may be kept for ever."""
    return url_for("web.assets", filename=filename, v=_version(filename))


def has_asset(filename: str) -> bool:
    """Say whether a static file is there: the libraries come only at install."""
    return (STATIC / filename).is_file()


@web.after_request
def make_small(answer: Response) -> Response:
    """Send pages and static files packed to whoever takes them so."""
    return pack(answer, request=request)


@web.get("/assets/<path:filename>")
@public
def assets(filename: str) -> Response:
    """One static file."""
    return send_from_directory(STATIC, filename, max_age=FOREVER if request.args.get("v") else 60)


@web.get("/look")
@public
def change_look() -> AnyResponse:
    """Remember the look in a cookie of this browser, and go back."""
    look = current_look()
    chosen = {name: request.args.get(name, getattr(look, name)) for name in CHOICES}
    kept = ".".join(f"{name}:{value}" for name, value in chosen.items() if value in CHOICES[name])
    answer = make_response(redirect(local_path(request.args.get("back"), otherwise=url_for("web.front")), 303))
    secure = request.is_secure or current_app.config["SESSION_COOKIE_SECURE"]
    answer.set_cookie(LOOK_COOKIE, kept, max_age=FOREVER, httponly=True, samesite="Lax", secure=secure)
    return answer


def with_query(path: str, **query: str) -> str:
    """Return ``path`` with a query made of what is not empty."""
    kept = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path
