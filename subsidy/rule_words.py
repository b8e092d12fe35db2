"""The rules in words: title, policy clause, and what each piece of evidence is called. Pages and API tell the same.

Clauses of the rules are those of the programme's conditions (资格条件), numbered in the order of
subsidy/eligibility.py; those of the queue are the paragraphs of its law (README.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Kept with every decision: which edition of the conditions its clause numbers mean.
POLICY_EDITION = "2026"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWords:
    """One rule for people. ``as_of`` names the instant in the evidence that the rule was judged as of."""

    title_zh: str
    title_en: str
    clause_zh: str
    clause_en: str
    as_of: str


def _condition(number: int, title_zh: str, title_en: str, as_of: str) -> RuleWords:
    return RuleWords(
        title_zh=title_zh,
        title_en=title_en,
        clause_zh=f"资格条件第 {number} 条",
        clause_en=f"Condition {number}",
        as_of=as_of,
    )


def _paragraph(number: int, title_zh: str, title_en: str) -> RuleWords:
    return RuleWords(
        title_zh=title_zh,
        title_en=title_en,
        clause_zh=f"排队规则第 {number} 条",
        clause_en=f"Law of the queue, paragraph {number}",
        as_of="recorded",
    )


RULES = {
    "filed_after_cut_off": _condition(1, "截止日以前备案", "Filed before the cut-off date", "opened"),
    "filed_too_long_ago": _condition(2, "备案没有超过年限", "Filed recently enough", "opened"),
    "transferred_after_cut_off": _condition(3, "截止日以后没有过户", "Not transferred since the cut-off", "opened"),
    "plate_of_other_district": _condition(4, "号牌属本区", "Plate of this district", "opened"),
    "plate_not_clear": _condition(5, "号牌正常，无盗抢、无争议", "Plate clear", "old_plate_cancelled"),
    "plate_of_other_owner": _condition(6, "号牌是本人的", "The owner's own plate", "opened"),
    "point_was_not_licensed": _condition(7, "登记时代办点有授牌", "Point licensed at the opening", "opened"),
    "bike_not_compliant": _condition(8, "新车合规，已赋码", "New bike compliant and coded", "sold"),
    "persons_differ": _condition(9, "三处是同一个人", "One person throughout", "sold"),
}
QUEUE_RULES = {
    "not_open_yet": _paragraph(3, "新牌在活动开始以后发下", "Plate issued after the first opening"),
    "programme_over": _paragraph(4, "在活动期限内办完", "Completed within the programme"),
    "no_money": _paragraph(6, "还有补贴资金", "Money was left"),
    "returned": _paragraph(8, "没有退回", "Not returned"),
    "forfeited": _paragraph(8, "按期领取", "Taken in time"),
    "correction_expired": _paragraph(9, "按期更正", "Corrected in time"),
    "limit_reached": _paragraph(11, "没有超过每人份数", "Within the limit for one person"),
}
WAITS = {
    "no_place": ("名额已满，按序号排队", "All places are taken; the claim waits in its order"),
    "paused": ("活动暂停，恢复后按序号办理", "The programme is paused; claims are decided in order afterwards"),
    "correction": ("等更正", "Waits for a correction"),
    "staff_hold": ("局里正在核对", "The bureau is checking"),
    "wallet": ("等车主填写收款钱包", "Waits for the owner's wallet"),
    "destruction": ("等旧车拆解", "Waits until the old bike is destroyed"),
    "bank": ("等银行答复", "Waits for the bank"),
    "payment": ("排队发放", "Waits to be paid out"),
}
SAW = {
    "filed_on": ("备案日", "filed on"),
    "cut_off": ("截止日", "cut-off date"),
    "oldest_allowed": ("最早可到", "oldest allowed"),
    "transferred_on": ("过户日", "transferred on"),
    "plate_district": ("交警登记的区", "district at the police"),
    "district": ("本区", "this district"),
    "plate_status": ("交警登记的状态", "status at the police"),
    "police_say_same": ("交警说是本人", "the police say it is the owner's"),
    "filing_says_same": ("备案是本人", "the filing says it is the owner's"),
    "police_name": ("交警登记的姓名", "name at the police"),
    "point_licensed": ("登记时有授牌", "licensed at the opening"),
    "compliance": ("合规判定", "verdict on compliance"),
    "coded": ("已赋码", "coded"),
    "buyer_is_owner": ("买主是车主", "the buyer is the owner"),
    "holder_is_owner": ("新号牌持有人是车主", "the plate's holder is the owner"),
    "effective_at": ("新牌发下", "plate issued"),
    "recorded_at": ("记入队列", "recorded"),
    "first_opening": ("活动开始", "the programme opened"),
    "last_closing": ("活动结束", "the programme closed"),
    "per_person_limit": ("每人份数", "limit for one person"),
    "counted_positions": ("已占份数的序号", "positions that counted"),
    "expires_at": ("更正期限", "to be corrected by"),
}
VALUES: dict[Any, tuple[str, str]] = {
    True: ("是", "yes"),
    False: ("不是", "no"),
    None: ("没有", "none"),
    "normal": ("正常", "normal"),
    "stolen": ("报失", "stolen"),
    "disputed": ("有争议", "disputed"),
    "cancelled": ("已注销", "cancelled"),
    "compliant": ("合规", "compliant"),
    "same": ("一致", "the same"),
    "variant": ("写法不同", "written otherwise"),
    "other": ("不一致", "another"),
}


def saw_words(saw: dict[str, Any]) -> tuple[str, str]:
    """Return what a rule saw in one Chinese and one English line: «备案日：2021-03-01，截止日：2024-12-31»."""
    pairs = [(*SAW.get(key, (key, key)), *value_words(value)) for key, value in saw.items()]
    return (
        "，".join(f"{name_zh}：{value_zh}" for name_zh, _, value_zh, _ in pairs),
        ", ".join(f"{name_en}: {value_en}" for _, name_en, _, value_en in pairs),
    )


def value_words(value: Any) -> tuple[str, str]:
    """Return one value of the evidence in Chinese and English."""
    known = VALUES.get(value) if isinstance(value, str | bool | None) else None
    return known or (str(value), str(value))
