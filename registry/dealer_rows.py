"""One row of a list of dealers or of their counter accounts: as somebody typed it, and as it may be stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from registry.base import Refusal
from registry.dealer_hours import clean_opening_hours
from registry.dealer_inputs import (
    clean_address,
    clean_credit_code,
    clean_dealer_name,
    clean_sub_district,
    clean_telephone,
)
from registry.dealers import DEALER, LOCAL
from registry.filing_rows import CellEmpty, read_day
from registry.people import clean_mobile, clean_name

DEALER_HEADERS = {
    "name": "商户名称",
    "credit_code": "统一社会信用代码",
    "sub_district": "街道",
    "address": "地址",
    "phone": "店铺电话",
    "opening_hours": "营业时间",
    "representative": "法定代表人",
    "mobile": "签署手机",
    "signed_on": "承诺书签署日期",
    "trained_on": "培训日期",
    "correct": "培训得分",
    "enrolled": "置换功能",
    "point_no": "授牌编号",
    "licensed_on": "授牌日期",
    "licensed_until": "授牌有效期至",
    "standing": "状态",
}
ACCOUNT_HEADERS = {
    "login": "登录名",
    "display_name": "姓名",
    "credit_code": "统一社会信用代码",
    "manager": "店内管理员",
}
CONTACT = ("name", "sub_district", "address", "phone", "opening_hours")
_OPTIONAL = frozenset(list(DEALER_HEADERS)[6:])
_STANDINGS = {"": None, "正常": None, "暂停": "suspend", "撤销": "revoke"}
_YES_OR_NO = {"": False, "否": False, "是": True, "未开通": False, "已开通": True}
_LONGEST_LICENCE = timedelta(days=3_650)


class DealerCellInvalid(Refusal):
    """A cell holds none of the words or numbers it may hold."""

    code = "dealer_cell_invalid"
    zh = "「{typed}」不对。"
    en = "«{typed}» cannot stand here."
    remedy_zh = "这一列可以写：{allowed}。"
    remedy_en = "See the remedy in Chinese for what the column takes: words of the list itself."


class DealerDayInvalid(Refusal):
    """The text is no day, or a day that cannot be meant."""

    code = "dealer_day_invalid"
    zh = "日期「{typed}」不对。"
    en = "«{typed}» is not a possible day here."
    remedy_zh = "请写成 2025-03-18 这样；办过的事不能晚于今天。"
    remedy_en = "Write it as 2025-03-18; what was done cannot lie in the future."


class DealerHistoryBroken(Refusal):
    """A later step stands in the row without the one it needs: no licence without training, no training unsigned."""

    code = "dealer_history_broken"
    zh = "有「{later}」，却没有「{missing}」，或者先后颠倒。"
    en = "A later step is given without the one before it, or on an earlier day."
    remedy_zh = "依次是承诺书、培训、置换功能、授牌；请补上前面的，没办过的就都留空，到平台上办。"
    remedy_en = "The order is commitment, training, function, licence; fill in what comes before or leave all empty."


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDealer:
    """A row of a list of dealers whose every cell is clean. Days are those on which the step was done."""

    line: int
    name: str
    credit_code: str
    sub_district: str
    address: str
    phone: str
    opening_hours: str
    representative: str | None
    mobile: str | None
    signed_on: date | None
    trained_on: date | None
    correct: int | None
    enrolled: bool
    point_no: str | None
    licensed_on: date | None
    licensed_until: date | None
    standing: str | None

    def steps(self, *, now: datetime) -> list[tuple[str, str, datetime]]:
        """Return step, state and instant of all that was done, in order; the list itself is the bureau's review."""
        days = [
            ("accept", self.signed_on),
            ("commit", self.signed_on),
            ("train", self.trained_on),
            ("enrol", (self.licensed_on or self.trained_on) if self.enrolled else None),
            ("license", self.licensed_on),
            (self.standing or "", self.licensed_on if self.standing else None),
        ]
        state, steps = "applied", []
        for hour, (step, day) in enumerate(days, start=9):
            if day is not None or step == "accept":
                state = DEALER.after(state=state, step=step)
                steps.append((step, state, now if day is None else instant_on(day, hour=hour)))
        return steps


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAccount:
    """A row of a list of counter accounts whose every cell is clean."""

    line: int
    login: str
    display_name: str
    credit_code: str
    manager: bool


def instant_on(day: date, *, hour: int) -> datetime:
    """Return the instant that stands for something a list only gives the day of (Asia/Shanghai)."""
    return datetime.combine(day, time(hour), tzinfo=LOCAL)


