"""What an error page says: what happened, what it means for the reader, one way on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import has_request_context, request, url_for

from app.auth import current_account
from app.refusals import DatabaseAway


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorWords:
    """The words of one error page. ``way_on`` is an address and what its button says."""

    status: int
    title: str
    lines: tuple[str, ...]
    way_on: tuple[str, str]


# What a page says in its own words; every other refusal speaks for itself.
PAGES = {
    400: ("这一页放得太久了", ("您填的内容没有送出去，也没有办成什么。", "请回到上一页，刷新以后再送一次。")),
    404: ("没有找到这一页", ("地址不对，或者不是您的。", "没有办错什么，从头进去就能找到。")),
    405: ("这一页不能直接打开", ("要从前一页的按钮进来。",)),
    413: ("送来的东西太大了", ("一张照片最多 3 MB，没有存进来。", "请把照片调小，一张一张存。")),
    500: (
        "我们这边出了错",
        ("已经记下来了，我们会查。", "您填的内容可能没有存上。请回上一页看看，再办一次；已经办成的不会重复办。"),
    ),
}
OWN_WORDS = {"bad_request", "not_found", "method_not_allowed", "too_large", "internal_error"}


def error_words(problem: dict[str, Any]) -> ErrorWords:
    """Return the words for a problem document of app/errors.py."""
    status = int(problem["status"])
    if problem["code"] in OWN_WORDS and status in PAGES:
        title, lines = PAGES[status]
    else:
        faults = problem["errors"]
        title = faults[0]["zh"].rstrip("。")
        lines = tuple(fault["remedy_zh"] for fault in faults if fault["remedy_zh"])
    return ErrorWords(status=status, title=title, lines=lines, way_on=_way_on(problem["code"]))


def _way_on(code: str) -> tuple[str, str]:
    if not has_request_context():
        return "/", "回首页"
    if request.method == "GET" and code in ("queue_busy", DatabaseAway.code, "partner_unavailable"):
        return request.full_path.rstrip("?"), "再试一次"
    # Without the database nobody's role can be read.
    account = None if code == DatabaseAway.code else current_account()
    if account is None:
        return url_for("web.front"), "回首页"
    from app.web.signing_in import start_of

    return url_for(start_of(account.role)), "回到我的首页"
