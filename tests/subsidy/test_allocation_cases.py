"""The law's table of cases, each in its own words, and one test for every paragraph that has no case.

S1: 300 yuan, 3 places, closes 16 Jul 00:00; S2: 200 yuan, 2 places, opens then; budgets 900 and 400; late window 24 h.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from subsidy.allocation import ClaimNotInState, OutOfOrder, State, allocate, check_invariants, next_due
from subsidy.events import ClaimFacts, Decision, Effect, Event, EventKind, Movement
from subsidy.rules import Rules, StageRules

YUAN = 100
DAY = timedelta(days=1)


def on(day: int, clock: str = "00:00", month: int = 7) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def stage(number: int, yuan: int, places: int, budget: int, opens: datetime, closes: datetime) -> StageRules:
    return StageRules(number, yuan * YUAN, places, budget * YUAN, opens, closes)


S1 = stage(1, 300, 3, 900, on(15, month=6), on(16))
S2 = stage(2, 200, 2, 400, on(16), on(16, month=8))
S3 = stage(3, 100, 2, 200, on(16, month=8), on(16, month=9))


def rules(*stages: StageRules, **changed: object) -> Rules:
    usual = Rules(stages or (S1, S2), DAY, 7 * DAY, 1, 0, date(2025, 12, 31))
    return replace(usual, **changed)  # type: ignore[arg-type]


class Queue:
    """A queue whose boundaries are appended as the law says: all that are due, before anything else."""

    def __init__(self, first: Rules) -> None:
        self.state = State()
        self.effects: list[Effect] = []
        self.append(EventKind.VERSION, on(1, month=6), rules=first)

    def append(self, kind: EventKind, at: datetime, **what: object) -> list[Effect]:
        event = Event(self.state.event_no + 1, kind, at, **what)  # type: ignore[arg-type]
        effects = allocate(self.state, [event])
        assert check_invariants(self.state) == []
        self.effects += effects
        return effects

    def until(self, at: datetime) -> list[EventKind]:
        """Append what is due by ``at`` and return the kinds."""
        kinds = []
        while due := next_due(self.state, at):
            self.append(due.kind, at, due_at=due.due_at, stage=due.stage, position=due.position)
            kinds.append(due.kind)
        return kinds

    def claim(self, e: datetime, at: datetime | None = None, *, person: int | None = None, **facts: str) -> int:
        """Append a claim and return its position; a person of its own unless told."""
        recorded_at = at or e
        self.until(recorded_at)
        position = self.state.position + 1
        claim = ClaimFacts(position, person or 1000 + position, e, **facts)
        self.append(EventKind.CLAIM, recorded_at, claim=claim)
        return position

    def act(self, kind: EventKind, at: datetime, position: int | None = None, **what: object) -> None:
        self.until(at)
        self.append(kind, at, position=position, **what)

    def fill(self, count: int, e: datetime) -> list[int]:
        return [self.claim(e) for _ in range(count)]

    def decisions(self, position: int) -> list[tuple[str, int | None, int, str | None]]:
        """Every decision on a claim: outcome, stage, yuan, reason."""
        return [
            (effect.outcome.value, effect.stage, effect.amount_fen // YUAN, effect.reason)
            for effect in self.effects
            if isinstance(effect, Decision) and effect.position == position
        ]

    def paid(self, position: int) -> tuple[int, int | None]:
        """(yuan, stage) of the claim as it stands."""
        outcome, number, yuan, _ = self.decisions(position)[-1]
        return (yuan, number) if outcome == "award" else (0, None)

    def outcome(self, position: int) -> tuple[str, str | None]:
        decided = self.decisions(position)[-1]
        return decided[0], decided[3]

    def balance(self, account: str) -> int:
        """The account's balance in yuan, from the movements alone."""
        movements = [effect for effect in self.effects if isinstance(effect, Movement)]
        fen = sum(m.amount_fen for m in movements if m.credit == account)
        return (fen - sum(m.amount_fen for m in movements if m.debit == account)) // YUAN


