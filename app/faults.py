"""The words for faults of form: what a schema or HTTP itself refuses, in Chinese and English with the remedy.

Schemas (app/schemas/fields.py) answer with a code, where needed with facts behind a bar: ``too_long|40``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a request. ``field`` is as the caller spelled it, None for the request as a whole."""

    code: str
    zh: str
    en: str
    remedy_zh: str = ""
    remedy_en: str = ""
    field: str | None = None

    def document(self) -> dict[str, str | None]:
        """Return the fault as the API tells it."""
        return {
            "field": self.field,
            "code": self.code,
            "zh": self.zh,
            "en": self.en,
            "remedy_zh": self.remedy_zh,
            "remedy_en": self.remedy_en,
        }


def _fault(code: str, zh: str, en: str, remedy_zh: str, remedy_en: str) -> Fault:
    return Fault(code=code, zh=zh, en=en, remedy_zh=remedy_zh, remedy_en=remedy_en)


FAULTS = {
    fault.code: fault
    for fault in (
        _fault("required", "这一项没有填。", "This field is missing.", "请填写这一项。", "Fill this field in."),
        _fault(
            "not_confirmed",
            "还没有确认。",
            "This was not confirmed.",
            "看过说明、同意的，请填 true；不同意的，什么都不会变。",
            "Send true once it was read and is meant; otherwise nothing changes.",
        ),
        _fault("null", "这一项不能是空值。", "This field may not be null.", "请填写这一项。", "Fill this field in."),
        _fault("not_text", "这一项应是文字。", "This field is text.", "请用引号括起来。", "Send it as a JSON string."),
        _fault(
            "bad_characters",
            "这一项里有不能用的控制字符。",
            "This field holds control characters.",
            "请删去换行、空字符等看不见的字符。",
            "Remove line feeds, NUL and other invisible characters.",
        ),
        _fault("too_short", "这一项至少 {0} 个字。", "At least {0} characters.", "请填完整。", "Complete the field."),
        _fault(
            "too_long", "这一项最多 {0} 个字。", "At most {0} characters.", "请缩短后再提交。", "Shorten the field."
        ),
        _fault("not_whole", "这一项应是整数。", "This field is a whole number.", "请填整数。", "Send a whole number."),
        _fault("out_of_range", "这一项应在 {0} 到 {1} 之间。", "From {0} to {1}.", "请核对单位。", "Check the unit."),
        _fault("not_a_day", "日期不对。", "This is not a date.", "请写成 2025-09-01。", "Write it as 2025-09-01."),
        _fault(
            "not_an_instant",
            "时间不对，要写明时区。",
            "This is not an instant with its offset.",
            "请写成 2026-06-15T00:00:00+08:00。",
            "Write it as 2026-06-15T00:00:00+08:00.",
        ),
        _fault(
            "not_a_list", "这一项应是一个列表。", "This field is a list.", "请用方括号括起来。", "Send a JSON array."
        ),
        _fault("not_yes_or_no", "这一项只能是 true 或 false。", "True or false only.", "请改正。", "Correct it."),
        _fault("not_a_choice", "这一项只能是：{0}。", "One of: {0}.", "请从里面选一个。", "Choose one of them."),
        _fault(
            "not_base64", "图片内容不是 Base64。", "This is not Base64.", "请按 Base64 编码。", "Encode it in Base64."
        ),
        _fault("unknown_field", "没有这一项。", "There is no such field.", "请删去它。", "Leave it out."),
        _fault(
            "not_an_object",
            "这里应是一个 JSON 对象。",
            "This is to be one JSON object.",
            "请把各项写成「名称: 值」，外面用花括号括起来。",
            "Send the fields in one object, between braces.",
        ),
    )
}

HTTP_FAULTS = {
    400: _fault(
        "bad_request", "请求读不懂。", "The request cannot be read.", "请检查 JSON 的写法。", "Check the JSON syntax."
    ),
    403: _fault("forbidden", "不能这样做。", "This is not allowed.", "请从首页进入。", "Start from the front page."),
    404: _fault("not_found", "没有找到。", "There is nothing here.", "请核对编号或地址。", "Check number or address."),
    405: _fault(
        "method_not_allowed",
        "这个地址不能这样用。",
        "This address has no such method.",
        "请看接口说明。",
        "See the API.",
    ),
    413: _fault(
        "too_large",
        "提交的内容太大。",
        "The request is too large.",
        "一张照片最多 3 MB，一份名单最多 40 MB。",
        "A photo has at most 3 MB, a list 40 MB.",
    ),
    415: _fault(
        "unsupported_media_type",
        "内容类型不对。",
        "This content type is not accepted.",
        "请用 application/json。",
        "Send application/json.",
    ),
    429: _fault("too_many_requests", "太频繁了。", "Too many requests.", "请过一会儿再试。", "Try again later."),
    500: _fault(
        "internal_error",
        "系统出了错，已经记录下来。",
        "Something went wrong here; it was recorded.",
        "请稍后再试；仍然不行的，请联系平台管理员。",
        "Try again later; if it persists, tell the administrator.",
    ),
}
BAD_JSON = "Invalid JSON body."  # webargs' own words


def fault_of(text: str, *, field: str | None) -> Fault:
    """Return the fault that a schema's ``code|fact|fact`` names."""
    code, *facts = str(text).split("|")
    if code == BAD_JSON:
        return HTTP_FAULTS[400]
    known = FAULTS.get(code)
    if known is None:
        return Fault(code="invalid", zh="这一项不对。", en="This field is not valid.", field=field)
    return replace(known, zh=known.zh.format(*facts), en=known.en.format(*facts), field=field)
