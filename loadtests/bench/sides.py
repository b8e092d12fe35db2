"""The two sides a benchmark of the web server runs in turn: the platform's own application, and a bare Flask one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from app.clients.plates.callbacks import plate_answer_document
from app.clients.signing import HmacSm3, signed_headers
from app.config import Settings
from app.crowd import LIVE_API, LIVE_CARD
from app.db import psycopg_conninfo
from app.processes import answers
from loadtests.bench.comparison import Run
from loadtests.bench.database import owner_connection
from loadtests.bench.pounding import Check, Pounded, http_get, http_request, pound
from loadtests.free_ports import free_port
from loadtests.ready import Ready, make_ready, open_programme, plate_no
from registry.plate_authority import PlateAnswer

WARM_UP, CONNECTIONS = 2_000, 64
# So few ask for pages where completions have just gone on: more at once are told to come again (app/crowd.py).
PAGE_CONNECTIONS = 16
CALLBACK = "/api/partners/plates/callbacks"
REFERENCE = "loadtests.bench.reference:app"
# The stage's live state as programs and as pages ask for it.
LIVE = [http_get(path=path, headers={}) for path in (LIVE_API, LIVE_CARD)]
SERVE = "from app.serving import serve; serve({target!r}, host='127.0.0.1', port={port}, workers={w}, threads={t})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both sides as they run, on one database: ports, and the trade-ins that wait for the police's word."""

    settings: Settings
    ours: int
    reference: int
    ready: Iterator[Ready]

    def warm_up(self, count: int) -> None:
        """Let both sides answer so many requests that are not measured."""
        complete(self, count=count)
        insert(self, count=count)


@contextmanager
def both_sides(settings: Settings, *, completions: int) -> Iterator[Sides]:
    """Serve both sides for as long as the block runs, with so many trade-ins waiting."""
    ready = iter(prepare(settings, completions))
    with ExitStack() as stack:
        ours, reference = free_port(), free_port()
        stack.enter_context(served("wsgi:app", ours, settings))
        stack.enter_context(served(REFERENCE, reference, settings))
        yield Sides(settings=settings, ours=ours, reference=reference, ready=ready)


def prepare(settings: Settings, count: int) -> list[Ready]:
    """Open a programme with a place for each of ``count`` trade-ins, and make these; and the reference's table."""
    now = datetime.now(UTC)
    open_programme(settings, places=count, now=now)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        ready = make_ready(connection=connection, keyring=settings.keyring, count=count, now=now)
    make_reference_table(settings)
    return ready


def make_reference_table(settings: Settings) -> None:
    """Make the one table the reference inserts into, and write everything down to disk."""
    with owner_connection(settings) as owner:
        owner.execute(
            "CREATE TABLE bench_reference (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " application_no text NOT NULL, plate_no text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        owner.execute("GRANT ALL ON bench_reference TO mapai_app")
        owner.execute("CHECKPOINT")


@contextmanager
def served(target: str, port: int, settings: Settings) -> Iterator[int]:
    """Serve a WSGI application with the platform's own server while the block runs; yield the server's process id."""
    environ = {
        **os.environ,
        "MAPAI_DATA": str(settings.data_dir),
        "DATABASE_URL": settings.owner_url,
        "MAPAI_APP_DATABASE_URL": settings.database_url,
        "MAPAI_WEB_THREADS": str(settings.web_threads),
        "REFERENCE_CONNINFO": psycopg_conninfo(settings, application="reference"),
    }
    program = SERVE.format(target=target, port=port, w=settings.web_workers, t=settings.web_threads)
    server = subprocess.Popen([sys.executable, "-c", program], env=environ, stdout=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            if answers(f"http://127.0.0.1:{port}/health", seconds=1):
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"{target} did not answer on port {port}")
        yield server.pid
    finally:
        server.terminate()
        server.wait(timeout=30)


def complete(sides: Sides, *, count: int, connections: int = CONNECTIONS) -> Pounded:
    """Have the police say ``count`` of their signed words to the platform."""
    words = callbacks(sides.settings, sides.ready, count)
    return _told(pound(port=sides.ours, requests=words, connections=connections, is_right=is_completed))


def insert(sides: Sides, *, count: int, connections: int = CONNECTIONS) -> Pounded:
    """Have the reference do ``count`` of its INSERTs."""
    requests = [
        http_request(
            path="/insert",
            body=json.dumps({"application_no": f"A{number}", "plate_no": plate_no(number)}).encode(),
            headers={},
        )
        for number in range(count)
    ]
    return _told(pound(port=sides.reference, requests=requests, connections=connections, is_right=_is_inserted))


def ask(port: int, requests: list[bytes], *, is_right: Check, connections: int = CONNECTIONS) -> Pounded:
    """Put reading requests to one side."""
    return _told(pound(port=port, requests=requests, connections=connections, is_right=is_right))


def callbacks(settings: Settings, ready: Iterator[Ready], count: int) -> list[bytes]:
    """Return the police's signed words that the next ``count`` trade-ins have got their plates."""
    signer, issued_at = HmacSm3(settings.plates_key), datetime.now(UTC)
    requests = []
    for _ in range(count):
        item = next(ready)
        answer = PlateAnswer(
            application_no=item.application_no,
            state="done",
            plate_no=plate_no(int(item.application_no[1:])),
            issued_at=issued_at,
            holder_id_no=item.holder_id_no,
            vehicle_code=item.vehicle_code,
        )
        body = json.dumps(plate_answer_document(answer)).encode()
        headers = signed_headers(signer=signer, partner="plates", method="POST", path=CALLBACK, body=body)
        requests.append(http_request(path=CALLBACK, body=body, headers=headers))
    return requests


def compare(ours: Pounded, reference: Pounded) -> Run:
    """Return the run that two neighbours make."""
    return Run(
        ours=ours.rate,
        reference=reference.rate,
        ours_p99=ours.p99,
        reference_p99=reference.p99,
        errors=ours.failures + reference.failures,
    )


def is_completed(status: bytes, body: bytes) -> bool:
    """Say whether an answer tells of a place with its money."""
    return b" 200 " in status and b'"amount_fen":30000' in body


def _is_inserted(status: bytes, body: bytes) -> bool:
    return b" 200 " in status and b'"id"' in body


def _told(pounded: Pounded) -> Pounded:
    if pounded.first_failure is not None:
        print(pounded.first_failure, file=sys.stderr)
    return pounded
