"""The fast lane: an issued plate, the one request a rush is made of, answered before the web framework begins.

Only a well-signed callback that says «issued» and takes its place is answered here, with what the ordinary route
(app/api/plate_callbacks.py) would answer. Everything else, every refusal included, goes on to that route. Measured: a
completion costs half the web server's time this way.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from app.clients.plates.callbacks import read_callback
from app.clients.signing import MESSAGE_NO, SIGNATURE, TIMESTAMP, Signer, verify
from app.combiner import Combiner
from app.completing import completion_of
from app.headers import HEADERS
from registry.base import Refusal
from registry.plate_authority import PlateAnswer
from registry.sealing import Keyring
from subsidy.completion import Completed

PATH = "/api/partners/plates/callbacks"
REFUSED = "mapai.refused"
LARGEST_BODY_BYTES = 8 * 1024
SIGNED_HEADERS = {name: "HTTP_" + name.upper().replace("-", "_") for name in (TIMESTAMP, MESSAGE_NO, SIGNATURE)}

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class FastLane:
    """WSGI in front of the application. A refusal is handed on in ``environ[REFUSED]``: the route only tells it.

    ``arrived`` hears of every genuine word before its place is taken.
    """

    def __init__(
        self, inner: Wsgi, *, signer: Signer, keyring: Keyring, combiner: Combiner, arrived: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._arrived = arrived
        self._signer = signer
        self._keyring = keyring
        self._combiner = combiner
        self._headers = [("Content-Type", "application/json"), *HEADERS.items()]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer an issued plate; hand everything else on."""
        if environ.get("PATH_INFO") == PATH and environ.get("REQUEST_METHOD") == "POST":
            completed = self._complete(environ)
            if completed is not None:
                body = orjson.dumps(answer_document(completed))
                start_response("200 OK", [*self._headers, ("Content-Length", str(len(body)))])
                return [body]
        return self._inner(environ, start_response)

    def _complete(self, environ: dict[str, Any]) -> Completed | None:
        length = environ.get("CONTENT_LENGTH") or ""
        if not (length.isdecimal() and length.isascii()) or int(length) > LARGEST_BODY_BYTES:
            return None
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(body)
        headers = {name: environ.get(key, "") for name, key in SIGNED_HEADERS.items()}
        try:
            verify(signer=self._signer, method="POST", path=PATH, body=body, headers=headers)
            answer = read_callback(body)
            if not isinstance(answer, PlateAnswer) or answer.state != "done":
                return None
            self._arrived()
            return self._combiner.complete(completion_of(keyring=self._keyring, answer=answer))
        except Refusal as refusal:
            environ[REFUSED] = refusal
            return None


def answer_document(completed: Completed) -> dict[str, Any]:
    """Return what the police system is told about a completed trade-in; the amount in fen."""
    return {
        "reference": completed.reference,
        "position": completed.position,
        "state": completed.state,
        "stage": completed.stage_no,
        "amount_fen": completed.amount_fen,
    }
