"""Drafting a new version of a programme's rules: checked in words, its effect shown before anybody approves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy.orm import Session

from registry.base import Refusal
from registry.inputs import Inputs
from subsidy.programme import Programme
from subsidy.programme_change import VERSION, ProgrammeChange, keep_draft
from subsidy.programme_change_effect import begin_run, effect_from_now, effect_json, is_reckoned_at_once
from subsidy.programme_change_grace import GraceNotCovered, GraceNotSaid, grace_of
from subsidy.rules import Rules, RulesRefused, StageRules
from subsidy.state import State
from subsidy.versions import refuse_change


class StagesApart(RulesRefused):
    """Between two stages there would be a gap that nobody meant."""

    code = "stages_apart"
    zh = "第 {before} 阶段截止以后，过 {hours} 小时第 {after} 阶段才开始，中间办完的人要等。"
    en = "Stage {after} opens {hours} hours after stage {before} has closed; who completes between them has to wait."
    remedy_zh = "请把两个阶段接上；确实要空开的，请注明 gaps_intended 为 true。"
    remedy_en = "Join the two stages, or send gaps_intended as true where the gap is meant."
    default_field = "stages"


class NothingChanges(Refusal):
    """The draft says the same as the version in force."""

    code = "nothing_changes"
    zh = "这份草稿和现行规则完全一样。"
    en = "The draft is the same as the rules in force."
    remedy_zh = "请改动要变的地方再提交。"
    remedy_en = "Change what is to change, then submit."
    default_field = "rules"


def draft_version(
    *,
    session: Session,
    programme: Programme,
    rules: Rules,
    note: str,
    actor: str,
    now: datetime,
    gaps_intended: bool = False,
    grace_reserves: bool | None = None,
) -> ProgrammeChange:
    """Keep a draft of the programme's next version, with its effect, in the caller's transaction.

    Where the queue is long the effect is reckoned in the background, and nobody can approve before it is there.

    ``note`` says why, for colleagues. ``grace_reserves`` has to be said where an open stage closes earlier, see
    programme_change_grace.py. Raises SeveralRefused or RulesRefused, StagesApart, NothingChanges, GraceNotSaid and
    GraceNotCovered. What holds at drafting is checked again at approval.
    """
    state = _head(programme)
    check_rules(rules=rules)
    before = state.rules.to_json() if state.rules else None
    if before == rules.to_json():
        raise NothingChanges
    refuse_change(state, rules, now)
    if not gaps_intended:
        refuse_new_gaps(before=state.rules, after=rules)
    covered = _check_grace(session=session, state=state, rules=rules, grace_reserves=grace_reserves)
    at_once = is_reckoned_at_once(session=session, programme=programme)
    effect = effect_from_now(session=session, programme=programme, rules=rules, now=now) if at_once else None
    change = ProgrammeChange(
        programme_id=programme.id,
        kind=VERSION,
        state="drafted",
        base_version_no=programme.version_no,
        rules=rules.to_json(),
        grace_reserves=covered,
        note=note,
        effect=effect_json(effect) if effect else None,
        drafted_by=actor,
        drafted_at=now,
    )
    changed = differences(before=before, after=rules.to_json()) if before else None
    keep_draft(session=session, change=change, differences=changed)
    if effect is None:
        begin_run(session=session, programme=programme, rules=rules, change_id=change.id, actor=actor, now=now)
    return change


def check_rules(*, rules: Rules) -> None:
    """Raise what is wrong with the rules by themselves; the faults of several stages are told together."""
    inputs = Inputs()
    for stage in rules.stages:
        inputs.take(f"stages.{stage.number}", StageRules.validate, stage)
    inputs.check()
    rules.validate()


def refuse_new_gaps(*, before: Rules | None, after: Rules) -> None:
    """Raise StagesApart for a gap between two stages that the version in force does not have."""
    known = {(one.closes_at, other.opens_at) for one, other in pairwise(before.stages)} if before else set()
    for one, other in pairwise(after.stages):
        if other.opens_at > one.closes_at and (one.closes_at, other.opens_at) not in known:
            hours = round((other.opens_at - one.closes_at).total_seconds() / 3600, 1)
            raise StagesApart(before=one.number, after=other.number, hours=f"{hours:g}")


def differences(*, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what differs between two versions' JSON: ``{"stages.1.closes_at": [old, new]}``; None where it is not."""
    old, new = _flat(before), _flat(after)
    return {
        name: [old.get(name), new.get(name)]
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }


def _flat(rules: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in rules.items() if name != "stages"}
    for stage in rules["stages"]:
        flat |= {f"stages.{stage['number']}.{name}": value for name, value in stage.items() if name != "number"}
    return flat


def _head(programme: Programme) -> State:
    return State.from_core_json(programme.head) if programme.head is not None else State()


def _check_grace(*, session: Session, state: State, rules: Rules, grace_reserves: bool | None) -> bool | None:
    grace = grace_of(session=session, state=state, rules=rules)
    if grace is None:
        return None
    if grace_reserves is None:
        raise GraceNotSaid(stage=grace.stage, open_trade_ins=grace.open_trade_ins)
    if grace_reserves and not grace.is_covered:
        raise GraceNotCovered(**asdict(grace))
    return grace_reserves
