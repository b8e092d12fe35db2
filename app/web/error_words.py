"""What an error page says: what happened, what it means for the reader, one way on."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Any

from flask import has_request_context, request, url_for

from app.auth import current_account
from app.refusals import DatabaseAway, TooCrowded
from app.web.language import _, _l, in_english


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorWords:
    """The words of one error page. ``way_on`` is an address and what its button says.

    ``tries_again_s`` is after how many seconds the page opens itself anew, None where it does not. ``kept`` is the form
    that could not be taken, to be sent once more.
    """

    status: int
    title: str
    lines: tuple[str, ...]
    way_on: tuple[str, str]
    tries_again_s: int | None = None
    kept: tuple[tuple[str, str], ...] = ()


CROWDED = 503
TRY_AGAIN = {"queue_busy", "partner_unavailable", DatabaseAway.code}
TRIES_AGAIN_S = range(5, 12)
LARGEST_KEPT = 20_000
# What a page says in its own words; every other refusal speaks for itself.
PAGES = {
    400: (
        _l("这一页放得太久了"),
        (_l("您填的内容没有送出去，也没有办成什么。"), _l("请回到上一页，刷新以后再送一次。")),
    ),
    404: (_l("没有找到这一页"), (_l("地址不对，或者不是您的。"), _l("没有办错什么，从头进去就能找到。"))),
    405: (_l("这一页不能直接打开"), (_l("要从前一页的按钮进来。"),)),
    413: (_l("送来的东西太大了"), (_l("一张照片最多 3 MB，没有存进来。"), _l("请把照片调小，一张一张存。"))),
    500: (
        _l("我们这边出了错"),
        (
            _l("已经记下来了，我们会查。"),
            _l("您填的内容可能没有存上。请回上一页看看，再办一次；已经办成的不会重复办。"),
        ),
    ),
}
OWN_WORDS = {"bad_request", "not_found", "method_not_allowed", "too_large", "internal_error"}


def error_words(problem: dict[str, Any]) -> ErrorWords:
    """Return the words for a problem document of app/errors.py."""
    status = int(problem["status"])
    if problem["code"] in OWN_WORDS and status in PAGES:
        title, lines = str(PAGES[status][0]), tuple(str(line) for line in PAGES[status][1])
    else:
        spoken, faults = ("en" if in_english() else "zh"), problem["errors"]
        title = faults[0][spoken].rstrip(_("。"))
        lines = tuple(fault[f"remedy_{spoken}"] for fault in faults if fault[f"remedy_{spoken}"])
    words = ErrorWords(status=status, title=title, lines=lines, way_on=_way_on(problem["code"]))
    return _crowded(words, problem["code"]) if status == CROWDED and has_request_context() else words


def _crowded(words: ErrorWords, code: str) -> ErrorWords:
    """Say what a crowd means for the reader, and try again by itself, or keep what was typed."""
    if request.method in ("GET", "HEAD"):
        said = () if code == TooCrowded.code else (_("现在来的人很多。这一页过几秒自己再打开，您不用一直点。"),)
        lines = (*words.lines, *said)
        # Not all in the same second.
        return replace(words, lines=lines, tries_again_s=secrets.choice(TRIES_AGAIN_S))
    kept = _kept()
    lines = (*words.lines, _("现在来的人很多。您填的内容都在，过几秒点一下，再送一次。")) if kept else words.lines
    return replace(words, lines=lines, kept=kept)


def _kept() -> tuple[tuple[str, str], ...]:
    """What was typed, where it can be sent again as it is: no password and no file goes back to the page."""
    typed = tuple(request.form.items(multi=True))
    largest = sum(len(name) + len(value) for name, value in typed) > LARGEST_KEPT
    return () if largest or request.files or "password" in request.form else typed


def _way_on(code: str) -> tuple[str, str]:
    if not has_request_context():
        return "/", _("回首页")
    if request.method == "GET" and code == TooCrowded.code:
        return "", _("再试一次")  # one page for all, whatever address each of them asked for (app/crowd.py)
    if request.method == "GET" and code in TRY_AGAIN:
        return request.full_path.rstrip("?"), _("再试一次")
    # Without the database nobody's role can be read, and a crowd is not made to wait for it.
    account = None if code in (DatabaseAway.code, TooCrowded.code) else current_account()
    if account is None:
        return url_for("web.front"), _("回首页")
    from app.web.welcoming import start_of

    return url_for(start_of(account.role)), _("回到我的首页")
