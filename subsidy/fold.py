"""One run of the law over events: the state, the effects so far, and the moves that every kind of event is made of.

The numbers in the comments are those of the law's paragraphs (README.md beside this file).
"""

from __future__ import annotations

from datetime import datetime

from registry.base import Refusal
from subsidy.events import Decision, Effect, Event, Movement, Outcome
from subsidy.state import (
    APPROPRIATION,
    NO_PLACE,
    PAUSED,
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

NOT_OPEN_YET = "not_open_yet"
PROGRAMME_OVER = "programme_over"
LIMIT_REACHED = "limit_reached"
STAFF_HOLD = "staff_hold"
COMMITTED_RESERVE = f"committed:{RESERVE}"

# Looked up once: a member of an enumeration costs more to look up than to compare.
AWARD, DECLINE, WAITING, HELD = Outcome.AWARD, Outcome.DECLINE, Outcome.WAITING, Outcome.HELD
# What a named tuple's own constructor does, without the call through Python: every award makes three.
new = tuple.__new__
FUTURE, OPEN, SETTLED = Phase.FUTURE, Phase.OPEN, Phase.SETTLED

Standing = Waiting | Held | Award | Declined
STANDING_ZH = {Waiting: "排队等候", Held: "待更正，名额保留", Award: "已给予补贴", Declined: "不予补贴"}
Who = tuple[int, int, datetime, datetime]  # position, person_id, effective_at, recorded_at


class ClaimNotInState(Refusal):
    """The claim is no longer, or not yet, in a state that this event could change."""

    code = "claim_not_in_state"
    kind = "conflict"
    zh = "序号 {position} 的申领现在是「{state_zh}」，这一步现在办不了。"
    en = "The claim at position {position} is «{state}»; «{step}» is not possible from there."
    remedy_zh = "请刷新页面，看看这笔申领现在的情况。"
    remedy_en = "Reload to see how the claim stands now."


class Fold:
    """One run of ``allocate``: the state, the effects so far, and the event being folded."""

    __slots__ = ("at", "effects", "event_no", "last", "limit", "opens_at", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.effects: list[Effect] = []
        self.event_no = state.event_no
        self.at = state.moved_at
        self.learn_rules()

    def learn_rules(self) -> None:
        """Keep at hand what every claim asks of the rules."""
        if self.state.rules is not None:
            self.limit = self.state.rules.per_person_limit
            self.opens_at = self.state.stages[0].opens_at
            self.last = self.state.stages[-1]

    # --- claims: the hot path, written out on purpose

    def claim(self, event: Event) -> None:
        """A completed trade-in takes its position and is decided (laws 3 to 5, 9, 11, 12)."""
        state, facts, at = self.state, event.claim, event.recorded_at
        if facts is None or facts.position != state.position + 1 or state.rules is None:
            raise OutOfOrder(f"event {event.event_no}: a claim without its facts, its position or a version")
        position = state.position = facts.position
        e, person_id = facts.effective_at, facts.person_id
        refusal = facts.refusal or self.refusal(e, at, person_id)
        stage = state.open_stage
        if stage is None or not stage.opens_at <= e < stage.closes_at:
            stage = self.stage_for(e, at)
        elif not stage.can_pay():
            stage = None
        if state.paused or (stage is None and refusal is None):
            self.wait(Waiting(position, person_id, e, at, refusal, facts.fault))
        elif refusal is not None:
            self.decline((position, person_id, e, at), refusal, stage.number if stage else None)
        elif stage is not None:
            state.person_counts[person_id] = state.person_counts.get(person_id, 0) + 1
            self.note_reach(stage, position)
            self.place((position, person_id, e, at), stage, facts.fault, False)

    def refusal(self, e: datetime, at: datetime, person_id: int) -> str | None:
        """Return why no stage can ever pay such a claim, None where one might."""
        if e < self.opens_at:
            return NOT_OPEN_YET
        last = self.last
        if e >= last.closes_at or at >= last.settles_at or last.phase is SETTLED:
            return PROGRAMME_OVER
        return LIMIT_REACHED if self.state.person_counts.get(person_id, 0) >= self.limit else None

    def stage_for(self, e: datetime, at: datetime) -> StageState | None:
        """Return the stage that pays a claim of effective instant ``e`` recorded at ``at`` (laws 4 and 5), or None.

        The claim's own stage comes first, then each later one that has opened and had not settled by ``at``.
        """
        for stage in self.state.stages:
            if stage.closes_at <= e and stage is not self.last:
                continue
            if stage.phase is FUTURE:
                return None
            if at < stage.settles_at and stage.can_pay():
                return stage
        return None

    def note_reach(self, stage: StageState, position: int) -> None:
        """Remember how far the line has come, for overrules (10). A closed stage pays late records, not the line."""
        if position > stage.reach and (stage.phase is OPEN or stage is self.last):
            stage.reach = position

    # --- decisions

    def place(self, who: Who, stage: StageState, fault: str | None, over: bool) -> None:
        """Give the claim a place and the money of ``stage``: an award, or held where it has a fault (9)."""
        amount_fen, position = stage.amount_fen, who[0]
        stage.places_left -= 1
        stage.money_fen -= amount_fen
        if fault is not None:
            stage.held_count += 1
            stage.held_fen += amount_fen
            self.effects.append(
                Movement(self.event_no, stage.account, stage.held_account, amount_fen, position, "hold")
            )
            rules = self.state.rules
            expires_at = None if rules is None or fault == STAFF_HOLD else self.at + rules.correction_window
            self.hold_claim(Held(*who, stage.number, amount_fen, stage.held_account, expires_at, over), fault)
            return
        account, number = stage.committed_account, stage.number
        stage.awarded_count += 1
        stage.awarded_fen += amount_fen
        if self.state.loaded:
            self.state.awards[position] = new(Award, (*who, number, amount_fen, account, over))
        event_no = self.event_no
        self.effects += (
            new(Movement, (event_no, stage.account, account, amount_fen, position, "award")),
            new(Decision, (event_no, position, AWARD, number, amount_fen, None, account, None, None, over)),
        )

    def award(self, award: Award) -> None:
        """Decide an award whose money already stands in its account."""
        position, account = award.position, award.account
        if self.state.loaded:
            self.state.awards[position] = award
        decided = (AWARD, award.stage, award.amount_fen, None, account, None, None, award.overruled)
        self.effects.append(Decision(self.event_no, position, *decided))

    def hold_claim(self, held: Held, fault: str, reason: str | None = None) -> None:
        """Decide held: position kept, place and money reserved (9)."""
        state = self.state
        state.held_count += 1
        if state.loaded:
            state.held[held.position] = held
        if held.expires_at and (state.earliest_expiry is None or held.expires_at < state.earliest_expiry):
            state.earliest_expiry = held.expires_at
        decided = (HELD, held.stage, held.amount_fen, reason or fault, held.account, fault, held.expires_at)
        self.effects.append(Decision(self.event_no, held.position, *decided, held.overruled))

    def wait(self, claim: Waiting) -> None:
        """Decide waiting; a claim that a pause only keeps from being declined does not count for the limit (12)."""
        state = self.state
        state.waiting_count += 1
        if claim.refusal is None:
            state.person_counts[claim.person_id] = state.person_counts.get(claim.person_id, 0) + 1
        if state.loaded:
            state.waiting[claim.position] = claim
        self.say_waiting(claim)

    def say_waiting(self, claim: Waiting) -> None:
        """Write the decision of a claim that stands in the line."""
        reason = claim.refusal or (PAUSED if self.state.paused else NO_PLACE)
        decided = (WAITING, claim.owed_stage, 0, reason, None, claim.fault, None, claim.overruled)
        self.effects.append(Decision(self.event_no, claim.position, *decided))

    def decline(self, who: Who, reason: str, stage: int | None, over: bool = False) -> None:
        """Decide a decline; ``stage`` is what an overrule would pay from."""
        if self.state.loaded:
            self.state.declines[who[0]] = Declined(*who, reason, stage, over)
        self.effects.append(Decision(self.event_no, who[0], DECLINE, stage, 0, reason, None, None, None, over))

    # --- the line

    def money_came(self) -> None:
        """Serve the line (6), note how far it has come, and return what nobody can claim any more (7)."""
        if self.state.paused:
            return
        self.move_on()
        self.serve_line()
        last = self.last
        for stage in (self.state.open_stage, last):
            if stage is not None and stage.phase is not FUTURE and stage.can_pay():
                self.note_reach(stage, self.state.position)
        if last.phase is SETTLED:
            self.give_back(last)

    def move_on(self) -> None:
        """Carry what came free in a settled last stage during a pause, where another stage was added meanwhile."""
        for stage in self.state.stages[:-1]:
            if stage.phase is SETTLED and stage.money_fen:
                stage.places_left = stage.rest_fen = 0
                self.carry(stage, self.heir(stage), stage.money_fen)

    def serve_line(self) -> None:
        """Pay waiting claims in their order while a stage can pay (6)."""
        state = self.state
        if not state.waiting_count or not self.some_stage_can_pay():
            return
        self.need_claims()
        for claim in list(state.waiting.values()):
            stage = self.stage_for(claim.effective_at, claim.recorded_at)
            if stage is not None:
                self.serve(claim, stage)
                if not self.some_stage_can_pay():
                    return

    def serve(self, claim: Waiting, stage: StageState) -> None:
        """Take one claim out of the line and give it a place."""
        self.leave_line(claim)
        if claim.owed_stage is None:
            self.note_reach(stage, claim.position)
        self.place(claim[:4], stage, claim.fault, claim.overruled)

    def serve_reserve(self) -> None:
        """Pay overruled claims that wait for the reserve, in their order (10)."""
        state = self.state
        if not state.waiting_count or not state.reserve_fen:
            return
        self.need_claims()
        for claim in list(state.waiting.values()):
            if claim.owed_stage is None:
                return
            amount_fen = state.stages[claim.owed_stage - 1].amount_fen
            if amount_fen > state.reserve_fen:
                return
            self.leave_line(claim)
            state.reserve_fen -= amount_fen
            state.reserve_awarded_fen += amount_fen
            self.effects.append(
                Movement(self.event_no, RESERVE, COMMITTED_RESERVE, amount_fen, claim.position, "award")
            )
            self.award(Award(*claim[:4], claim.owed_stage, amount_fen, COMMITTED_RESERVE, True))

    def leave_line(self, claim: Waiting) -> None:
        del self.state.waiting[claim.position]
        self.state.waiting_count -= 1

    def some_stage_can_pay(self) -> bool:
        return any(stage.can_pay() and stage.phase is not FUTURE for stage in self.state.stages)

    def need_claims(self) -> None:
        if not self.state.loaded:
            raise IncompleteState(f"event {self.event_no} needs the waiting and held claims")

    # --- money that comes free or moves on

    def free(self, claim: Held | Award, *, was_paid: bool) -> None:
        """Book a claim's money back to where it came from; its place comes free with it (8)."""
        state, amount_fen = self.state, claim.amount_fen
        source = claim.account.replace("committed", "paid") if was_paid else claim.account
        from_reserve = claim.account.endswith(RESERVE)
        stage = state.stages[claim.stage - 1]
        target = RESERVE if from_reserve else stage.account
        self.effects.append(Movement(self.event_no, source, target, amount_fen, claim.position, "free"))
        self.take_off_sums(claim)
        if from_reserve:
            state.reserve_fen += amount_fen
            return
        stage.money_fen += amount_fen
        heir = self.heir(stage)
        if heir is stage:
            stage.places_left += 1
        else:
            self.carry(stage, heir, amount_fen)

    def take_off_sums(self, claim: Held | Award) -> None:
        """Take the claim out of the sums of its purse and out of its working set."""
        state, stage, amount_fen = self.state, self.state.stages[claim.stage - 1], claim.amount_fen
        held, from_reserve = isinstance(claim, Held), claim.account.endswith(RESERVE)
        if held and from_reserve:
            state.reserve_held_fen -= amount_fen
        elif held:
            stage.held_count -= 1
            stage.held_fen -= amount_fen
        elif from_reserve:
            state.reserve_awarded_fen -= amount_fen
        else:
            stage.awarded_count -= 1
            stage.awarded_fen -= amount_fen
        if held:
            del state.held[claim.position]
            state.held_count -= 1
            instants = [other.expires_at for other in state.held.values() if other.expires_at]
            state.earliest_expiry = min(instants, default=None)
        else:
            del state.awards[claim.position]

    def heir(self, stage: StageState) -> StageState:
        """Return where free money of ``stage`` belongs: to itself while it is open, else to the next stage still to
        close, else to the last stage, which pays the line until it settles."""
        if stage.phase is OPEN:
            return stage
        later = self.state.stages[stage.number :]
        return next((other for other in later if other.phase in (FUTURE, OPEN)), self.last)

    def carry(self, stage: StageState, heir: StageState, amount_fen: int) -> None:
        """Move money on, as money only: places grow by whole amounts, the rest waits for more (7)."""
        self.effects.append(Movement(self.event_no, stage.account, heir.account, amount_fen, None, "carry"))
        stage.money_fen -= amount_fen
        stage.carried_out_fen += amount_fen
        heir.money_fen += amount_fen
        heir.carried_in_fen += amount_fen
        gained, heir.rest_fen = divmod(heir.rest_fen + amount_fen, heir.amount_fen)
        heir.places_left += gained
        heir.carried_places += gained

    def give_back(self, last: StageState) -> None:
        """Return what is left after the last settling to the appropriation (7)."""
        last.places_left = last.rest_fen = 0
        if last.money_fen:
            moved = (last.account, APPROPRIATION, last.money_fen, None, "give_back")
            self.effects.append(Movement(self.event_no, *moved))
            last.carried_out_fen += last.money_fen
            last.money_fen = 0

    # --- finding one claim

    def find(self, event: Event) -> Standing:
        """Return the claim that the event names; raises IncompleteState where it was not loaded."""
        self.need_claims()
        position, state = event.position, self.state
        if position is None or not 0 < position <= state.position:
            raise OutOfOrder(f"event {event.event_no}: {event.kind} of position {position}")
        for claims in (state.waiting, state.held, state.awards, state.declines):
            if position in claims:
                claim: Standing = claims[position]
                return claim
        raise IncompleteState(f"event {event.event_no} needs the claim at position {position}")

    def refuse(self, event: Event, claim: Standing) -> ClaimNotInState:
        """Return the refusal of an event that this claim's standing does not allow."""
        state = type(claim).__name__.lower()
        words = STANDING_ZH[type(claim)]
        return ClaimNotInState(position=claim.position, state=state, state_zh=words, step=event.kind.value)

    def uncount(self, person_id: int) -> None:
        """Take one claim off the person's count (11)."""
        self.state.person_counts[person_id] = self.count(person_id) - 1

    def count(self, person_id: int) -> int:
        """Return how many of the person's claims count, at least the one at hand."""
        counted = self.state.person_counts.get(person_id, 0)
        if counted < 1:
            raise IncompleteState(f"event {self.event_no} needs the count of person {person_id}")
        return counted
