"""Sending a request again is the same as sending it once: the first answer is kept under the caller's key.

How it holds when a process dies: the key is reserved in a transaction of its own; the answer is stored in the SAME
transaction as the last business write, so an effect without its answer does not exist. A process that dies between
leaves a reservation without an answer; after ``LEASE`` the next request under that key takes it over and runs the
operation again, which every operation allows: partners are asked under our own kept number, and a step already taken
is found taken. Answers 5xx are not kept: nothing was decided, and the same key may try again. Where the key cannot be
given back because the database is away, the process goes on trying (app/key_returns.py), so that it is free as soon as
the database is back.

The lease is short, so that nobody waits long for a request that a dead process took along. A request may outlive it,
standing in line for a connection or for the queue. ``reserved_at`` tells who holds the key: whoever was taken over
cannot keep an answer any more, so his last transaction is rolled back and only one of the two has an effect.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from io import SEEK_END
from typing import Any

import psycopg
from flask import Response, g, make_response, request
from marshmallow import ValidationError
from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from app import errors
from app.auth import caller
from app.db import db
from app.key_returns import KeyReturns
from app.refusals import KeyMissing, KeyReused, StillRunning
from app.tables import FirstAnswer
from registry.base import Refusal, table_of

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(r"[\x21-\x7e]{8,80}")
LEASE = timedelta(seconds=15)
_returns = KeyReturns()

# Every write of the API runs these: made once, because putting a statement together takes longer than running it.
_ANSWERS = table_of(FirstAnswer)
_MINE = (_ANSWERS.c.actor == bindparam("of_actor"), _ANSWERS.c.key == bindparam("of_key"))
_HELD = (*_MINE, _ANSWERS.c.status == 0, _ANSWERS.c.created_at == bindparam("held_since"))
_RESERVE = insert(_ANSWERS).on_conflict_do_nothing().returning(_ANSWERS.c.created_at)
_KEEP = (
    update(_ANSWERS)
    .where(*_HELD)
    .values(status=bindparam("first_status"), body=bindparam("first_body"))
    .returning(_ANSWERS.c.key)
)
_GIVE_BACK = delete(_ANSWERS).where(*_HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A key held for one request. ``answer`` is the first answer where there is one; ``resumed`` says that an earlier
    request under the key began and died before it was answered. ``reserved_at`` is when this request took it."""

    actor: str
    key: str
    reserved_at: datetime
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
    if (reserved_at := session.execute(_RESERVE, values).scalar()) is not None:
        return _committed(session, Reservation(actor=actor, key=key, reserved_at=reserved_at))
    mine = (FirstAnswer.actor == actor, FirstAnswer.key == key)
    columns = (FirstAnswer.request_sha256, FirstAnswer.status, FirstAnswer.body, FirstAnswer.created_at)
    row = session.execute(select(*columns).where(*mine)).first()
    if row is not None and row.request_sha256 != request_sha256:
        session.rollback()
        raise KeyReused
    if row is not None and row.status:
        session.rollback()
        return Reservation(actor=actor, key=key, reserved_at=row.created_at, answer=(row.status, row.body or b""))
    taken_over = session.execute(
        update(FirstAnswer)
        .where(*mine, FirstAnswer.status == 0, FirstAnswer.created_at < func.clock_timestamp() - LEASE)
        .values(created_at=func.clock_timestamp())
        .returning(FirstAnswer.created_at)
    )
    reserved_at = taken_over.scalar()
    if reserved_at is None:
        session.commit()
        raise StillRunning
    return _committed(session, Reservation(actor=actor, key=key, reserved_at=reserved_at, resumed=True))


def keep(*, session: Session, reservation: Reservation, status: int, body: bytes) -> None:
    """Store the first answer in the caller's transaction.

    Raises StillRunning where another request has taken the key over meanwhile: nothing is to be committed then.
    """
    kept = {**_held(reservation), "first_status": status, "first_body": body}
    if session.execute(_KEEP, kept).scalar() is None:
        raise StillRunning


def release(*, session: Session, reservation: Reservation) -> None:
    """Give the key back unanswered, so that the same request may try again; commits.

    Where the database is away, that is done as soon as it is back.
    """
    try:
        session.rollback()
        _give_back(session, reservation)
    except (SQLAlchemyError, psycopg.Error):
        _give_back_later(session, reservation)


def _committed(session: Session, reservation: Reservation) -> Reservation:
    try:
        session.commit()
    except (SQLAlchemyError, psycopg.Error):
        _give_back_later(session, reservation)  # it may stand all the same
        raise
    return reservation


def _give_back(session: Session, reservation: Reservation) -> None:
    session.execute(_GIVE_BACK, _held(reservation))
    session.commit()


def _give_back_later(session: Session, reservation: Reservation) -> None:
    engine = session.get_bind()

    def give_back() -> None:
        with Session(engine) as own:
            _give_back(own, reservation)

    _returns.later(give_back)


def _held(reservation: Reservation) -> dict[str, Any]:
    return {"of_actor": reservation.actor, "of_key": reservation.key, "held_since": reservation.reserved_at}


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
