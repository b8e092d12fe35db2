"""What may stand against asking for, deciding on or withdrawing a change to a staff account."""

from __future__ import annotations

from registry.base import Refusal


class StaffRequestNotFound(Refusal):
    """There is no such request."""

    code = "staff_request_not_found"
    kind = "not_found"
    zh = "没有这份申请。"
    en = "There is no such request."
    remedy_zh = "请从账号列表里选。"
    remedy_en = "Choose one from the list."


class StaffRequestAsked(Refusal):
    """A request for this account, or for this new login, is open."""

    code = "staff_request_asked"
    kind = "conflict"
    zh = "这个账号已经有一份申请，等另一个人决定。"
    en = "A change was asked for this account and waits for another person."
    remedy_zh = "请先等它决定，或者由提出的人撤回。"
    remedy_en = "Wait for the decision, or have whoever asked withdraw it."


class StaffRequestNotOpen(Refusal):
    """Somebody has decided already, or it was withdrawn."""

    code = "staff_request_not_open"
    kind = "conflict"
    zh = "这份申请已经办完了。"
    en = "This request has been decided or withdrawn."
    remedy_zh = "请刷新页面，看看结果。"
    remedy_en = "Reload the page to see how it ended."


class StaffRequestNeedsAnother(Refusal):
    """Whoever asked does not decide."""

    code = "staff_request_needs_another"
    kind = "forbidden"
    zh = "提出申请的人不能自己批准。"
    en = "Whoever asked for it does not decide on it."
    remedy_zh = "请另一位管理员决定；不要了的，可以撤回。"
    remedy_en = "Another administrator decides; if it is not wanted any more, withdraw it."


class StaffRequestNotYours(Refusal):
    """Only whoever asked takes it back."""

    code = "staff_request_not_yours"
    kind = "forbidden"
    zh = "只有提出申请的人可以撤回。"
    en = "Only whoever asked can withdraw it."
    remedy_zh = "您可以不批准。"
    remedy_en = "You can refuse it instead."


class StaffDecisionNotYours(Refusal):
    """Another administrator decides, a reviewer only where there is none; nobody the asker has just brought in."""

    code = "staff_decision_not_yours"
    kind = "forbidden"
    zh = "这份申请不由您决定。"
    en = "This request is not yours to decide."
    remedy_zh = "由另一位管理员决定，没有的由复核员决定；7 天内因同一人的申请改过账号的人，不能替他决定。"
    remedy_en = (
        "Another administrator decides, or a reviewer where there is none; never somebody whose own account was changed"
        " at the same person's request within 7 days."
    )


class StaffAskerGone(Refusal):
    """Whoever asked is no administrator any more."""

    code = "staff_asker_gone"
    kind = "conflict"
    zh = "提出申请的人已经不是管理员，不能批准。"
    en = "Whoever asked is no administrator any more; the request cannot be approved."
    remedy_zh = "请不批准，还要的由现在的管理员重新提出。"
    remedy_en = "Refuse it; if it is still wanted, a present administrator asks again."


class PasswordHalfShort(Refusal):
    """Each half has to keep the account shut by itself."""

    code = "password_half_short"
    zh = "半个密码至少 {least} 个字符。"
    en = "Half a password has {least} characters or more."
    remedy_zh = "请换一个长的、没有规律的。"
    remedy_en = "Use a longer one that nobody can guess."
    default_field = "password_half"
