"""Where a claim stands, as the tag staff read: a colour for who must act, and the word."""

from __future__ import annotations

from app.web.language import _, _l

CLAIMS = {
    "waiting": ("wait", _l("排队等名额")),
    "held": ("wait", _l("名额保留，等更正或核对")),
    "declined": ("stop", _l("不予补贴")),
    "returned": ("stop", _l("已退")),
    "forfeited": ("stop", _l("逾期未领")),
}
PAYOUTS = {
    "awaiting_wallet": ("wait", _l("等车主填钱包")),
    "owed": ("wait", _l("待发放")),
    "in_flight": ("wait", _l("等银行答复")),
    "settled": ("done", _l("已到账")),
    "frozen": ("you", _l("要人核对")),
    "withdrawn": ("stop", _l("发放已取消")),
}


def standing(claim_state: str, payout_state: str | None) -> tuple[str, str]:
    """Return colour and word for a claim in this state, whose payout, if it has one, is in that state."""
    colour, word = CLAIMS.get(claim_state, ("", claim_state))
    if claim_state == "awarded":
        colour, word = PAYOUTS.get(payout_state or "", ("done", _("给予补贴")))
    return colour, str(word)
