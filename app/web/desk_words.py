"""What the desk calls the states and kinds of the domain, in the reader's language; tables and code use the keys."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel.speaklater import LazyString

from app.web.language import _, _l, in_english
from subsidy.eligibility import WORDING
from subsidy.faults import FAULTS

Words = Mapping[str, LazyString]

CLAIM_STATES: Words = {
    "waiting": _l("排队中，等名额"),
    "held": _l("待更正，名额保留"),
    "awarded": _l("给予补贴"),
    "declined": _l("不予补贴"),
    "returned": _l("已退"),
    "forfeited": _l("逾期未领"),
}
PAYOUT_STATES: Words = {
    "awaiting_wallet": _l("等车主确认钱包"),
    "owed": _l("待发放"),
    "in_flight": _l("已交银行，等答复"),
    "settled": _l("已到账"),
    "frozen": _l("已冻结，等人核对"),
    "withdrawn": _l("已取消"),
}
ATTEMPT_STATES: Words = {
    "sent": _l("已交银行"),
    "unknown": _l("银行未答复"),
    "settled": _l("已到账"),
    "rejected": _l("银行已退回"),
}
OVERRULE_STATES: Words = {"proposed": _l("待复核"), "approved": _l("已同意"), "refused": _l("未同意")}
RETURN_STATES: Words = {
    "proposed": _l("待复核"),
    "refused": _l("未同意"),
    "returned": _l("已退"),
    "demanded": _l("待退款"),
    "repaid": _l("已退款"),
}
RETURN_KINDS: Words = {
    "bike_returned": _l("新车已退"),
    "plate_annulled": _l("号牌被撤销"),
    "fraud": _l("查实冒领"),
}
RECLAIM_STATES: Words = {
    "due": _l("等着发给银行"),
    "sent": _l("已交银行，等车主同意"),
    "unknown": _l("银行未答复"),
    "reclaimed": _l("已追回"),
    "rejected": _l("没有追回"),
    "contested": _l("银行前后说法不一，等人核对"),
}
RECLAIM_REASONS: Words = {
    "insufficient": _l("钱包里的钱不够"),
    "owner_refused": _l("车主没有同意"),
    "more_than_paid": _l("比付出去的多"),
    "unknown_transfer": _l("银行查不到那笔付款"),
    "withdrawn": _l("还没有发给银行就收回了"),
}
# Why a payout is frozen (Payout.problem).
FROZEN_FOR: Words = {
    "success_after_rejection": _l("银行退回以后又说到账"),
    "rejection_after_success": _l("银行说到账以后又退回"),
    "settled_out_of_turn": _l("没有在付的时候，银行说到账"),
    "amount_differs": _l("银行付的金额和我方不一样"),
    "transfer_refused": _l("银行说这个编号付过别的"),
}
CHANGE_STATES: Words = {
    "drafted": _l("待批准"),
    "approved": _l("已批准"),
    "refused": _l("未批准"),
    "withdrawn": _l("已撤回"),
}
HOLD_REASONS: Words = {
    "identity": _l("身份要再核对"),
    "old_bike": _l("旧车材料要再核对"),
    "new_bike": _l("新车材料要再核对"),
    "sale": _l("发票或价格要再核对"),
    "complaint": _l("收到投诉举报"),
    "fraud": _l("疑似冒领"),
    "other": _l("其他"),
}
# Why a claim was declined, where no rule of eligibility says it.
OTHER_REASONS: Words = {
    "no_money": _l("名额和钱用完了"),
    "correction_expired": _l("逾期没有更正"),
    "returned": _l("已退"),
}


def reason_words(reason: str | None) -> str:
    """Return a decline's reason in words."""
    if reason in WORDING:
        return WORDING[reason].en if in_english() else WORDING[reason].zh
    return str(OTHER_REASONS.get(reason or "", reason or ""))


def fault_words(code: str) -> str:
    """Return what a correctable fault says."""
    return FAULTS[code].en if in_english() else FAULTS[code].zh


def listed(words: list[str]) -> str:
    """Return several words as one, the way the language sets them apart."""
    return _("、").join(words)
