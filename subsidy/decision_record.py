"""«Why was I refused» (or: why do I wait) answered by the record alone: no partner and no clock is asked.

Everything comes from what was stored with the decision: the evidence of every rule, the decisions in their order, and
the version of the rules in force at each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from registry.filings import FiledBike
from registry.trade_ins import Reach, TradeIn
from subsidy.appeals import Appeal, latest_appeal
from subsidy.claims import Claim, Decision, QueueEvent
from subsidy.corrections import open_faults
from subsidy.eligibility import WORDING
from subsidy.faults import FAULTS, Fault
from subsidy.fold import STAFF_HOLD
from subsidy.notices import LOCAL, yuan
from subsidy.payouts import Payout
from subsidy.programme import Programme, ProgrammeVersion
from subsidy.returns import ReturnCase, standing_return
from subsidy.rule_words import QUEUE_RULES, RULES, WAITS, RuleWords, saw_words
from subsidy.standing import Standing, read_claim, rules_at

OUTCOMES = {
    "award": ("给予补贴", "awarded"),
    "decline": ("不予补贴", "declined"),
    "waiting": ("排队等名额", "waits in the line"),
    "held": ("等更正，名额和金额留着", "to be corrected: place and money kept"),
}
HELD_BY_STAFF = ("局里核对，名额和金额留着", "checked by the bureau: place and money kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """One rule as it was judged. ``saw`` is the evidence; ``why_zh`` and ``why_en`` are set where it failed."""

    code: str
    passed: bool
    words: RuleWords
    as_of: datetime | None
    saw: dict[str, Any]
    why_zh: str | None
    why_en: str | None

    @property
    def saw_zh(self) -> str:
        """The evidence in one Chinese line."""
        return saw_words(self.saw)[0]

    @property
    def saw_en(self) -> str:
        """The evidence in one English line."""
        return saw_words(self.saw)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One decision of the claim's history."""

    event_no: int
    at: datetime
    outcome: str
    stage_no: int | None
    amount_fen: int
    reason: str | None
    overruled: bool
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """Everything that decided one claim. ``queue_rule`` is the law's own reason, None where a condition decided.

    ``waits_for`` is a code of rule_words.WAITS, None where nobody waits for anything; ``ahead`` counts the claims that
    are served before this one while it waits.
    """

    standing: Standing
    conditions: tuple[RuleFinding, ...]
    queue_rule: RuleFinding | None
    faults: tuple[Fault, ...]
    waits_for: str | None
    ahead: int
    history: tuple[Step, ...]
    appeal: Appeal | None
    return_case: ReturnCase | None

    @property
    def reason_words(self) -> tuple[str, str] | None:
        """Why the claim stands as it does, in Chinese and English; None for an award that nothing keeps."""
        reason = self.standing.claim.reason or ""
        if reason in WORDING:
            return WORDING[reason].zh, WORDING[reason].en
        if self.faults:
            words = FAULTS[self.faults[0].code]
            return f"{words.zh}，{words.remedy_zh}。", f"{words.en}. {words.remedy_en}."
        return WAITS[self.waits_for] if self.waits_for else None

    @property
    def may_be_appealed(self) -> bool:
        """Whether the owner can object: the claim is declined, not returned, and this decision not appealed against."""
        claim, event_no = self.standing.claim, self.standing.decision.event_no
        appealed = self.appeal is not None and self.appeal.decision_event_no == event_no
        declined = claim.state in ("declined", "forfeited") and claim.reason != "returned"
        return declined and self.return_case is None and not appealed


def decision_record(*, session: Session, reference: str, reach: Reach) -> DecisionRecord:
    """Return the record of the claim behind this (clean) reference; raises TradeInNotFound and NoClaim."""
    standing = read_claim(session=session, reference=reference, reach=reach)
    history = _history(session, standing.claim)
    return DecisionRecord(
        standing=standing,
        conditions=findings_in(standing.claim.evidence),
        queue_rule=_queue_rule(session, standing, history),
        faults=open_faults(session=session, standing=standing),
        waits_for=_waits_for(session, standing),
        ahead=_ahead(session, standing.claim),
        history=history,
        appeal=latest_appeal(session=session, trade_in_id=standing.trade_in.id),
        return_case=standing_return(session=session, trade_in_id=standing.trade_in.id),
    )


def findings_in(evidence: Mapping[str, Any]) -> tuple[RuleFinding, ...]:
    """Return every condition judged, the failed ones first and then in the policy's order."""
    instants = evidence.get("as_of", {})
    found = []
    for code, words in RULES.items():
        seen = evidence.get(code)
        if not isinstance(seen, dict):
            continue
        passed, as_of = bool(seen["passed"]), instants.get(words.as_of)
        wording = WORDING[code]
        found.append(
            RuleFinding(
                code=code,
                passed=passed,
                words=words,
                as_of=datetime.fromisoformat(as_of) if as_of else None,
                saw={name: value for name, value in seen.items() if name != "passed"},
                why_zh=None if passed else wording.zh,
                why_en=None if passed else wording.en,
            )
        )
    return tuple(sorted(found, key=lambda finding: finding.passed))