@pytest.mark.parametrize(("taken", "a_gets"), [(2, (200, 2)), (1, (300, 1))], ids=["one place left", "two places left"])
def test_a_late_record_keeps_its_stage_while_it_has_a_place(taken: int, a_gets: tuple[int, int]) -> None:
    """One S1 place left. B: e 23:58, recorded 23:59. A: e 23:50, recorded 00:20 after an outage
    | B 300; A 200 from S2. With two places left both get 300"""
    queue = Queue(rules())
    queue.fill(taken, on(1))
    b = queue.claim(on(15, "23:58"), on(15, "23:59"))
    a = queue.claim(on(15, "23:50"), on(16, "00:20"))
    assert queue.paid(b) == (300, 1)
    assert queue.paid(a) == a_gets


def test_settling_carries_what_was_not_spent_to_those_who_wait() -> None:
    """Two S1 places unspent. S2 sold out on 16 Jul 03:00. C recorded 05:00 that day, D on 17 Jul 01:00
    | C waits; at 17 Jul 00:00 S1 settles, 600 yuan give S2 three places; C 200 at once, D 200, one place left"""
    queue = Queue(rules())
    queue.fill(1, on(1))
    queue.fill(2, on(16, "03:00"))
    c = queue.claim(on(16, "05:00"))
    assert queue.outcome(c) == ("waiting", "no_place")
    assert queue.until(on(17)) == [EventKind.SETTLING]
    assert [m.amount_fen for m in queue.effects if isinstance(m, Movement) and m.kind == "carry"] == [600 * YUAN]
    assert queue.state.stages[1].carried_places == 3
    assert queue.paid(c) == (200, 2)
    d = queue.claim(on(17, "01:00"))
    assert queue.paid(d) == (200, 2)
    assert queue.state.stages[1].places_left == 1


def test_money_beyond_the_places_becomes_places_of_the_next_stage() -> None:
    """S1 has 2,560 places and 780,000 yuan; all places sold | at settling 12,000 yuan give S2 sixty more places"""
    queue = Queue(rules(stage(1, 300, 2560, 780_000, S1.opens_at, S1.closes_at), S2))
    allocate_many(queue, 2560, on(1))
    assert queue.state.stages[0].places_left == 0
    queue.until(on(17))
    assert [m.amount_fen for m in queue.effects if isinstance(m, Movement) and m.kind == "carry"] == [12_000 * YUAN]
    assert queue.state.stages[1].places_left == S2.places + 60


def allocate_many(queue: Queue, count: int, e: datetime) -> None:
    """Append many claims in one batch."""
    queue.until(e)
    first, event_no = queue.state.position + 1, queue.state.event_no + 1
    queue.effects += allocate(
        queue.state,
        [
            Event(event_no + n, EventKind.CLAIM, e, claim=ClaimFacts(first + n, 1000 + first + n, e))
            for n in range(count)
        ],
    )
    assert check_invariants(queue.state) == []


def test_returns_pay_who_waits_in_an_open_stage_and_move_on_from_a_closed_one() -> None:
    """S1 sold out at position 2,560; 2,561–2,570 wait. 100 returns its bike on 5 Jul, 101 on 20 Jul
    | 2,561 gets 300 on 5 Jul; 2,562–2,570 get 200 when S2 opens, before newcomers; 101's 300 move to S2:
    one more place, 100 yuan left as money"""
    first = stage(1, 300, 2560, 768_000, S1.opens_at, S1.closes_at)
    queue = Queue(rules(first, stage(2, 200, 20, 4000, S2.opens_at, S2.closes_at)))
    allocate_many(queue, 2570, on(1))
    assert [queue.outcome(n) for n in (2560, 2561, 2570)] == [
        ("award", None),
        ("waiting", "no_place"),
        ("waiting", "no_place"),
    ]
    queue.act(EventKind.RETURN, on(5), 100)
    assert queue.paid(100) == (0, None)
    assert queue.paid(2561) == (300, 1)
    newcomer = queue.claim(on(16))
    assert [queue.paid(n) for n in range(2562, 2571)] == [(200, 2)] * 9
    opened = next(d.event_no for d in queue.effects if isinstance(d, Decision) and d.position == 2570 and d.stage == 2)
    assert opened < queue.state.event_no
    assert queue.paid(newcomer) == (200, 2)
    left, money = queue.state.stages[1].places_left, queue.state.stages[1].money_fen
    queue.act(EventKind.RETURN, on(20), 101, was_paid=True)
    second = queue.state.stages[1]
    assert second.places_left == left + 1
    assert second.money_fen == money + 300 * YUAN
    assert second.money_fen - second.places_left * 200 * YUAN == 100 * YUAN
    assert queue.balance("paid:1") == -300  # the payout's own posting, not ours, had brought it there


