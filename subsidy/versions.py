"""Adopting a version of a programme's rules: what it may change, and the money that comes in or goes back with it."""

from __future__ import annotations

from datetime import datetime

from subsidy.events import Movement
from subsidy.rules import MoneyAlreadySpent, NotBackDated, Rules, RulesRefused, StageRules
from subsidy.state import APPROPRIATION, RESERVE, OutOfOrder, Phase, StageState, State, new_stage


class StageRemoved(RulesRefused):
    """A published stage was left out of the next version."""

    code = "stage_removed"
    zh = "已发布的第 {stage} 阶段不能删除。"
    en = "Stage {stage} has been published and cannot be removed."
    default_field = "stages"


class ProgrammeEnded(RulesRefused):
    """A stage was added after the event ``end``."""

    code = "programme_ended"
    kind = "conflict"
    zh = "活动已经结束，不能再加阶段。"
    en = "The programme has ended; no stage can be added."
    remedy_zh = "请新建一个活动。"
    remedy_en = "Publish a new programme."
    default_field = "stages"


def refuse_change(state: State, rules: Rules, at: datetime) -> None:
    """Raise a RulesRefused where ``rules`` cannot follow what the queue has already done (law 1: never back-dated).

    Closed stages stay as they are; of an open stage the amount and the opening stay; no boundary moves before ``at``;
    places, money and reserve shrink by no more than is left of them. A first version only has to be valid.
    """
    rules.validate()
    if state.rules is None:
        return
    if len(rules.stages) < len(state.stages):
        raise StageRemoved(stage=len(rules.stages) + 1)
    added = rules.stages[len(state.stages) :]
    if added and state.ended:
        raise ProgrammeEnded
    for new in added:
        refuse_past(new.number, "opens_at", new.opens_at, at)
    for stage, before, after in zip(state.stages, state.rules.stages, rules.stages, strict=False):
        refuse_stage_change(stage, before, after, at)
        settles_at = after.closes_at + rules.late_window
        if stage.phase is not Phase.SETTLED and settles_at != stage.settles_at:
            refuse_past(stage.number, "late_window", settles_at, at)
    left = state.reserve_fen
    if rules.reserve_fen - state.rules.reserve_fen + left < 0:
        raise MoneyAlreadySpent(field="reserve_fen", purse=RESERVE, what="reserve_fen", left=left)


def refuse_stage_change(stage: StageState, before: StageRules, after: StageRules, at: datetime) -> None:
    """Raise where one stage's new rules touch what has happened in it."""
    number = stage.number
    if stage.phase in (Phase.CLOSED, Phase.SETTLED) and after != before:
        raise NotBackDated(stage=number, what="rules")
    if stage.phase is Phase.OPEN:
        if after.opens_at != before.opens_at:
            raise NotBackDated(stage=number, what="opens_at")
        if after.amount_fen != before.amount_fen:
            raise NotBackDated(stage=number, what="amount_fen")
        if after.closes_at != before.closes_at:
            refuse_past(number, "closes_at", after.closes_at, at)
    if stage.phase is Phase.FUTURE and after.opens_at != before.opens_at:
        refuse_past(number, "opens_at", after.opens_at, at)
    for what, left in (("places", stage.places_left), ("budget_fen", stage.money_fen)):
        if getattr(after, what) - getattr(before, what) + left < 0:
            raise MoneyAlreadySpent(field="stages", purse=stage.account, what=what, left=left)


def refuse_past(stage: int, what: str, instant: datetime, at: datetime) -> None:
    """Raise NotBackDated where ``instant`` lies before ``at``."""
    if instant < at:
        raise NotBackDated(stage=stage, what=what)


def adopt(state: State, rules: Rules | None, event_no: int, at: datetime) -> list[Movement]:
    """Put ``rules`` in force from ``event_no`` on and return the money that moves with them; raises RulesRefused."""
    if rules is None:
        raise OutOfOrder(f"event {event_no}: a version without rules")
    refuse_change(state, rules, at)
    moved: list[Movement] = []
    for number, after in enumerate(rules.stages, start=1):
        settles_at = after.closes_at + rules.late_window
        if number > len(state.stages):
            state.stages.append(new_stage(after, settles_at))
        before = state.rules.stages[number - 1] if state.rules and number <= len(state.rules.stages) else None
        stage = state.stages[number - 1]
        adopt_stage(stage, after, settles_at)
        stage.places_left += after.places - (before.places if before else 0)
        change_fen = after.budget_fen - (before.budget_fen if before else 0)
        stage.money_fen += change_fen
        moved += provide(event_no, stage.account, change_fen)
    change_fen = rules.reserve_fen - (state.rules.reserve_fen if state.rules else 0)
    state.reserve_fen += change_fen
    moved += provide(event_no, RESERVE, change_fen)
    state.rules = rules
    return moved


def adopt_stage(stage: StageState, after: StageRules, settles_at: datetime) -> None:
    """Write the stage's new window and amount; carried money that now makes a place makes one."""
    stage.opens_at, stage.closes_at, stage.amount_fen = after.opens_at, after.closes_at, after.amount_fen
    if stage.phase is not Phase.SETTLED:
        stage.settles_at = settles_at
    gained, stage.rest_fen = divmod(stage.rest_fen, stage.amount_fen)
    stage.places_left += gained
    stage.carried_places += gained


def provide(event_no: int, purse: str, change_fen: int) -> list[Movement]:
    """Return the posting that brings money to a purse, or takes it back where ``change_fen`` is negative."""
    if change_fen > 0:
        return [Movement(event_no, APPROPRIATION, purse, change_fen, None, "provide")]
    if change_fen < 0:
        return [Movement(event_no, purse, APPROPRIATION, -change_fen, None, "withdraw")]
    return []
