"""The one place where a «no» becomes an answer: problem JSON (RFC 9457) under /api, a plain page elsewhere.

Every fault in a request is told as ``{field, code, zh, en, remedy_zh, remedy_en}``. No traceback leaves the process.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import psycopg
import structlog
from flask import Flask, Response, redirect, render_template, request
from jinja2 import TemplateNotFound
from marshmallow import ValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError
from werkzeug.wrappers import Response as AnyResponse

from app.auth import API
from app.db import db
from app.faults import HTTP_FAULTS, Fault, fault_of
from app.refusals import DatabaseAway, EdgeRefusal, NotSignedIn
from registry.base import Refusal
from registry.inputs import SeveralRefused

STATUS = {"invalid": 422, "conflict": 409, "not_found": 404, "forbidden": 403, "too_often": 429, "unavailable": 503}
SIGN_IN_PATH = "/sign-in"
RETRY_AFTER_S = 2
PROBLEM = "application/problem+json"
_log = structlog.get_logger()


def register(app: Flask) -> None:
    """Give the application its answers to everything that can go wrong."""
    app.register_error_handler(Refusal, answer)
    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> AnyResponse:
    """Return the answer to an exception, whatever it is: the problem under /api, a page elsewhere."""
    db.session.rollback()
    refusal = as_refusal(error)
    if isinstance(refusal, NotSignedIn) and not request.path.startswith(API):
        return redirect(SIGN_IN_PATH if request.path == "/" else f"{SIGN_IN_PATH}?next={quote(request.path)}", 303)
    if refusal is not None:
        return _render(status_of(refusal), faults_of(refusal), retry_after_s=_retry_after(refusal), facts=refusal.facts)
    if isinstance(error, ValidationError):
        return _render(422, faults_in(error.messages))
    if isinstance(error, RecursionError):
        error = BadRequest()  # JSON nested a thousand deep
    if isinstance(error, HTTPException) and error.code is not None and error.code < 400:
        return error.get_response(request.environ)  # a redirect to the right spelling of the address
    if isinstance(error, HTTPException):
        return _answer_http(error)
    _record_failure(error)
    return _answer_http(InternalServerError())


def as_refusal(error: Exception) -> Refusal | None:
    """Return the refusal an exception stands for: itself, or that the database is away; None for anything else."""
    if isinstance(error, Refusal):
        return error
    away = isinstance(error, OperationalError | InterfaceError | PoolTimeout | psycopg.OperationalError)
    if away or (isinstance(error, DBAPIError) and error.connection_invalidated):
        _log.warning("database.away", error=repr(error))
        return DatabaseAway()
    return None


def status_of(refusal: Refusal) -> int:
    """Return the HTTP status of a refusal."""
    return refusal.status if isinstance(refusal, EdgeRefusal) else STATUS[refusal.kind]


def faults_of(refusal: Refusal) -> list[Fault]:
    """Return what was wrong, one fault a field."""
    each = refusal.each if isinstance(refusal, SeveralRefused) else (refusal,)
    return [
        Fault(
            code=one.code,
            zh=one.message_zh,
            en=one.message_en,
            remedy_zh=one.help_zh,
            remedy_en=one.help_en,
            field=one.field,
        )
        for one in each
    ]


def faults_in(messages: Any) -> list[Fault]:
    """Return marshmallow's messages, by location and field or by field only, as faults.

    A field inside another is told with its whole way, entries of a list counted from 1: ``opening_hours.2.closes``.
    """
    if not isinstance(messages, dict):
        return [fault_of(code, field=None) for code in (messages if isinstance(messages, list) else [messages])]
    faults: list[Fault] = []
    for name, inner in messages.items():
        location = name in ("json", "query", "form", "files", "headers", "json_or_form") and isinstance(inner, dict)
        if location:
            faults += faults_in(inner)
        elif isinstance(inner, list):
            faults += [fault_of(code, field=None if name in ("_schema", "json") else _inside(name)) for code in inner]
        else:
            faults += [replace(fault, field=_inside(name, fault.field)) for fault in faults_in(inner)]
    return faults


def _inside(name: str | int, inner: str | None = None) -> str:
    place = str(name + 1) if isinstance(name, int) else str(name)
    return f"{place}.{inner}" if inner else place


def problem(status: int, faults: list[Fault], facts: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the problem document (RFC 9457) for faults already put into words."""
    first = faults[0]
    document: dict[str, Any] = {
        "type": f"urn:mapai:problem:{first.code}",
        "title": first.zh if len(faults) == 1 else f"有 {len(faults)} 处需要改正。",
        "status": status,
        "code": first.code,
        "detail": _each_once(f"{fault.zh}{fault.remedy_zh}" for fault in faults),
        "detail_en": _each_once(f"{fault.en} {fault.remedy_en}".strip() for fault in faults),
        "errors": [fault.document() for fault in faults],
    }
    if facts and "reference" in facts:
        document["reference"] = facts["reference"]  # the trade-in that stands although the step was refused
    return document


def _each_once(sentences: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(sentences))


def _answer_http(error: HTTPException) -> AnyResponse:
    status = error.code or 500
    data = getattr(error, "data", None) or {}
    faults = faults_in(data["messages"]) if "messages" in data else []
    response = _render(status, faults or [HTTP_FAULTS.get(status, HTTP_FAULTS[500 if status >= 500 else 400])])
    for name, value in error.get_headers(request.environ):
        if name in ("Allow", "Retry-After", "WWW-Authenticate"):
            response.headers[name] = value
    return response


def _record_failure(error: Exception) -> None:
    # Without the variables of the frames and the parameters of statements: they hold people's numbers and names.
    if isinstance(error, StatementError):
        error.hide_parameters = True
    trace = "".join(traceback.format_tb(error.__traceback__))
    kind = type(error).__name__
    _log.error("request.failed", method=request.method, path=request.path, error=f"{kind}: {error}", trace=trace)


def _retry_after(refusal: Refusal) -> int | None:
    if isinstance(refusal, EdgeRefusal):
        return refusal.retry_after_s
    if refusal.kind == "too_often":
        return int(refusal.facts["retry_after_s"])
    return RETRY_AFTER_S if refusal.kind == "unavailable" else None


def _render(
    status: int, faults: list[Fault], *, retry_after_s: int | None = None, facts: dict[str, Any] | None = None
) -> Response:
    document = problem(status, faults, facts)
    if request.path.startswith(API) or request.path == "/api":
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        response = Response(body, status=status, content_type=PROBLEM)
    else:
        response = Response(_page(document), status=status, content_type="text/html; charset=utf-8")
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(document: dict[str, Any]) -> str:
    try:
        return render_template("error.html", problem=document)
    except TemplateNotFound:
        return f"<!doctype html><html lang=zh-CN><title>{document['status']}</title><h1>没有办成</h1>"
