"""Eligibility: one function a rule. Each judges one fact as of the instant it belongs to, and says what it saw.

The rules are those of the programme's policy («Eligibility»). Limit and stage are not judged here: they depend on the
queue and belong to the allocation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from subsidy.rule_words import POLICY_EDITION
from subsidy.rules import Rules

LOCAL = ZoneInfo("Asia/Shanghai")


class Facts(NamedTuple):
    """What is known of one trade-in at its completion. Instants are aware UTC, days are days in Asia/Shanghai.

    ``opening`` is the evidence frozen when the trade-in was opened (registry/trade_ins.py). ``old_plate_cancelled_at``
    and ``sold_at`` are the instants that the old plate's status and the new bike are judged as of.
    """

    filed_on: date
    transferred_on: date | None
    opened_at: datetime
    opening: dict[str, Any]
    filing_owner_id: int
    owner_id: int
    buyer_id: int
    holder_is_owner: bool
    compliance: str | None
    registration_code: str
    district: str
    old_plate_cancelled_at: datetime | None = None
    sold_at: datetime | None = None


class Finding(NamedTuple):
    """One rule's outcome: ``passed``, and the evidence it saw (JSON, no personal data)."""

    code: str
    passed: bool
    saw: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a failed rule is told: in one sentence each, with what can be done."""

    zh: str
    en: str


WORDING = {
    "filed_after_cut_off": Wording(
        zh="旧车备案日期晚于本次活动规定的日期，不能领补贴。",
        en="The old bike was filed after the programme's cut-off date.",
    ),
    "filed_too_long_ago": Wording(
        zh="旧车备案已超过规定年限，不能领补贴。", en="The old bike was filed longer ago than the programme allows."
    ),
    "transferred_after_cut_off": Wording(
        zh="旧车在活动截止日期之后过过户，不能领补贴。", en="The old bike changed hands after the cut-off date."
    ),
    "plate_of_other_district": Wording(
        zh="旧号牌不是本区的，不能领补贴。", en="The old plate is not of this district."
    ),
    "plate_not_clear": Wording(
        zh="交警系统里旧号牌状态不正常，不能领补贴。",
        en="The police list the old plate as stolen, disputed or cancelled.",
    ),
    "plate_of_other_owner": Wording(
        zh="旧号牌登记在别人名下，不能领补贴。", en="The old plate is registered to somebody else."
    ),
    "point_was_not_licensed": Wording(
        zh="登记时这家店不是授牌的代办点，不能领补贴。", en="The point was not licensed when the trade-in was opened."
    ),
    "bike_not_compliant": Wording(
        zh="新车不符合国家标准，不能领补贴。", en="The new bike does not meet the national standard."
    ),
    "persons_differ": Wording(
        zh="旧车车主、新车买主和新号牌持有人不是同一个人，不能领补贴。",
        en="The old bike's owner, the buyer and the new plate's holder are not one person.",
    ),
    "limit_reached": Wording(
        zh="您在本次活动里已经领到规定的份数，不能再领。", en="The limit of subsidies for one person is reached."
    ),
    "not_open_yet": Wording(
        zh="新号牌发下来时活动还没有开始，不能领补贴。", en="The new plate was issued before the programme opened."
    ),
    "programme_over": Wording(zh="活动已经结束，不能领补贴。", en="The programme is over."),
    "no_money": Wording(zh="补贴资金已经用完，没有轮到您。", en="The money ran out before your turn."),
    "correction_expired": Wording(zh="规定时间内没有更正，不能领补贴。", en="The fault was not corrected in time."),
    "returned": Wording(
        zh="新车已退、号牌被撤销或查实不符，补贴已退回。",
        en="The bike was returned, its plate annulled or the claim found untrue; the subsidy went back.",
    ),
    "forfeited": Wording(
        zh="规定时间内没有提供能收款的钱包，补贴已收回。",
        en="No usable wallet was given in time; the subsidy went back.",
    ),
}


def filed_before_cut_off(facts: Facts, rules: Rules) -> Finding:
    """The filing is not younger than the cut-off date."""
    saw = {"filed_on": facts.filed_on.isoformat(), "cut_off": rules.filing_cut_off.isoformat()}
    return Finding(code="filed_after_cut_off", passed=facts.filed_on <= rules.filing_cut_off, saw=saw)


def filed_recently_enough(facts: Facts, rules: Rules) -> Finding:
    """At most ``filing_max_age_years`` lie between filing and the day the trade-in was opened."""
    opened_on = facts.opened_at.astimezone(LOCAL).date()
    oldest = years_before(opened_on, rules.filing_max_age_years)
    saw = {"filed_on": facts.filed_on.isoformat(), "oldest_allowed": oldest.isoformat()}
    return Finding(code="filed_too_long_ago", passed=facts.filed_on >= oldest, saw=saw)


def not_transferred_since(facts: Facts, rules: Rules) -> Finding:
    """The old bike did not change hands after the cut-off date."""
    moved = facts.transferred_on
    saw = {"transferred_on": moved.isoformat() if moved else None, "cut_off": rules.filing_cut_off.isoformat()}
    return Finding(code="transferred_after_cut_off", passed=moved is None or moved <= rules.filing_cut_off, saw=saw)


def plate_of_this_district(facts: Facts, rules: Rules) -> Finding:
    """The police hold the old plate for this district."""
    saw = {"plate_district": facts.opening.get("plate_district"), "district": facts.district}
    return Finding(code="plate_of_other_district", passed=saw["plate_district"] == saw["district"], saw=saw)


def plate_clear(facts: Facts, rules: Rules) -> Finding:
    """The old plate was neither stolen, disputed nor cancelled before its cancellation for this trade-in."""
    saw = {"plate_status": facts.opening.get("plate_status")}
    return Finding(code="plate_not_clear", passed=saw["plate_status"] == "normal", saw=saw)


def plate_of_the_owner(facts: Facts, rules: Rules) -> Finding:
    """Filing and police agree that the old bike is the claimant's."""
    saw = {
        "police_say_same": facts.opening.get("plate_owner_matches"),
        "filing_says_same": facts.filing_owner_id == facts.owner_id,
    }
    passed = all(value is True for value in saw.values())
    # Identity is the number of the document. A name written otherwise is a fault to be corrected (subsidy/faults.py).
    return Finding(code="plate_of_other_owner", passed=passed, saw=saw | _name_seen(facts))