def test_before_the_first_opening() -> None:
    """e 14 Jun 23:59, recorded 15 Jun 00:05, programme opens 15 Jun 00:00 | declined `not_open_yet`"""
    queue = Queue(rules())
    early = queue.claim(on(14, "23:59", month=6), on(15, "00:05", month=6))
    assert queue.outcome(early) == ("decline", "not_open_yet")


@pytest.mark.parametrize("still_open", [True, False], ids=["while S1 is open", "after S1 closed"])
def test_a_hold_expires(still_open: bool) -> None:
    """position 3 is held with the last S1 place, 4 waits; 3 expires while S1 is open / after S1 closed
    | 4 gets 300 / 4 was paid 200 when S2 opened, 3's 300 yuan move to S2"""
    queue = Queue(rules())
    at = on(1) if still_open else on(15)
    queue.fill(2, at)
    third = queue.claim(at, fault="invoice_missing")
    fourth = queue.claim(at)
    assert (third, queue.outcome(third)) == (3, ("held", "invoice_missing"))
    assert queue.outcome(fourth) == ("waiting", "no_place")
    queue.until(on(16, "01:00"))
    if still_open:
        assert queue.paid(fourth) == (300, 1)
    else:
        assert queue.paid(fourth) == (200, 2)
        before = queue.state.stages[1].money_fen
        queue.until(at + 7 * DAY)
        assert queue.state.stages[1].money_fen == before + 300 * YUAN
    assert queue.outcome(third) == ("decline", "correction_expired")
    assert queue.decisions(fourth)[0] == ("waiting", None, 0, "no_place")
    assert len(queue.decisions(fourth)) == 2


def test_the_limit_counts_neighbours_in_the_same_batch() -> None:
    """one owner, limit 1, two points complete for him in the same batch
    | the smaller position is awarded, the other declined `limit_reached`"""
    queue = Queue(rules())
    queue.until(on(1))
    number = queue.state.event_no
    batch = [Event(number + n, EventKind.CLAIM, on(1), claim=ClaimFacts(n, 7, on(1))) for n in (1, 2)]
    queue.effects += allocate(queue.state, batch)
    assert queue.paid(1) == (300, 1)
    assert queue.outcome(2) == ("decline", "limit_reached")


