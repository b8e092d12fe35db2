"""Where a claim stands, as the tag staff read: a colour for who must act, and the word."""

from __future__ import annotations

CLAIMS = {
    "waiting": ("wait", "排队等名额"),
    "held": ("wait", "等更正，名额保留"),
    "declined": ("stop", "不予补贴"),
    "returned": ("stop", "已退"),
    "forfeited": ("stop", "逾期未领"),
}
PAYOUTS = {
    "awaiting_wallet": ("wait", "等车主填钱包"),
    "owed": ("wait", "待发放"),
    "in_flight": ("wait", "等银行答复"),
    "settled": ("done", "已到账"),
    "frozen": ("you", "要人核对"),
    "withdrawn": ("stop", "发放已取消"),
}


def standing(claim_state: str, payout_state: str | None) -> tuple[str, str]:
    """Return colour and word for a claim in this state, whose payout, if it has one, is in that state."""
    if claim_state == "awarded":
        return PAYOUTS.get(payout_state or "", ("done", "给予补贴"))
    return CLAIMS.get(claim_state, ("", claim_state))
