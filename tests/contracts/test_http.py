"""How Mapai calls partners and is called back: outcomes told apart, time bounded, one slow answer nobody else's."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask, Response, request

from app.clients.ecny.client import BankClient
from app.clients.http import PartnerHttp, PartnerMisunderstood
from app.clients.outgoing import CallbackSender
from app.clients.plates.client import PoliceClient
from app.clients.signing import HmacSm3, verify
from app.clients.sms.client import SmsClient
from registry.base import PartnerSilent, PartnerUnavailable

KEY = b"a key of thirty-two bytes, shared"
SIGNER = HmacSm3(KEY)
# How long anything may take that is to happen at all; where time itself is the matter, a test says so.
PATIENCE_S = 20.0


@pytest.fixture
def call(serving):
    """Make a PartnerHttp for a URL, closed in the end."""

    def call(url, **changes):
        facts = {"read_s": PATIENCE_S, "connect_s": PATIENCE_S, "rest_s": 0.2, **changes}
        http = PartnerHttp(label="对方", base_url=url, signer=SIGNER, **facts)
        serving.at_the_end(http.close)
        return http

    return call


@pytest.fixture
def scripted(serving):
    """Serve an application that gives these answers in turn, the last one for ever; returns URL and requests seen."""

    def scripted(*answers):
        app, seen, lock = Flask("scripted"), [], threading.Lock()

        @app.route("/<path:path>", methods=["GET", "POST"])
        def answer(path):
            with lock:
                seen.append(path)
                act = answers[min(len(seen), len(answers)) - 1]
            return act() if callable(act) else act

        return serving(app), seen

    return scripted


@pytest.fixture
def raw():
    """Serve one connection with a function of the socket; returns the URL."""
    threads, listeners = [], []

    def raw(act):
        listener = socket.create_server(("127.0.0.1", 0))

        def take():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                act(connection)

        threads.append(threading.Thread(target=take))
        threads[-1].start()
        listeners.append(listener)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield raw
    for thread in threads:
        thread.join(5)
    for listener in listeners:
        listener.close()


def certain(refusal):
    return not isinstance(refusal.value, PartnerSilent)


def test_a_refused_connection_means_nothing_happened(call):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(PartnerUnavailable) as refusal:
        call(url).post("/x", {}, idempotent=True)
    assert certain(refusal)
    assert "对方" in refusal.value.message_zh


def test_503_is_tried_again_only_where_that_is_safe(call, scripted):
    url, seen = scripted(("{}", 503), ("{}", 503), '{"ok":true}')
    assert call(url).post("/x", {}, idempotent=True).data == {"ok": True}
    assert len(seen) == 3

    url, seen = scripted(("{}", 503), '{"ok":true}')
    with pytest.raises(PartnerUnavailable) as refusal:
        call(url).post("/x", {}, idempotent=False)
    assert certain(refusal)
    assert len(seen) == 1


def test_tries_are_bounded(call, scripted):
    url, seen = scripted(("{}", 503))
    with pytest.raises(PartnerUnavailable) as refusal:
        call(url).get("/x")
    assert certain(refusal)
    assert len(seen) == 3


@pytest.mark.parametrize("answer", [("{}", 500), ("{}", 502), ("{}", 504), ("<html>", 200), ("[1]", 200), ("", 200)])
def test_what_cannot_be_read_is_silence_and_is_not_repeated(call, scripted, answer):
    url, seen = scripted(answer)
    with pytest.raises(PartnerSilent):
        call(url).post("/x", {}, idempotent=True)
    assert len(seen) == 1


def test_a_time_out_is_silence_and_comes_in_time(call, scripted):
    """The partner answers only once we have given up: who waits for it waits in vain."""
    asked, given_up = threading.Event(), threading.Event()

    def answer():
        asked.set()
        given_up.wait(PATIENCE_S)
        return "{}"

    url, seen = scripted(answer)
    with pytest.raises(PartnerSilent):
        call(url, read_s=0.2).post("/x", {}, idempotent=True)
    assert asked.wait(PATIENCE_S)
    given_up.set()
    assert len(seen) == 1


def test_a_connection_dropped_after_sending_is_silence(call, raw):
    with pytest.raises(PartnerSilent):
        call(raw(lambda connection: None)).post("/x", {}, idempotent=True)


def test_a_partner_that_dribbles_does_not_hold_us_for_ever(call, raw):
    """A byte comes within every time limit, and goes on coming until we hang up."""
    hung_up = threading.Event()

    def dribble(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        until = time.monotonic() + PATIENCE_S
        try:
            while time.monotonic() < until:
                connection.sendall(b" ")
                time.sleep(0.05)
        except OSError:
            hung_up.set()

    with pytest.raises(PartnerSilent):
        call(raw(dribble), read_s=0.2).get("/x")
    assert hung_up.wait(PATIENCE_S), "it was listened to until it had enough itself"


def test_the_breaker_opens_and_lets_through_again(call, scripted):
    url, seen = scripted(*[("{}", 500)] * 4, '{"ok":true}')
    resting = call(url, failures_to_open=4, rest_s=3600)
    for _ in range(4):
        with pytest.raises(PartnerSilent):
            resting.get("/x")
    with pytest.raises(PartnerUnavailable) as refusal:
        resting.get("/x")
    assert certain(refusal)
    assert len(seen) == 4

    url, seen = scripted(*[("{}", 500)] * 4, '{"ok":true}')
    rested = call(url, failures_to_open=4, rest_s=0.2)
    for _ in range(4):
        with pytest.raises(PartnerSilent):
            rested.get("/x")
    time.sleep(0.25)
    assert rested.get("/x").data == {"ok": True}
    assert rested.get("/x").data == {"ok": True}


def test_one_slow_answer_does_not_line_up_the_others(call, scripted):
    """Nobody is answered before all eight have asked: one after the other they would be silence."""
    all_have_asked = threading.Barrier(8, timeout=PATIENCE_S)

    def answer():
        all_have_asked.wait()
        return "{}"

    url, _ = scripted(answer)
    http = call(url, read_s=PATIENCE_S)
    with ThreadPoolExecutor(8) as pool:
        assert [said.data for said in pool.map(lambda _: http.get("/x"), range(8))] == [{}] * 8


@pytest.mark.parametrize("status", [302, 403, 404, 422])
def test_a_refusal_of_the_request_itself_is_told_apart(call, scripted, status):
    url, _ = scripted(('{"code":"bad_signature"}', status))
    http = call(url)
    for reading in (http.taken, http.found):
        with pytest.raises(PartnerMisunderstood, match="bad_signature"):
            reading(http.get("/x"))


def test_each_try_is_signed_anew(call, serving):
    app, numbers = Flask("mailbox"), []

    @app.post("/x/<name>")
    def take(name):
        body, headers = request.get_data(), request.headers
        numbers.append(verify(signer=SIGNER, method="POST", path=request.path, body=body, headers=headers))
        return Response("{}", status=503 if len(numbers) == 1 else 200)

    call(serving(app)).post("/x/号牌 1", {"a": 1}, idempotent=True)
    assert len(set(numbers)) == 2


ANOTHERS = {
    "plates": (
        PoliceClient,
        '{"application_no":"A2","state":"pending"}',
        lambda client: client.find_application(application_no="A1"),
    ),
    "ecny": (
        BankClient,
        '{"bank_number":"B2","state":"accepted","amount_fen":1,"final":false}',
        lambda client: client.find_transfer(bank_number="B1"),
    ),
    "sms": (
        SmsClient,
        '{"message_no":"M2","accepted":true}',
        lambda client: client.send(message_no="M1", phone="13800000001", text="好"),
    ),
}


@pytest.mark.parametrize("partner", list(ANOTHERS))
def test_an_answer_to_somebody_else_is_no_answer(serving, scripted, partner):
    client_class, answer, ask = ANOTHERS[partner]
    client = client_class(base_url=scripted(answer)[0], signer=SIGNER)
    serving.at_the_end(client.close)
    with pytest.raises(PartnerSilent):
        ask(client)


# -- calling back ----------------------------------------------------------------------------------------------------


@pytest.fixture
def sender(serving, mailbox):
    def sender(url=mailbox.url, **changes):
        sender = CallbackSender(url=url, signer=SIGNER, partner="plates", **{"threads": 2, "attempts": 3, **changes})
        serving.at_the_end(sender.close)
        return sender

    return sender


def test_callbacks_are_signed_and_each_sending_has_its_own_number(sender, mailbox):
    sender = sender()
    for _ in range(20):
        sender.send(b"{}")
    assert sender.wait_idle(5)
    assert mailbox.bodies == [b"{}"] * 20
    assert len(set(mailbox.numbers)) == 20
    assert sender.health() == {"delivered": 20, "refused": 0, "given_up": 0, "open": 0}


def test_a_callback_is_tried_again_after_503_and_not_after_a_refusal(sender, mailbox):
    sender = sender()
    mailbox.statuses = [503, 200]
    sender.send(b"{}")
    assert sender.wait_idle(5)
    assert mailbox.bodies == [b"{}"]
    mailbox.statuses = [422]
    sender.send(b"{}")
    assert sender.wait_idle(5)
    assert len(mailbox.numbers) == 3
    assert sender.health()["refused"] == 1


def test_a_callback_nobody_takes_is_given_up(sender):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/callbacks/x"
    sender = sender(url)
    sender.send(b"{}")
    assert sender.wait_idle(5)
    assert sender.health() == {"delivered": 0, "refused": 0, "given_up": 1, "open": 0}


def test_without_a_url_nobody_is_called(sender):
    sender = sender(None)
    sender.send(b"{}")
    assert sender.health()["open"] == 0


def test_an_act_that_fails_costs_the_pool_no_thread(sender, mailbox):
    sender = sender(threads=1)

    def fail():
        raise RuntimeError("on purpose")

    sender.later(0, fail)
    sender.send(b"{}")
    assert sender.wait_idle(5)
    assert mailbox.bodies == [b"{}"]
