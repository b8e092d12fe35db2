"""What a dealer's states and its way to the licence are called, on its own pages and at the desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.web.desk_words import Words
from app.web.language import _, _l
from registry.dealer_steps import DealerStep
from registry.dealers import Dealer

DEALER_STATES: Words = {
    "applied": _l("已申请，待审核"),
    "refused": _l("申请未通过"),
    "accepted": _l("审核通过，待签承诺书"),
    "committed": _l("已签承诺书"),
    "trained": _l("已培训"),
    "enrolled": _l("已开通"),
    "licensed": _l("已授牌"),
    "suspended": _l("已暂停"),
    "expired": _l("授牌已到期"),
    "revoked": _l("已撤销"),
}
APPLICATION_STATES: Words = {"waiting": _l("待审核"), "accepted": _l("已通过"), "refused": _l("未通过")}
# The way, each step with the state it leads to and who takes it.
WAY = (
    ("accepted", _l("局里审核"), "wait"),
    ("committed", _l("签承诺书"), "you"),
    ("trained", _l("培训和测试"), "you"),
    ("enrolled", _l("开通置换功能"), "wait"),
    ("licensed", _l("授牌，领标牌"), "wait"),
)
ORDER = ("applied", *(state for state, _title, _who in WAY))


@dataclass(frozen=True, slots=True, kw_only=True)
class WayStep:
    """One step of the way; ``who`` takes it (you or wait), ``at`` where it was taken."""

    title: str
    who: str
    done: bool
    now: bool
    at: datetime | None


def way_of(dealer: Dealer, steps: Sequence[DealerStep]) -> list[WayStep]:
    """Return the way to the licence as far as the dealer has come; nothing is due of one refused or beyond it."""
    stands = "applied" if dealer.state == "refused" else dealer.state
    reached = ORDER.index(stands) if stands in ORDER else len(WAY)
    at = {step.state: step.at for step in steps}
    # A dealer of a list was entered after it had taken its first steps.
    first = steps[0].at if steps else dealer.created_at
    applied_at = dealer.created_at if dealer.created_at <= first else None
    applied = WayStep(title=_("交了申请"), who="you", done=True, now=False, at=applied_at)
    return [
        applied,
        *(
            WayStep(
                title=str(title),
                who=who,
                done=place < reached,
                now=place == reached and dealer.state != "refused",
                at=at.get(state) if place < reached else None,
            )
            for place, (state, title, who) in enumerate(WAY)
        ),
    ]
