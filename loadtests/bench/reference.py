"""The plain side: a bare Flask endpoint doing one durable INSERT with psycopg, and one that needs no database."""

from __future__ import annotations

import os
import threading

import psycopg
from flask import Flask, request

app = Flask(__name__)
_own = threading.local()


def _connection() -> psycopg.Connection:
    """A connection for each server thread, kept: the quickest a plain endpoint can be."""
    if not hasattr(_own, "connection"):
        _own.connection = psycopg.connect(os.environ["REFERENCE_CONNINFO"], autocommit=True, prepare_threshold=0)
    connection: psycopg.Connection = _own.connection
    return connection


@app.get("/health")
def health() -> dict[str, str]:
    return {"state": "ok"}


@app.get("/nothing")
def nothing() -> dict[str, object]:
    """Answer at once, without a database."""
    return {"state": "open", "places_left": 730}


@app.post("/insert")
def insert() -> dict[str, object]:
    """Insert one row and return its id, once the row is durable."""
    body = request.get_json()
    row = _connection().execute(
        "INSERT INTO bench_reference (application_no, plate_no) VALUES (%s, %s) RETURNING id",
        (body["application_no"], body["plate_no"]),
    )
    (number,) = row.fetchone() or (None,)
    return {"id": number}
