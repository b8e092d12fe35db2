"""Random programmes and random lives of them: the allocation against the slow model, the invariants after each event,
and the same decisions from a state of which only what the event needs was loaded."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subsidy.allocation import State, allocate, check_invariants, next_due, next_instant, refuse_change
from subsidy.events import ClaimFacts, Decision, Effect, Event, EventKind, Movement, Outcome
from subsidy.rules import Rules, RulesRefused, StageRules
from tests.subsidy.slow_model import SlowQueue

DAWN = datetime(2026, 6, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
EXAMPLES = 150


@st.composite
def programmes(draw: st.DrawFn) -> Rules:
    """A valid first version: one to four short stages, gaps now and then, budgets that do not match the places."""
    stages, opens_at, amount = [], DAWN + draw(st.integers(0, 4)) * HOUR, 300
    for number in range(1, draw(st.integers(1, 4)) + 1):
        amount = draw(st.sampled_from([fen for fen in (300, 200, 150, 100) if fen <= amount]))
        closes_at = opens_at + draw(st.integers(2, 16)) * HOUR
        places = draw(st.integers(1, 4))
        budget = amount + draw(st.integers(0, 9)) * 50
        stages.append(StageRules(number, amount, places, budget, opens_at, closes_at))
        opens_at = closes_at + draw(st.sampled_from([0, 0, 0, 1, 5])) * HOUR
    late = draw(st.sampled_from([0, 2, 6, 24])) * HOUR
    correction = draw(st.integers(1, 20)) * HOUR
    limit = draw(st.integers(1, 3))
    reserve = draw(st.sampled_from([0, 0, 150, 400]))
    return Rules(tuple(stages), late, correction, limit, reserve, date(2025, 12, 31))


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """What a later version may try to change; many of these will be refused."""
    return {
        "stage": draw(st.integers(0, 3)),
        "places": draw(st.integers(-2, 2)),
        "budget_fen": draw(st.integers(-3, 6)) * 50,
        "closes": draw(st.integers(-3, 6)),
        "amount_fen": draw(st.sampled_from([0, 0, -50])),
        "reserve_fen": draw(st.sampled_from([0, 0, -100, 300])),
        "limit": draw(st.sampled_from([0, 0, -1, 1])),
        "late": draw(st.sampled_from([0, 0, -2, 3])),
        "append": draw(st.sampled_from([False, False, False, True])),
    }


def changed(rules: Rules, by: dict[str, Any]) -> Rules:
    """The rules with a change applied, valid or not."""
    stages = list(rules.stages)
    index = min(by["stage"], len(stages) - 1)
    old = stages[index]
    stages[index] = replace(
        old,
        places=old.places + by["places"],
        budget_fen=old.budget_fen + by["budget_fen"],
        amount_fen=old.amount_fen + by["amount_fen"],
        closes_at=old.closes_at + by["closes"] * HOUR,
    )
    if by["append"]:
        opens_at = stages[-1].closes_at + 3 * HOUR
        stages.append(StageRules(len(stages) + 1, 100, 1, 150, opens_at, opens_at + 4 * HOUR))
    return replace(
        rules,
        stages=tuple(stages),
        reserve_fen=rules.reserve_fen + by["reserve_fen"],
        per_person_limit=rules.per_person_limit + by["limit"],
        late_window=rules.late_window + by["late"] * HOUR,
    )


claims = st.tuples(
    st.just("claim"),
    st.integers(1, 12),
    st.sampled_from([0, 0, 0, 1, 3, 9, 30]),
    st.sampled_from([None, None, None, None, "plate_of_another"]),
    st.sampled_from([None, None, None, "invoice_missing"]),
)
moves = st.tuples(
    st.sampled_from(["hold", "mend", "mend", "take_back", "take_back", "overrule", "overrule"]),
    st.integers(0, 99),
    st.booleans(),
)
switches = st.tuples(st.sampled_from(["pause", "resume", "resume"]))
versions = st.tuples(st.just("version"), changes())
acts = st.tuples(
    st.sampled_from([0, 0, 0, 1, 1, 2, 5]),
    st.one_of(claims, claims, claims, claims, moves, moves, switches, versions),
)


@dataclass
class Trial:
    """The allocation and the slow model side by side, fed the same events."""

    state: State = field(default_factory=State)
    slow: SlowQueue = field(default_factory=SlowQueue)
    now: datetime = DAWN
    postings: Counter[str] = field(default_factory=Counter)
    latest: dict[int, tuple[ClaimFacts, datetime, Decision]] = field(default_factory=dict)
    facts: dict[int, tuple[ClaimFacts, datetime]] = field(default_factory=dict)

    def append(self, kind: EventKind, **what: Any) -> None:
        """Feed one event to both, to a partly loaded copy too, and compare all there is to compare."""
        event = Event(self.state.event_no + 1, kind, self.now, **what)
        if event.claim:
            self.facts[event.claim.position] = (event.claim, event.recorded_at)
        part = self.partly_loaded(event)
        effects = allocate(self.state, [event])
        assert allocate(part, [event]) == effects
        assert part.core_to_json() == self.state.core_to_json()
        self.note(effects)
        told = [e for e in effects if isinstance(e, Decision)]
        fast = sorted((d.position, d.outcome.value, d.stage, d.amount_fen, d.reason) for d in told)
        assert len({decision.position for decision in told}) == len(told)
        assert fast == self.slow.step(event)
        self.compare()

    def partly_loaded(self, event: Event) -> State:
        """The state as the queue loads it: for a claim the core and one person's count, else the open claims and the
        claim that is named."""
        part = State.from_core_json(json.loads(json.dumps(self.state.core_to_json())))
        counts = self.state.person_counts
        if event.claim:
            person = event.claim.person_id
            part.person_counts = {person: counts[person]} if person in counts else {}
            return part
        open_claims = [
            row
            for position, row in sorted(self.latest.items())
            if row[2].outcome in (Outcome.WAITING, Outcome.HELD) or position == event.position
        ]
        part.load(open_claims)
        persons = {facts.person_id for facts, _, _ in open_claims}
        part.person_counts = {person: counts.get(person, 0) for person in persons}
        return part

    def note(self, effects: list[Effect]) -> None:
        """Keep what a database would keep."""
        for effect in effects:
            if isinstance(effect, Decision):
                self.latest[effect.position] = (*self.facts[effect.position], effect)
            else:
                assert isinstance(effect, Movement)
                assert effect.amount_fen > 0
                self.postings[effect.debit] -= effect.amount_fen
                self.postings[effect.credit] += effect.amount_fen

    def compare(self) -> None:
        """Balances against the model's and against the state's own sums, then the invariants, then a full reload."""
        state = self.state
        balances = {account: fen for account, fen in self.postings.items() if fen}
        assert balances == self.slow.balances()
        assert sum(balances.values()) == 0
        for stage in state.stages:
            assert stage.money_fen == balances.get(stage.account, 0)
            assert stage.held_fen == balances.get(stage.held_account, 0)
            assert stage.places_left == self.slow.places(stage.number)
        assert state.reserve_fen == balances.get("reserve", 0)
        assert check_invariants(state) == []
        whole = State.from_core_json(state.core_to_json())
        whole.load((row for _, row in sorted(self.latest.items())), complete=True)
        whole.person_counts = dict(state.person_counts)
        assert whole == state
        assert list(whole.waiting) == list(state.waiting)

    def until(self, at: datetime) -> None:
        """Move time on, appending whatever falls due, one by one."""
        self.now = max(self.now, at)
        while due := next_due(self.state, self.now):
            assert (due.due_at, due.kind.value, due.stage, due.position) == self.slow.due(self.now)
            instant = next_instant(self.state)
            assert instant is not None
            assert instant <= self.now
            self.append(due.kind, due_at=due.due_at, stage=due.stage, position=due.position)
        assert self.slow.due(self.now) is None

    def act(self, what: tuple[Any, ...]) -> None:
        """Do one drawn thing where it is possible now."""
        kind, *details = what
        if kind == "claim":
            self.claim(*details)
        elif kind in ("pause", "resume"):
            if self.state.paused is (kind == "resume") and not self.state.ended:
                self.append(EventKind(kind))
        elif kind == "version":
            self.publish(changed(self.state.rules, details[0]))  # type: ignore[arg-type]
        else:
            self.move(kind, *details)
        self.until(self.now)

    def claim(self, person: int, lag: int, refusal: str | None, fault: str | None) -> None:
        facts = ClaimFacts(self.state.position + 1, person, self.now - lag * HOUR, refusal, fault)
        self.append(EventKind.CLAIM, claim=facts)

    def publish(self, rules: Rules) -> None:
        try:
            refuse_change(self.state, rules, self.now)
        except RulesRefused:
            return
        self.append(EventKind.VERSION, rules=rules)

    def move(self, kind: str, pick: int, flag: bool) -> None:
        """An event that names a claim, of those whose standing allows it."""
        state = self.state
        faulty = [position for position, claim in state.waiting.items() if claim.fault]
        sound = [position for position, claim in state.waiting.items() if not claim.fault]
        choices = {
            "hold": [*state.awards, *sound],
            "mend": [*state.held, *faulty],
            "take_back": [*state.awards, *state.held, *state.waiting],
            "overrule": [position for position, claim in state.declines.items() if claim.reason != "returned"],
        }[kind]
        if not choices:
            return
        position = sorted(choices)[pick % len(choices)]
        if kind == "hold":
            self.append(EventKind.HOLD, position=position, reason="photo_used_twice")
        elif kind == "mend":
            refusal = "invoice_to_a_firm" if flag and pick % 3 == 0 else None
            self.append(EventKind.CORRECTED if flag else EventKind.RELEASE, position=position, refusal=refusal)
        elif kind == "take_back":
            paid = position in state.awards and pick % 2 == 0
            self.append(EventKind.RETURN if flag else EventKind.FORFEITURE, position=position, was_paid=paid)
        else:
            self.append(EventKind.OVERRULE, position=position)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(programmes(), st.lists(acts, min_size=20, max_size=60), st.booleans())
def test_the_allocation_agrees_with_the_slow_model(
    rules: Rules, life: list[tuple[int, tuple[Any, ...]]], late: bool
) -> None:
    rules.validate()
    trial = Trial()
    trial.append(EventKind.VERSION, rules=rules)
    trial.until(rules.stages[0].opens_at - HOUR)
    for hours, what in life:
        trial.until(trial.now + hours * HOUR)
        trial.act(what)
    if trial.state.paused:
        trial.append(EventKind.RESUME)
    trial.until(trial.now + 2000 * HOUR)
    for position in list(trial.state.held) if late else []:
        trial.append(EventKind.RELEASE, position=position)
        trial.until(trial.now)
    assert trial.state.ended or trial.state.held_count


@settings(max_examples=100, deadline=None)
@given(programmes(), st.lists(claims, min_size=1, max_size=40), st.integers(1, 6))
def test_batches_of_claims_need_the_core_and_their_persons_alone(
    rules: Rules, life: list[tuple[Any, ...]], minutes: int
) -> None:
    """One batch of claims folded with nothing else loaded decides as the same claims one by one."""
    opening = rules.stages[0].opens_at
    whole = State()
    allocate(whole, [Event(1, EventKind.VERSION, DAWN, rules=rules)])
    allocate(whole, [Event(2, EventKind.OPENING, opening, due_at=opening, stage=1)])
    part = State.from_core_json(whole.core_to_json())
    step = timedelta(minutes=minutes)
    batch = [
        Event(
            2 + n, EventKind.CLAIM, opening + n * step,
            claim=ClaimFacts(n, person, opening + n * step - lag * HOUR, refusal, fault),
        )
        for n, (_, person, lag, refusal, fault) in enumerate(life, start=1)
    ]  # fmt: skip
    one_by_one = [effect for event in batch for effect in allocate(whole, [event])]
    assert allocate(part, batch) == one_by_one
    assert part.core_to_json() == whole.core_to_json()
    assert part.person_counts == whole.person_counts
    assert [part.waiting, part.held, part.awards, part.declines] == [{}, {}, {}, {}]
