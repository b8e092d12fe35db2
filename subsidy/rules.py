"""A programme's full rules as plain data: checked in words, written as canonical JSON, named by their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from registry.base import Refusal

LAW_VERSIONS = (1,)


class RulesRefused(Refusal):
    """A programme's rules cannot be published. Every refusal of Rules.validate is one of these."""

    code = "rules_refused"
    zh = "这份活动规则不能发布。"
    en = "These rules cannot be published."
    remedy_zh = "请改正后再提交。"
    remedy_en = "Correct them and submit again."


class NoStage(RulesRefused):
    """Rules without a stage pay nobody."""

    code = "no_stage"
    zh = "活动没有任何阶段。"
    en = "The programme has no stage."
    default_field = "stages"


class StageNumbersBroken(RulesRefused):
    """Stages are numbered 1, 2, 3 … in the order in which they open."""

    code = "stage_numbers_broken"
    zh = "阶段编号应为 1、2、3……，现在是 {numbers}。"
    en = "Stages must be numbered 1, 2, 3 …; they are {numbers}."
    default_field = "stages"


class StageWindowEmpty(RulesRefused):
    """A stage opens before it closes."""

    code = "stage_window_empty"
    zh = "第 {stage} 阶段的结束时间不晚于开始时间。"
    en = "Stage {stage} does not close after it opens."
    default_field = "stages"


class StagesOverlap(RulesRefused):
    """At most one stage is open at any instant; a gap between two is allowed."""

    code = "stages_overlap"
    zh = "第 {stage} 阶段开始时，前一阶段还没有结束。"
    en = "Stage {stage} opens before the one before it has closed."
    default_field = "stages"


class InstantWithoutZone(RulesRefused):
    """An instant carries its time zone."""

    code = "instant_without_zone"
    zh = "第 {stage} 阶段的时间没有写明时区。"
    en = "An instant of stage {stage} carries no time zone."
    default_field = "stages"


class NumberOutOfRange(RulesRefused):
    """A number is below the least that makes sense."""

    code = "number_out_of_range"
    zh = "{field_name} 不能小于 {least}，现在是 {value}。"
    en = "{field_name} must be at least {least}; it is {value}."


class AmountAboveBudget(RulesRefused):
    """A stage that cannot pay a single claim is a mistake."""

    code = "amount_above_budget"
    zh = "第 {stage} 阶段的预算 {budget_fen} 分不够付一笔 {amount_fen} 分的补贴。"
    en = "Stage {stage} has {budget_fen} fen, less than one subsidy of {amount_fen} fen."
    default_field = "stages"


class AmountRises(RulesRefused):
    """A later stage never pays more: who completes later must not be paid more than who came before him."""

    code = "amount_rises"
    zh = "第 {stage} 阶段的补贴比前一阶段高，先来的人反而拿得少。"
    en = "Stage {stage} pays more than the one before it, so that who came first would get less."
    default_field = "stages"


class LawUnknown(RulesRefused):
    """The rules name a version of the law that this software does not hold."""

    code = "law_unknown"
    zh = "本系统没有第 {law_version} 版排队规则。"
    en = "This software has no version {law_version} of the queue's law."
    default_field = "law_version"


class NotBackDated(RulesRefused):
    """A new version tried to change what has already happened."""

    code = "not_back_dated"
    zh = "新版本不能改动已经发生的事：第 {stage} 阶段的 {what}。"
    en = "A version is never back-dated: {what} of stage {stage} lies in the past."
    default_field = "stages"


class MoneyAlreadySpent(RulesRefused):
    """A new version tried to take back places or money that claims already hold."""

    code = "money_already_spent"
    zh = "{purse} 的 {what} 最多只能减少 {left}。"
    en = "The {what} of {purse} can be reduced by {left} at most."


@dataclass(frozen=True, slots=True)
class StageRules:
    """One stage: what it pays (fen), to how many, from how much (fen), in the window [opens_at, closes_at)."""

    number: int
    amount_fen: int
    places: int
    budget_fen: int
    opens_at: datetime
    closes_at: datetime

    def __post_init__(self) -> None:
        # One instant, one spelling: the same rules must have the same JSON and hash whatever offset they came with.
        for name in ("opens_at", "closes_at"):
            instant = getattr(self, name)
            if instant.tzinfo is not None:
                object.__setattr__(self, name, instant.astimezone(UTC))

    def validate(self) -> None:
        """Raise a RulesRefused where the stage by itself makes no sense."""
        if self.opens_at.tzinfo is None or self.closes_at.tzinfo is None:
            raise InstantWithoutZone(stage=self.number)
        if self.opens_at >= self.closes_at:
            raise StageWindowEmpty(stage=self.number)
        at_least("amount_fen", self.amount_fen, 1)
        at_least("places", self.places, 1)
        at_least("budget_fen", self.budget_fen, 0)
        if self.amount_fen > self.budget_fen:
            raise AmountAboveBudget(stage=self.number, budget_fen=self.budget_fen, amount_fen=self.amount_fen)


