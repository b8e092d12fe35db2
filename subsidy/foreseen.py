"""What can be said about a subsidy before the old bike is given away, from the rules in force and the owner's claims.

The judgement at completion alone decides (subsidy/eligibility.py, subsidy/fold.py). Here the same rules are asked
early, as far as their facts are known: what is certain needs the owner's word at the counter, the rest is only said.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from registry.filings import FiledBike
from registry.outlook import NoSubsidy
from registry.trade_ins import OVER, TradeIn
from subsidy.eligibility import (
    WORDING,
    Facts,
    Finding,
    Wording,
    filed_before_cut_off,
    filed_recently_enough,
    not_transferred_since,
)
from subsidy.programme import newest_head
from subsidy.queue_rows import COUNTS
from subsidy.rules import Rules
from subsidy.state import Phase, State

KNOWN_EARLY = (filed_before_cut_off, filed_recently_enough, not_transferred_since)
# What may still change until the new plate is issued: said, but nobody has to confirm having heard it.
NOT_CERTAIN = {
    "no_programme": Wording(
        zh="现在没有补贴活动。办完的时候还没有的，就没有补贴。",
        en="There is no subsidy programme now. Without one at the time of completion there is no subsidy.",
    ),
    "not_open_yet": Wording(
        zh="补贴活动还没有开始。新号牌在开始以前发下来的，没有补贴。",
        en="The programme is not open yet. A new plate issued before it opens brings no subsidy.",
    ),
    "paused": Wording(
        zh="补贴活动暂停中。办完的照样取得序号，恢复以后按序号补。",
        en="The programme is paused. Whoever completes takes a position, and is decided once it goes on.",
    ),
    "between_stages": Wording(
        zh="上一阶段已经截止，下一阶段还没有开始。办完的按序号排队，有了名额才补。",
        en="One stage has closed and the next is not open. Whoever completes waits in the queue for a place.",
    ),
    "no_place": Wording(
        zh="现在名额已满。办完的按序号排队，有了名额才补。",
        en="All places are taken now. Whoever completes waits in the queue and is paid only if a place comes free.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What speaks against a subsidy: a stable code, one sentence in each language, and whether that is ``certain``."""

    code: str
    certain: bool
    zh: str
    en: str


def foresee(*, session: Session, trade_in: TradeIn) -> Foreseen | None:
    """Return what speaks against a subsidy for a trade-in under way; None where nothing does, or it is over.

    Judged by the newest programme, as a completion is, at the point its queue has reached.
    """
    if trade_in.state in OVER:
        return None
    programme = newest_head(session=session)
    if programme is None or programme.head is None:
        return _uncertain("no_programme")
    state = State.from_core_json(programme.head)
    if state.rules is None:
        return _uncertain("no_programme")
    code = _certain(session, trade_in, programme.id, state, state.rules)
    if code is not None:
        return Foreseen(code=code, certain=True, zh=WORDING[code].zh, en=WORDING[code].en)
    return _open_question(state)


def no_subsidy(*, session: Session, trade_in: TradeIn) -> NoSubsidy | None:
    """Return why a trade-in under way will certainly bring no subsidy, None where one may come: a SubsidyOutlook."""
    foreseen = foresee(session=session, trade_in=trade_in)
    if foreseen is None or not foreseen.certain:
        return None
    return NoSubsidy(code=foreseen.code, zh=foreseen.zh, en=foreseen.en)


def judge_filing(*, bike: FiledBike, opened_at: datetime, rules: Rules) -> tuple[Finding, ...]:
    """Return what the rules that ask for the filing alone find, for a trade-in opened at that instant."""
    facts = Facts(
        filed_on=bike.filed_on,
        transferred_on=bike.transferred_on,
        opened_at=opened_at,
        # Of people, the sale and the new plate nothing is known yet, and none of KNOWN_EARLY asks.
        opening={},
        filing_owner_id=bike.owner_id,
        owner_id=bike.owner_id,
        buyer_id=bike.owner_id,
        holder_is_owner=True,
        compliance=None,
        registration_code="",
        district="",
    )
    return tuple(rule(facts, rules) for rule in KNOWN_EARLY)


def _certain(session: Session, trade_in: TradeIn, programme_id: int, state: State, rules: Rules) -> str | None:
    bike = session.get_one(FiledBike, trade_in.filed_bike_id)
    for finding in judge_filing(bike=bike, opened_at=trade_in.opened_at, rules=rules):
        if not finding.passed:
            return finding.code
    if state.ended or all(stage.phase in (Phase.CLOSED, Phase.SETTLED) for stage in state.stages):
        return "programme_over"
    counted = _claims_that_count(session, programme_id, trade_in.owner_id)
    return "limit_reached" if counted >= rules.per_person_limit else None


def _claims_that_count(session: Session, programme_id: int, owner_id: int) -> int:
    """How many of the owner's claims count towards the limit of law 11, as a completion counts them."""
    given = {"programme_id": programme_id, "persons": [owner_id]}
    return sum(counted for _, counted in session.connection().exec_driver_sql(COUNTS, given))


def _open_question(state: State) -> Foreseen | None:
    if state.paused:
        return _uncertain("paused")
    if state.stages[0].phase is Phase.FUTURE:
        return _uncertain("not_open_yet")
    if state.open_stage is None:
        return _uncertain("between_stages")
    return None if state.open_stage.can_pay() else _uncertain("no_place")


def _uncertain(code: str) -> Foreseen:
    return Foreseen(code=code, certain=False, zh=NOT_CERTAIN[code].zh, en=NOT_CERTAIN[code].en)
