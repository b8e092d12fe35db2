"""When a partner answers an order at once, when later, and how its callback goes; and the same without any wire."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import TypeVar

from app.clients.faults import PENDING_FAULTS, Fault, FaultPlan, draw
from app.clients.outgoing import Outgoing
from app.clients.partner_server import ServerOptions
from registry.base import PartnerSilent, PartnerUnavailable

T = TypeVar("T")

TRIES = 3  # as many as app/clients/http.py makes of an idempotent call


def answers_at_once(options: ServerOptions, number: str, fault: Fault | None) -> bool:
    """Say whether the order under ``number`` gets its final answer at once: by its fault, else by the seed."""
    if fault in PENDING_FAULTS:
        return False
    return fault is Fault.ANSWERED_TWICE or draw(options.seed, "at_once", number) < options.answered_at_once


def call_back(options: ServerOptions, outgoing: Outgoing, fault: Fault | None, *, news: bytes, earlier: bytes) -> None:
    """Send the final ``news`` of an order as its fault will have it. ``earlier`` is the word that came before it."""
    if fault is Fault.CALLBACK_NEVER:
        return
    if fault is Fault.CALLBACK_LATE:
        outgoing.later(options.late_s, lambda: outgoing.send(news))
        return
    outgoing.send(news)
    if fault is Fault.CALLBACK_TWICE:
        outgoing.later(options.callback_delay_s, lambda: outgoing.send(news))
    if fault is Fault.CALLBACK_OUT_OF_ORDER:
        outgoing.later(options.callback_delay_s, lambda: outgoing.send(earlier))


class ManualOutgoing:
    """An Outgoing without threads or wire: what is due waits for ``pass_time``, what is sent lies in ``sent``."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = itertools.count()
        self._elapsed_s = 0.0

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self._elapsed_s + delay_s, next(self._tie), act))

    def send(self, body: bytes) -> None:
        self.sent.append(body)

    def pass_time(self, seconds: float = 3600.0) -> None:
        """Let time pass: everything due within it happens, in its order."""
        end_s = self._elapsed_s + seconds
        while self._due and self._due[0][0] <= end_s:
            self._elapsed_s, _, act = heapq.heappop(self._due)
            act()
        self._elapsed_s = end_s


def attend_in_memory(
    *,
    label: str,
    plan: FaultPlan,
    operation: str,
    number: str,
    work: Callable[[Fault | None], T],
    magic: Fault | None = None,
    calls_back: bool = False,
) -> T:
    """Do what server and client do together for one call, without the wire.

    Raises PartnerUnavailable where the server would answer 503 to every try of the client, PartnerSilent where the
    caller would learn nothing.
    """
    for _ in range(TRIES):
        fault = plan.next(operation=operation, number=number, magic=magic, calls_back=calls_back)
        if fault is not Fault.UNAVAILABLE:
            break
    else:
        raise PartnerUnavailable(partner=label)
    if fault is Fault.LOST:
        raise PartnerSilent(partner=label)
    answer = work(fault)
    if fault in (Fault.SILENT, Fault.ERROR_AFTER):
        raise PartnerSilent(partner=label)
    return answer
