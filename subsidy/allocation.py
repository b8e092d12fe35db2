"""Who is paid what: the law of the queue (README.md beside this file) as a pure function over events.

Standard library only, no clock, no database. The numbers in the docstrings are those of the law's paragraphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from registry.base import Refusal
from subsidy.boundaries import Due, due_boundaries, due_expiries, next_due, next_instant
from subsidy.events import Decision, Effect, Event, EventKind, Movement
from subsidy.fold import LIMIT_REACHED, STAFF_HOLD, ClaimNotInState, Fold
from subsidy.invariants import check_invariants
from subsidy.state import (
    RESERVE,
    Award,
    Declined,
    Held,
    IncompleteState,
    OutOfOrder,
    Phase,
    StageState,
    State,
    Waiting,
)
from subsidy.versions import adopt, refuse_change

__all__ = [
    "ClaimNotInState",
    "Decision",
    "Due",
    "IncompleteState",
    "Movement",
    "NoPausePossible",
    "NothingToResume",
    "OutOfOrder",
    "State",
    "allocate",
    "check_invariants",
    "due_boundaries",
    "due_expiries",
    "next_due",
    "next_instant",
    "refuse_change",
]

CLAIM = EventKind.CLAIM
NO_MONEY = "no_money"
EXPIRED = "correction_expired"
RETURNED = "returned"
FORFEITED = "forfeited"


class NoPausePossible(Refusal):
    """The programme is paused already, or has ended."""

    code = "no_pause_possible"
    kind = "conflict"
    zh = "活动已经暂停或已经结束，不能再暂停。"
    en = "The programme is paused already or has ended."
    remedy_zh = "请刷新页面，看看活动现在的情况。"
    remedy_en = "Reload to see how the programme stands now."


class NothingToResume(Refusal):
    """The programme is not paused."""

    code = "nothing_to_resume"
    kind = "conflict"
    zh = "活动没有暂停，不用恢复。"
    en = "The programme is not paused."
    remedy_zh = "请刷新页面，看看活动现在的情况。"
    remedy_en = "Reload to see how the programme stands now."


def allocate(state: State, events: Iterable[Event]) -> list[Effect]:
    """Fold ``events`` into ``state`` in place and return every decision and movement of money they cause, in order.

    Raises IncompleteState where a single claim is needed that was not loaded, ClaimNotInState or RulesRefused where an
    event is refused, OutOfOrder where it cannot stand at this place of the log. After any of these ``state`` is to be
    thrown away.
    """
    fold = Fold(state)
    for event in events:
        if event.event_no != state.event_no + 1 or event.recorded_at < state.recorded_at:
            raise OutOfOrder(f"event {event.event_no} at {event.recorded_at} after {state.event_no}")
        state.event_no = fold.event_no = event.event_no
        state.recorded_at = event.recorded_at
        state.moved_at = fold.at = event.due_at or event.recorded_at
        if event.kind is CLAIM:
            fold.claim(event)
        else:
            FOLDS[event.kind](fold, event)
    return fold.effects


def fold_version(fold: Fold, event: Event) -> None:
    """New rules govern what follows (1); money they bring serves those who wait."""
    fold.effects += adopt(fold.state, event.rules, event.event_no, event.recorded_at)
    fold.learn_rules()
    fold.serve_reserve()
    fold.money_came()


def fold_opening(fold: Fold, event: Event) -> None:
    """A stage opens; those who wait go first (6)."""
    stage = named_stage(fold, event, Phase.FUTURE)
    if fold.state.open_stage is not None:
        raise OutOfOrder(f"event {event.event_no}: stage {stage.number} opens while another is open")
    stage.phase = Phase.OPEN
    fold.state.open_stage = stage
    fold.money_came()


def fold_closing(fold: Fold, event: Event) -> None:
    """A stage closes; what is left of it serves late records until it settles (4)."""
    named_stage(fold, event, Phase.OPEN).phase = Phase.CLOSED
    fold.state.open_stage = None


def fold_settling(fold: Fold, event: Event) -> None:
    """What the stage did not spend moves on, as money only (7)."""
    if fold.state.paused:
        raise OutOfOrder(f"event {event.event_no}: nothing settles during a pause")
    stage = named_stage(fold, event, Phase.CLOSED)
    stage.phase = Phase.SETTLED
    stage.places_left = stage.rest_fen = 0
    heir = fold.heir(stage)
    if heir is not stage and stage.money_fen:
        fold.carry(stage, heir, stage.money_fen)
    fold.money_came()


def fold_pause(fold: Fold, event: Event) -> None:
    """From here on claims take positions and wait (12)."""
    if fold.state.paused or fold.state.ended:
        raise NoPausePossible
    fold.state.paused = True


def fold_resume(fold: Fold, event: Event) -> None:
    """Those who wait are decided in order, each as of its own recorded_at (12)."""
    state = fold.state
    if not state.paused:
        raise NothingToResume
    state.paused = False
    if state.waiting_count:
        fold.need_claims()
    for claim in list(state.waiting.values()):
        stage = fold.stage_for(claim.effective_at, claim.recorded_at)
        if claim.refusal is not None:
            fold.leave_line(claim)
            fold.decline(claim[:4], claim.refusal, stage.number if stage else None)
        elif stage is not None:
            fold.serve(claim, stage)
    fold.money_came()


def fold_end(fold: Fold, event: Event) -> None:
    """No stage, hold or late window can pay any more: who still waits is declined (6)."""
    state = fold.state
    if state.ended or state.paused or state.held_count or fold.last.phase is not Phase.SETTLED:
        raise OutOfOrder(f"event {event.event_no}: the programme cannot end yet")
    state.ended = True
    if state.waiting_count:
        fold.need_claims()
    for claim in list(state.waiting.values()):
        fold.leave_line(claim)
        fold.uncount(claim.person_id)
        fold.decline(claim[:4], NO_MONEY, claim.owed_stage, claim.overruled)


def fold_hold(fold: Fold, event: Event) -> None:
    """Staff hold an award, or a claim that waits: that one is held once its turn comes (9)."""
    claim = fold.find(event)
    if isinstance(claim, Waiting) and claim.fault is None:
        change_waiting(fold, claim, STAFF_HOLD)
        return
    if not isinstance(claim, Award):
        raise fold.refuse(event, claim)
    state, stage = fold.state, fold.state.stages[claim.stage - 1]
    account = claim.account.replace("committed", "held")
    fold.effects.append(Movement(event.event_no, claim.account, account, claim.amount_fen, claim.position, "hold"))
    fold.take_off_sums(claim)
    if account.endswith(RESERVE):
        state.reserve_held_fen += claim.amount_fen
    else:
        stage.held_count += 1
        stage.held_fen += claim.amount_fen
    fold.hold_claim(Held(*claim[:6], account, None, claim.overruled), STAFF_HOLD, event.reason)


def fold_mended(fold: Fold, event: Event) -> None:
    """A correction or a release: the award it would have been, limit and the corrected fact checked again (9)."""
    claim = fold.find(event)
    if not isinstance(claim, Held) and not (isinstance(claim, Waiting) and claim.fault is not None):
        raise fold.refuse(event, claim)
    refusal = event.refusal
    counts = not (isinstance(claim, Waiting) and claim.refusal)
    if refusal is None and counts and not claim.overruled and fold.count(claim.person_id) > fold.limit:
        refusal = LIMIT_REACHED
    if refusal is not None:
        drop(fold, claim, refusal)
    elif isinstance(claim, Waiting):
        change_waiting(fold, claim, None)
    else:
        release(fold, claim)


def release(fold: Fold, claim: Held) -> None:
    """Turn a held claim into the award its money was reserved for."""
    account, state = claim.account.replace("held", "committed"), fold.state
    moved = (claim.account, account, claim.amount_fen, claim.position, "release")
    fold.effects.append(Movement(fold.event_no, *moved))
    fold.take_off_sums(claim)
    if account.endswith(RESERVE):
        state.reserve_awarded_fen += claim.amount_fen
    else:
        stage = state.stages[claim.stage - 1]
        stage.awarded_count += 1
        stage.awarded_fen += claim.amount_fen
    fold.award(Award(*claim[:6], account, claim.overruled))


def fold_correction_expired(fold: Fold, event: Event) -> None:
    """The time to correct has passed: declined, and the place is free (8, 9)."""
    claim = fold.find(event)
    if not isinstance(claim, Held) or claim.expires_at is None:
        raise fold.refuse(event, claim)
    if claim.expires_at > fold.at:
        raise OutOfOrder(f"event {event.event_no}: position {claim.position} may be corrected until {claim.expires_at}")
    drop(fold, claim, EXPIRED)


def fold_taken_back(fold: Fold, event: Event) -> None:
    """A return or a forfeiture: the claim is over and its money free (8)."""
    claim = fold.find(event)
    if isinstance(claim, Declined) or (event.was_paid and not isinstance(claim, Award)):
        raise fold.refuse(event, claim)
    drop(fold, claim, RETURNED if event.kind is EventKind.RETURN else FORFEITED, was_paid=event.was_paid)


def fold_overrule(fold: Fold, event: Event) -> None:
    """A declined claim gets what its position would have had, from the reserve or first in the line (10)."""
    state, declined = fold.state, fold.find(event)
    if not isinstance(declined, Declined) or declined.reason == RETURNED:
        raise fold.refuse(event, declined)
    owed = declined.stage
    if owed is None:
        owed = next((stage.number for stage in state.stages if stage.reach >= declined.position), None)
    claim = Waiting(*declined[:4], None, None, owed, True)
    del state.declines[claim.position]
    state.person_counts[claim.person_id] = state.person_counts.get(claim.person_id, 0) + 1
    state.waiting_count += 1
    state.waiting[claim.position] = claim
    state.sort_line()
    fold.serve_reserve()
    fold.money_came()
    if claim.position not in state.waiting:
        return
    if state.ended:
        drop(fold, claim, NO_MONEY)
    else:
        fold.say_waiting(claim)


def drop(fold: Fold, claim: Waiting | Held | Award, reason: str, *, was_paid: bool = False) -> None:
    """Decline a claim that stood in the line or had a place; its money serves the next."""
    if not isinstance(claim, Waiting):
        fold.decline(claim[:4], reason, claim.stage, claim.overruled)
        fold.uncount(claim.person_id)
        fold.free(claim, was_paid=was_paid)
        fold.serve_reserve()
        fold.money_came()
        return
    fold.leave_line(claim)
    if claim.refusal is None:
        fold.uncount(claim.person_id)
    fold.decline(claim[:4], reason, claim.owed_stage, claim.overruled)


def change_waiting(fold: Fold, claim: Waiting, fault: str | None) -> None:
    """Note or clear what keeps a waiting claim from becoming an award when its turn comes."""
    changed = claim._replace(fault=fault)
    fold.state.waiting[claim.position] = changed
    fold.say_waiting(changed)


def named_stage(fold: Fold, event: Event, phase: Phase) -> StageState:
    """Return the stage that opens, closes or settles; raises OutOfOrder where it is not in ``phase``."""
    stages, number = fold.state.stages, event.stage
    if number is None or not 0 < number <= len(stages) or stages[number - 1].phase is not phase:
        raise OutOfOrder(f"event {event.event_no}: {event.kind} of stage {number}, which is not {phase}")
    return stages[number - 1]


FOLDS: dict[EventKind, Callable[[Fold, Event], None]] = {
    EventKind.VERSION: fold_version,
    EventKind.OPENING: fold_opening,
    EventKind.CLOSING: fold_closing,
    EventKind.SETTLING: fold_settling,
    EventKind.CORRECTED: fold_mended,
    EventKind.CORRECTION_EXPIRED: fold_correction_expired,
    EventKind.HOLD: fold_hold,
    EventKind.RELEASE: fold_mended,
    EventKind.OVERRULE: fold_overrule,
    EventKind.RETURN: fold_taken_back,
    EventKind.FORFEITURE: fold_taken_back,
    EventKind.PAUSE: fold_pause,
    EventKind.RESUME: fold_resume,
    EventKind.END: fold_end,
}