def waits_for_destruction(*, session: Session, payout: Payout) -> bool:
    """Say whether the rules in force keep this payment until the old bike is destroyed, and it is not."""
    in_force = and_(ProgrammeVersion.programme_id == Programme.id, ProgrammeVersion.version_no == Programme.version_no)
    rule = (
        select(ProgrammeVersion.rules["payment_waits_for_destruction"].as_boolean())
        .join(Programme, in_force)
        .where(Programme.id == payout.programme_id)
    )
    if not session.scalar(rule):
        return False
    state = (
        select(FiledBike.state)
        .join(TradeIn, TradeIn.filed_bike_id == FiledBike.id)
        .where(TradeIn.id == payout.trade_in_id)
    )
    return session.scalar(state) != "destroyed"


def _queue_rule(session: Session, standing: Standing, history: tuple[Step, ...]) -> RuleFinding | None:
    claim, decision = standing.claim, standing.decision
    code = claim.reason or ""
    if claim.state in ("awarded", "held", "waiting") or code not in QUEUE_RULES:
        return None
    saw: dict[str, Any] = {}
    rules = rules_at(session=session, programme_id=claim.programme_id, event_no=decision.event_no)
    if code == "limit_reached":
        saw = {
            "per_person_limit": rules.per_person_limit,
            "counted_positions": "、".join(map(str, _counted(session, claim, decision.event_no))),
        }
    elif code == "not_open_yet":
        saw = {"effective_at": _told(claim.effective_at), "first_opening": _told(rules.stages[0].opens_at)}
    elif code == "programme_over":
        saw = {
            "effective_at": _told(claim.effective_at),
            "recorded_at": _told(claim.recorded_at),
            "last_closing": _told(rules.stages[-1].closes_at),
        }
    elif code == "correction_expired":
        saw = {"expires_at": _told(_term(session, claim))}
    wording = WORDING[code]
    return RuleFinding(
        code=code,
        passed=False,
        words=QUEUE_RULES[code],
        as_of=history[-1].at,
        saw=saw,
        why_zh=wording.zh,
        why_en=wording.en,
    )


def _counted(session: Session, claim: Claim, event_no: int) -> list[int]:
    """The person's other positions that counted for the limit when the event was decided (law 11)."""
    latest = (
        select(Decision.position, Decision.outcome, Decision.reason)
        .join(Claim, and_(Claim.programme_id == Decision.programme_id, Claim.position == Decision.position))
        .where(
            Decision.programme_id == claim.programme_id,
            Claim.person_id == claim.person_id,
            Decision.position != claim.position,
            Decision.event_no < event_no,
        )
        .ext(distinct_on(Decision.position))
        .order_by(Decision.position, Decision.event_no.desc())
    )
    return [
        row.position
        for row in session.execute(latest)
        if row.outcome in ("award", "held") or (row.outcome == "waiting" and row.reason in ("no_place", "paused"))
    ]


def _term(session: Session, claim: Claim) -> datetime | None:
    query = (
        select(Decision.expires_at)
        .where(Decision.programme_id == claim.programme_id, Decision.position == claim.position)
        .where(Decision.expires_at.is_not(None))
        .order_by(Decision.event_no.desc())
        .limit(1)
    )
    return session.scalar(query)


def _waits_for(session: Session, standing: Standing) -> str | None:
    claim = standing.claim
    if claim.state == "held":
        return STAFF_HOLD if standing.decision.fault == STAFF_HOLD else "correction"
    if claim.state == "waiting":
        return claim.reason if claim.reason in WAITS else "no_place"
    if claim.state != "awarded":
        return None
    payout = session.scalar(select(Payout).where(Payout.trade_in_id == claim.trade_in_id))
    if payout is None or payout.state in ("settled", "withdrawn"):
        return None
    if payout.state == "awaiting_wallet":
        return "wallet"
    if payout.state == "owed":
        return "destruction" if waits_for_destruction(session=session, payout=payout) else "payment"
    return "bank"


def _ahead(session: Session, claim: Claim) -> int:
    if claim.state != "waiting":
        return 0
    query = select(func.count()).where(
        Claim.programme_id == claim.programme_id, Claim.state == "waiting", Claim.position < claim.position
    )
    return session.scalar(query) or 0


def _history(session: Session, claim: Claim) -> tuple[Step, ...]:
    query = (
        select(Decision, QueueEvent.recorded_at)
        .join(
            QueueEvent,
            and_(QueueEvent.programme_id == Decision.programme_id, QueueEvent.event_no == Decision.event_no),
        )
        .where(Decision.programme_id == claim.programme_id, Decision.position == claim.position)
        .order_by(Decision.event_no)
    )
    return tuple(_step(row[0], row[1]) for row in session.execute(query))


def _step(decision: Decision, at: datetime) -> Step:
    zh, en = HELD_BY_STAFF if decision.fault == STAFF_HOLD else OUTCOMES[decision.outcome]
    if decision.amount_fen:
        zh, en = f"{zh} {yuan(decision.amount_fen)}", f"{en}, {decision.amount_fen / 100:.2f} yuan"
    reason = decision.reason if decision.outcome == "decline" else None
    if reason in WORDING:
        zh, en = f"{zh}：{WORDING[reason].zh}", f"{en}: {WORDING[reason].en}"
    return Step(
        event_no=decision.event_no,
        at=at,
        outcome=decision.outcome,
        stage_no=decision.stage_no,
        amount_fen=decision.amount_fen,
        reason=decision.reason,
        overruled=decision.overruled,
        zh=zh,
        en=en,
    )


def _told(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant.astimezone(LOCAL):%Y-%m-%d %H:%M:%S}"