@pytest.mark.parametrize("expires", [True, False], ids=["expired", "corrected"])
def test_the_end_waits_for_the_last_hold(expires: bool) -> None:
    """the last stage has settled, 40 claims wait, one hold is open with 100 yuan
    | all 40 wait until it resolves; expired: the earliest gets 100, 39 are declined `no_money`; corrected: 40 are
    declined. Then `end`"""
    queue = Queue(rules(S1, S2, S3, correction_window=20 * DAY))
    queue.fill(5, on(1))
    queue.until(on(16))
    queue.until(on(16, month=8))
    late = on(10, month=9)
    queue.fill(S2.places - 2 + S3.places - 1, late)
    held = queue.claim(late, fault="invoice_missing")
    line = queue.fill(40, late)
    settled = on(17, month=9)
    assert EventKind.SETTLING in queue.until(settled)
    assert {queue.outcome(position) for position in line} == {("waiting", "no_place")}
    assert queue.decisions(held)[-1] == ("held", 3, 100, "invoice_missing")
    if expires:
        kinds = queue.until(late + 20 * DAY)
        assert kinds == [EventKind.CORRECTION_EXPIRED, EventKind.END]
        assert queue.paid(line[0]) == (100, 3)
    else:
        queue.act(EventKind.CORRECTED, on(20, month=9), held)
        assert queue.paid(held) == (100, 3)
        assert queue.until(on(20, month=9)) == [EventKind.END]
    unpaid = line[1:] if expires else line
    assert [queue.outcome(position) for position in unpaid] == [("decline", "no_money")] * len(unpaid)
    assert queue.state.ended
    back = -queue.balance("appropriation") - queue.balance("committed:1") - queue.balance("committed:2")
    assert back == queue.balance("committed:3")


# --- paragraphs of the law that have no case in its table


def test_money_that_comes_back_after_the_end_returns_to_the_appropriation() -> None:
    queue = Queue(rules(S1))
    one = queue.claim(on(1))
    queue.until(on(20))
    assert queue.state.ended
    queue.act(EventKind.FORFEITURE, on(21), one)
    assert queue.balance("appropriation") == 0
    assert queue.outcome(one) == ("decline", "forfeited")


def test_after_the_last_closing_and_after_the_last_settling_the_programme_is_over() -> None:
    queue = Queue(rules(S1))
    in_time = queue.claim(on(15, "23:59"), on(16, "20:00"))
    too_late = queue.claim(on(16), on(16, "21:00"))
    long_late = queue.claim(on(15, "23:59"), on(17))
    assert queue.paid(in_time) == (300, 1)
    assert queue.outcome(too_late) == queue.outcome(long_late) == ("decline", "programme_over")


def test_between_stages_a_claim_waits_and_is_paid_at_the_opening() -> None:
    queue = Queue(rules(S1, stage(2, 200, 2, 400, on(20), on(16, month=8))))
    between = queue.claim(on(18))
    assert queue.outcome(between) == ("waiting", "no_place")
    queue.until(on(20))
    assert queue.paid(between) == (200, 2)


def test_a_pause_costs_nobody_his_stage_while_it_has_money() -> None:
    queue = Queue(rules())
    queue.act(EventKind.PAUSE, on(14))
    inside = queue.claim(on(15))
    unfit = queue.claim(on(15), refusal="plate_of_another")
    again = queue.claim(on(15), person=1000 + inside)
    late = queue.claim(on(15, "12:00"), on(16, "12:00"))
    assert queue.until(on(17)) == []
    assert {queue.outcome(position)[0] for position in (inside, unfit, again, late)} == {"waiting"}
    newcomer = queue.claim(on(17, "08:00"))
    queue.act(EventKind.RESUME, on(18))
    assert queue.paid(inside) == queue.paid(late) == (300, 1)
    assert queue.outcome(unfit) == ("decline", "plate_of_another")
    assert queue.outcome(again) == ("decline", "limit_reached")
    assert queue.paid(newcomer) == (200, 2)
    assert queue.until(on(18)) == [EventKind.SETTLING]
    assert queue.state.stages[1].carried_in_fen == 300 * YUAN


def test_a_staff_hold_keeps_place_and_money_until_the_release() -> None:
    queue = Queue(rules())
    one = queue.claim(on(1))
    queue.act(EventKind.HOLD, on(2), one, reason="photo_used_twice")
    assert queue.decisions(one)[-1] == ("held", 1, 300, "photo_used_twice")
    assert queue.balance("held:1") == 300
    queue.until(on(15))
    queue.act(EventKind.RELEASE, on(15), one)
    assert queue.paid(one) == (300, 1)
    assert (queue.balance("held:1"), queue.balance("committed:1")) == (0, 300)


