"""Those who look: owners refreshing «is there still money» and their own trade-in, staff with the board open."""

from __future__ import annotations

import itertools
import json
import random

from locust import between, constant, task

from loadtests.users import KNOWN, Visitor, new_key

OWNERS = itertools.cycle(KNOWN.owners if KNOWN else [])
STAFF = itertools.cycle(KNOWN.staff if KNOWN else [])
NO_WALLET_YET = 0.2


class Reader(Visitor):
    """Somebody with the front page open, which asks for the plate card every five seconds."""

    wait_time = between(3, 7)

    def on_start(self) -> None:
        super().on_start()
        self.look("/", "front page")

    @task(8)
    def refresh_stage(self) -> None:
        self.look("/live/stage", "live state: card")

    @task(2)
    def ask_api(self) -> None:
        self.ask("GET", "/api/programmes/current", name="live state: API")

    @task(1)
    def come_back(self) -> None:
        self.look("/", "front page")


class Owner(Reader):
    """An owner with the own trade-in open as well; now and then one gives a wallet."""

    def on_start(self) -> None:
        super().on_start()
        owner = next(OWNERS)
        self.token, self._reference = owner.token, owner.reference
        self._gives_wallet = random.random() < NO_WALLET_YET
        self.look(f"/my/{self._reference}", "own trade-in: page")

    @task(6)
    def refresh_own(self) -> None:
        self.look(f"/my/{self._reference}/live", "own trade-in: card")

    @task(1)
    def ask_own(self) -> None:
        self.ask("GET", f"/api/trade-ins/{self._reference}", name="own trade-in: API")

    @task(1)
    def give_wallet(self) -> None:
        """Give the wallet the subsidy is to go to; a trade-in that gets none needs no wallet, which is said by 409."""
        if not self._gives_wallet:
            return
        self._gives_wallet = False
        body = json.dumps({"wallet_id": f"RUSH{self._reference[3:].replace('-', '')}"}).encode()
        headers = {"Idempotency-Key": new_key(), "Content-Type": "application/json"}
        path, name = f"/api/trade-ins/{self._reference}/wallet", "own trade-in: wallet"
        self.insist("POST", path, name=name, wanted=(200, 409), body=body, headers=lambda: headers)


class Staff(Visitor):
    """Somebody at the bureau with the board open, which asks every two seconds."""

    wait_time = constant(2)

    def on_start(self) -> None:
        super().on_start()
        self.token = next(STAFF)
        self.look("/board", "board: page")

    @task(8)
    def refresh_board(self) -> None:
        self.look("/board/live", "board: live")

    @task(1)
    def ask_board(self) -> None:
        self.ask("GET", "/api/board", name="board: API")

    @task(1)
    def list_trade_ins(self) -> None:
        self.ask("GET", "/api/trade-ins?limit=50", name="board: trade-ins")