def clean_dealer_row(*, line: int, cells: Sequence[str], today: date) -> ListedDealer | list[Refusal]:
    """Return the row clean, or every refusal it gives, each naming the ``field`` that is wrong."""
    cleaners: dict[str, Callable[[str], Any]] = {
        "name": clean_dealer_name,
        "credit_code": clean_credit_code,
        "sub_district": clean_sub_district,
        "address": clean_address,
        "phone": clean_telephone,
        "opening_hours": clean_opening_hours,
        "representative": clean_name,
        "mobile": clean_mobile,
        "signed_on": lambda text: _day(text, latest=today),
        "trained_on": lambda text: _day(text, latest=today),
        "correct": _score,
        "enrolled": lambda text: _word(text, _YES_OR_NO),
        "point_no": _point_no,
        "licensed_on": lambda text: _day(text, latest=today),
        "licensed_until": lambda text: _day(text, latest=today + _LONGEST_LICENCE),
        "standing": lambda text: _word(text, _STANDINGS),
    }
    values, refusals = _clean(DEALER_HEADERS, cells, cleaners, optional=_OPTIONAL)
    if refusals:
        return refusals
    values["enrolled"] = bool(values["enrolled"])
    listed = ListedDealer(line=line, **values)
    broken = _broken(listed)
    return [broken] if broken is not None else listed


def clean_account_row(*, line: int, cells: Sequence[str]) -> ListedAccount | list[Refusal]:
    """Return the row clean, or every refusal it gives, each naming the ``field`` that is wrong."""
    cleaners: dict[str, Callable[[str], Any]] = {
        "login": _login,
        "display_name": clean_name,
        "credit_code": clean_credit_code,
        "manager": lambda text: _word(text, _YES_OR_NO),
    }
    values, refusals = _clean(ACCOUNT_HEADERS, cells, cleaners, optional=frozenset({"manager"}))
    if refusals:
        return refusals
    values["manager"] = bool(values["manager"])
    return ListedAccount(line=line, **values)


def _clean(
    headers: dict[str, str],
    cells: Sequence[str],
    cleaners: dict[str, Callable[[str], Any]],
    *,
    optional: frozenset[str],
) -> tuple[dict[str, Any], list[Refusal]]:
    values: dict[str, Any] = {}
    refusals: list[Refusal] = []
    for (name, header), typed in zip(headers.items(), cells, strict=True):
        text = typed.strip()
        values[name] = None
        try:
            if text:
                values[name] = cleaners[name](text)
            elif name not in optional:
                raise CellEmpty(header=header)
        except Refusal as refusal:
            refusal.field = name
            refusals.append(refusal)
    return values, refusals


def _broken(listed: ListedDealer) -> DealerHistoryBroken | None:
    """The first step that stands without the one before it, or before that one's day."""
    chain = (
        ("signed_on", listed.signed_on),
        ("trained_on", listed.trained_on),
        ("correct", listed.correct),
        ("enrolled", listed.enrolled or None),
        ("point_no", listed.point_no),
        ("licensed_on", listed.licensed_on),
        ("licensed_until", listed.licensed_until),
    )
    given = [value is not None for _, value in chain]
    # Day and score of the test belong together, and so do the three columns of the licence.
    whole = given[1] == given[2] and given[4] == given[5] == given[6]
    gap = next((place for place in range(1, len(chain)) if given[place] and not given[place - 1]), None)
    if gap is None and not whole:
        gap = next(place + 1 for place in range(1, len(chain) - 1) if given[place] and not given[place + 1])
        return _history(chain[gap - 1][0], chain[gap][0])
    if gap is not None:
        return _history(chain[gap][0], chain[gap - 1][0])
    days = [day for day in (listed.signed_on, listed.trained_on, listed.licensed_on, listed.licensed_until) if day]
    if days != sorted(days):
        return _history("licensed_on" if listed.licensed_on else "trained_on", "signed_on")
    if listed.standing is not None and listed.licensed_on is None:
        return _history("standing", "licensed_on")
    return None


def _history(later: str, missing: str) -> DealerHistoryBroken:
    return DealerHistoryBroken(field=later, later=DEALER_HEADERS[later], missing=DEALER_HEADERS[missing])


def _day(text: str, *, latest: date) -> date:
    day = read_day(text, latest=latest)
    if day is None:
        raise DealerDayInvalid(typed=text[:20])
    return day


def _score(text: str) -> int:
    if not re.fullmatch(r"\d{1,2}", text, re.ASCII) or int(text) > 10:
        raise DealerCellInvalid(typed=text[:20], allowed="0 到 10 的整数")
    return int(text)


def _point_no(text: str) -> str:
    if not re.fullmatch(r"\d{1,8}", text, re.ASCII) or int(text) == 0:
        raise DealerCellInvalid(typed=text[:20], allowed="数字编号，例如 0001")
    return f"{int(text):04d}"


def _word(text: str, words: dict[str, Any]) -> Any:
    if text not in words:
        raise DealerCellInvalid(typed=text[:20], allowed="、".join(word for word in words if word))
    return words[text]


def _login(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{4,40}", text, re.ASCII):
        raise DealerCellInvalid(typed=text[:20], allowed="4 到 40 位字母、数字、点、短横")
    return text
