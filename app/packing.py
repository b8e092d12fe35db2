"""Pages and static files made small on the way: what a phone on a slow network waits for."""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import lru_cache

from flask import Request, Response

SMALLEST = 1_000
LEVEL = 6
GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")
MIMETYPES = {"text/html", "text/css", "text/javascript", "application/javascript", "image/svg+xml"}


def takes_packed(accepted: str) -> bool:
    """Say whether a reader with this Accept-Encoding takes gzip."""
    return GZIP.search(accepted) is not None


@lru_cache(maxsize=64)
def _packed(body: bytes) -> bytes:
    """A crowd reads the same few bodies: each is packed once."""
    return gzip.compress(body, LEVEL, mtime=0)


def tag_of(body: bytes) -> str:
    """Return what a page's ETag says of its content."""
    return hashlib.sha256(body).hexdigest()[:32]


def _taken(request: Request) -> bool:
    return takes_packed(request.headers.get("Accept-Encoding", ""))


def pack(answer: Response, *, request: Request) -> Response:
    """Return the answer gzipped where the reader takes that and it is worth it.

    A page with a form's token is sent as it is: packed together with words from its address, its length would tell of
    the token (BREACH).
    """
    if answer.mimetype not in MIMETYPES:
        return answer
    answer.vary.add("Accept-Encoding")
    if answer.status_code != 200 or "Content-Encoding" in answer.headers or not _taken(request):
        return answer
    answer.direct_passthrough = False
    body = answer.get_data()
    if len(body) < SMALLEST or b'name="csrf_token"' in body:
        return answer
    answer.set_data(_packed(body))
    answer.headers["Content-Encoding"] = "gzip"
    tag, _weak = answer.get_etag()
    if tag is not None:
        answer.set_etag(tag, weak=True)  # the same page, not the same bytes
    return answer
