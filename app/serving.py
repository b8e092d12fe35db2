"""Serves WSGI applications with granian: the platform's own, and the partners' demo servers.

The partner servers' applications are made by the factories below inside the worker, from the environment.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from dataclasses import asdict, dataclass, fields
from typing import Any

from flask import Flask
from granian import Granian
from granian.constants import Interfaces

from app.config import Settings
from app.die_with_parent import die_with_parent
from app.startup import CannotStart

PLATES = "app.serving:plates"
ECNY = "app.serving:ecny"
SMS = "app.serving:sms"
WEB = "wsgi:app"
# Where the platform listens for what partners have to say later.
CALLBACK_PATHS = {"plates": "/api/partners/plates/callbacks", "ecny": "/api/partners/ecny/callbacks"}
MISBEHAVIOUR = "MAPAI_MISBEHAVIOUR"
GRACE_SECONDS = 10
# Connections that may be open and waiting, over all workers: a crowd of phones, each keeping one open. One more waits
# in the kernel's queue, as long again; the default of granian would leave every second one of 2,000 unheard.
CONNECTIONS = 8192
# Partner servers keep their state in one process.
PARTNER_THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """How badly a partner's demo server behaves; the fields are those of ``app.clients.partner_server.ServerOptions``.

    It travels in the environment, because the server's worker is another process.
    """

    fault_rate: float = 0.0
    seed: int = 0
    answered_at_once: float = 1.0
    callback_delay_s: float = 0.3
    late_s: float = 5.0
    slow_s: float = 1.0
    silent_s: float = 4.0

    def to_environ(self) -> dict[str, str]:
        """Return the environment variables ``from_environ`` reads."""
        return {MISBEHAVIOUR: json.dumps(asdict(self))}

    @classmethod
    def from_environ(cls) -> Misbehaviour:
        """Read what ``to_environ`` wrote; nothing there means a partner without faults. Raises CannotStart."""
        text = os.environ.get(MISBEHAVIOUR) or "{}"
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as wrong:
            names = ", ".join(each.name for each in fields(cls))
            raise CannotStart(f"{MISBEHAVIOUR} is «{text}»: write a JSON object with some of {names}.") from wrong


def serve(target: str, *, host: str, port: int, workers: int, threads: int, factory: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; a worker that dies is replaced."""
    Granian(
        target,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        backlog=CONNECTIONS,
        backpressure=max(1, CONNECTIONS // workers),
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=GRACE_SECONDS,
        factory=factory,
    ).serve()


def serve_web(settings: Settings) -> None:
    """Serve the platform itself."""
    serve(WEB, host=settings.host, port=settings.port, workers=settings.web_workers, threads=settings.web_threads)


def serve_partner(target: str, *, port: int, misbehaviour: Misbehaviour) -> None:
    """Serve one of the partners' demo servers on this machine only."""
    os.environ.update(misbehaviour.to_environ())
    serve(target, host="127.0.0.1", port=port, workers=1, threads=PARTNER_THREADS, factory=True)


def end_with_server() -> None:
    """In a worker: end when the serving process does, even if that one is killed. Elsewhere it does nothing.

    A worker holds nothing that is not in the database, so it may be killed at any instant.
    """
    if multiprocessing.parent_process() is not None:
        die_with_parent(signal.SIGKILL)


def plates() -> Flask:
    """Make the traffic police's stub."""
    from app.clients.plates.server import Options, create_stub

    settings = Settings.from_env()
    return create_stub(Options(district_code=settings.district, **_options(settings, "plates", settings.plates_key)))


def ecny() -> Flask:
    """Make the digital-yuan sandbox."""
    from app.clients.ecny.server import Options, create_stub

    settings = Settings.from_env()
    return create_stub(Options(**_options(settings, "ecny", settings.ecny_key)))


def sms() -> Flask:
    """Make the text-message sandbox."""
    from app.clients.sms.server import Options, create_stub

    settings = Settings.from_env()
    return create_stub(Options(**_options(settings, "sms", settings.sms_key)))


def _options(settings: Settings, partner: str, key: bytes) -> dict[str, Any]:
    end_with_server()
    return {
        "key": key,
        "now": settings.clock.now,
        **asdict(Misbehaviour.from_environ()),
        "callback_url": f"{settings.public_url}{CALLBACK_PATHS[partner]}" if partner in CALLBACK_PATHS else None,
        "state_file": settings.data_dir / f"{partner}.journal",
        "production": settings.mode == "production",
    }
