"""The partners twice over: the fake in memory, and client plus server over real HTTP on 127.0.0.1."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.serving import WSGIRequestHandler, make_server

from app.clients.ecny import callbacks as bank_callbacks
from app.clients.ecny.client import BankClient
from app.clients.ecny.fake import FakeBank
from app.clients.ecny.server import Options as BankOptions
from app.clients.ecny.server import create_stub as create_bank
from app.clients.plates import callbacks as police_callbacks
from app.clients.plates.client import PoliceClient
from app.clients.plates.fake import FakePolice
from app.clients.plates.server import Options as PoliceOptions
from app.clients.plates.server import create_stub as create_police
from app.clients.signing import HmacSm3, verify
from app.clients.sms.client import SmsClient
from app.clients.sms.fake import FakeGateway
from app.clients.sms.server import Options as SmsOptions
from app.clients.sms.server import create_stub as create_sms

KEY = b"a key of thirty-two bytes, shared"
READ_S = 2.0
TIMES = {"callback_delay_s": 0.03, "late_s": 0.25, "slow_s": 0.05, "silent_s": 2.4}
PATIENCE_S = 10.0


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any, **__: Any) -> None:
        pass


class Serving:
    """Starts WSGI applications on free ports of 127.0.0.1 and stops them in the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __call__(self, app: Flask) -> str:
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def stop() -> None:
            server.shutdown()
            thread.join()
            server.server_close()

        self._stack.callback(stop)
        return f"http://127.0.0.1:{server.server_port}"

    def at_the_end(self, act: Callable[[], object]) -> None:
        self._stack.callback(act)

    def close(self) -> None:
        self._stack.close()


@dataclass
class Clock:
    """The business clock a partner is given; stands still until a test moves it."""

    instant: datetime = datetime(2026, 6, 15, 1, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant


@dataclass
class Mailbox:
    """Our side of the callback: checks each signature, keeps bodies and message numbers, refuses when told."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def app(self) -> Flask:
        app = Flask("mailbox")

        @app.post("/callbacks/<partner>")
        def take(partner: str) -> tuple[str, int]:
            body = request.get_data()
            number = verify(signer=HmacSm3(KEY), method="POST", path=request.path, body=body, headers=request.headers)
            self.numbers.append(number)
            status = self.statuses.pop(0) if self.statuses else 200
            if status == 200:
                self.bodies.append(body)
            return "", status

        return app


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serving() -> Iterator[Serving]:
    serving = Serving()
    yield serving
    serving.close()


@pytest.fixture
def mailbox(serving: Serving) -> Mailbox:
    mailbox = Mailbox()
    mailbox.url = serving(mailbox.app()) + "/callbacks/partner"
    return mailbox


@pytest.fixture(params=["fake", "server"])
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _wired(serving: Serving, app: Flask, client_class: Any) -> tuple[Any, str]:
    url = serving(app)
    client = client_class(base_url=url, signer=HmacSm3(KEY), read_s=READ_S)
    serving.at_the_end(client.close)
    return client, url


def _close(app: Flask, state: str) -> Callable[[], None]:
    def close() -> None:
        if "callbacks" in app.extensions:
            app.extensions["callbacks"].close()
        app.extensions[state].close()

    return close


def _settle(app: Flask) -> None:
    assert app.extensions["callbacks"].wait_idle(PATIENCE_S), "callbacks did not come to rest"


@pytest.fixture
def start_police(face: str, serving: Serving, mailbox: Mailbox, clock: Clock) -> Callable[..., Any]:
    """Start the traffic police under either face: partner (the Protocol), load, settle, callbacks(), stop."""

    def start(**changes: Any) -> Any:
        options = PoliceOptions(key=KEY, now=clock, callback_url=mailbox.url, **{**TIMES, **changes})
        if face == "fake":
            fake = FakePolice(options)
            serving.at_the_end(fake.desk.close)
            return SimpleNamespace(
                partner=fake,
                desk=fake.desk,
                load=fake.load,
                settle=fake.pass_time,
                callbacks=lambda: fake.callbacks,
                stop=fake.desk.close,
            )
        app = create_police(options)
        serving.at_the_end(_close(app, "desk"))
        client, url = _wired(serving, app, PoliceClient)
        return SimpleNamespace(
            partner=client,
            desk=app.extensions["desk"],
            load=app.extensions["desk"].load,
            settle=lambda: _settle(app),
            callbacks=lambda: [police_callbacks.read_callback(body) for body in mailbox.bodies],
            stop=_close(app, "desk"),
            url=url,
        )

    return start


@pytest.fixture
def start_bank(face: str, serving: Serving, mailbox: Mailbox, clock: Clock) -> Callable[..., Any]:
    """Start the bank under either face: partner (the Protocol), bank, settle, callbacks(), stop."""

    def start(**changes: Any) -> Any:
        options = BankOptions(key=KEY, now=clock, callback_url=mailbox.url, **{**TIMES, **changes})
        if face == "fake":
            fake = FakeBank(options)
            serving.at_the_end(fake.bank.close)
            return SimpleNamespace(
                partner=fake,
                bank=fake.bank,
                settle=fake.pass_time,
                callbacks=lambda: fake.callbacks,
                stop=fake.bank.close,
            )
        app = create_bank(options)
        serving.at_the_end(_close(app, "bank"))
        client, url = _wired(serving, app, BankClient)
        return SimpleNamespace(
            partner=client,
            bank=app.extensions["bank"],
            settle=lambda: _settle(app),
            callbacks=lambda: [bank_callbacks.read_callback(body) for body in mailbox.bodies],
            stop=_close(app, "bank"),
            url=url,
        )

    return start


@pytest.fixture
def start_sms(face: str, serving: Serving, clock: Clock) -> Callable[..., Any]:
    """Start the message gateway under either face: partner (the Protocol), gateway, stop."""

    def start(**changes: Any) -> Any:
        options = SmsOptions(key=KEY, now=clock, **{**TIMES, **changes})
        if face == "fake":
            fake = FakeGateway(options)
            serving.at_the_end(fake.gateway.close)
            return SimpleNamespace(partner=fake, gateway=fake.gateway, stop=fake.gateway.close)
        app = create_sms(options)
        serving.at_the_end(_close(app, "gateway"))
        client, url = _wired(serving, app, SmsClient)
        return SimpleNamespace(partner=client, gateway=app.extensions["gateway"], stop=_close(app, "gateway"), url=url)

    return start


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until something holds, for a bounded time."""

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, "did not come to hold in time"
            time.sleep(0.01)

    return wait
