"""What owners are told about their place in the queue: plain Chinese, the fact first, then who acts next."""

from __future__ import annotations

from subsidy.eligibility import WORDING


def yuan(amount_fen: int) -> str:
    """Return an amount for owners: no decimals where it is whole yuan."""
    whole, rest = divmod(amount_fen, 100)
    return f"{whole:,} 元" if rest == 0 else f"{whole:,}.{rest:02d} 元"


def decision_notice(*, position: int, state: str, amount_fen: int, reason: str | None, has_wallet: bool) -> str:
    """Return the notice about a claim's decision. ``state`` is the claim's state, ``reason`` the decline's code."""
    if state == "awarded":
        money = f"您的序号是 {position}，补贴 {yuan(amount_fen)}。"
        if has_wallet:
            return money + "钱会发到您确认过的数字人民币钱包，到账再告诉您。"
        return money + "请登录「我的换新」，填写收款的数字人民币钱包。"
    if state == "held":
        return f"您的序号是 {position}，名额和 {yuan(amount_fen)}给您留着。有一处信息需要更正，请按页面提示更正。"
    if state == "waiting":
        return f"您的序号是 {position}。现在名额已满，您按序号排队，轮到了马上告诉您，您不用做什么。"
    wording = WORDING.get(reason or "")
    return f"您的序号是 {position}，这次没有补贴：" + (wording.zh if wording else "不符合活动条件。")


def completion_notice(*, position: int, state: str, amount_fen: int, reason: str | None, has_wallet: bool) -> str:
    """Return the notice about a trade-in that has just completed."""
    return "您的换新手续全部办完，新号牌已发下来。" + decision_notice(
        position=position, state=state, amount_fen=amount_fen, reason=reason, has_wallet=has_wallet
    )