def test_a_correction_that_fails_the_check_again_is_declined() -> None:
    queue = Queue(rules())
    one = queue.claim(on(1), fault="invoice_missing")
    queue.act(EventKind.CORRECTED, on(2), one, refusal="invoice_to_a_firm")
    assert queue.outcome(one) == ("decline", "invoice_to_a_firm")
    assert queue.state.stages[0].places_left == 3


def test_a_fault_in_the_line_is_held_when_its_turn_comes() -> None:
    queue = Queue(rules())
    queue.fill(3, on(1))
    faulty = queue.claim(on(1), fault="invoice_missing")
    mended = queue.claim(on(1), fault="invoice_missing")
    queue.act(EventKind.CORRECTED, on(2), mended)
    queue.until(on(16))
    assert queue.decisions(faulty)[-1] == ("held", 2, 200, "invoice_missing")
    assert queue.paid(mended) == (200, 2)


@pytest.mark.parametrize("reserve", [0, 300], ids=["reserve empty", "reserve filled"])
def test_an_overrule_pays_what_the_position_would_have_had(reserve: int) -> None:
    queue = Queue(rules(reserve_fen=reserve * YUAN))
    wronged = queue.claim(on(1), refusal="plate_of_another")
    queue.fill(4, on(2))
    queue.act(EventKind.OVERRULE, on(3), wronged)
    if reserve:
        assert queue.paid(wronged) == (300, 1)
        assert queue.balance("committed:reserve") == 300
    else:
        assert queue.decisions(wronged)[-1] == ("waiting", 1, 0, "no_place")
        queue.act(EventKind.RETURN, on(4), 2)
        assert queue.paid(wronged) == (300, 1)
        assert queue.outcome(5) == ("waiting", "no_place")


def test_an_overruled_claim_that_would_have_waited_gets_what_the_line_got() -> None:
    queue = Queue(rules(reserve_fen=200 * YUAN))
    queue.fill(3, on(1))
    wronged = queue.claim(on(2), refusal="plate_of_another")
    queue.fill(1, on(3))
    queue.until(on(16))
    queue.act(EventKind.OVERRULE, on(17), wronged)
    assert queue.paid(wronged) == (200, 2)
    assert queue.balance("reserve") == 0


def test_a_version_that_adds_places_serves_the_line() -> None:
    queue = Queue(rules())
    line = queue.fill(5, on(1))[3:]
    more = stage(1, 300, 4, 1200, S1.opens_at, S1.closes_at)
    queue.act(EventKind.VERSION, on(2), rules=rules(more, S2))
    assert [queue.paid(position) for position in line] == [(300, 1), (0, None)]


def test_an_event_that_the_claim_does_not_allow_is_refused_in_words() -> None:
    queue = Queue(rules())
    one = queue.claim(on(1))
    with pytest.raises(ClaimNotInState, match="claim_not_in_state"):
        queue.act(EventKind.RELEASE, on(2), one)


def test_gaps_and_steps_back_in_the_log_are_noticed() -> None:
    queue = Queue(rules())
    queue.fill(1, on(1))
    number = queue.state.event_no
    for event in (
        Event(number + 2, EventKind.CLAIM, on(2), claim=ClaimFacts(2, 5, on(2))),
        Event(number + 1, EventKind.CLAIM, on(2), claim=ClaimFacts(3, 5, on(2))),
        Event(number + 1, EventKind.CLAIM, on(1) - DAY, claim=ClaimFacts(2, 5, on(1) - DAY)),
        Event(number + 1, EventKind.SETTLING, on(2), stage=1),
        Event(number + 1, EventKind.END, on(2)),
    ):
        state = State()
        allocate(state, [Event(1, EventKind.VERSION, on(1, month=6), rules=rules())])
        allocate(state, [Event(2, EventKind.OPENING, on(1), stage=1)])
        allocate(state, [Event(3, EventKind.CLAIM, on(1), claim=ClaimFacts(1, 9, on(1)))])
        with pytest.raises(OutOfOrder):
            allocate(state, [event])
