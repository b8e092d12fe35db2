"""Those who try: the same tap twice at once, a caught callback played again, a forged one, references guessed."""

from __future__ import annotations

import itertools
import json
import random
import time
from datetime import UTC, datetime
from typing import Any

import gevent
from locust import between, task

from loadtests.users import KNOWN, SEEN, Visitor, new_key, told
from loadtests.users_police import CALLBACK, DESK, body_of, note, signed
from registry.codes import new_reference

OWNERS = itertools.cycle(reversed(KNOWN.owners) if KNOWN else [])
MAY_BE_ANSWERED = (401, 404, 429, 503)


class Abuser(Visitor):
    """One script. Whatever it gets that it should not is noted as a breach."""

    wait_time = between(0.5, 2)

    def on_start(self) -> None:
        super().on_start()
        owner = next(OWNERS)
        self.token, self._own = owner.token, owner.reference

    @task(3)
    def guess(self) -> None:
        """Guess references, signed in as an owner of another."""
        reference = new_reference()
        wanted = MAY_BE_ANSWERED
        answer = self.ask("GET", f"/api/trade-ins/{reference}", name="abuse: guesses", wanted=wanted)
        if answer.status_code == 200:
            SEEN.note("breach", what=f"{reference}: shown to a stranger")

    @task(1)
    def guess_unsigned(self) -> None:
        """Ask for a trade-in that exists without being signed in."""
        token, self.token = self.token, None
        path = f"/api/trade-ins/{self._own}"
        answer = self.ask("GET", path, name="abuse: not signed in", wanted=MAY_BE_ANSWERED)
        self.token = token
        if answer.status_code == 200:
            SEEN.note("breach", what=f"{self._own}: shown to a visitor")

    @task(2)
    def play_again(self) -> None:
        """Send a callback caught on the wire again, byte for byte: it changes nothing and gets the place it had.

        Caught more than five minutes ago it is refused.
        """
        if not DESK.said:
            return
        body, headers, application_no = random.choice(DESK.said)
        sent_s = time.monotonic()
        answer = self.ask(
            "POST", CALLBACK, name="abuse: plays again", wanted=(200, 403, 503), body=body, headers=headers
        )
        if answer.status_code == 200:
            note("repeated", application_no, answer, sent_s)

    @task(1)
    def forge(self) -> None:
        """Say of a trade-in that waits for its plate that the plate is issued, without the key."""
        word = DESK.one_later()
        if word is None:
            return
        body = body_of(word, datetime.now(UTC))
        headers = {**signed(body), "Mapai-Signature": "0" * 64}
        answer = self.ask("POST", CALLBACK, name="abuse: forges", wanted=(403, 503), body=body, headers=headers)
        if answer.status_code == 200:
            SEEN.note("breach", what=f"{word.application_no}: completed by a forged word")

    @task(1)
    def tap_twice(self) -> None:
        """Give a wallet twice at once under one key, and with other content under the same key."""
        key, path = new_key(), f"/api/trade-ins/{self._own}/wallet"
        taps = [gevent.spawn(self._give, path, key, "ABUSE0001") for _ in range(2)]
        gevent.joinall(taps)
        kept = {tap.value.content for tap in taps if tap.value is not None and tap.value.status_code == 200}
        if len(kept) > 1:
            SEEN.note("breach", what=f"{path}: one key, two answers")
        if kept:
            changed = self._give(path, key, "ABUSE0002")
            if changed.status_code == 200:
                SEEN.note("breach", what=f"{path}: one key took two contents, {told(changed)}")

    def _give(self, path: str, key: str, wallet_id: str) -> Any:
        body = json.dumps({"wallet_id": f"{wallet_id}{self._own[-2:]}"}).encode()
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        name, wanted = "abuse: taps twice", (200, 409, 422, 429, 503)
        return self.ask("POST", path, name=name, wanted=wanted, body=body, headers=headers)
