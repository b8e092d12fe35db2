"""Sending a request again is the same as sending it once: the first answer is kept under the caller's key.

How it holds when a process dies: the key is reserved in a transaction of its own; the answer is stored in the SAME
transaction as the last business write, so an effect without its answer does not exist. A process that dies between
leaves a reservation without an answer; after ``LEASE`` the next request under that key takes it over and runs the
operation again, which every operation allows: partners are asked under our own kept number, and a step already taken
is found taken. Answers 5xx are not kept: nothing was decided, and the same key may try again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from io import SEEK_END
from typing import Any

from flask import Response, g, make_response, request
from marshmallow import ValidationError
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app import errors
from app.auth import caller
from app.db import db
from app.refusals import KeyMissing, KeyReused, StillRunning
from app.tables import FirstAnswer
from registry.base import Refusal

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(r"[\x21-\x7e]{8,80}")
# Longer than any request can run: partners are given seconds, the combiner twenty.
LEASE = timedelta(seconds=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A key held for one request. ``answer`` is the first answer where there is one; ``resumed`` says that an earlier
    request under the key began and died before it was answered."""

    actor: str
    key: str
    answer: tuple[int, bytes] | None = None
    resumed: bool = False


def request_hash(*, method: str, path: str, body: bytes) -> bytes:
    """Return the SHA-256 that tells one request from another."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode("utf-8", "surrogateescape"), body))).digest()


def reserve(*, session: Session, actor: str, key: str, request_sha256: bytes) -> Reservation:
    """Hold the key for this request, or return the first answer; commits.

    Raises KeyReused where the key stands for another request, StillRunning where its first request is not answered.
    """
    values = {"actor": actor, "key": key, "request_sha256": request_sha256, "status": 0}
    fresh = session.execute(insert(FirstAnswer).values(**values).on_conflict_do_nothing().returning(FirstAnswer.key))
    if fresh.scalar() is not None:
        session.commit()
        return Reservation(actor=actor, key=key)
    mine = (FirstAnswer.actor == actor, FirstAnswer.key == key)
    row = session.execute(select(FirstAnswer.request_sha256, FirstAnswer.status, FirstAnswer.body).where(*mine)).first()
    if row is not None and row.request_sha256 != request_sha256:
        session.rollback()
        raise KeyReused
    if row is not None and row.status:
        session.rollback()
        return Reservation(actor=actor, key=key, answer=(row.status, row.body or b""))
    taken_over = session.execute(
        update(FirstAnswer)
        .where(*mine, FirstAnswer.status == 0, FirstAnswer.created_at < func.clock_timestamp() - LEASE)
        .values(created_at=func.clock_timestamp())
        .returning(FirstAnswer.key)
    )
    dead = taken_over.scalar() is not None
    session.commit()
    if not dead:
        raise StillRunning
    return Reservation(actor=actor, key=key, resumed=True)


def keep(*, session: Session, reservation: Reservation, status: int, body: bytes) -> None:
    """Store the first answer in the caller's transaction."""
    session.execute(
        update(FirstAnswer)
        .where(FirstAnswer.actor == reservation.actor, FirstAnswer.key == reservation.key, FirstAnswer.status == 0)
        .values(status=status, body=body)
    )


def release(*, session: Session, reservation: Reservation) -> None:
    """Give the key back unanswered, so that the same request may try again; commits."""
    session.rollback()
    session.execute(
        delete(FirstAnswer).where(
            FirstAnswer.actor == reservation.actor, FirstAnswer.key == reservation.key, FirstAnswer.status == 0
        )
    )
    session.commit()


def idempotent(view: Callable[..., Any]) -> Callable[..., Any]:
    """Make a writing view of the API answer the same request the same way, byte for byte.

    The view leaves its last transaction open: it is committed here, together with the answer. Stands below the access
    rule and above the schema, so that a refused body is remembered too.
    """

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> AnyResponse:
        key = request.headers.get(HEADER, "")
        if not KEY.fullmatch(key):
            raise KeyMissing
        sha256 = request_hash(method=request.method, path=request.path, body=_body())
        reservation = reserve(session=db.session(), actor=caller().actor, key=key, request_sha256=sha256)
        if reservation.answer is not None:
            return _replay(*reservation.answer)
        g.mapai_resumed = reservation.resumed
        return _first(reservation, lambda: view(*args, **kwargs))

    return guarded


def is_resumed() -> bool:
    """Whether an earlier request under this key began and died: a step found taken may be its own."""
    return bool(g.get("mapai_resumed", False))


def _first(reservation: Reservation, act: Callable[[], Any]) -> AnyResponse:
    try:
        response = _answered(act)
        if response.status_code >= 500:
            release(session=db.session(), reservation=reservation)
            return response
        body = response.get_data()
        keep(session=db.session(), reservation=reservation, status=response.status_code, body=body)
        db.session.commit()
        return response
    except Exception:
        release(session=db.session(), reservation=reservation)
        raise


def _answered(act: Callable[[], Any]) -> AnyResponse:
    try:
        return make_response(act())
    except (Refusal, HTTPException, ValidationError) as refused:
        return errors.answer(refused)


def _body() -> bytes:
    # A multipart body carries a boundary of chance: what counts are its fields and files.
    if request.mimetype != "multipart/form-data":
        return request.get_data(cache=True)
    parts = hashlib.sha256()
    for name, text in sorted(request.form.items(multi=True)):
        parts.update(f"{len(name)}:{name}={len(text)}:{text};".encode("utf-8", "surrogateescape"))
    for name, file in sorted(request.files.items(multi=True)):
        # A list of 40 MB lies on disk: it is read in pieces.
        size = file.stream.seek(0, SEEK_END)
        file.stream.seek(0)
        parts.update(f"{len(name)}:{name}@{size}:".encode())
        while piece := file.stream.read(1 << 20):
            parts.update(piece)
        file.stream.seek(0)
    return parts.digest()


def _replay(status: int, body: bytes) -> Response:
    kind = "application/json" if status < 400 else errors.PROBLEM
    return Response(body, status=status, content_type=kind, headers={REPLAYED: "true", "Cache-Control": "no-store"})
