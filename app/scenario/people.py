"""The people of the scenario: counters that walk trade-ins along the line, owners who give wallets. All over HTTP."""

from __future__ import annotations

import base64
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from app.district.pictures import made_picture
from app.scenario.calls import Reply, ScenarioFailed, Server
from app.scenario.ground import Ground
from app.scenario.plan import Planned, WalletPlan
from app.scenario.shops import point_login
from app.scenario.sizes import Kind
from registry.trade_ins import PHOTO_KINDS

THREADS = 16
PRICE = {"list_price_fen": 299_900, "discount_fen": 20_000, "deduction_fen": 10_000, "paid_fen": 269_900}
CANCELLED_WITHIN_S = 90.0
ASK_AGAIN_S = 0.5
_PICTURE = made_picture(0)
_END_OF_PNG = 12

Progress = Callable[[str, int, int], None]


@dataclass(slots=True, kw_only=True)
class Walk:
    """One trade-in under way. ``told`` is the place the counter was told when the plate came at once, else None.

    ``cancelled`` says that the counter was told at once that the old plate is cancelled.
    """

    planned: Planned
    reference: str
    cancelled: bool = False
    told: dict[str, Any] | None = None


@dataclass(kw_only=True)
class People:
    """Everybody at once, sixteen at a time. ``walks`` goes by the planned trade-in's number."""

    web: Server
    ground: Ground
    walks: dict[int, Walk] = field(default_factory=dict)
    counters: dict[int, str] = field(default_factory=dict)
    mended: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open_counters(self, points: Iterable[int], *, progress: Progress) -> None:
        """Sign in at every point, with its password."""
        self._each("代办点登录", list(points), self._sign_in, progress)

    def sign_in_as(self, login: str) -> str:
        """Sign in and return the token."""
        reply = self.web.post("/api/sign-ins", {"login": login, "password": self.ground.password})
        return str(_expect(reply, 201)["token"])

    def prepare(self, trade_ins: list[Planned], *, progress: Progress) -> None:
        """Take trade-ins through every step before the last: opened, photographed, received, old plate, new bike."""
        self._each("收旧车、注销旧牌", trade_ins, self._hand_in, progress)
        self._each("买新车、留钱包", trade_ins, self._buy, progress)

    def apply(self, trade_ins: list[Planned], *, progress: Progress, what: str = "申请新牌") -> None:
        """Apply for the new plate of each; some plates come at once, others later."""
        self._each(what, trade_ins, self._apply, progress)

    def correct(self, trade_ins: list[Planned], *, progress: Progress) -> None:
        """Have the point of each send another photo in place of the one that cannot be read."""
        self._each("补交照片", trade_ins, self._correct, progress)

    def appeal(self, trade_ins: list[Planned]) -> list[str]:
        """Have each owner file an appeal; return the appeals' numbers."""
        return [self._appeal(planned) for planned in trade_ins]

    def references(self, trade_ins: Iterable[Planned]) -> list[str]:
        """Return the references of trade-ins that were opened."""
        return [self.walks[planned.number].reference for planned in trade_ins]

    def give_wallets(self, trade_ins: list[Planned], *, progress: Progress) -> None:
        """Have each owner give the wallet that is due now; what the bank refuses is mended by giving another."""
        self._each("留钱包", trade_ins, self._give_wallet, progress)

    def mend_wallets(self, trade_ins: list[Planned]) -> None:
        """Have each owner whose money came back give another wallet."""
        self._each("钱包", trade_ins, self._mend_wallet, lambda *_: None)

    def _each(self, what: str, items: list[Any], act: Callable[[Any], None], progress: Progress) -> None:
        if not items:
            return
        done = 0
        with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="people") as pool:
            for _ in pool.map(act, items):
                done += 1
                if done % 20 == 0 or done == len(items):
                    progress(what, done, len(items))

    def _sign_in(self, point: int) -> None:
        token = self.sign_in_as(point_login(point))
        with self._lock:
            self.counters[point] = token

    def _counter(self, planned: Planned, path: str, document: Any, key: str) -> Reply:
        token = self.counters[planned.point]
        return self.web.post(f"/api/trade-ins{path}", document, token=token, key=f"{planned.number:06d}-{key}")

    def _hand_in(self, planned: Planned) -> None:
        filing = planned.filing
        document = {
            "plate_no": filing.plate_no,
            "owner_name": filing.owner_name,
            "owner_id_no": filing.id_no,
            "owner_phone": filing.phone,
        }
        opened = _expect(self._counter(planned, "", document, "open"), 201)
        at = f"/{opened['reference']}"
        walk = Walk(planned=planned, reference=opened["reference"])
        with self._lock:
            self.walks[planned.number] = walk
        if opened["state"] == "opened":  # the police could not be reached
            opened = _expect(self._counter(planned, f"{at}/verification", None, "verify"), 200)
        if opened["state"] != "old_bike_verified":
            raise ScenarioFailed(f"{opened['reference']} stands at {opened['state']} after opening")
        for kind in PHOTO_KINDS:
            image = base64.b64encode(_picture(planned.number * 10 + PHOTO_KINDS.index(kind))).decode()
            opened = _expect(self._counter(planned, f"{at}/photos", {"kind": kind, "image": image}, kind), 201)
        receipt = {
            "recycling_certificate_no": f"HS{planned.number:08d}",
            "frame_no": filing.frame_no,
            "complete": True,
            # Those who are to be declined know it, and trade in all the same; a first bike may complete meanwhile.
            "owner_knows": planned.kind is Kind.AGAIN or bool(opened["foreseen"] and opened["foreseen"]["no_subsidy"]),
        }
        _expect(self._counter(planned, f"{at}/receipt", receipt, "receive"), 200)
        told = _expect(self._counter(planned, f"{at}/old-plate-cancellation", None, "cancel"), 200, 202)
        walk.cancelled = told["state"] == "old_plate_cancelled"

    def _buy(self, planned: Planned) -> None:
        walk = self.walks[planned.number]
        at = f"/{walk.reference}"
        if not walk.cancelled:
            self._await_cancellation(planned, at)
        sale = {"vehicle_code": planned.vehicle_code, "invoice_no": f"2633{planned.number:010d}", **PRICE}
        _expect(self._counter(planned, f"{at}/sale", sale, "sell"), 200)
        if planned.wallet is WalletPlan.BEFORE:
            self._give_wallet(planned)

    def _await_cancellation(self, planned: Planned, at: str) -> None:
        deadline = time.monotonic() + CANCELLED_WITHIN_S
        while True:
            state = _expect(self.web.get(f"/api/trade-ins{at}", token=self.counters[planned.point]), 200)["state"]
            if state == "old_plate_cancelled":
                return
            if state != "cancel_requested" or time.monotonic() > deadline:
                raise ScenarioFailed(f"{at[1:]} stands at {state}: its old plate was not cancelled in time")
            self.web.pause(ASK_AGAIN_S)

    def _apply(self, planned: Planned) -> None:
        walk = self.walks[planned.number]
        reply = self._counter(planned, f"/{walk.reference}/plate-application", None, "apply")
        if reply.status == 409 and reply.tries > 1:
            # An earlier sending, whose answer was lost, had gone through and was completed meanwhile.
            reply = self.web.get(f"/api/trade-ins/{walk.reference}", token=self.counters[planned.point])
        answer = _expect(reply, 200, 202)
        if answer["state"] == "completed":
            walk.told = answer["place"]
        elif answer["state"] != "plate_applied":
            raise ScenarioFailed(f"{walk.reference} stands at {answer['state']} after applying: {answer['refusal']}")

    def _correct(self, planned: Planned) -> None:
        at = f"/{self.walks[planned.number].reference}"
        image = base64.b64encode(_picture(planned.number * 10 + len(PHOTO_KINDS))).decode()
        document = {"kind": "plate", "image": image}
        _expect(self._counter(planned, f"{at}/correction/photos", document, "correct"), 201)

    def _appeal(self, planned: Planned) -> str:
        reply = self.web.post(
            f"/api/trade-ins/{self.walks[planned.number].reference}/appeals",
            {"body": "备案日期登记错了，我有当年的备案凭证。"},
            token=self.ground.owner_tokens[planned.filing.id_no],
            key=f"{planned.number:06d}-appeal",
        )
        return str(_expect(reply, 201)["reference"])

    def _give_wallet(self, planned: Planned) -> None:
        if planned.wallet is WalletPlan.REFUSED_FIRST:
            reply = self._owner_gives(planned, f"W{planned.number:06d}.{planned.magic}", "refused")
            if reply.status != 422:
                raise ScenarioFailed(f"a {planned.magic} wallet was answered {reply.status}: {reply.data}")
            self._owner_gives_good(planned)
        elif planned.magic is None:
            self._owner_gives_good(planned)
        else:
            _expect(self._owner_gives(planned, f"W{planned.number:06d}.{planned.magic}", planned.magic), 200)

    def _mend_wallet(self, planned: Planned) -> None:
        self._owner_gives_good(planned)
        with self._lock:
            self.mended += 1

    def _owner_gives_good(self, planned: Planned) -> None:
        _expect(self._owner_gives(planned, f"W{planned.number:06d}", "good"), 200)

    def _owner_gives(self, planned: Planned, wallet_id: str, key: str) -> Reply:
        reference = self.walks[planned.number].reference
        return self.web.post(
            f"/api/trade-ins/{reference}/wallet",
            {"wallet_id": wallet_id},
            token=self.ground.owner_tokens[planned.filing.id_no],
            key=f"{planned.number:06d}-wallet-{key}",
        )


def _expect(reply: Reply, *statuses: int) -> dict[str, Any]:
    if reply.status not in statuses:
        raise ScenarioFailed(f"answered {reply.status} instead of {statuses}: {reply.body[:600].decode()}")
    return reply.data


def _picture(serial: int) -> bytes:
    """A valid PNG that no other serial has: one picture, and a text in it."""
    text = b"Comment\x00" + str(serial).encode()
    chunk = struct.pack(">I", len(text)) + b"tEXt" + text + struct.pack(">I", zlib.crc32(b"tEXt" + text))
    return _PICTURE[:-_END_OF_PNG] + chunk + _PICTURE[-_END_OF_PNG:]
