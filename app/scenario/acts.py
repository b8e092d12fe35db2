"""The programme act by act: each wave falls into its window, the next begins when the boundary stands in the queue."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.scenario.back_office import BackOffice
from app.scenario.calls import ScenarioFailed, Server
from app.scenario.course import Course
from app.scenario.people import People
from app.scenario.plan import Plan, Planned, WalletPlan
from app.scenario.showing import Show
from app.scenario.sizes import OVERRULED, Deed, Kind, Wave
from app.scenario.staff import Staff
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

    def __init__(
        self,
        *,
        plan: Plan,
        people: People,
        staff: Staff,
        course: Course,
        police: Server,
        back_office: BackOffice,
        show: Show,
    ) -> None:
        self._plan = plan
        self._people = people
        self._staff = staff
        self._back_office = back_office
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
        """Faulty photos are replaced or not; the stage runs out in a burst; staff hold some, some bring bikes back."""
        self._staff.mark_photos(self._references(Deed.CORRECT_IN_FIRST, Deed.EXPIRE_IN_FIRST))
        self._complete(Wave.FAULTY)
        self._people.correct(self._plan.with_deed(Deed.CORRECT_IN_FIRST), progress=self._show.progress)
        self._complete(Wave.FIRST)
        self._staff.hold(self._references(Deed.HOLD_IN_FIRST))
        self._hold(Wave.FIRST_BURST)
        expiring = len(self._plan.with_deed(Deed.EXPIRE_IN_FIRST))
        self._until(self._course.expired, expiring, what="逾期未更正")
        self._release()
        self._await_claims(Wave.FIRST_BURST)
        self._staff.take_back(self._references(Deed.RETURN_IN_FIRST))
        self._require_open(1)
        self._wallets += self._plan.with_deed(Deed.CORRECT_IN_FIRST)
        self._due_wallets(Wave.FIRST, Wave.FIRST_BURST)
        self._turn(closing=1)

    def second(self) -> None:
        """Who waits is paid first; staff decide; a pause. The last plates come at the very end, their word later."""
        self._decide()
        self._complete(Wave.SECOND)
        self._await(EventKind.SETTLING, 1)
        self._staff.pause(reason_zh="系统核对资金，暂停兑付，排队次序不变", reason_en="Funds are being checked.")
        self._complete(Wave.PAUSED)
        self._staff.resume()
        self._staff.collect(self._references(Deed.REPAY_IN_SECOND), now=self._course.now)
        self._hold(Wave.SECOND_BURST)
        self._require_open(2)
        closes_s = self._course.turn(closing=2, in_s=NOTICE_S + LAST_MOMENTS_S, at_least_s=LAST_MOMENTS_S)
        self._police.pause(max(0.0, closes_s - LAST_MOMENTS_S - time.monotonic()))
        self._release()
        self._await(EventKind.OPENING, 3)
        self._await_claims(Wave.SECOND_BURST)
        if self._course.stands(EventKind.SETTLING, 2):
            raise ScenarioFailed("the last plates of the second stage were not known before it settled")
        self._due_wallets(Wave.SECOND, Wave.PAUSED, Wave.SECOND_BURST)

    def _decide(self) -> None:
        """What the staff decide while the second stage is open: each by one person and another."""
        self._staff.take_back(self._references(Deed.RETURN_IN_SECOND))
        self._course.forfeit(self._references(Deed.FORFEIT_IN_SECOND))
        self._staff.release(self._references(Deed.HOLD_IN_FIRST))
        self._staff.overrule(self._references(Deed.OVERRULE_IN_SECOND))
        self._staff.uphold(self._people.appeal(self._plan.with_deed(Deed.APPEAL_IN_SECOND)))
        for deed in (Deed.HOLD_IN_FIRST, *OVERRULED):
            self._wallets += self._plan.with_deed(deed)

    def third(self) -> None:
        """The money runs out; who brings a bike back makes room for the next."""
        self._complete(Wave.THIRD)
        self._await(EventKind.SETTLING, 2)
        self._hold(Wave.THIRD_BURST)
        self._release()
        self._await_claims(Wave.THIRD_BURST)
        self._staff.take_back(self._references(Deed.RETURN_IN_THIRD))
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
            self._back_office.check()
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

    def _references(self, *deeds: Deed) -> list[str]:
        return [each for deed in deeds for each in self._people.references(self._plan.with_deed(deed))]

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
