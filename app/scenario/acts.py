"""The programme act by act: each wave falls into its window, the next begins when the boundary stands in the queue."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.scenario.calls import ScenarioFailed, Server
from app.scenario.course import Course
from app.scenario.people import People
from app.scenario.plan import Plan, Planned, WalletPlan
from app.scenario.showing import Show
from app.scenario.sizes import Deed, Kind, Wave
from subsidy.events import EventKind

# Real seconds. A boundary is announced this long before it comes.
NOTICE_S = 3.0
LAST_MOMENTS_S = 3.0
BOUNDARY_WITHIN_S = 60.0
STALLED_AFTER_S = 90.0
LOOK_S = 0.2
WALLETS_AT_ONCE = 32


class Acts:
    """The programme's waves, in order. ``prepared`` trade-ins lack nothing but the plate."""

    def __init__(self, *, plan: Plan, people: People, course: Course, police: Server, show: Show) -> None:
        self._plan = plan
        self._people = people
        self._course = course
        self._police = police
        self._show = show
        self._claims = 0
        self._wallets: list[Planned] = []

    def before(self) -> None:
        """Some hurry: their plates come before the programme opens."""
        self._complete(Wave.EARLY)
        self._turn(closing=0)

    def first(self) -> None:
        """The first stage runs out in a burst; staff hold some awards, some owners bring the new bike back."""
        self._complete(Wave.FIRST)
        self._act(EventKind.HOLD, Deed.HOLD_IN_FIRST)
        self._hold(Wave.FIRST_BURST)
        self._release()
        self._await_claims(Wave.FIRST_BURST)
        self._act(EventKind.RETURN, Deed.RETURN_IN_FIRST)
        self._require_open(1)
        self._due_wallets(Wave.FIRST, Wave.FIRST_BURST)
        self._turn(closing=1)

    def second(self) -> None:
        """Who waits is paid first. The last plates are issued in the last moments, the word of it comes after."""
        self._act(EventKind.RETURN, Deed.RETURN_IN_SECOND)
        self._act(EventKind.FORFEITURE, Deed.FORFEIT_IN_SECOND)
        self._act(EventKind.RELEASE, Deed.HOLD_IN_FIRST)
        self._act(EventKind.OVERRULE, Deed.OVERRULE_IN_SECOND)
        self._wallets += self._plan.with_deed(Deed.HOLD_IN_FIRST) + self._plan.with_deed(Deed.OVERRULE_IN_SECOND)
        self._complete(Wave.SECOND)
        self._await(EventKind.SETTLING, 1)
        self._hold(Wave.SECOND_BURST)
        self._require_open(2)
        closes_s = self._course.turn(closing=2, in_s=NOTICE_S + LAST_MOMENTS_S)
        self._police.pause(max(0.0, closes_s - LAST_MOMENTS_S - time.monotonic()))
        self._release()
        self._await(EventKind.OPENING, 3)
        self._await_claims(Wave.SECOND_BURST)
        if self._course.stands(EventKind.SETTLING, 2):
            raise ScenarioFailed("the last plates of the second stage were not known before it settled")
        self._due_wallets(Wave.SECOND, Wave.SECOND_BURST)

    def third(self) -> None:
        """The money runs out; who brings a bike back makes room for the next."""
        self._complete(Wave.THIRD)
        self._await(EventKind.SETTLING, 2)
        self._hold(Wave.THIRD_BURST)
        self._release()
        self._await_claims(Wave.THIRD_BURST)
        self._act(EventKind.RETURN, Deed.RETURN_IN_THIRD)
        self._require_open(3)
        self._due_wallets(Wave.THIRD, Wave.THIRD_BURST)
        self._course.turn(closing=3, in_s=NOTICE_S)
        self._await(EventKind.END, None)

    def after(self) -> None:
        """Some come too late, and every wallet that is still owed is given."""
        self._complete(Wave.AFTER)
        due, self._wallets = self._wallets, []
        self._people.give_wallets(due, progress=self._show.progress)

    def _complete(self, wave: Wave) -> None:
        self._people.apply(self._plan.of(wave), progress=self._show.progress)
        self._await_claims(wave)

    def _hold(self, wave: Wave) -> None:
        """Apply for the wave's plates while the police issue none, until they have every application."""
        trade_ins = self._plan.of(wave)
        self._demand("/demo/hold")
        self._people.apply(trade_ins, progress=self._show.progress, what="申请新牌（交警集中核发）")

        def held() -> int:
            return int(self._police.get("/health").data["held"])

        self._until(held, len(trade_ins), what="plate applications held")

    def _release(self) -> None:
        self._demand("/demo/release")

    def _demand(self, door: str) -> None:
        reply = self._police.post(door)
        if reply.status != 200:
            raise ScenarioFailed(f"the police's stub answered {reply.status} to {door}")

    def _await_claims(self, wave: Wave) -> None:
        """Wait until every trade-in of the wave stands in the queue, whichever way the plate became known."""
        self._claims += len(self._plan.of(wave))
        self._until(self._course.claims, self._claims, what=f"claims after the wave «{wave}»")

    def _until(self, count: Callable[[], int], target: int, *, what: str) -> None:
        seen, moved_s = -1, time.monotonic()
        while (now := count()) != target:
            if now > target:
                raise ScenarioFailed(f"{now} {what}, more than the {target} there are")
            if now != seen:
                seen, moved_s = now, time.monotonic()
            elif time.monotonic() - moved_s > STALLED_AFTER_S:
                raise ScenarioFailed(f"{now} of {target} {what}, and nothing moves")
            self._show.progress(what, now, target)
            self._police.pause(LOOK_S)

    def _turn(self, *, closing: int) -> None:
        """Have one stage close and the next open soon, and wait until that stands in the queue."""
        self._course.turn(closing=closing, in_s=NOTICE_S)
        self._await(EventKind.OPENING, closing + 1)

    def _await(self, kind: EventKind, stage: int | None) -> None:
        """Wait until the event stands in the queue; owners give wallets meanwhile."""
        deadline_s = time.monotonic() + BOUNDARY_WITHIN_S
        while not self._course.stands(kind, stage):
            if time.monotonic() > deadline_s:
                raise ScenarioFailed(f"{kind.value} of stage {stage} did not come within {BOUNDARY_WITHIN_S:.0f} s")
            if not self._give_some():
                self._police.pause(LOOK_S)

    def _require_open(self, stage: int) -> None:
        if self._course.stands(EventKind.CLOSING, stage):
            raise ScenarioFailed(f"stage {stage} closed before its wave was through: this machine is too slow for it")

    def _act(self, kind: EventKind, deed: Deed) -> None:
        references = [self._people.walks[planned.number].reference for planned in self._plan.with_deed(deed)]
        self._course.act(kind, self._course.positions(references))

    def _due_wallets(self, *waves: Wave) -> None:
        """From now on the owners of these waves who put it off give their wallets."""
        late = (WalletPlan.AFTER, WalletPlan.REFUSED_FIRST, WalletPlan.FAILING_FIRST)
        self._wallets += [
            planned
            for planned in self._plan.of(*waves)
            if planned.wallet in late and planned.deed is None and planned.kind in (Kind.SOUND, Kind.AGAIN)
        ]

    def _give_some(self) -> bool:
        due, self._wallets = self._wallets[:WALLETS_AT_ONCE], self._wallets[WALLETS_AT_ONCE:]
        self._people.give_wallets(due, progress=self._show.progress)
        return bool(due)
