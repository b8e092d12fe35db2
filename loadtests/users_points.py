"""Counters at the trade-in points: whole trade-ins, from the old bike's plate to the place in the queue."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import gevent
from locust import constant, task

from app.district.pictures import made_picture
from loadtests.users import KNOWN, SEEN, Visitor, document_of, new_key, told
from loadtests.users_known import Counter, Walk
from registry.trade_ins import PHOTO_KINDS

COUNTERS: Iterator[Counter] = iter(KNOWN.counters if KNOWN else [])
THINK_S = KNOWN.think_s if KNOWN else 1.0
PRICE = {"list_price_fen": 299_900, "discount_fen": 20_000, "deduction_fen": 10_000, "paid_fen": 269_900}
POLICE_WITHIN_S = 30.0
ASK_AGAIN_S = 1.0
DOUBLE_TAPS = 0.1


class WalkEnded(Exception):
    """This customer's trade-in cannot go on here and now: refused, or the other side stays away."""


class Point(Visitor):
    """One counter: customer after customer, and its own list in between."""

    wait_time = constant(0)

    def on_start(self) -> None:
        super().on_start()
        counter = next(COUNTERS, None)
        self.token = counter.token if counter else None
        self._walks = iter(counter.walks if counter else [])

    @task(5)
    def serve(self) -> None:
        """Walk the next customer's trade-in to the end."""
        walk = next(self._walks, None)
        self._think()
        if walk is None:
            return
        try:
            at = self._hand_in(walk)
            self._buy(walk, at)
            self._apply(at)
        except WalkEnded:
            return

    @task(1)
    def look_at_list(self) -> None:
        self._think()
        if self.token:
            self.ask("GET", "/api/trade-ins?limit=50", name="point: list")

    def _hand_in(self, walk: Walk) -> str:
        """Open, photograph and receive; return the trade-in's address."""
        names = ("plate_no", "owner_name", "owner_id_no", "owner_phone")
        opened = self._step("/api/trade-ins", "open", {name: getattr(walk, name) for name in names}, wanted=(201,))
        at = f"/api/trade-ins/{opened['reference']}"
        if opened["state"] == "opened":  # the police could not be reached
            opened = self._step(f"{at}/verification", "verify", None)
            if opened["state"] != "old_bike_verified":
                raise WalkEnded
        for place, kind in enumerate(PHOTO_KINDS):
            image = base64.b64encode(made_picture(walk.number * len(PHOTO_KINDS) + place)).decode()
            opened = self._step(f"{at}/photos", "photo", {"kind": kind, "image": image}, wanted=(201,))
        receipt = {
            "recycling_certificate_no": f"HS{walk.number:08d}",
            "frame_no": walk.frame_no,
            "complete": True,
            "owner_knows": bool(opened["foreseen"] and opened["foreseen"]["no_subsidy"]),
        }
        self._step(f"{at}/receipt", "receive", receipt)
        return at

    def _buy(self, walk: Walk, at: str) -> None:
        """Have the old plate cancelled and sell the new bike."""
        answer = self._step(f"{at}/old-plate-cancellation", "cancel old plate", None, wanted=(200, 202))
        if answer["state"] != "old_plate_cancelled":
            self._await(at, "old_plate_cancelled")
        sale = {"vehicle_code": walk.vehicle_code, "invoice_no": f"2633{walk.number:010d}", **PRICE}
        self._step(f"{at}/sale", "sell", sale)

    def _apply(self, at: str) -> None:
        """Apply for the plate, now and then tapping twice, and note the place once it is told."""
        sent_s, path = time.monotonic(), f"{at}/plate-application"
        key = new_key()
        hasty = gevent.spawn(self._tap, path, key) if random.random() < DOUBLE_TAPS else None
        answer = self.insist(
            "POST",
            path,
            name="point: apply for plate",
            wanted=(200, 202),
            headers=lambda: {"Idempotency-Key": key},
        )
        if hasty is not None:
            hasty.join()
            self._compare(path, answer, hasty.value)
        if answer is None:
            raise WalkEnded
        document = document_of(answer)
        if document.get("state") != "completed":
            document = self._await(at, "completed")
        place = document["place"]
        SEEN.note(
            "walked",
            reference=document["reference"],
            position=place["position"] if place else None,
            state=place["state"] if place else "unclaimed",
            stage_no=place["stage_no"] if place else None,
            amount_fen=place["amount_fen"] if place else 0,
            sent_s=sent_s,
            answered_s=time.monotonic(),
        )

    def _tap(self, path: str, key: str) -> Any:
        wanted = (200, 202, 409)
        return self.ask("POST", path, name="point: taps twice", wanted=wanted, headers={"Idempotency-Key": key})

    def _compare(self, path: str, answer: Any, other: Any) -> None:
        """Both taps of one finger get one answer; the second may be told that the first is still running."""
        finals = [each for each in (answer, other) if each is not None and each.status_code in (200, 202)]
        if len({each.content for each in finals}) > 1:
            SEEN.note("breach", what=f"{path}: one key, two answers")

    def _await(self, at: str, state: str) -> dict[str, Any]:
        """Look at the trade-in until the police have answered."""
        deadline = time.monotonic() + POLICE_WITHIN_S
        while time.monotonic() < deadline:
            gevent.sleep(ASK_AGAIN_S)
            answer = self.ask("GET", at, name="point: look again")
            document = document_of(answer)
            if answer.status_code == 200 and document["state"] == state:
                return document
        raise WalkEnded

    def _step(self, path: str, name: str, document: Any, *, wanted: tuple[int, ...] = (200,)) -> dict[str, Any]:
        """Take one step under a key of its own and return what the trade-in is then. Raises WalkEnded."""
        self._think()
        headers = {"Idempotency-Key": new_key()} | ({} if document is None else {"Content-Type": "application/json"})
        body = None if document is None else json.dumps(document, ensure_ascii=False).encode()
        answer = self.insist("POST", path, name=f"point: {name}", wanted=wanted, body=body, headers=lambda: headers)
        if answer is None or answer.status_code not in wanted:
            raise WalkEnded(name if answer is None else told(answer))
        return document_of(answer)

    def _think(self) -> None:
        gevent.sleep(random.uniform(0.5, 1.5) * THINK_S)
