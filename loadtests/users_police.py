"""The traffic police's system: words about issued plates, signed, in bursts; some of them said twice."""

from __future__ import annotations

import json
import random
import time
from collections import deque
from datetime import UTC, datetime

from gevent.pool import Pool
from locust import between, task

from app.clients.plates.callbacks import plate_answer_document
from app.clients.signing import HmacSm3, signed_headers
from loadtests.rush_shapes import SHAPES
from loadtests.users import KNOWN, SEEN, Headers, Visitor, document_of, told
from loadtests.users_known import Callback
from registry.plate_authority import PlateAnswer

CALLBACK = "/api/partners/plates/callbacks"
AT_ONCE = 32
LARGEST_BURST = 400
SAID_TWICE = 0.05
SIGNER = HmacSm3(bytes.fromhex(KNOWN.plates_key)) if KNOWN else None


class Desk:
    """The words still to be said, shared by all police users; ``begin`` starts the clock by which they fall due."""

    def __init__(self) -> None:
        self._left = deque(KNOWN.callbacks if KNOWN else [])
        self._all = len(self._left)
        self._begun_s = time.monotonic()
        self.said: deque[tuple[bytes, Headers, str]] = deque(maxlen=500)

    def begin(self) -> None:
        """Start the clock."""
        self._begun_s = time.monotonic()

    def due(self) -> list[Callback]:
        """Take everything that is due by now."""
        assert KNOWN is not None, "there is no police where nothing was prepared"
        share = (time.monotonic() - self._begun_s) / KNOWN.seconds
        many = int(self._all * SHAPES[KNOWN.shape].told_at(share)) - (self._all - len(self._left))
        return [self._left.popleft() for _ in range(max(0, min(many, LARGEST_BURST, len(self._left))))]

    def one_later(self) -> Callback | None:
        """Return a word that will be the last to be said, without taking it; None where little is left."""
        return self._left[-1] if len(self._left) > LARGEST_BURST else None


DESK = Desk()


class Police(Visitor):
    """One line of the police's system: everything that is due in one burst, then a pause."""

    wait_time = between(0.3, 1.5)
    concurrency = AT_ONCE

    @task
    def burst(self) -> None:
        pool = Pool(AT_ONCE)
        for word in DESK.due():
            pool.spawn(self._say, word)
        pool.join()

    def _say(self, word: Callback) -> None:
        body = body_of(word, datetime.now(UTC))
        if self._tell(word, body, "acknowledged", "police: plate issued") and random.random() < SAID_TWICE:
            self._tell(word, body, "repeated", "police: says it again")

    def _tell(self, word: Callback, body: bytes, kind: str, name: str) -> bool:
        sent_s = time.monotonic()
        answer = self.insist("POST", CALLBACK, name=name, body=body, headers=lambda: signed(body))
        if answer is None or answer.status_code != 200:
            if answer is not None:
                SEEN.note("breach", what=f"{word.application_no}: the police were told {told(answer)}")
            return False
        note(kind, word.application_no, answer, sent_s)
        DESK.said.append((body, signed(body), word.application_no))
        return True


def body_of(word: Callback, issued_at: datetime) -> bytes:
    """Return the word as the wire has it."""
    answer = PlateAnswer(
        application_no=word.application_no,
        state="done",
        plate_no=word.plate_no,
        issued_at=issued_at,
        holder_id_no=word.holder_id_no,
        vehicle_code=word.vehicle_code,
    )
    return json.dumps(plate_answer_document(answer)).encode()


def signed(body: bytes) -> Headers:
    """Return the headers of a word that is sent now."""
    assert SIGNER is not None, "there is no police where nothing was prepared"
    headers = signed_headers(signer=SIGNER, partner="plates", method="POST", path=CALLBACK, body=body)
    return {**headers, "Content-Type": "application/json"}


def note(kind: str, application_no: str, answer: object, sent_s: float) -> None:
    """Write down what the police were told."""
    document = document_of(answer)
    SEEN.note(
        kind,
        application_no=application_no,
        position=document["position"],
        state=document["state"],
        stage_no=document["stage"],
        amount_fen=document["amount_fen"],
        sent_s=sent_s,
        answered_s=time.monotonic(),
    )
