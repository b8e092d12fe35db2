"""``claim``: whole completions a second ÷ bare Flask endpoints doing one durable INSERT a second.

Ours is a POST of the police system's signed callback: signature, state, eligibility, limit, every row written, position
and amount in the answer. Both run under the same server with the same threads and 64 connections, in turn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg

from app.clients.plates.callbacks import plate_answer_document
from app.clients.signing import HmacSm3, signed_headers
from app.clock import Clock
from app.config import Settings
from app.db import psycopg_conninfo
from app.processes import answers
from app.verify import run as run_verify
from loadtests.bench.comparison import Progress, Run, summary
from loadtests.bench.database import fresh_database, own_server
from loadtests.bench.pounding import Pounded, http_request, pound
from loadtests.free_ports import free_port
from loadtests.ready import Ready, make_ready, one_stage, plate_no
from registry.plate_authority import PlateAnswer
from subsidy.queue import create_programme

GOAL, P99_GOAL = 0.7, 1.5
RUNS, REQUESTS, WARM_UP, CONNECTIONS = 5, 8_000, 2_000, 64
WORKERS, THREADS = 2, 32
CALLBACK = "/api/partners/plates/callbacks"
SERVE = "from app.serving import serve; serve({target!r}, host='127.0.0.1', port={port}, workers={w}, threads={t})"


def run(*, progress: Progress, runs: int = RUNS, requests: int = REQUESTS) -> dict[str, Any]:
    """Return the benchmark's JSON line."""
    with ExitStack() as stack:
        settings = stack.enter_context(fresh_database(stack.enter_context(own_server())))
        total = WARM_UP + runs * requests
        progress(f"claim: {total:,} trade-ins waiting for their plate")
        ready = iter(_prepare(settings, total))
        ours, reference = free_port(), free_port()
        stack.enter_context(_served("wsgi:app", ours, settings))
        stack.enter_context(_served("loadtests.bench.reference:app", reference, settings))
        _side(ours, _callbacks(settings, ready, WARM_UP), _completed)
        _side(reference, _inserts(WARM_UP), _inserted)
        measured = []
        for number in range(1, runs + 1):
            their = _side(reference, _inserts(requests), _inserted)
            our = _side(ours, _callbacks(settings, ready, requests), _completed)
            measured.append(_compare(our, their))
            progress(f"claim {number}/{runs}: {our.rate:,.0f}/s ÷ {their.rate:,.0f}/s = {measured[-1].ratio:.2f}")
        differences = run_verify(settings)
    outcome = summary(name="claim", goal=GOAL, p99_goal=P99_GOAL, runs=measured)
    return outcome | {"verified": differences == 0, "met": outcome["met"] and differences == 0}


def _prepare(settings: Settings, count: int) -> list[Ready]:
    now = datetime.now(UTC)
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        connection.execute("SELECT 1")
        create_programme(
            connection=connection,
            code="BENCH",
            name_zh="压测",
            name_en="bench",
            rules=one_stage(now=now, places=count),
            clock=Clock(),
            drafted_by="bench",
            approved_by="bench",
        )
        connection.commit()
        ready = make_ready(connection=connection, keyring=settings.keyring, count=count, now=now)
    with psycopg.connect(settings.owner_url.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(f"SET search_path = {settings.schema}")
        owner.execute(
            "CREATE TABLE bench_reference (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " application_no text NOT NULL, plate_no text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        owner.execute("GRANT ALL ON bench_reference TO mapai_app")
        owner.execute("CHECKPOINT")
    return ready


@contextmanager
def _served(target: str, port: int, settings: Settings) -> Iterator[None]:
    """Serve a WSGI application with the platform's own server for as long as the block runs."""
    environ = {
        **os.environ,
        "MAPAI_DATA": str(settings.data_dir),
        "DATABASE_URL": settings.owner_url,
        "MAPAI_APP_DATABASE_URL": settings.database_url,
        "REFERENCE_CONNINFO": psycopg_conninfo(settings, application="reference"),
    }
    program = SERVE.format(target=target, port=port, w=WORKERS, t=THREADS)
    server = subprocess.Popen([sys.executable, "-c", program], env=environ, stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if answers(f"http://127.0.0.1:{port}/health", seconds=1):
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"{target} did not answer on port {port}")
        yield
    finally:
        server.terminate()
        server.wait(timeout=30)


def _callbacks(settings: Settings, ready: Iterator[Ready], count: int) -> list[bytes]:
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


def _inserts(count: int) -> list[bytes]:
    return [
        http_request(
            path="/insert",
            body=json.dumps({"application_no": f"A{number}", "plate_no": plate_no(number)}).encode(),
            headers={},
        )
        for number in range(count)
    ]


def _completed(status: bytes, body: bytes) -> bool:
    return b" 200 " in status and json.loads(body)["amount_fen"] == 30_000


def _inserted(status: bytes, body: bytes) -> bool:
    return b" 200 " in status and b'"id"' in body


def _side(port: int, requests: list[bytes], is_right: Any) -> Pounded:
    pounded = pound(port=port, requests=requests, connections=CONNECTIONS, is_right=is_right)
    if pounded.first_failure is not None:
        print(pounded.first_failure, file=sys.stderr)
    return pounded


def _compare(ours: Pounded, reference: Pounded) -> Run:
    return Run(
        ours=ours.rate,
        reference=reference.rate,
        ours_p99=ours.p99,
        reference_p99=reference.p99,
        errors=ours.failures + reference.failures,
    )
