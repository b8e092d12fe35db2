"""What owners are told about their place in the queue: plain Chinese, the fact first, then who acts next."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from subsidy.eligibility import WORDING
from subsidy.faults import FAULTS

LOCAL = ZoneInfo("Asia/Shanghai")
STAFF_HOLD = "staff_hold"
TAKEN_BACK = ("returned", "forfeited")


def yuan(amount_fen: int) -> str:
    """Return an amount for owners: no decimals where it is whole yuan."""
    whole, rest = divmod(amount_fen, 100)
    return f"{whole:,} 元" if rest == 0 else f"{whole:,}.{rest:02d} 元"


def local_minute(instant: datetime) -> str:
    """Return an instant for owners: «6月27日 12:00», Asia/Shanghai."""
    local = instant.astimezone(LOCAL)
    return f"{local.month}月{local.day}日 {local:%H:%M}"


def decision_notice(
    *,
    position: int,
    state: str,
    amount_fen: int,
    reason: str | None,
    has_wallet: bool,
    fault: str | None = None,
    expires_at: datetime | None = None,
    just_completed: bool = False,
    reference: str | None = None,
) -> str:
    """Return the notice about a claim's decision. ``state`` is the claim's state, ``reason`` the decline's code.

    ``fault`` and ``expires_at`` say what has to be corrected, and until when; ``just_completed`` says first that the
    trade-in is complete, ``reference`` closes the notice with the number to ask under.
    """
    told = _decision(position, state, amount_fen, reason, has_wallet, fault, expires_at)
    begun = "您的换新手续全部办完，新号牌已发下来。" if just_completed else ""
    return begun + told + (f"查询号 {reference}。" if reference else "")


def _decision(
    position: int,
    state: str,
    amount_fen: int,
    reason: str | None,
    has_wallet: bool,
    fault: str | None,
    expires_at: datetime | None,
) -> str:
    if state == "awarded":
        money = f"您的序号是 {position}，补贴 {yuan(amount_fen)}。"
        if has_wallet:
            return money + "钱会发到您确认过的数字人民币钱包，到账再告诉您。"
        return money + "请到「我的换新」填写收款的数字人民币钱包，或到代办点办理。"
    if state == "held":
        kept = f"您的序号是 {position}，名额和 {yuan(amount_fen)}给您留着。"
        return kept + _held_because(fault, expires_at)
    if state == "waiting":
        waiting = f"您的序号是 {position}。现在名额已满，您按序号排队，轮到了马上告诉您，"
        if fault in FAULTS:
            return f"{waiting}序号不变。另外{FAULTS[fault].zh}，{FAULTS[fault].remedy_zh}，轮到时就不耽误。"
        return waiting + "您不用做什么。"
    wording = WORDING.get(reason or "")
    if wording is not None and reason in TAKEN_BACK:
        return f"您的序号是 {position}。{wording.zh}"
    return f"您的序号是 {position}，这次没有补贴：" + (wording.zh if wording else "不符合活动条件。")


def _held_because(fault: str | None, expires_at: datetime | None) -> str:
    if fault == STAFF_HOLD:
        return "局里要再核对一下，有结果马上告诉您，您现在不用做什么。"
    words = FAULTS.get(fault or "")
    what = f"{words.zh}，{words.remedy_zh}" if words else "有一处信息需要更正，请按页面提示更正"
    return f"{what}。" if expires_at is None else f"{what}，{local_minute(expires_at)}以前办。"
