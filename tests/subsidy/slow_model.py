"""The law of the queue once more, written the slow obvious way, to be compared with subsidy/allocation.py.

Nothing is kept that could be asked of the history: phases, pauses, counts, places and money are found by walking all
that has happened so far, each time they are wanted. Shares nothing with the allocation but the shape of its events.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from subsidy.events import Event
from subsidy.rules import Rules, StageRules

Told = tuple[int, str, int | None, int, str | None]  # position, outcome, stage, fen, reason


@dataclass
class SlowClaim:
    """A claim and everything that was ever decided on it; the last word counts."""

    position: int
    person: int
    e: datetime
    r: datetime
    fault: str | None
    verdict: str | None
    status: str = "new"
    stage: int | None = None
    fen: int = 0
    reserve: bool = False
    reason: str | None = None
    expires: datetime | None = None
    overruled: bool = False
    owed: int | None = None
    would_have: int | None = None

    @property
    def purse(self) -> str:
        return "reserve" if self.reserve else str(self.stage)


@dataclass
class SlowQueue:
    """A queue that remembers everything and adds nothing up."""

    history: list[Event] = field(default_factory=list)
    claims: list[SlowClaim] = field(default_factory=list)
    postings: list[tuple[str, str, int]] = field(default_factory=list)
    place_changes: list[tuple[int, int]] = field(default_factory=list)
    carried: list[tuple[int, int]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    # --- questions to the history

    @property
    def rules(self) -> Rules:
        return next(event.rules for event in reversed(self.history) if event.rules is not None)

    def stage(self, number: int) -> StageRules:
        return self.rules.stages[number - 1]

    @property
    def numbers(self) -> list[int]:
        return [stage.number for stage in self.rules.stages]

    def has(self, kind: str, number: int) -> bool:
        return any(event.kind == kind and event.stage == number for event in self.history)

    def is_open(self, number: int) -> bool:
        return self.has("opening", number) and not self.has("closing", number)

    @property
    def paused(self) -> bool:
        kinds = [event.kind for event in self.history if event.kind in ("pause", "resume")]
        return bool(kinds) and kinds[-1] == "pause"

    @property
    def ended(self) -> bool:
        return any(event.kind == "end" for event in self.history)

    def balance(self, account: str) -> int:
        return sum(fen for _, to, fen in self.postings if to == account) - sum(
            fen for source, _, fen in self.postings if source == account
        )

    def balances(self) -> dict[str, int]:
        accounts: Counter[str] = Counter()
        for source, to, fen in self.postings:
            accounts[source] -= fen
            accounts[to] += fen
        return {account: fen for account, fen in accounts.items() if fen}

    def places(self, number: int) -> int:
        return sum(change for stage, change in self.place_changes if stage == number)

    def able(self, number: int) -> bool:
        money = self.balance(f"stage:{number}")
        return self.has("opening", number) and self.places(number) > 0 and money >= self.stage(number).amount_fen

    def live(self, person: int) -> list[SlowClaim]:
        return [
            claim
            for claim in self.claims
            if claim.person == person
            and (claim.status in ("award", "held") or (claim.status == "waiting" and claim.verdict is None))
        ]

    def payer(self, e: datetime, r: datetime) -> int | None:
        """The stage for a claim: its own, then later ones, none that had settled when it was recorded."""
        for number in self.numbers:
            stage = self.stage(number)
            in_reach = e < stage.closes_at or number == self.numbers[-1]
            if in_reach and self.able(number) and (r < stage.closes_at + self.rules.late_window):
                return number
        return None

    def line(self) -> list[SlowClaim]:
        """Who waits, in order, and among them the declined who would have waited."""
        everyone = [c for c in self.claims if c.status == "waiting" or (c.status == "decline" and not c.would_have)]
        return sorted(everyone, key=lambda c: (c.status != "waiting" or c.owed is None, c.position))

    # --- what happens

    def step(self, event: Event) -> list[Told]:
        """Take one event and return what was decided."""
        self.told = []
        before = self.rules if self.history else None
        self.history.append(event)
        getattr(self, f"on_{event.kind.value}")(event, before)
        return sorted(self.told, key=lambda told: told[0])

    def say(self, claim: SlowClaim, outcome: str, stage: int | None, fen: int, reason: str | None) -> None:
        claim.status, claim.reason = outcome, reason
        self.told.append((claim.position, outcome, stage, fen, reason))

    def say_waiting(self, claim: SlowClaim) -> None:
        self.say(claim, "waiting", claim.owed, 0, claim.verdict or ("paused" if self.paused else "no_place"))

    def say_declined(self, claim: SlowClaim, reason: str, would_have: int | None) -> None:
        claim.would_have = would_have
        self.say(claim, "decline", would_have, 0, reason)

    def post(self, source: str, to: str, fen: int) -> None:
        if fen:
            self.postings.append((source, to, fen))

    def pay(self, claim: SlowClaim, number: int) -> None:
        fen = self.stage(number).amount_fen
        state = "held" if claim.fault else "committed"
        self.post(f"stage:{number}", f"{state}:{number}", fen)
        self.place_changes.append((number, -1))
        claim.stage, claim.fen, claim.reserve = number, fen, False
        claim.expires = None
        if claim.fault and claim.fault != "staff_hold":
            now = self.history[-1].due_at or self.history[-1].recorded_at
            claim.expires = now + self.rules.correction_window
        self.say(claim, "held" if claim.fault else "award", number, fen, claim.fault)

    def pay_from_reserve(self) -> None:
        for claim in self.line():
            if claim.status != "waiting" or claim.owed is None:
                return
            fen = self.stage(claim.owed).amount_fen
            if fen > self.balance("reserve"):
                return
            self.post("reserve", "committed:reserve", fen)
            claim.stage, claim.fen, claim.reserve = claim.owed, fen, True
            self.say(claim, "award", claim.owed, fen, None)

    def serve(self) -> None:
        """Walk the line; the declined in it take nothing, and learn what they would have had."""
        if self.paused:
            return
        for claim in self.line():
            if claim.status == "waiting":
                number = self.payer(claim.e, claim.r)
                if claim.verdict:
                    claim_verdict, claim.verdict = claim.verdict, None
                    self.say_declined(claim, claim_verdict, number)
                    if number is None:
                        self.teach(claim)
                elif number:
                    self.pay(claim, number)
            else:
                self.teach(claim)
        last = self.numbers[-1]
        if self.has("settling", last):
            self.drop_places(last)
            self.post(f"stage:{last}", "appropriation", self.balance(f"stage:{last}"))

    def teach(self, declined: SlowClaim) -> None:
        for number in self.numbers:
            if self.able(number) and (self.is_open(number) or number == self.numbers[-1]):
                declined.would_have = number
                return

    def drop_places(self, number: int) -> None:
        self.place_changes.append((number, -self.places(number)))
        self.carried.append((number, 0))  # what was carried before gives no place any more

    def carry(self, number: int, heir: int, fen: int) -> None:
        if not fen:
            return
        self.post(f"stage:{number}", f"stage:{heir}", fen)
        amount_fen = self.stage(heir).amount_fen
        rest = self.rest(heir, amount_fen) + fen
        self.carried.append((heir, fen))
        self.place_changes.append((heir, rest // amount_fen))

    def rest(self, number: int, amount_fen: int) -> int:
        """Carried money that has made no place yet."""
        carried: list[int] = []
        for stage, fen in self.carried:
            if stage == number:
                carried = [*carried, fen] if fen else []
        return sum(carried) % amount_fen

    def heir(self, number: int) -> int:
        if self.is_open(number):
            return number
        return next((n for n in self.numbers if n > number and not self.has("closing", n)), self.numbers[-1])

    def give_up(self, claim: SlowClaim, reason: str, *, paid: bool = False) -> None:
        """The claim is over; its money goes where the law says."""
        status = claim.status
        if status == "waiting":
            claim.verdict = None
            self.say_declined(claim, reason, claim.owed)
            return
        self.say_declined(claim, reason, claim.stage)
        pot = {"held": "held", "award": "paid" if paid else "committed"}[status]
        if claim.reserve:
            self.post(f"{pot}:reserve", "reserve", claim.fen)
        else:
            assert claim.stage is not None
            self.post(f"{pot}:{claim.stage}", f"stage:{claim.stage}", claim.fen)
            heir = self.heir(claim.stage)
            if heir == claim.stage:
                self.place_changes.append((heir, 1))
            else:
                self.carry(claim.stage, heir, claim.fen)
        self.pay_from_reserve()
        self.serve()

    def named(self, event: Event) -> SlowClaim:
        return next(claim for claim in self.claims if claim.position == event.position)

    # --- one method for each kind of event

    def on_version(self, event: Event, before: Rules | None) -> None:
        assert event.rules is not None
        for stage in event.rules.stages:
            old = before.stages[stage.number - 1] if before and stage.number <= len(before.stages) else None
            self.place_changes.append((stage.number, stage.places - (old.places if old else 0)))
            self.provide(f"stage:{stage.number}", stage.budget_fen - (old.budget_fen if old else 0))
            if old and old.amount_fen != stage.amount_fen:
                rest = self.rest(stage.number, old.amount_fen)
                self.place_changes.append((stage.number, rest // stage.amount_fen))
                self.carried += [(stage.number, 0), (stage.number, rest % stage.amount_fen)]
        self.provide("reserve", event.rules.reserve_fen - (before.reserve_fen if before else 0))
        self.pay_from_reserve()
        self.serve()

    def provide(self, account: str, fen: int) -> None:
        self.post("appropriation", account, max(fen, 0))
        self.post(account, "appropriation", max(-fen, 0))

    def on_opening(self, event: Event, before: Rules | None) -> None:
        self.serve()

    def on_closing(self, event: Event, before: Rules | None) -> None:
        pass

    def on_settling(self, event: Event, before: Rules | None) -> None:
        number = event.stage
        assert number is not None
        self.drop_places(number)
        heir = self.heir(number)
        if heir != number:
            self.carry(number, heir, self.balance(f"stage:{number}"))
        self.serve()

    def on_claim(self, event: Event, before: Rules | None) -> None:
        facts, r = event.claim, event.recorded_at
        assert facts is not None
        stages, last = self.rules.stages, self.rules.stages[-1]
        over = self.has("settling", last.number) or r >= last.closes_at + self.rules.late_window
        verdict = facts.refusal
        if verdict is None and facts.effective_at < stages[0].opens_at:
            verdict = "not_open_yet"
        if verdict is None and (facts.effective_at >= last.closes_at or over):
            verdict = "programme_over"
        if verdict is None and len(self.live(facts.person_id)) >= self.rules.per_person_limit:
            verdict = "limit_reached"
        claim = SlowClaim(facts.position, facts.person_id, facts.effective_at, r, facts.fault, verdict)
        self.claims.append(claim)
        self.say_waiting(claim)
        self.serve()
        if len(self.told) > 1:
            self.told = [told for told in self.told if told[0] == claim.position][1:]

    def on_pause(self, event: Event, before: Rules | None) -> None:
        pass

    def on_resume(self, event: Event, before: Rules | None) -> None:
        self.serve()

    def on_corrected(self, event: Event, before: Rules | None) -> None:
        claim = self.named(event)
        refusal = event.refusal
        if (
            refusal is None
            and not claim.overruled
            and not claim.verdict
            and len(self.live(claim.person)) > self.rules.per_person_limit
        ):
            refusal = "limit_reached"
        if refusal:
            self.give_up(claim, refusal)
        elif claim.status == "waiting":
            claim.fault = None
            self.say_waiting(claim)
        else:
            claim.fault = claim.expires = None
            self.post(f"held:{claim.purse}", f"committed:{claim.purse}", claim.fen)
            self.say(claim, "award", claim.stage, claim.fen, None)

    on_release = on_corrected

    def on_correction_expired(self, event: Event, before: Rules | None) -> None:
        self.give_up(self.named(event), "correction_expired")

    def on_hold(self, event: Event, before: Rules | None) -> None:
        claim = self.named(event)
        claim.fault, claim.expires = "staff_hold", None
        if claim.status == "waiting":
            self.say_waiting(claim)
        else:
            self.post(f"committed:{claim.purse}", f"held:{claim.purse}", claim.fen)
            self.say(claim, "held", claim.stage, claim.fen, event.reason)

    def on_overrule(self, event: Event, before: Rules | None) -> None:
        claim = self.named(event)
        claim.owed, claim.overruled, claim.fault, claim.verdict = claim.would_have, True, None, None
        claim.status = "waiting"
        self.pay_from_reserve()
        self.serve()
        if claim.status == "waiting" and self.ended:
            self.say_declined(claim, "no_money", claim.owed)
        elif claim.status == "waiting":
            self.say_waiting(claim)

    def on_return(self, event: Event, before: Rules | None) -> None:
        self.give_up(self.named(event), "returned", paid=event.was_paid)

    def on_forfeiture(self, event: Event, before: Rules | None) -> None:
        self.give_up(self.named(event), "forfeited", paid=event.was_paid)

    def on_end(self, event: Event, before: Rules | None) -> None:
        for claim in self.claims:
            if claim.status == "waiting":
                self.say_declined(claim, "no_money", claim.owed)

    # --- what falls due

    def due(self, until: datetime) -> tuple[datetime, str, int | None, int | None] | None:
        """The one event that is due next."""
        found: list[tuple[datetime, int, str, int | None, int | None]] = []
        for stage in self.rules.stages:
            if not self.has("opening", stage.number):
                found.append((stage.opens_at, 2, "opening", stage.number, None))
            elif not self.has("closing", stage.number):
                found.append((stage.closes_at, 1, "closing", stage.number, None))
            elif not self.has("settling", stage.number) and not self.paused:
                found.append((stage.closes_at + self.rules.late_window, 0, "settling", stage.number, None))
        for claim in self.claims:
            if claim.status == "held" and claim.expires:
                found.append((claim.expires, 3, "correction_expired", None, claim.position))
        found = sorted(due for due in found if due[0] <= until)
        if found:
            at, _, kind, number, position = found[0]
            return at, kind, number, position
        over = all(self.has("settling", number) for number in self.numbers)
        if over and not self.paused and not self.ended and not any(c.status == "held" for c in self.claims):
            last = self.history[-1]
            return last.due_at or last.recorded_at, "end", None, None
        return None