@dataclass(frozen=True, slots=True)
class Rules:
    """A programme's full rules, one version of them.

    ``late_window`` is how long after its closing a stage still takes late records (law 4), ``correction_window`` how
    long a held claim may be corrected (law 9), ``per_person_limit`` law 11, ``reserve_fen`` the money for overrules
    (law 10). ``filing_cut_off`` and ``filing_max_age_years`` judge the old bike, ``payment_waits_for_destruction``
    says whether the payout waits for the recycler; the queue itself does not read these three.
    """

    stages: tuple[StageRules, ...]
    late_window: timedelta
    correction_window: timedelta
    per_person_limit: int
    reserve_fen: int
    filing_cut_off: date
    filing_max_age_years: int = 7
    payment_waits_for_destruction: bool = False
    law_version: int = 1

    def validate(self) -> None:
        """Raise a RulesRefused that says in words what is wrong; return nothing where the rules can be published."""
        if not self.stages:
            raise NoStage
        numbers = [stage.number for stage in self.stages]
        if numbers != list(range(1, len(numbers) + 1)):
            raise StageNumbersBroken(numbers=", ".join(map(str, numbers)))
        for stage in self.stages:
            stage.validate()
        for before, after in pairwise(self.stages):
            if after.opens_at < before.closes_at:
                raise StagesOverlap(stage=after.number)
            if after.amount_fen > before.amount_fen:
                raise AmountRises(stage=after.number)
        at_least("late_window", int(self.late_window.total_seconds()), 0)
        at_least("correction_window", int(self.correction_window.total_seconds()), 1)
        at_least("per_person_limit", self.per_person_limit, 1)
        at_least("reserve_fen", self.reserve_fen, 0)
        at_least("filing_max_age_years", self.filing_max_age_years, 1)
        if self.law_version not in LAW_VERSIONS:
            raise LawUnknown(law_version=self.law_version)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON: instants as UTC ISO 8601, windows in whole seconds. The same rules, the same JSON."""
        return {
            "stages": [
                {
                    "number": stage.number,
                    "amount_fen": stage.amount_fen,
                    "places": stage.places,
                    "budget_fen": stage.budget_fen,
                    "opens_at": stage.opens_at.astimezone(UTC).isoformat(),
                    "closes_at": stage.closes_at.astimezone(UTC).isoformat(),
                }
                for stage in self.stages
            ],
            "late_window_seconds": int(self.late_window.total_seconds()),
            "correction_window_seconds": int(self.correction_window.total_seconds()),
            "per_person_limit": self.per_person_limit,
            "reserve_fen": self.reserve_fen,
            "filing_cut_off": self.filing_cut_off.isoformat(),
            "filing_max_age_years": self.filing_max_age_years,
            "payment_waits_for_destruction": self.payment_waits_for_destruction,
            "law_version": self.law_version,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Rules:
        """Return the rules written by to_json. Raises KeyError, TypeError or ValueError on anything else."""
        return cls(
            stages=tuple(
                StageRules(
                    number=stage["number"],
                    amount_fen=stage["amount_fen"],
                    places=stage["places"],
                    budget_fen=stage["budget_fen"],
                    opens_at=datetime.fromisoformat(stage["opens_at"]).astimezone(UTC),
                    closes_at=datetime.fromisoformat(stage["closes_at"]).astimezone(UTC),
                )
                for stage in plain["stages"]
            ),
            late_window=timedelta(seconds=plain["late_window_seconds"]),
            correction_window=timedelta(seconds=plain["correction_window_seconds"]),
            per_person_limit=plain["per_person_limit"],
            reserve_fen=plain["reserve_fen"],
            filing_cut_off=date.fromisoformat(plain["filing_cut_off"]),
            filing_max_age_years=plain["filing_max_age_years"],
            payment_waits_for_destruction=plain["payment_waits_for_destruction"],
            law_version=plain["law_version"],
        )

    def hash(self) -> str:
        """Return the SHA-256 (hex) of the canonical JSON: sorted keys, no spaces, UTF-8."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def at_least(field: str, value: int, least: int) -> None:
    """Raise NumberOutOfRange where ``value`` is below ``least``."""
    if value < least:
        raise NumberOutOfRange(field=field, field_name=field, value=value, least=least)
