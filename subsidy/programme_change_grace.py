"""Closing an open stage early: the promised grace either covers every open trade-in with money, or says it does not.

The queue keeps no place for anybody who has not completed (law 5). So «covers» means: when the change is approved, the
stage has a place and the whole amount left for every trade-in that is open in the district. Who opens later still
competes for them; the wording says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.trade_ins import OVER, TradeIn
from subsidy.programme import Programme
from subsidy.rules import Rules, StageRules
from subsidy.state import StageState, State


class GraceNotSaid(Refusal):
    """An open stage would close earlier, and the draft does not say whether open trade-ins are covered."""

    code = "grace_not_said"
    zh = "第 {stage} 阶段要提前截止：请写明剩下的钱够不够付给已经登记、还没办完的 {open_trade_ins} 笔。"
    en = "Stage {stage} would close early: say whether the money left covers the {open_trade_ins} open trade-ins."
    remedy_zh = "够付并要保证的填 true，不保证的填 false；已经起草的，请照此重新起草。"
    remedy_en = "Draft it with true where it shall cover them, with false where it plainly does not."
    default_field = "grace_reserves"


class GraceNotCovered(Refusal):
    """The grace promises what the stage cannot pay."""

    code = "grace_not_covered"
    kind = "conflict"
    zh = (
        "还有 {open_trade_ins} 笔没办完，要 {needed_fen} 分；第 {stage} 阶段只剩 {places_left} 个名额、{money_fen} 分。"
    )
    en = (
        "{open_trade_ins} trade-ins are open and need {needed_fen} fen; stage {stage} has {places_left} places and"
        " {money_fen} fen left."
    )
    remedy_zh = "请增加名额和预算，或者写明不保证。"
    remedy_en = "Add places and budget, or say plainly that they are not covered."
    default_field = "grace_reserves"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grace:
    """What an early closing means for trade-ins that are open. Sums in fen, as the new rules would leave them."""

    stage: int
    open_trade_ins: int
    needed_fen: int
    places_left: int
    money_fen: int

    @property
    def is_covered(self) -> bool:
        """Whether a place and the whole amount are left for every open trade-in."""
        return self.open_trade_ins <= self.places_left and self.needed_fen <= self.money_fen


def grace_of(*, session: Session, state: State, rules: Rules) -> Grace | None:
    """Return what the early closing in ``rules`` would leave for open trade-ins, None where no open stage closes early.

    Claims that wait are served first: what the new rules bring is counted after them.
    """
    stage = state.open_stage
    if stage is None or state.rules is None:
        return None
    before, after = state.rules.stages[stage.number - 1], rules.stages[stage.number - 1]
    if after.closes_at >= before.closes_at:
        return None
    places, money_fen = left_after(stage=stage, before=before, after=after, waiting=state.waiting_count)
    open_trade_ins = count_open(session=session)
    return Grace(
        stage=stage.number,
        open_trade_ins=open_trade_ins,
        needed_fen=open_trade_ins * after.amount_fen,
        places_left=places,
        money_fen=money_fen,
    )


def left_after(*, stage: StageState, before: StageRules, after: StageRules, waiting: int) -> tuple[int, int]:
    """Return places and money (fen) the stage would have once the change is in force and the line has been served."""
    places = stage.places_left + after.places - before.places
    money_fen = stage.money_fen + after.budget_fen - before.budget_fen
    served = max(0, min(waiting, places, money_fen // after.amount_fen))
    return places - served, money_fen - served * after.amount_fen


def count_open(*, session: Session) -> int:
    """Return how many trade-ins are open: begun, neither completed nor withdrawn."""
    return session.scalar(select(func.count()).select_from(TradeIn).where(TradeIn.state.not_in(OVER))) or 0


def refuse_uncovered_grace(
    *, session: Session, programme: Programme, rules: Rules, grace_reserves: bool | None
) -> None:
    """Raise GraceNotCovered where ``rules`` close a stage early that was to cover open trade-ins and leave too little.

    Raises GraceNotSaid where nothing was said: the stage has opened since the draft. Call under the programme's lock.
    """
    head = session.scalar(select(Programme.head).where(Programme.id == programme.id))
    grace = grace_of(session=session, state=State.from_core_json(head), rules=rules) if head else None
    if grace is None:
        return
    if grace_reserves is None:
        raise GraceNotSaid(stage=grace.stage, open_trade_ins=grace.open_trade_ins)
    if grace_reserves and not grace.is_covered:
        raise GraceNotCovered(
            stage=grace.stage,
            open_trade_ins=grace.open_trade_ins,
            needed_fen=grace.needed_fen,
            places_left=grace.places_left,
            money_fen=grace.money_fen,
        )
