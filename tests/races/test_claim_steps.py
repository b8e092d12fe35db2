"""Two people, or a person and the clock, change one claim at the same instant: one wins, and the books balance."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from app.config import Settings
from registry.base import Refusal, StepNotAllowed
from registry.bikes import Bike
from registry.trade_ins import EVERYBODYS, TradeIn
from subsidy.claims import QueueEvent
from subsidy.correction_fields import Given
from subsidy.corrections import CorrectionTooLate, correct_claim
from subsidy.dispatch import pay_next
from subsidy.queue import MoneyAtTheBank, append_due
from subsidy.standing import queue_connection
from tests.subsidy.claim_deeds import approve, begin_return, decide_return, hold, propose
from tests.subsidy.claim_scene import AMOUNT_FEN, NOW, Scene, stopped_at
from tests.subsidy.payout_rows import release

ROUNDS = 4


@pytest.fixture
def scene(settings: Settings, engine: Engine) -> Scene:
    return Scene(settings=settings, engine=engine)


def race(*racers: Callable[[], Any]) -> list[Any]:
    """Let everybody go at once, each on a thread of his own; return what each got, refusals included."""
    start = threading.Barrier(len(racers))

    def run(racer: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return racer()
        except Refusal as refusal:
            return refusal

    with ThreadPoolExecutor(len(racers)) as threads:
        return list(threads.map(run, racers))


def events(scene: Scene, position: int) -> list[str]:
    def read(session: Session) -> list[str]:
        query = select(QueueEvent.kind).where(QueueEvent.position == position).order_by(QueueEvent.event_no)
        return list(session.scalars(query))

    return scene.do(read)


def test_a_correction_and_its_expiry_at_the_same_instant(scene: Scene) -> None:
    """The corrector's clock stands at the last instant of the term, the scheduler's at its end: two hosts, one lock."""
    scene.open(places=ROUNDS)
    term = NOW + timedelta(days=7)
    last_instant, over = stopped_at(term - timedelta(milliseconds=1)), stopped_at(term)
    held = scene.complete(ROUNDS, police_code=lambda code: "2" + code[1:])
    codes = scene.do(lambda session: list(session.scalars(select(Bike.vehicle_code).order_by(Bike.id))))

    def correct(reference: str, code: str) -> Any:
        return scene.do(
            lambda session: (
                correct_claim(
                    session=session,
                    keyring=scene.settings.keyring,
                    reference=reference,
                    reach=EVERYBODYS,
                    given=Given(vehicle_code="2" + code[1:]),
                    clock=last_instant,
                    actor="account:9",
                ).claim.state
            )
        )

    def expire() -> int:
        return scene.do(lambda session: append_due(connection=queue_connection(session=session), clock=over))

    corrections = [
        lambda reference=one.reference, code=code: correct(reference, code)
        for one, code in zip(held, codes, strict=True)
    ]
    *told, _ = race(*corrections, expire)
    for one, answer in zip(held, told, strict=True):
        assert one.position is not None
        kinds = events(scene, one.position)
        if answer == "awarded":
            assert kinds == ["claim", "corrected"]
        else:
            assert isinstance(answer, CorrectionTooLate), answer
            assert kinds == ["claim", "correction_expired"]
    assert scene.differences() == []


def test_two_reviewers_approve_one_overrule(scene: Scene) -> None:
    scene.open(places=ROUNDS, reserve_fen=9 * AMOUNT_FEN)

    def unlicensed(session: Session, trade_in: TradeIn) -> None:
        trade_in.opening = trade_in.opening | {"point_licensed": False}

    for declined in scene.complete(ROUNDS, prepare=unlicensed):
        number = propose(scene, declined.reference).reference
        told = race(
            lambda number=number: approve(scene, number, actor="account:2"),
            lambda number=number: approve(scene, number, actor="account:3"),
        )
        assert sorted(isinstance(one, StepNotAllowed) for one in told) == [False, True], told
        assert declined.position is not None
        assert events(scene, declined.position) == ["claim", "overrule"]
    assert scene.balances()["committed:reserve"] == ROUNDS * AMOUNT_FEN
    assert scene.differences() == []


@pytest.mark.parametrize("step", ["return", "hold"])
def test_a_payout_is_sent_while_the_claim_is_taken_back(scene: Scene, step: str) -> None:
    """The dispatcher and the bureau reach for one payout: either it is sent, or it is not owed any more."""
    scene.open(places=ROUNDS)
    for done in scene.complete(ROUNDS):
        scene.confirm_wallet(done.reference)
        release(scene.sessions, scene.bank)
        case = begin_return(scene, done.reference).reference if step == "return" else ""

        def take_back(reference: str = done.reference, case: str = case) -> Any:
            return decide_return(scene, case).state if step == "return" else hold(scene, reference)

        def send() -> str | None:
            return pay_next(
                sessions=scene.sessions,
                operator=scene.bank,
                keyring=scene.settings.keyring,
                now=lambda: scene.clock.now(),
            )

        taken, sent = race(take_back, send)
        claim, payout = scene.claim(done.reference).state, scene.payout_state(done.reference)
        if sent is None:
            assert (claim, payout) == ("returned" if step == "return" else "held", "withdrawn"), taken
        else:
            # Sent first: the return asks for the money back, or hears that the bank has it just now.
            assert (sent, claim, payout) == ("settled", "awarded", "settled")
            assert taken == "demanded" or isinstance(taken, MoneyAtTheBank), taken
    assert scene.differences() == []