def _name_seen(facts: Facts) -> dict[str, Any]:
    police_name = facts.opening.get("police_name")
    return {} if police_name is None else {"police_name": police_name}


def point_was_licensed(facts: Facts, rules: Rules) -> Finding:
    """The point was licensed when it opened the trade-in; a later suspension does not count."""
    saw = {"point_licensed": facts.opening.get("point_licensed")}
    return Finding(code="point_was_not_licensed", passed=saw["point_licensed"] is True, saw=saw)


def bike_compliant(facts: Facts, rules: Rules) -> Finding:
    """The new bike was compliant on the day of the sale and carries a registration code."""
    saw = {"compliance": facts.compliance, "coded": bool(facts.registration_code)}
    return Finding(code="bike_not_compliant", passed=facts.compliance == "compliant" and saw["coded"] is True, saw=saw)


def one_person(facts: Facts, rules: Rules) -> Finding:
    """Buyer, retired bike's owner and new plate's holder are one person."""
    saw = {"buyer_is_owner": facts.buyer_id == facts.owner_id, "holder_is_owner": facts.holder_is_owner}
    return Finding(code="persons_differ", passed=all(saw.values()), saw=saw)


RULES: tuple[Callable[[Facts, Rules], Finding], ...] = (
    filed_before_cut_off,
    filed_recently_enough,
    not_transferred_since,
    plate_of_this_district,
    plate_clear,
    plate_of_the_owner,
    point_was_licensed,
    bike_compliant,
    one_person,
)


def judge(*, facts: Facts, rules: Rules) -> tuple[str | None, dict[str, Any]]:
    """Return the first failed rule's code (None where all hold) and the evidence of every rule, by code.

    Beside the rules the evidence holds ``as_of``, the instants they were judged as of (UTC), and ``policy``, which
    edition of the conditions their clauses mean (subsidy/rule_words.py).
    """
    refusal, evidence = None, {}
    for rule in RULES:
        finding = rule(facts, rules)
        if refusal is None and not finding.passed:
            refusal = finding.code
        finding.saw["passed"] = finding.passed
        evidence[finding.code] = finding.saw
    evidence["as_of"] = {
        "opened": facts.opened_at.isoformat(),
        "old_plate_cancelled": facts.old_plate_cancelled_at.isoformat() if facts.old_plate_cancelled_at else None,
        "sold": facts.sold_at.isoformat() if facts.sold_at else None,
    }
    evidence["policy"] = {"edition": POLICY_EDITION}
    return refusal, evidence


def canonical(evidence: dict[str, Any]) -> bytes:
    """Return the evidence as canonical JSON: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(evidence, option=orjson.OPT_SORT_KEYS)


def evidence_hash(evidence: dict[str, Any]) -> bytes:
    """Return the SHA-256 of the evidence in canonical JSON: what the queue's event carries."""
    return hashlib.sha256(canonical(evidence)).digest()


def years_before(day: date, years: int) -> date:
    """Return the same day ``years`` earlier; 29 February becomes 28 February where that year has none."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)
