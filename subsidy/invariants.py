"""What must be true of every queue after every event. ``verify`` asks it at the end, the tests after each event."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from subsidy.state import NO_PLACE, PAUSED, Award, Held, Phase, StageState, State

FAIR_TO = frozenset({NO_PLACE, PAUSED, "no_money"})


def check_invariants(state: State) -> list[str]:
    """Return one sentence for each broken invariant, nothing where all hold.

    The core is always checked; single claims, their sums and the order of payment only where ``state.complete``.
    """
    broken = [sentence for stage in state.stages for sentence in check_stage(state, stage)]
    broken += check_reserve(state)
    broken += check_line(state)
    if state.complete:
        broken += check_sums(state)
        broken += check_fairness(state)
    return broken


def check_stage(state: State, stage: StageState) -> list[str]:
    """Money in = money out + left; awarded + held ≤ money and ≤ places."""
    broken: list[str] = []
    if state.rules is None:
        return broken
    rules = state.rules.stages[stage.number - 1]
    name, used_fen = f"stage {stage.number}", stage.awarded_fen + stage.held_fen
    money_in = rules.budget_fen + stage.carried_in_fen
    if money_in != stage.money_fen + used_fen + stage.carried_out_fen:
        broken.append(f"{name}: {money_in} fen came in, {stage.money_fen} left, {used_fen} used")
    if used_fen > money_in or min(stage.money_fen, stage.awarded_fen, stage.held_fen, stage.places_left) < 0:
        broken.append(f"{name}: more spent than there was")
    if stage.awarded_count + stage.held_count + stage.places_left > rules.places + stage.carried_places:
        broken.append(f"{name}: more places than {rules.places} and {stage.carried_places} carried")
    is_last = stage is state.stages[-1]
    if stage.phase is Phase.SETTLED and not (is_last and state.paused) and (stage.money_fen or stage.places_left):
        broken.append(f"{name}: settled with {stage.money_fen} fen left")
    if (stage.phase is Phase.OPEN) is not (stage is state.open_stage):
        broken.append(f"{name}: {stage.phase}, but not as the open stage")
    return broken


def check_reserve(state: State) -> list[str]:
    """The reserve balances like a stage."""
    if state.rules is None:
        return []
    used_fen = state.reserve_fen + state.reserve_awarded_fen + state.reserve_held_fen
    if used_fen != state.rules.reserve_fen or min(state.reserve_fen, state.reserve_awarded_fen) < 0:
        return [f"reserve: {state.rules.reserve_fen} fen came in, {used_fen} accounted for"]
    return []


def check_line(state: State) -> list[str]:
    """Nobody waits while a stage can pay him (what lets a batch of plain claims do without the line)."""
    broken = []
    payer = next((stage for stage in state.stages if stage.phase is Phase.OPEN and stage.can_pay()), None)
    if payer and state.waiting_count and not state.paused:
        broken.append(f"{state.waiting_count} claims wait while stage {payer.number} can pay")
    if state.ended and state.waiting_count:
        broken.append("claims wait after the end")
    if min(state.waiting_count, state.held_count) < 0:
        broken.append("a count is below zero")
    return broken


def check_sums(state: State) -> list[str]:
    """Every claim stands in one place, and counts and sums are those of the single claims."""
    broken = []
    sets = (state.waiting, state.held, state.awards, state.declines)
    if sorted(position for claims in sets for position in claims) != list(range(1, state.position + 1)):
        broken.append("a position is missing or stands twice")
    if len(state.waiting) != state.waiting_count or len(state.held) != state.held_count:
        broken.append("the counts of waiting or held claims are wrong")
    sums: Counter[str] = Counter()
    placed: list[Held | Award] = [*state.held.values(), *state.awards.values()]
    for claim in placed:
        sums[claim.account] += claim.amount_fen
        sums[f"{claim.account} count"] += 1
    core = {"committed:reserve": state.reserve_awarded_fen, "held:reserve": state.reserve_held_fen}
    for stage in state.stages:
        core[stage.committed_account], core[stage.held_account] = stage.awarded_fen, stage.held_fen
        core[f"{stage.committed_account} count"] = stage.awarded_count
        core[f"{stage.held_account} count"] = stage.held_count
    broken += [f"{name}: {fen} by claim, {core[name]} in sum" for name in core if (fen := sums[name]) != core[name]]
    counted = Counter(claim.person_id for claim in placed)
    counted.update(claim.person_id for claim in state.waiting.values() if claim.refusal is None)
    if counted != Counter({person: count for person, count in state.person_counts.items() if count}):
        broken.append("the persons' counts are wrong")
    return broken


def check_fairness(state: State) -> list[str]:
    """No eligible claim is paid less than another that has both a later position and a later e.

    Overruled claims are left out: they are paid after the line has passed them, from what there is then.
    """
    placed: list[Held | Award] = [*state.held.values(), *state.awards.values()]
    paid = [(claim.position, claim.effective_at, claim.amount_fen) for claim in placed if not claim.overruled]
    if not state.paused:
        paid += [(claim.position, claim.effective_at, 0) for claim in state.waiting.values() if not claim.overruled]
    unpaid = [claim for claim in state.declines.values() if claim.reason in FAIR_TO and not claim.overruled]
    paid += [(claim.position, claim.effective_at, 0) for claim in unpaid]
    broken = []
    latest: dict[int, tuple[datetime, int]] = {}
    for position, e, amount_fen in sorted(paid, reverse=True):
        for more_fen, (later, other) in latest.items():
            if more_fen > amount_fen and later > e:
                broken.append(f"position {position} gets {amount_fen} fen, position {other} after it {more_fen}")
        if amount_fen not in latest or latest[amount_fen][0] < e:
            latest[amount_fen] = (e, position)
    return broken
