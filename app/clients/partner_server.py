"""What the three partners' servers share: options, the signed entrance, and misbehaving on purpose."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.clients.faults import Fault, FaultPlan
from app.clients.signing import MAX_AGE_S, HmacSm3, ReplayedRequest, Signer, verify
from app.clients.wire import as_bytes
from registry.base import Refusal

LARGEST_REQUEST_BYTES = 256 * 1024 * 1024
STATUS = {"invalid": 422, "conflict": 409, "not_found": 404, "forbidden": 403, "unavailable": 503}


class DemoOnly(Refusal):
    """A door for demonstrations was tried on a server started for production."""

    code = "demo_only"
    kind = "forbidden"
    zh = "这个入口只在演示环境开放。"
    en = "This door is open in demonstrations only."
    remedy_zh = "请不要在生产环境调用演示入口。"
    remedy_en = "Do not call demonstration doors in production."


class NotFound(Refusal):
    """The partner never received anything under that number."""

    code = "not_found"
    kind = "not_found"
    zh = "没有收到过这个编号。"
    en = "Nothing was received under this number."
    remedy_zh = "可以用同一个编号重新提交。"
    remedy_en = "The same number may be sent again."


class WrongShape(Refusal):
    """The request's document lacks a field or has one of another kind."""

    code = "wrong_shape"
    kind = "invalid"
    zh = "请求正文的字段「{wrong}」缺少或类型不对。"
    en = "The request's field «{wrong}» is missing or of the wrong kind."
    remedy_zh = "请按接口说明填写后重发。"
    remedy_en = "Fill it in as the interface says and resend."


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How a partner's server behaves.

    ``key`` is shared with Mapai (16 bytes or more); ``now`` gives the business instant (aware UTC, scaled in demo)
    that ends up in answers and statements. ``fault_rate`` 0–1 is the share of requests that meet a fault drawn from
    ``seed``; ``answered_at_once`` 0–1 the share of orders answered finally, the others get «pending» and a callback to
    ``callback_url``. Times ending in ``_s`` are seconds of real time: ``silent_s`` must exceed the caller's read
    time-out, ``slow_s`` stay below it. ``state_file`` is the journal that survives a restart; None keeps nothing.
    ``production`` closes every demonstration door and allows no faults.
    """

    key: bytes
    now: Callable[[], datetime]
    seed: int = 0
    fault_rate: float = 0.0
    answered_at_once: float = 1.0
    callback_url: str | None = None
    callback_threads: int = 8
    callback_delay_s: float = 0.3
    late_s: float = 5.0
    slow_s: float = 1.0
    silent_s: float = 4.0
    state_file: Path | None = None
    production: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.answered_at_once <= 1:
            raise ValueError(f"answered_at_once lies between 0 and 1, not {self.answered_at_once}")
        if self.production and self.fault_rate:
            raise ValueError("a partner's server started for production has no fault rate")

    def signer(self) -> Signer:
        return HmacSm3(self.key)


class SeenNumbers:
    """Message numbers of the last ten minutes at least, which is as long as a signature can be played again."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._recent: set[str] = set()
        self._older: set[str] = set()
        self._turned_at = monotonic()

    def take(self, message_no: str) -> None:
        """Remember a number; raises ReplayedRequest where it came before."""
        with self._lock:
            if self._monotonic() - self._turned_at > 2 * MAX_AGE_S:
                self._older, self._recent, self._turned_at = self._recent, set(), self._monotonic()
            if message_no in self._recent or message_no in self._older:
                raise ReplayedRequest
            self._recent.add(message_no)


def as_json(document: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(as_bytes(document), status=status, mimetype="application/json")


def document(**fields: type) -> dict[str, Any]:
    """Return the request's JSON object once every named field is there, of that type and not empty."""
    try:
        data = json.loads(request.get_data())
    except ValueError:
        raise WrongShape(wrong="body") from None
    if not isinstance(data, dict):
        raise WrongShape(wrong="body")
    for field, kind in fields.items():
        if type(data.get(field)) is not kind or data[field] == "":
            raise WrongShape(wrong=field, field=field)
    return data


class Door:
    """The entrance of a partner's server: every route is signed, except ``health`` and those named ``demo_…``."""

    def __init__(self, app: Flask, options: ServerOptions) -> None:
        self._options = options
        self._signer = options.signer()
        self._seen = SeenNumbers()
        self._plan = FaultPlan(seed=options.seed, rate=options.fault_rate)
        app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST_BYTES
        app.before_request(self._check)
        app.register_error_handler(Refusal, _refused)
        app.register_error_handler(HTTPException, _no_route)

    def _check(self) -> None:
        endpoint = request.endpoint or ""
        if endpoint == "health":
            return
        if endpoint.startswith("demo_"):
            if self._options.production:
                raise DemoOnly
            return
        headers, body = request.headers, request.get_data()
        number = verify(signer=self._signer, method=request.method, path=request.path, body=body, headers=headers)
        self._seen.take(number)

    def attend(
        self,
        *,
        operation: str,
        number: str,
        work: Callable[[Fault | None], dict[str, Any]],
        magic: Fault | None = None,
        calls_back: bool = False,
    ) -> Response:
        """Do ``work`` and answer, or misbehave as magic or chance will have it. ``work`` is told the fault."""
        fault = self._plan.next(operation=operation, number=number, magic=magic, calls_back=calls_back)
        if fault is Fault.UNAVAILABLE:
            return as_json({"code": "unavailable"}, 503)
        if fault is Fault.SLOW:
            time.sleep(self._options.slow_s)
        if fault is Fault.LOST:
            time.sleep(self._options.silent_s)
            return as_json({"code": "timed_out"}, 504)
        answer = work(fault)
        if fault is Fault.SILENT:
            time.sleep(self._options.silent_s)
        if fault is Fault.ERROR_AFTER:
            return as_json({"code": "internal_error"}, 500)
        return as_json(answer)


def _refused(refusal: Refusal) -> Response:
    title = {"code": refusal.code, "title": refusal.message_zh, "detail": refusal.message_en, "field": refusal.field}
    return as_json(title, STATUS[refusal.kind])


def _no_route(error: HTTPException) -> Response:
    # never «not_found»: a wrong base URL must not read as «your number was never received»
    return as_json({"code": f"http_{error.code}", "title": error.name}, error.code or 500)
