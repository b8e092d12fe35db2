"""A random walk over everything people do to claims, beside a model that knows no queue and no database.

The model says of every step whether it may be taken and where it leads; after the walk verify replays the whole log.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.trade_ins import TradeIn
from tests.subsidy.claim_deeds import approve, begin_return, decide_return, hold, propose, release, repay
from tests.subsidy.claim_scene import AMOUNT_FEN, Scene

# (claim, payout) → where a step leads; what is not listed is refused and changes nothing. «declined» claims are paid
# from a reserve that holds enough for all of them, so nobody in this walk ever waits.
STEPS: dict[str, dict[tuple[str, str | None], tuple[str, str | None]]] = {
    "hold": {("awarded", "awaiting_wallet"): ("held", "withdrawn"), ("awarded", "owed"): ("held", "withdrawn")},
    "release": {("held", "withdrawn"): ("awarded", "back")},
    "overrule": {("declined", None): ("awarded", "awaiting_wallet")},
    "return": {
        ("awarded", "awaiting_wallet"): ("returned", "withdrawn"),
        ("awarded", "owed"): ("returned", "withdrawn"),
        ("awarded", "settled"): ("awarded", "demanded"),
        ("held", "withdrawn"): ("returned", "withdrawn"),
        ("declined", None): ("declined", "gone"),
    },
    "repay": {("awarded", "demanded"): ("returned", "settled")},
    "pay": {("awarded", "awaiting_wallet"): ("awarded", "settled"), ("awarded", "owed"): ("awarded", "settled")},
}


@dataclass(kw_only=True)
class Model:
    """One claim as the model believes it stands."""

    reference: str
    claim: str
    payout: str | None
    wallet: bool = False
    case: str = ""

    def after(self, step: str) -> tuple[str, str | None] | None:
        following = STEPS[step].get((self.claim, self.payout))
        if following is not None and following[1] == "back":
            return following[0], "owed" if self.wallet else "awaiting_wallet"
        return following


@pytest.mark.parametrize("seed", [7, 2026])
def test_every_step_leads_where_the_model_says(scene: Scene, seed: int) -> None:
    random = Random(seed)
    scene.open(places=9, reserve_fen=9 * AMOUNT_FEN)

    def unlicensed(session: Session, trade_in: TradeIn) -> None:
        trade_in.opening = trade_in.opening | {"point_licensed": False}

    claims = [Model(reference=one.reference, claim="awarded", payout="awaiting_wallet") for one in scene.complete(4)]
    claims += [
        Model(reference=one.reference, claim="declined", payout=None) for one in scene.complete(3, prepare=unlicensed)
    ]
    taken = 0
    for number in range(45):
        model, step = random.choice(claims), random.choice(sorted(STEPS))
        following = model.after(step)
        try:
            take(scene, model, step, number)
        except Refusal:
            assert following is None, (step, model)
        else:
            assert following is not None, (step, model)
            model.claim, model.payout = following
            taken += 1
            if step == "pay":  # whatever else is owed goes out with it
                for other in claims:
                    other.payout = "settled" if other.payout == "owed" else other.payout
        assert scene.claim(model.reference).state == model.claim
        shown = {"demanded": "settled", "gone": None}.get(model.payout or "", model.payout)
        assert scene.payout_state(model.reference) == shown
    assert taken >= 10
    assert sum(scene.balances().values()) == 0
    paid = sum(fen for account, fen in scene.balances().items() if account.startswith("paid:"))
    assert paid == AMOUNT_FEN * sum(model.claim == "awarded" and model.payout in PAID for model in claims)
    assert scene.differences() == []


PAID = ("settled", "demanded")


class NotOwed(Refusal):
    """The walk pays this claim, and it is not owed."""


def take(scene: Scene, model: Model, step: str, number: int) -> Any:
    """Take one step on one claim; raises the Refusal it met."""
    if step == "hold":
        return hold(scene, model.reference)
    if step == "release":
        return release(scene, model.reference)
    if step == "overrule":
        return approve(scene, propose(scene, model.reference).reference)
    if step == "return":
        model.case = begin_return(scene, model.reference).reference
        return decide_return(scene, model.case)
    if step == "repay":
        return repay(scene, model.case or "TH-2222-22", amount_fen=AMOUNT_FEN, document_no=f"BANK{number:04d}")
    if model.payout not in ("awaiting_wallet", "owed"):
        raise NotOwed
    scene.confirm_wallet(model.reference)
    model.wallet = True
    while scene.pay() is not None:
        pass
    return None
